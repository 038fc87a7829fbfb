//! The standard output.

use std::io::{self, Write};

use serde_json::Value;

use super::failure::Failure;

/// Where answers go, and in which form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// One answer: a JSON document on one line, or text that ends its lines itself.
    pub(super) fn answer(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        self.write(&if self.json { format!("{}\n", json()) } else { text() })
    }

    /// A list: a JSON object a line, or text that ends its lines itself.
    pub(super) fn list(
        self,
        json: impl IntoIterator<Item = Value>,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        self.write(&if self.json { json.into_iter().map(|one| format!("{one}\n")).collect() } else { text() })
    }

    fn write(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
    }
}
