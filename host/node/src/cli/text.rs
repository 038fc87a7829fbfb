//! Values as people type and read them.

use std::time::Duration;

use colony_client::{Position, Ttl};
use colony_wire::{LineageId, Reign, Seq};
use serde_json::{Value, json};

use crate::config::ValueError;

/// Units of a duration, the longest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A time to live: `30m`, `1500ms`, `never`.
pub(super) fn ttl(text: &str) -> Result<Ttl, String> {
    if text == "never" {
        return Ok(Ttl::Never);
    }
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    match (number.parse::<u64>(), unit) {
        (Ok(number @ 1..), Some((_, millis))) => {
            let millis = number.checked_mul(*millis).ok_or_else(|| "it is too long".to_owned())?;
            Ok(Ttl::After(Duration::from_millis(millis)))
        }
        _ => Err("it needs a number with ms, s, m, h or d, as in 30m, or is never".to_owned()),
    }
}

/// A duration in its two largest units that are not zero.
pub(super) fn duration(millis: u64) -> String {
    let mut rest = millis;
    let mut words = Vec::new();
    for (unit, size) in UNITS {
        if rest >= size && words.len() < 2 {
            words.push(format!("{}{unit}", rest / size));
        }
        rest %= size;
    }
    if words.is_empty() { "0ms".to_owned() } else { words.join(" ") }
}

/// An attribute, `NAME=VALUE`; the value may be empty.
pub(super) fn attribute(text: &str) -> Result<(String, String), ValueError> {
    // The text may be a session's state: it is not repeated.
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or(ValueError::Unquoted { form: "NAME=VALUE" })?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A tag, `NAME=VALUE`; the value may be empty.
pub(super) fn tag(text: &str) -> Result<(String, String), ValueError> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| ValueError::Pair { value: text.to_owned(), form: "NAME=VALUE" })?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A version in full, so that it can be given back: `LINEAGE-REIGN-SEQ`.
pub(super) fn version(position: Position) -> String {
    format!("{}-{}-{}", position.lineage, position.reign.0, position.seq.0)
}

/// The version that [`version`] wrote.
pub(super) fn parse_version(text: &str) -> Result<Position, String> {
    let mut parts = text.split('-');
    let lineage = parts.next().filter(|lineage| lineage.len() == 32);
    let lineage = lineage.and_then(|lineage| u128::from_str_radix(lineage, 16).ok());
    let mut number = || parts.next().and_then(|number| number.parse::<u64>().ok());
    let (reign, seq) = (number(), number());
    match (lineage, reign, seq, parts.next()) {
        (Some(lineage), Some(reign), Some(seq), None) => {
            Ok(Position { lineage: LineageId(lineage), reign: Reign(reign), seq: Seq(seq) })
        }
        _ => Err("it is not a version as `session get` prints it".to_owned()),
    }
}

/// Bytes in JSON: a string if they are UTF-8, else `{"hex": "..."}`.
pub(super) fn bytes_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// Bytes for people: text as it is, or quoted if it has characters that a terminal would act on or that would
/// hide where it ends; anything else as `hex:...`.
pub(super) fn bytes_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => format!("hex:{}", hex(bytes)),
    }
}

/// Text that came from elsewhere, safe for a terminal and on one line.
pub(super) fn printable(text: &str) -> String {
    let plain = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
    // Text that looks like one of the forms for what is not text.
    let clear = !text.starts_with("hex:") && !text.starts_with('"');
    if plain && clear { text.to_owned() } else { format!("{text:?}") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_has_a_unit() {
        let after = |millis| Ok(Ttl::After(Duration::from_millis(millis)));
        assert_eq!(ttl("30m"), after(1_800_000));
        assert_eq!(ttl("1500ms"), after(1500));
        assert_eq!(ttl("2d"), after(172_800_000));
        assert_eq!(ttl("never"), Ok(Ttl::Never));
        for bad in
            ["", "30", "m", "0s", "-1s", "1.5h", "5 m", "5y", "ever", "99999999999999999999s", "999999999999999999d"]
        {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_duration_has_two_units() {
        assert_eq!(duration(1_799_999), "29m 59s");
        assert_eq!(duration(86_400_000), "1d");
        assert_eq!(duration(90_061_001), "1d 1h");
        assert_eq!(duration(15), "15ms");
        assert_eq!(duration(0), "0ms");
    }

    #[test]
    fn a_version_can_be_given_back() {
        let position = Position { lineage: LineageId(0xabc << 90), reign: Reign(7), seq: Seq(u64::MAX) };
        assert_eq!(parse_version(&version(position)), Ok(position));
        let zeros = "0".repeat(32);
        for bad in ["", "1-2-3", &zeros, &format!("{zeros}-1"), &format!("{zeros}-1-2-3"), &format!("{zeros}-x-2")] {
            assert!(parse_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(bytes_json(b"42"), json!("42"));
        assert_eq!(bytes_json(&[0xff, 0]), json!({ "hex": "ff00" }));
        assert_eq!(bytes_text(&[0xff, 0]), "hex:ff00");
        assert_eq!(bytes_text(b"hex:ff00"), "\"hex:ff00\"");
    }

    #[test]
    fn a_terminal_never_gets_an_escape_from_a_session() {
        assert_eq!(bytes_text(b"\x1b[2Jgone"), "\"\\u{1b}[2Jgone\"");
        assert_eq!(bytes_text(b"two\nlines"), "\"two\\nlines\"");
        assert_eq!(bytes_text("plain text, ä".as_bytes()), "plain text, ä");
        assert_eq!(bytes_text(b""), "\"\"");
    }

    #[test]
    fn a_wrong_attribute_is_not_repeated() {
        let error = attribute("secret").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(attribute("a=").ok(), Some(("a".to_owned(), String::new())));
    }
}
