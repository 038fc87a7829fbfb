//! `colony heal`: what heals overrode, and having it back.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use colony_client::{
    AllOverridden, CallError, Changes, Client, Content, Namespace, Overridden, Precondition, Saved, Ttl, Winner,
};
use colony_wire::Seq;
use serde_json::{Value, json};

use super::args::{Common, HealCommand};
use super::connect::with_client;
use super::failure::Failure;
use super::output::Output;
use super::session::{content_text, saved_json, state_json};
use super::table::Table;
use super::text::{bytes_json, printable, version};

/// Names an overridden value in its namespace: the bucket of its colony, and the place of the op there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HealId {
    bucket: u32,
    place: u64,
}

impl HealId {
    fn of(one: &Overridden) -> Self {
        Self { bucket: one.bucket, place: one.at.seq.0 }
    }
}

impl fmt::Display for HealId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.bucket, self.place)
    }
}

impl FromStr for HealId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(bucket, place)| Some((bucket.parse().ok()?, place.parse().ok()?)));
        let (bucket, place) = parts.ok_or("an id is two numbers, as `colony heal list` shows it: 5-133")?;
        Ok(Self { bucket, place })
    }
}

pub(super) fn run(command: HealCommand, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        HealCommand::List { namespace, keys } => {
            let all = call("list what heals overrode", &namespace, common, async |of| of.overridden().await)?;
            output.list(all.values.iter().map(one_json), || table(&all, keys))
        }
        HealCommand::Show { namespace, id, keys } => {
            let one = call("show what a heal overrode", &namespace, common, async |of| existing(&of, id).await)?;
            let one = one.ok_or_else(|| not_kept(id))?;
            output.answer(|| one_json(&one), || one_text(&one, keys))
        }
        HealCommand::Restore { namespace, id } => {
            let saved = call("restore what a heal overrode", &namespace, common, async |of| restore(&of, id).await)?;
            let saved = saved.ok_or_else(|| not_kept(id))?;
            output.answer(|| saved_json(&saved), || format!("restored, version {}\n", version(saved.version)))
        }
    }
}

fn call<T>(
    doing: &'static str,
    namespace: &str,
    common: &Common,
    call: impl AsyncFnOnce(Namespace) -> Result<T, CallError>,
) -> Result<T, Failure> {
    let failed = |source| Failure::Call { doing, source };
    with_client(common, async |client: Client| call(client.namespace(namespace)).await.map_err(failed))
}

fn not_kept(id: HealId) -> Failure {
    Failure::NotKept { id: id.to_string() }
}

async fn existing(namespace: &Namespace, id: HealId) -> Result<Option<Overridden>, CallError> {
    namespace.overridden_at(id.bucket, Seq(id.place)).await
}

/// Writes the value over what the session holds now, as anybody's save would: of a session with attributes those that were
/// overridden. One that is over begins a new life.
async fn restore(namespace: &Namespace, id: HealId) -> Result<Option<Saved>, CallError> {
    let Some(one) = existing(namespace, id).await? else { return Ok(None) };
    let Some(found) = namespace.get(&one.key).await? else {
        return namespace.put(&one.key, one.content, Ttl::OfNamespace, Precondition::Absent).await.map(Some);
    };
    match (one.content, &found.content) {
        (Content::Attributes(values), Content::Attributes(_)) => {
            let set = values.into_iter().map(|(name, value): (String, Bytes)| (name, Some(value)));
            namespace.patch(&one.key, &found, Changes::Attributes(set.collect()), None).await.map(Some)
        }
        (content, _) => {
            namespace.put(&one.key, content, Ttl::OfNamespace, Precondition::Version(found.version)).await.map(Some)
        }
    }
}

fn winner(winner: Winner) -> &'static str {
    match winner {
        Winner::Staying => "the side that stayed",
        Winner::Joined => "the merge of both sides, or the other side",
        Winner::End(_) => "an end of the session",
    }
}

fn one_json(one: &Overridden) -> Value {
    json!({
        "id": HealId::of(one).to_string(),
        "key": bytes_json(one.key.as_bytes()),
        "session": one.key.to_string(),
        "at": version(one.at),
        "healed_at_ms": one.healed_at,
        "written_at_ms": one.written_at,
        "chosen": winner(one.winner),
        "overridden": state_json(&one.content),
        "served_by": one.served_by,
    })
}

fn named(one: &Overridden, keys: bool) -> String {
    if keys { printable(&String::from_utf8_lossy(one.key.as_bytes())) } else { one.key.to_string() }
}

fn table(all: &AllOverridden, keys: bool) -> String {
    let mut table = Table::new(&["ID", if keys { "KEY" } else { "SESSION" }, "CHOSEN", "BYTES OVERRIDDEN"]);
    for one in &all.values {
        let (id, chosen) = (HealId::of(one).to_string(), winner(one.winner).to_owned());
        table.row([id, named(one, keys), chosen, one.content.size().to_string()]);
    }
    let dropped = match all.dropped {
        0 => String::new(),
        some => format!("{some} older values are not kept any more: a colony keeps 1024\n"),
    };
    table.text() + &dropped
}

fn one_text(one: &Overridden, keys: bool) -> String {
    let (name, chosen) = (named(one, keys), winner(one.winner));
    format!(
        "session     {name}\noverridden  at {}\nchosen      {chosen}\n{}",
        version(one.at),
        content_text(&one.content)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = HealId { bucket: 5, place: 133 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "5", "5-", "-5", "a-b", "5-133-7", "4294967296-1"] {
            assert!(wrong.parse::<HealId>().is_err(), "{wrong}");
        }
    }
}
