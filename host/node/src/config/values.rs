//! From text to values, the same for a file, a variable and a flag.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    fn shards_have_a_bound() {
        assert_eq!(shards("0").ok(), Some(0));
        assert_eq!(shards(&MAX_SHARDS.to_string()).ok(), Some(MAX_SHARDS));
        for bad in ["-1", "x", "", "65", "70000"] {
            assert!(shards(bad).is_err(), "{bad}");
        }
    }
}
