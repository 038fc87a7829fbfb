//! From text to values, the same for a file, a variable and a flag.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use colony_link::check_name;
use colony_wire::limits::{MAX_LABELS, MAX_NAME};

use super::ValueError;
use super::node::MAX_SHARDS;

/// Most seeds of a host: one answer is enough, so more only make a wrong list slower to see.
pub const MAX_SEEDS: usize = 64;

/// The name of a host or plugin: one DNS label.
///
/// # Errors
/// [`ValueError::Name`] says which rule it breaks.
pub fn name(text: &str) -> Result<String, ValueError> {
    check_name(text)?;
    Ok(text.to_owned())
}

/// An IP address with a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, ValueError> {
    text.parse().map_err(|source| ValueError::Address { value: text.to_owned(), source })
}

/// The address of a host: a DNS name or IP address with a port. Names are looked up when they are used.
///
/// # Errors
/// [`ValueError::Seed`].
pub fn seed(text: &str) -> Result<String, ValueError> {
    let wrong = || ValueError::Seed { value: text.to_owned() };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let bare_v6 = host.contains(':') && !host.starts_with('[');
    match port.parse::<u16>() {
        Ok(1..) if !host.is_empty() && !bare_v6 => Ok(text.to_owned()),
        _ => Err(wrong()),
    }
}

/// Addresses of hosts, at most [`MAX_SEEDS`].
///
/// # Errors
/// [`ValueError::Seed`] or [`ValueError::Seeds`].
pub fn seeds<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, ValueError> {
    let seeds = texts.into_iter().map(seed).collect::<Result<Vec<_>, _>>()?;
    if seeds.len() > MAX_SEEDS {
        return Err(ValueError::Seeds { count: seeds.len() });
    }
    Ok(seeds)
}

/// A number of shards, 0 to [`MAX_SHARDS`].
///
/// # Errors
/// [`ValueError::NotNumber`] or [`ValueError::Shards`].
pub fn shards(text: &str) -> Result<u16, ValueError> {
    let value = text.parse().map_err(|source| ValueError::NotNumber { value: text.to_owned(), source })?;
    shards_within(value)
}

pub(super) fn shards_within(value: u16) -> Result<u16, ValueError> {
    if value > MAX_SHARDS { Err(ValueError::Shards { value, limit: MAX_SHARDS }) } else { Ok(value) }
}

/// Units of a length of time, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A length of time: a number with ms, s, m or h.
///
/// # Errors
/// [`ValueError::Span`].
pub fn span(text: &str) -> Result<Duration, ValueError> {
    let wrong = || ValueError::Span { value: text.to_owned() };
    let digits = text.len() - text.trim_start_matches(|it: char| it.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*millis)).ok_or_else(wrong)?;
    Ok(Duration::from_millis(millis))
}

/// The length of time as [`span`] reads it, in the largest unit that says it exactly.
pub(super) fn span_text(span: Duration) -> String {
    let whole = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let exact = UNITS.iter().find(|(_, millis)| whole > 0 && whole.is_multiple_of(*millis));
    let (unit, millis) = exact.unwrap_or(&("s", 1000));
    format!("{}{unit}", whole / millis)
}

/// A label, `key=value`.
///
/// # Errors
/// [`ValueError::Pair`] or [`ValueError::Label`].
pub fn label(text: &str) -> Result<(String, String), ValueError> {
    let (key, value) = pair(text, "key=value")?;
    check_label(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Refuses labels that the other hosts would.
pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), ValueError> {
    if labels.len() > MAX_LABELS {
        return Err(ValueError::Labels { count: labels.len(), limit: MAX_LABELS });
    }
    labels.iter().try_for_each(|(key, value)| check_label(key, value))
}

fn check_label(key: &str, value: &str) -> Result<(), ValueError> {
    let fits = |text: &str| (1..=MAX_NAME).contains(&text.len());
    if fits(key) && fits(value) { Ok(()) } else { Err(ValueError::Label { key: key.to_owned(), limit: MAX_NAME }) }
}

/// A plugin and the file of its component, `NAME=FILE`.
///
/// # Errors
/// [`ValueError::Pair`] or [`ValueError::Name`].
pub fn named_path(text: &str) -> Result<(String, PathBuf), ValueError> {
    let (key, path) = pair(text, "NAME=FILE")?;
    Ok((name(key)?, path.into()))
}

fn pair<'a>(text: &'a str, form: &'static str) -> Result<(&'a str, &'a str), ValueError> {
    let wrong = || ValueError::Pair { value: text.to_owned(), form };
    text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_a_host_and_a_port() {
        for good in ["127.0.0.1:7400", "h1.example:7400", "[::1]:7400"] {
            assert_eq!(seed(good).ok().as_deref(), Some(good));
        }
        for bad in ["", "h1", ":7400", "h1:", "h1:0", "h1:70000", "::1:7400", "h1:port"] {
            assert!(seed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_has_a_key_and_a_value() {
        assert_eq!(label("zone=a=b").ok(), Some(("zone".to_owned(), "a=b".to_owned())));
        for bad in ["zone", "zone=", "=a", &format!("k={}", "v".repeat(MAX_NAME + 1))] {
            assert!(label(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_and_is_printed_as_it_is_read() {
        for good in ["0s", "30s", "5m", "2h", "1500ms"] {
            assert_eq!(span(good).map(span_text).ok().as_deref(), Some(good));
        }
        for bad in ["", "30", "s", "-1s", "1d", "99999999999999999h"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_have_a_bound() {
        assert_eq!(shards("0").ok(), Some(0));
        assert_eq!(shards(&MAX_SHARDS.to_string()).ok(), Some(MAX_SHARDS));
        for bad in ["-1", "x", "", "65", "70000"] {
            assert!(shards(bad).is_err(), "{bad}");
        }
    }
}
