//! What a command ended with.

use std::process::Output;

use serde_json::Value;

/// What a command ended with: its code and what it said on each stream.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The words it was asked with.
    pub asked: String,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

impl Answer {
    pub(crate) fn new(asked: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { asked, code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Whether it did what was asked.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.code == Some(0)
    }

    /// The answer of a command that did what was asked.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    #[must_use = "an answer that nobody looks at need not be asked for"]
    pub fn done(self) -> String {
        assert!(self.is_done(), "{self:?}");
        self.stdout
    }

    /// The one JSON document of a command that did what was asked.
    ///
    /// # Panics
    /// If it did not, or if its answer is anything but one document.
    #[track_caller]
    #[must_use]
    pub fn json(self) -> Value {
        let mut documents = self.jsons();
        assert_eq!(documents.len(), 1, "{documents:?}");
        documents.remove(0)
    }

    /// The JSON documents, one a line, of a command that did what was asked.
    ///
    /// # Panics
    /// If it did not, or if a line of its answer is no document.
    #[track_caller]
    #[must_use]
    pub fn jsons(self) -> Vec<Value> {
        let document = |line: &str| match serde_json::from_str(line) {
            Ok(document) => document,
            Err(error) => panic!("{error} in {line:?}"),
        };
        self.done().lines().map(document).collect()
    }

    /// Checks that it was refused as every command is: with this code, and one line, which holds all these words,
    /// on the error stream only.
    ///
    /// # Panics
    /// If it was not.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.stderr.starts_with("colony: ") && self.stderr.lines().count() == 1, "{self:?}");
        for words in words {
            assert!(self.stderr.contains(words), "{words:?} is not in {self:?}");
        }
    }
}
