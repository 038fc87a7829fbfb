//! Settings from `host.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer};

use super::{ConfigError, Layer, TlsFiles, TlsSource, ValueError, values};

/// Largest file read: settings take a few hundred bytes, a wrong path may lead to anything.
const MAX_FILE: u64 = 256 * 1024;
/// Most letters that differ between a key that is not known and the one that may have been meant.
const MAX_TYPOS: usize = 2;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HostToml {
    #[serde(default, deserialize_with = "name")]
    name: Option<String>,
    #[serde(default, deserialize_with = "address")]
    listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "address")]
    advertise: Option<SocketAddr>,
    bootstrap: Option<bool>,
    #[serde(default, deserialize_with = "seeds")]
    seeds: Option<Vec<String>>,
    #[serde(default, deserialize_with = "shards")]
    shards: Option<u16>,
    data_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "span")]
    drain_timeout: Option<Duration>,
    certs: Option<PathBuf>,
    #[serde(default, deserialize_with = "labels")]
    labels: BTreeMap<String, String>,
    tls: Option<TlsToml>,
    #[serde(default)]
    plugins: PluginsToml,
    #[serde(default)]
    admin: AdminToml,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminToml {
    #[serde(default, deserialize_with = "address")]
    listen: Option<SocketAddr>,
    public: Option<bool>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsToml {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginsToml {
    #[serde(default, deserialize_with = "merge_plugins")]
    merge: BTreeMap<String, PathBuf>,
    placement: Option<PathBuf>,
}

impl Layer {
    /// What a file says. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError::Read`], or [`ConfigError::File`] with the line and the key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.into(), source };
        if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
            return Err(failed(std::io::Error::other("too large to be a host.toml")));
        }
        Self::from_toml(&fs::read_to_string(path).map_err(failed)?, path)
    }

    /// What a file of this text at this path says.
    pub(super) fn from_toml(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let toml: HostToml = toml::from_str(text).map_err(|error| explain(&error, text, path))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let tls = match (toml.certs, toml.tls) {
            (Some(_), Some(_)) => {
                let line = line_with(text, "certs");
                let what = "certs: a folder of certificates and the files in [tls] cannot both be used".to_owned();
                return Err(ConfigError::File { path: path.into(), line, what });
            }
            (Some(dir), None) => Some(TlsSource::Dir(base.join(dir))),
            (None, Some(TlsToml { ca, cert, key })) => {
                let [ca, cert, key] = [ca, cert, key].map(|file| base.join(file));
                Some(TlsSource::Files(TlsFiles { ca, cert, key }))
            }
            (None, None) => None,
        };
        // An empty folder means memory only and stays empty.
        let data_dir = |dir: PathBuf| if dir.as_os_str().is_empty() { dir } else { base.join(dir) };
        Ok(Self {
            name: toml.name,
            listen: toml.listen,
            advertise: toml.advertise,
            bootstrap: toml.bootstrap,
            seeds: toml.seeds,
            shards: toml.shards,
            data_dir: toml.data_dir.map(data_dir),
            drain_timeout: toml.drain_timeout,
            tls,
            labels: toml.labels,
            merge_plugins: toml.plugins.merge.into_iter().map(|(name, file)| (name, base.join(file))).collect(),
            placement_plugin: toml.plugins.placement.map(|file| base.join(file)),
            admin_listen: toml.admin.listen,
            admin_public: toml.admin.public,
        })
    }
}

/// Says where and what in one line.
fn explain(error: &toml::de::Error, text: &str, path: &Path) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.as_bytes().get(..start).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
    let what = unknown_key(&message).unwrap_or_else(|| {
        let key = text.lines().nth(line - 1).and_then(|line| line.split_once('=')).map(|(key, _)| key.trim());
        key.map_or_else(|| message.clone(), |key| format!("{key}: {message}"))
    });
    ConfigError::File { path: path.into(), line, what }
}

/// Serde tells of an unknown key in words only: ``unknown field `x`, expected one of `a`, `b` ``. Those words in
/// ours, with the key that may have been meant. Other words are not understood and stay as they are.
fn unknown_key(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<_> = quoted.collect();
    let meant = known.iter().min_by_key(|known| distance(unknown, known));
    Some(match meant.filter(|meant| distance(unknown, meant) <= MAX_TYPOS) {
        Some(meant) => format!("unknown key \"{unknown}\", did you mean \"{meant}\"?"),
        None => format!("unknown key \"{unknown}\"; the keys here are {}", known.join(", ")),
    })
}

/// Letters to insert, remove or replace to make one word the other (V. Levenshtein, 1966).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (b, above) in other.chars().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *above;
            left = changed.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn line_with(text: &str, key: &str) -> usize {
    1 + text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or_default()
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    parsed(from, values::name)
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    parsed(from, values::address)
}

fn parsed<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<Option<T>, D::Error> {
    parse(&String::deserialize(from)?).map(Some).map_err(refused)
}

fn seeds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let list = Vec::<String>::deserialize(from)?;
    values::seeds(list.iter().map(String::as_str)).map(Some).map_err(refused)
}

fn shards<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    values::shards_within(u16::deserialize(from)?).map(Some).map_err(refused)
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    values::span(&String::deserialize(from)?).map(Some).map_err(refused)
}

fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::deserialize(from)?;
    values::check_labels(&labels).map_err(refused)?;
    Ok(labels)
}

fn merge_plugins<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, PathBuf>, D::Error> {
    let plugins = BTreeMap::<String, PathBuf>::deserialize(from)?;
    plugins.keys().try_for_each(|key| values::name(key).map(drop)).map_err(refused)?;
    Ok(plugins)
}

fn refused<E: serde::de::Error>(error: impl fmt::Display) -> E {
    E::custom(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Result<Layer, ConfigError> {
        Layer::from_toml(text, Path::new("/etc/colony/host.toml"))
    }

    #[track_caller]
    fn assert_error(text: &str, expected: &str) {
        assert_eq!(layer(text).unwrap_err().to_string(), format!("/etc/colony/host.toml:{expected}"));
    }

    #[test]
    fn every_key_is_read() {
        let layer = layer(
            r#"
            name = "h1"
            listen = "127.0.0.1:7500"
            advertise = "10.0.0.1:7500"
            bootstrap = true
            seeds = ["h2:7400"]
            shards = 0
            data_dir = "data"
            drain_timeout = "45s"
            [labels]
            zone = "a"
            [tls]
            ca = "ca.pem"
            cert = "/certs/h1.pem"
            key = "h1.key"
            [plugins]
            placement = "spread.wasm"
            merge = { cart = "cart.wasm" }
            [admin]
            listen = "127.0.0.1:7480"
            public = false
            "#,
        )
        .unwrap();
        let expected = Layer {
            name: Some("h1".into()),
            listen: "127.0.0.1:7500".parse().ok(),
            advertise: "10.0.0.1:7500".parse().ok(),
            bootstrap: Some(true),
            seeds: Some(vec!["h2:7400".into()]),
            shards: Some(0),
            data_dir: Some("/etc/colony/data".into()),
            tls: Some(TlsSource::Files(TlsFiles {
                ca: "/etc/colony/ca.pem".into(),
                cert: "/certs/h1.pem".into(),
                key: "/etc/colony/h1.key".into(),
            })),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            merge_plugins: [("cart".to_owned(), "/etc/colony/cart.wasm".into())].into(),
            placement_plugin: Some("/etc/colony/spread.wasm".into()),
            admin_listen: "127.0.0.1:7480".parse().ok(),
            admin_public: Some(false),
            drain_timeout: Some(Duration::from_secs(45)),
        };
        assert_eq!(layer, expected);
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(layer("").unwrap(), Layer::default());
        assert_eq!(layer("data_dir = \"\"").unwrap().data_dir, Some(PathBuf::new()));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_one_that_was_meant() {
        assert_error(
            "name = \"h1\"\n\nlisen = \"127.0.0.1:7400\"\n",
            "3: unknown key \"lisen\", did you mean \"listen\"?",
        );
        assert_error("[tls]\nca = \"a\"\ncart = \"b\"\n", "3: unknown key \"cart\", did you mean \"cert\"?");
        assert_error("[plugins]\ncolour = 1\n", "2: unknown key \"colour\"; the keys here are merge, placement");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_and_key() {
        assert_error("\nshards = \"two\"\n", "2: shards: invalid type: string \"two\", expected u16");
        assert_error("name = \"H1\"", "1: name: the name `H1` may only have a-z, 0-9 and -, the last not at an end");
        assert_error(
            "listen = \"here\"",
            "1: listen: `here` is not an address like 127.0.0.1:7400: invalid socket address syntax",
        );
        assert_error(
            "a = 1\nshards = 65",
            "1: unknown key \"a\"; the keys here are name, listen, advertise, \
             bootstrap, seeds, shards, data_dir, drain_timeout, certs, labels, tls, plugins, admin",
        );
        assert_error("shards = 65", "1: shards: 65 shards; a host has at most 64, 0 is one a core");
    }

    #[test]
    fn certificates_are_named_in_one_way_only() {
        let both = "name = \"h1\"\ncerts = \"c\"\n[tls]\nca = \"a\"\ncert = \"b\"\nkey = \"c\"\n";
        assert_error(both, "2: certs: a folder of certificates and the files in [tls] cannot both be used");
        let error = layer("[tls]\nca = \"a\"\n").unwrap_err().to_string();
        assert!(error.contains("missing field `cert`"), "{error}");
    }

    #[test]
    fn a_distance_counts_letters() {
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
