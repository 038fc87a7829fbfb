//! `colony session`: reading and changing sessions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use colony_client::{
    Ack, CallError, Changes, Client, Content, Found, Key, Namespace, Options, Precondition, Refusal, Saved, Ttl,
};
use colony_wire::limits::MAX_SESSION;
use serde_json::{Value, json};

use super::args::{Common, Level, SessionCommand, Which};
use super::connect::with_client;
use super::failure::Failure;
use super::output::Output;
use super::text::{bytes_json, bytes_text, duration, printable, version};
use super::{sessions, watch};

pub(super) fn run(command: SessionCommand, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        SessionCommand::Put { which, attributes, blob_file, tags, ttl, if_absent, if_version, level } => {
            let content = match blob_file {
                Some(file) => Content::Blob(read_blob(&file)?),
                None => Content::Attributes(attributes.into_iter().map(|(name, value)| (name, value.into())).collect()),
            };
            let precondition = match if_version {
                Some(version) => Precondition::Version(version),
                None if if_absent => Precondition::Absent,
                None => Precondition::None,
            };
            let put = async |carts: Namespace, key: Key| {
                let tags = tags.into_iter().map(|(name, value)| (name, Some(value))).collect();
                acknowledged(&carts, level).put_tagged(&key, content, tags, ttl.unwrap_or_default(), precondition).await
            };
            saved(call("write the session", &which, common, put)?, output)
        }
        SessionCommand::Get { which, read } => {
            let options = Options { read: read.into(), ..Options::default() };
            let get = async |carts: Namespace, key: Key| existing(&carts.with(options), &key).await;
            let found = call("read the session", &which, common, get)?;
            output.answer(|| found_json(&which.key, &found), || found_text(&found))
        }
        SessionCommand::Patch { which, attributes, remove, tags, untag, level } => {
            let tags = tags.into_iter().map(|(name, value)| (name, Some(value)));
            let tags: BTreeMap<_, _> = tags.chain(untag.into_iter().map(|name| (name, None))).collect();
            let set = attributes.into_iter().map(|(name, value)| (name, Some(Bytes::from(value))));
            let changes: BTreeMap<_, _> = set.chain(remove.into_iter().map(|name| (name, None))).collect();
            let changes = Changes::Attributes(changes.into_iter().collect());
            let patch = async |carts: Namespace, key: Key| {
                let found = existing(&carts, &key).await?;
                let tags = tags.into_iter().collect();
                acknowledged(&carts, level).patch_tagged(&key, &found, changes, tags, None).await
            };
            saved(call("change the session", &which, common, patch)?, output)
        }
        SessionCommand::Touch { which, ttl } => {
            touch(&which, ttl.unwrap_or_default(), common)?;
            output.answer(|| json!({ "touched": true }), || "touched\n".to_owned())
        }
        SessionCommand::Delete { which, if_version } => {
            let precondition = if_version.map_or(Precondition::None, Precondition::Version);
            let delete = async |carts: Namespace, key: Key| carts.delete_if(&key, precondition).await;
            saved(call("end the session", &which, common, delete)?, output)
        }
        SessionCommand::Watch { which, count } => watch::run(&which, count, common, output),
        SessionCommand::List { carriers, keys } => sessions::list(&carriers, keys, common, output),
        SessionCommand::Revoke { carriers } => sessions::revoke(&carriers, common, output),
    }
}

/// Makes one call about one session.
fn call<T>(
    doing: &'static str,
    which: &Which,
    common: &Common,
    call: impl AsyncFnOnce(Namespace, Key) -> Result<T, CallError>,
) -> Result<T, Failure> {
    let failed = |source| Failure::Call { doing, source };
    let key = Key::new(which.key.clone().into_bytes()).map_err(|error| Failure::Usage(error.to_string()))?;
    with_client(common, async |client: Client| call(client.namespace(&which.namespace), key).await.map_err(failed))
}

fn acknowledged(namespace: &Namespace, level: Level) -> Namespace {
    namespace.with(Options { ack: level.ack.into(), ..Options::default() })
}

async fn existing(namespace: &Namespace, key: &Key) -> Result<Found, CallError> {
    namespace.get(key).await?.ok_or(CallError::Refused(Refusal::NotFound))
}

fn touch(which: &Which, ttl: Ttl, common: &Common) -> Result<(), Failure> {
    let touch = async |namespace: Namespace, _| {
        let exists = namespace.touch(&which.key, ttl).await?;
        if exists { Ok(()) } else { Err(CallError::Refused(Refusal::NotFound)) }
    };
    call("touch the session", which, common, touch)
}

/// The content of a file or the standard input; no more than a session can hold.
fn read_blob(path: &Path) -> Result<Bytes, Failure> {
    let failed = |source| Failure::Read { path: path.into(), source };
    // One byte more than fits tells that it does not.
    let most = u64::try_from(MAX_SESSION + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        File::open(path).map_err(failed)?.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() > MAX_SESSION {
        return Err(failed(io::Error::other(format!("it is larger than a session may be, {MAX_SESSION} bytes"))));
    }
    Ok(bytes.into())
}

fn saved(saved: Saved, output: Output) -> Result<(), Failure> {
    output.answer(|| saved_json(&saved), || saved_text(&saved))
}

pub(super) fn saved_json(saved: &Saved) -> Value {
    json!({
        "version": version(saved.version),
        "life": version(saved.life),
        "copies": saved.copies,
        "merged": saved.merged,
        "ack": saved.ack,
        "served_by": saved.served_by,
    })
}

fn saved_text(saved: &Saved) -> String {
    let merged = if saved.merged { ", merged with a concurrent change" } else { "" };
    let alone = if saved.ack == Ack::Primary { ", not yet on other copies" } else { "" };
    let copies = if saved.copies == 1 { "copy" } else { "copies" };
    let host = printable(&saved.served_by);
    format!("version {}, {} {copies}, served by {host}{alone}{merged}\n", version(saved.version), saved.copies)
}

/// A session's content in JSON.
pub(super) fn state_json(content: &Content) -> Value {
    match content {
        Content::Blob(blob) => json!({ "blob": bytes_json(blob) }),
        Content::Attributes(attributes) => {
            let attributes = attributes.iter().map(|(name, value)| (name.clone(), bytes_json(value)));
            json!({ "attributes": attributes.collect::<serde_json::Map<_, _>>() })
        }
    }
}

pub(super) fn found_json(key: &str, found: &Found) -> Value {
    json!({
        "key": key,
        "state": state_json(&found.content),
        "tags": found.tags,
        "version": version(found.version),
        "life": version(found.life),
        "expires_in_ms": found.expires_in.map(millis),
        "written_at_ms": found.written_at,
        "served_by": found.served_by,
    })
}

/// A session's content, a line for each attribute.
pub(super) fn content_text(content: &Content) -> String {
    match content {
        Content::Blob(blob) => format!("blob        {}\n", bytes_text(blob)),
        Content::Attributes(attributes) => attributes
            .iter()
            .map(|(name, value)| format!("attribute   {} = {}\n", printable(name), bytes_text(value)))
            .collect(),
    }
}

fn found_text(found: &Found) -> String {
    let mut text = content_text(&found.content);
    for (name, value) in &found.tags {
        text.push_str(&format!("tag         {} = {}\n", printable(name), printable(value)));
    }
    let expires = found.expires_in.map_or_else(|| "never".to_owned(), |left| format!("in {}", duration(millis(left))));
    let host = printable(&found.served_by);
    text.push_str(&format!("version     {}\n", version(found.version)));
    text.push_str(&format!("expires     {expires}\nserved by   {host}\n"));
    text
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use colony_client::Tags;
    use colony_wire::{LineageId, Position, Reign, Seq};

    use super::*;

    fn found(content: Content) -> Found {
        let at = |seq| Position { lineage: LineageId(0xa), reign: Reign(2), seq: Seq(seq) };
        Found {
            content,
            tags: Tags::from([("user".to_owned(), "42".to_owned())]),
            version: at(9),
            life: at(4),
            expires_in: Some(Duration::from_millis(61_500)),
            written_at: 7,
            served_by: "h1".into(),
        }
    }

    #[test]
    fn a_session_prints_its_state_version_expiry_and_host() {
        let attributes = BTreeMap::from([
            ("user".to_owned(), Bytes::from_static(b"42")),
            ("raw".to_owned(), Bytes::from_static(b"\xff")),
        ]);
        let found = found(Content::Attributes(attributes));
        let json = found_json("alice", &found);
        assert_eq!(json["state"]["attributes"], json!({ "raw": { "hex": "ff" }, "user": "42" }));
        assert_eq!(json["version"], "0000000000000000000000000000000a-2-9");
        assert_eq!(json["expires_in_ms"], 61_500);
        let text = found_text(&found);
        assert!(
            text.starts_with("attribute   raw = hex:ff\nattribute   user = 42\ntag         user = 42\nversion     000"),
            "{text}"
        );
        assert!(text.ends_with("-2-9\nexpires     in 1m 1s\nserved by   h1\n"), "{text}");
    }

    #[test]
    fn a_blob_is_a_blob() {
        let found = found(Content::Blob(Bytes::from_static(b"all of it")));
        assert_eq!(found_json("k", &found)["state"], json!({ "blob": "all of it" }));
        assert_eq!(found_json("k", &found)["tags"], json!({ "user": "42" }));
        assert!(found_text(&found).starts_with("blob        all of it\n"));
    }
}
