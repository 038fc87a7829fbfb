//! `colony session list` and `revoke`: all sessions of a namespace that carry a tag.

use colony_client::{Client, Tagged};
use serde_json::{Value, json};

use super::args::{Carriers, Common};
use super::connect::with_client;
use super::failure::Failure;
use super::output::Output;
use super::session::millis;
use super::table::Table;
use super::text::{bytes_json, duration, printable, version};

pub(super) fn list(carriers: &Carriers, keys: bool, common: &Common, output: Output) -> Result<(), Failure> {
    let (name, value) = &carriers.tag;
    let found = with_client(common, async |client: Client| {
        let found = client.namespace(&carriers.namespace).tagged(name, value).await;
        found.map_err(|source| Failure::Call { doing: "list the sessions", source })
    })?;
    output.list(found.iter().map(one_json), || table(&found, keys))
}

pub(super) fn revoke(carriers: &Carriers, common: &Common, output: Output) -> Result<(), Failure> {
    let (name, value) = &carriers.tag;
    let ended = with_client(common, async |client: Client| {
        let ended = client.namespace(&carriers.namespace).revoke(name, value).await;
        ended.map_err(|source| Failure::Call { doing: "end the sessions", source })
    })?;
    let sessions = if ended == 1 { "session" } else { "sessions" };
    output.answer(|| json!({ "ended": ended }), || format!("{ended} {sessions} ended\n"))
}

fn one_json(one: &Tagged) -> Value {
    json!({
        "key": bytes_json(one.key.as_bytes()),
        "session": one.key.to_string(),
        "version": version(one.version),
        "life": version(one.life),
        "expires_in_ms": one.expires_in.map(millis),
        "written_at_ms": one.written_at,
        "served_by": one.served_by,
    })
}

/// A key is what lets its holder use the session, so people get a short reference only, unless they ask for keys.
fn table(found: &[Tagged], keys: bool) -> String {
    let mut table = Table::new(&[if keys { "KEY" } else { "SESSION" }, "VERSION", "EXPIRES", "SERVED BY"]);
    for one in found {
        let expires =
            one.expires_in.map_or_else(|| "never".to_owned(), |left| format!("in {}", duration(millis(left))));
        let name = if keys { printable(&String::from_utf8_lossy(one.key.as_bytes())) } else { one.key.to_string() };
        table.row([name, version(one.version), expires, printable(&one.served_by)]);
    }
    let hint = if keys || found.is_empty() { "" } else { "the keys are shown with --keys or --json\n" };
    table.text() + hint
}

#[cfg(test)]
mod tests {
    use colony_client::{Key, Position};

    use super::*;

    #[test]
    fn people_get_a_reference_and_programs_the_key() {
        let at = Position::default();
        let key = Key::new("a-bearer-token").unwrap();
        let one = Tagged { key, version: at, life: at, expires_in: None, written_at: 7, served_by: "h1".into() };
        assert_eq!(one_json(&one)["key"], "a-bearer-token");
        let found = [one];
        let text = table(&found, false);
        assert!(text.contains("session#") && text.contains("never") && !text.contains("bearer"), "{text}");
        assert!(text.ends_with("\nthe keys are shown with --keys or --json\n"), "{text}");
        let text = table(&found, true);
        assert!(text.contains("\na-bearer-token  ") && !text.contains("session#"), "{text}");
        assert!(!table(&[], false).contains("--keys"), "there is none to show");
    }
}
