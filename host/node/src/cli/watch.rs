//! `colony session watch`: what happens to a session, one line an event.

use colony_client::{Changes, Client, EndKind, Event, TagChange, WatchedChange};
use serde_json::{Map, Value, json};

use super::args::{Common, Which};
use super::connect::with_client;
use super::failure::Failure;
use super::output::Output;
use super::session::{found_json, state_json};
use super::text::{bytes_json, printable, version};

/// Prints events until `count` of them were printed, or for ever.
pub(super) fn run(which: &Which, count: Option<u64>, common: &Common, output: Output) -> Result<(), Failure> {
    let failed = |source| Failure::Call { doing: "watch the session", source };
    with_client(common, async |client: Client| {
        let mut watch = client.namespace(&which.namespace).watch(&which.key).await.map_err(failed)?;
        let mut told = 0_u64;
        while count.is_none_or(|count| told < count) {
            let event = watch.next().await.map_err(failed)?;
            output.answer(|| event_json(&which.key, &event), || event_text(&event))?;
            told += 1;
        }
        Ok(())
    })
}

fn event_json(key: &str, event: &Event) -> Value {
    match event {
        Event::Current(found) => {
            json!({ "event": "current", "session": found.as_ref().map(|found| found_json(key, found)) })
        }
        Event::Changed { version: at, written_at, change, tags } => {
            let mut line = json!({ "event": "changed", "version": version(*at), "written_at_ms": written_at });
            match change {
                WatchedChange::Content(content) => line["state"] = state_json(content),
                WatchedChange::Changes(changes) => line["changes"] = changes_json(changes),
            }
            let tags: Map<_, _> = tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            line["tags"] = Value::Object(tags);
            line
        }
        Event::Ended { kind, at } => json!({ "event": "ended", "kind": kind_word(*kind), "at": version(*at) }),
        Event::Gap => json!({ "event": "gap" }),
    }
}

/// What changed, by name; what was removed is null.
fn changes_json(changes: &Changes) -> Value {
    match changes {
        Changes::Blob(blob) => json!({ "blob": bytes_json(blob) }),
        Changes::Attributes(changes) => {
            let value =
                |value: &Option<_>| value.as_ref().map_or(Value::Null, |bytes: &bytes::Bytes| bytes_json(bytes));
            let changes = changes.iter().map(|(name, changed)| (name.clone(), value(changed)));
            json!({ "attributes": changes.collect::<Map<_, _>>() })
        }
    }
}

fn event_text(event: &Event) -> String {
    match event {
        Event::Current(None) => "current   no such session\n".to_owned(),
        Event::Current(Some(found)) => format!("current   version {}\n", version(found.version)),
        Event::Changed { version: at, change, tags, .. } => {
            let what = match change {
                WatchedChange::Content(_) | WatchedChange::Changes(Changes::Blob(_)) => "the whole content".to_owned(),
                WatchedChange::Changes(Changes::Attributes(changes)) => {
                    names(changes.iter().map(|(name, value)| (name, value.is_some())))
                }
            };
            format!("changed   version {}: {what}{}\n", version(*at), tags_text(tags))
        }
        Event::Ended { kind, .. } => format!("ended     {}\n", kind_word(*kind)),
        Event::Gap => "gap       some changes were missed\n".to_owned(),
    }
}

fn tags_text(tags: &[TagChange]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    format!("; tags {}", names(tags.iter().map(|(name, value)| (name, value.is_some()))))
}

/// Names of what was set, and with a minus of what was removed.
fn names<'a>(changes: impl Iterator<Item = (&'a String, bool)>) -> String {
    let name = |(name, is_set): (&String, bool)| format!("{}{}", if is_set { "" } else { "-" }, printable(name));
    changes.map(name).collect::<Vec<_>>().join(", ")
}

fn kind_word(kind: EndKind) -> &'static str {
    match kind {
        EndKind::Logout => "logout",
        EndKind::Expiry => "expiry",
        EndKind::Revoke => "revoke",
    }
}

#[cfg(test)]
mod tests {
    use colony_client::Position;

    use super::*;

    #[test]
    fn an_event_is_one_line_without_the_sessions_key() {
        let at = Position::default();
        let changes = vec![("lang".to_owned(), Some("en".into())), ("old".to_owned(), None)];
        let change = WatchedChange::Changes(Changes::Attributes(changes));
        let tags = vec![("user".to_owned(), Some("42".to_owned()))];
        let changed = Event::Changed { version: at, written_at: 7, change, tags };
        let line = event_json("secret", &changed);
        assert_eq!(line["changes"], json!({ "attributes": { "lang": "en", "old": null } }));
        assert_eq!(line["tags"], json!({ "user": "42" }));
        assert!(event_text(&changed).ends_with("-0-0: lang, -old; tags user\n"), "{}", event_text(&changed));
        let ended = Event::Ended { kind: EndKind::Revoke, at };
        assert_eq!(
            (event_json("secret", &ended)["kind"].clone(), event_text(&ended)),
            (json!("revoke"), "ended     revoke\n".to_owned())
        );
        for event in [changed, ended, Event::Gap, Event::Current(None)] {
            let text = event_text(&event);
            assert!(text.lines().count() == 1 && !text.contains("secret"), "{text}");
        }
    }
}
