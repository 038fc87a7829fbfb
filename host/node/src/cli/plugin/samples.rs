//! Conflicts of the author's own, in JSON: `guest-sdk/laws/SAMPLES.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use colony_guest::merge::{Occasion, SessionConflict, Snapshot, State, Version};
use colony_laws::Case;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::text::parse_version;

/// Bytes of a file with samples, at most: all are held in memory.
const MAX_FILE: u64 = 64 << 20;

/// One conflict.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default = "test")]
    namespace: String,
    #[serde(default)]
    occasion: When,
    #[serde(default)]
    base: Option<Side>,
    ours: Side,
    theirs: Side,
}

fn test() -> String {
    "test".into()
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum When {
    #[default]
    Save,
    Heal,
}

/// One version of a session: it has attributes, or a blob, or was ended.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, Bytes>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blob: Option<Bytes>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
    #[serde(default)]
    written_at_ms: u64,
    /// `LINEAGE-REIGN-SEQ`, as `session get` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

/// Text as it is; other bytes in base64, or in hexadecimal as `session get --json` prints them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Base64 { base64: String },
    Hex { hex: String },
}

/// The samples in a file: one object, or an array of them.
pub(super) fn read(path: &Path) -> Result<Vec<Case>, Failure> {
    let failed = |source| Failure::Read { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(failed)?;
    parse(&text).map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let samples = match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Value::Array(samples) => samples,
        sample => vec![sample],
    };
    let case = |sample: Value| {
        let sample: Sample = serde_json::from_value(sample).map_err(|error| error.to_string())?;
        let case = Case {
            namespace: sample.namespace,
            occasion: match sample.occasion {
                When::Save => Occasion::ConcurrentSave,
                When::Heal => Occasion::Heal,
            },
            base: sample.base.map(snapshot).transpose()?,
            ours: snapshot(sample.ours)?,
            theirs: snapshot(sample.theirs)?,
        };
        if case.conflict().is_none() {
            return Err("nothing is in conflict".to_owned());
        }
        Ok(case)
    };
    let numbered = samples.into_iter().enumerate();
    numbered.map(|(at, sample)| case(sample).map_err(|why| format!("sample {}: {why}", at + 1))).collect()
}

fn snapshot(side: Side) -> Result<Snapshot, String> {
    let state = match (side.attributes, side.blob, side.ended) {
        (Some(attributes), None, false) => {
            let value = |(name, value): (String, Bytes)| Ok::<_, String>((name, bytes(value)?));
            State::Attributes(attributes.into_iter().map(value).collect::<Result<_, _>>()?)
        }
        (None, Some(blob), false) => State::Blob(bytes(blob)?),
        (None, None, true) => State::Deleted,
        _ => return Err("a side has `attributes`, or a `blob`, or is `ended`".into()),
    };
    let mut snapshot = Snapshot::of(state).written_at(side.written_at_ms);
    snapshot.expires_in_ms = side.expires_in_ms;
    if let Some(version) = side.version {
        let position = parse_version(&version).map_err(|why| format!("version {version:?}: {why}"))?;
        snapshot.version = Version { lineage: position.lineage.0, reign: position.reign.0, seq: position.seq.0 };
    }
    Ok(snapshot)
}

fn bytes(value: Bytes) -> Result<Vec<u8>, String> {
    match value {
        Bytes::Text(text) => Ok(text.into_bytes()),
        Bytes::Base64 { base64 } => STANDARD.decode(&base64).map_err(|error| format!("base64 {base64:?}: {error}")),
        Bytes::Hex { hex } => unhex(&hex).ok_or_else(|| format!("hex {hex:?}: it needs two digits a byte")),
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|it| it.len() == 2)?, 16).ok()).collect()
}

/// The question as a sample: what a check found can be given to the next one.
pub(super) fn to_json(question: &SessionConflict) -> Value {
    let sample = Sample {
        namespace: question.namespace.clone(),
        occasion: match question.occasion {
            Occasion::ConcurrentSave => When::Save,
            Occasion::Heal => When::Heal,
        },
        base: question.base.as_ref().map(side),
        ours: side(&question.ours),
        theirs: side(&question.theirs),
    };
    serde_json::to_value(sample).unwrap_or_else(|error| json!(error.to_string()))
}

fn side(snapshot: &Snapshot) -> Side {
    let Version { lineage, reign, seq } = snapshot.version;
    let version = (snapshot.version != Version::default()).then(|| format!("{lineage:032x}-{reign}-{seq}"));
    let side = Side {
        written_at_ms: snapshot.written_at_ms,
        version,
        expires_in_ms: snapshot.expires_in_ms,
        ..Side::default()
    };
    match &snapshot.state {
        State::Attributes(attributes) => {
            let attributes = attributes.iter().map(|(name, value)| (name.clone(), written(value))).collect();
            Side { attributes: Some(attributes), ..side }
        }
        State::Blob(bytes) => Side { blob: Some(written(bytes)), ..side },
        State::Deleted => Side { ended: true, ..side },
    }
}

fn written(bytes: &[u8]) -> Bytes {
    match std::str::from_utf8(bytes) {
        Ok(text) => Bytes::Text(text.into()),
        Err(_) => Bytes::Base64 { base64: STANDARD.encode(bytes) },
    }
}

#[cfg(test)]
mod tests {
    use colony_laws::Effort;

    use super::*;

    #[test]
    fn every_question_can_be_given_back_as_a_sample() {
        for question in colony_laws::cases(&Effort::DEFAULT).filter_map(|case| case.conflict()) {
            let cases = parse(&to_json(&question).to_string()).expect("it is a sample");
            let [case] = cases.as_slice() else { panic!("{cases:?}") };
            assert_eq!(case.conflict(), Some(question));
        }
    }

    #[test]
    fn a_sample_is_as_short_as_can_be() {
        let text = r#"[{ "ours": { "attributes": { "a": "1", "b": { "base64": "/w==" }, "c": { "hex": "ff00" } } },
                         "theirs": { "blob": "" } }]"#;
        let cases = parse(text).expect("it is a sample");
        let State::Attributes(attributes) = &cases[0].ours.state else { panic!("{cases:?}") };
        assert_eq!(attributes.values().collect::<Vec<_>>(), [&b"1"[..], &[0xff], &[0xff, 0]]);
    }

    #[test]
    fn what_is_no_sample_is_named_by_its_number() {
        let good = r#"{"ours":{"blob":"1"},"theirs":{"blob":"2"}}"#;
        for (bad, why) in [
            (r#"{"ours":{"blob":"1"},"theirs":{"blob":"1"}}"#, "nothing is in conflict"),
            (r#"{"ours":{"blob":"1"},"theirs":{}}"#, "a side has"),
            (r#"{"ours":{"blob":"1"},"theirs":{"ended":true,"blob":"2"}}"#, "a side has"),
            (r#"{"ours":{"blob":"1"},"theirs":{"blob":{"base64":"?"}}}"#, "base64"),
            (r#"{"ours":{"blob":"1"},"theirs":{"blob":{"hex":"f"}}}"#, "two digits"),
            (r#"{"ours":{"blob":"1","x":1},"theirs":{"blob":"2"}}"#, "unknown field"),
            (r#"{"ours":{"blob":"1"},"theirs":{"blob":"2","version":"1"}}"#, "version"),
        ] {
            let error = parse(&format!("[{good},{bad}]")).expect_err("the second is no sample");
            assert!(error.starts_with("sample 2: ") && error.contains(why), "{error}");
        }
    }
}
