//! What a demo says.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::DemoError;

/// Says what happens, in lines for people or in JSON objects, each with the time since the begin.
#[derive(Debug)]
pub(super) struct Teller {
    json: bool,
    begun: Instant,
}

impl Teller {
    pub(super) fn new(json: bool) -> Self {
        Self { json, begun: Instant::now() }
    }

    /// Something happened. `fields` is an object; `line` is for people.
    pub(super) fn tell(&self, event: &str, fields: Value, line: &str) {
        if !self.json {
            let seconds = self.begun.elapsed().as_secs_f64();
            return say(&format!("[{seconds:5.1} s] {line}"));
        }
        let mut object = Map::new();
        object.insert("event".to_owned(), json!(event));
        object.insert("at_ms".to_owned(), json!(self.elapsed_ms()));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        say(&Value::Object(object).to_string());
    }

    /// Lines that belong to the last thing told; for people only.
    pub(super) fn detail(&self, line: &str) {
        if !self.json {
            say(&format!("          {line}"));
        }
    }

    /// A claim was checked.
    ///
    /// # Errors
    /// [`DemoError::Claim`] if it does not hold; `found` says what was seen.
    pub(super) fn claim(&self, claim: &str, holds: bool, found: impl FnOnce() -> String) -> Result<(), DemoError> {
        if !holds {
            return Err(DemoError::Claim { claim: claim.to_owned(), found: found() });
        }
        if self.json {
            self.tell("claim", json!({ "claim": claim, "ok": true }), "");
        } else {
            self.detail(&format!("checked: {claim}"));
        }
        Ok(())
    }

    /// The demo ended badly. People read why on the error stream, where every command says so.
    pub(super) fn failed(&self, error: &DemoError, logs: Option<&Path>) {
        let claim = match error {
            DemoError::Claim { claim, .. } => Some(claim),
            _ => None,
        };
        let fields = json!({ "ok": false, "why": error.to_string(), "claim": claim, "logs": logs });
        match logs {
            Some(logs) => self.tell("failed", fields, &format!("the hosts' logs are in {}", logs.display())),
            None if self.json => self.tell("failed", fields, ""),
            None => {}
        }
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// One who stops listening does not stop the demo: its exit code still tells how it ended.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
