//! The settings as a `host.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};

use serde::Serialize;

use super::{ConfigError, NodeConfig, values};

/// The settings in the form of the file. There is no secret among them: of the private key only the path.
#[derive(Serialize)]
struct Printed<'a> {
    name: &'a str,
    listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<SocketAddr>,
    bootstrap: bool,
    seeds: &'a [String],
    shards: u16,
    data_dir: PathBuf,
    drain_timeout: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    tls: PrintedTls,
    plugins: PrintedPlugins<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<PrintedAdmin>,
}

#[derive(Serialize)]
struct PrintedAdmin {
    listen: SocketAddr,
    public: bool,
}

#[derive(Serialize)]
struct PrintedTls {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Serialize)]
struct PrintedPlugins<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<PathBuf>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    merge: BTreeMap<&'a str, PathBuf>,
}

impl<'a> From<&'a NodeConfig> for Printed<'a> {
    fn from(config: &'a NodeConfig) -> Self {
        Self {
            name: &config.name,
            listen: config.listen,
            advertise: config.advertise,
            bootstrap: config.bootstrap,
            seeds: &config.seeds,
            shards: config.shard_count(),
            data_dir: config.data_dir.as_deref().map(absolute).unwrap_or_default(),
            drain_timeout: values::span_text(config.drain_timeout),
            labels: &config.labels,
            tls: PrintedTls {
                ca: absolute(&config.tls.ca),
                cert: absolute(&config.tls.cert),
                key: absolute(&config.tls.key),
            },
            plugins: PrintedPlugins {
                placement: config.plugins.placement.as_deref().map(absolute),
                merge: config.plugins.merge.iter().map(|(name, file)| (name.as_str(), absolute(file))).collect(),
            },
            admin: config.admin.listen.map(|listen| PrintedAdmin { listen, public: config.admin.public }),
        }
    }
}

impl NodeConfig {
    /// The settings as the text of a `host.toml` that gives the same ones, with absolute paths.
    ///
    /// # Errors
    /// [`ConfigError::Print`] if a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        Ok(toml::to_string(&Printed::from(self))?)
    }

    /// The same as a JSON object.
    ///
    /// # Errors
    /// As [`to_toml`](Self::to_toml).
    pub fn to_json(&self) -> Result<serde_json::Value, ConfigError> {
        serde_json::to_value(Printed::from(self)).map_err(|error| ConfigError::Print(serde::ser::Error::custom(error)))
    }
}

/// Paths in a file are relative to its folder and in a flag to the working one; absolute ones mean the same in
/// both.
fn absolute(file: &Path) -> PathBuf {
    path::absolute(file).unwrap_or_else(|_| file.into())
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, TlsSource};
    use super::*;

    fn reread(config: &NodeConfig) -> NodeConfig {
        let text = config.to_toml().unwrap();
        NodeConfig::parse(Layer::from_toml(&text, Path::new("/elsewhere/host.toml")).unwrap()).unwrap()
    }

    #[test]
    fn what_is_printed_gives_the_same_settings() {
        let full = Layer {
            name: Some("h1".into()),
            listen: "0.0.0.0:7500".parse().ok(),
            advertise: "10.0.0.1:7500".parse().ok(),
            bootstrap: Some(true),
            seeds: Some(vec!["h2:7400".into()]),
            shards: Some(3),
            data_dir: Some("/data".into()),
            drain_timeout: Some(std::time::Duration::from_millis(1500)),
            tls: Some(TlsSource::Dir("/certs".into())),
            labels: [("zone".to_owned(), "a \"quoted\" one".to_owned())].into(),
            merge_plugins: [("cart".to_owned(), "/p/cart.wasm".into())].into(),
            placement_plugin: Some("/p/spread.wasm".into()),
            admin_listen: "0.0.0.0:7480".parse().ok(),
            admin_public: Some(true),
        };
        let config = NodeConfig::parse(full).unwrap();
        assert_eq!(reread(&config), config);
        let least = Layer {
            name: Some("h1".into()),
            bootstrap: Some(true),
            shards: Some(1),
            tls: Some(TlsSource::Dir("/certs".into())),
            ..Layer::default()
        };
        let config = NodeConfig::parse(least).unwrap();
        assert_eq!(reread(&config), config);
    }
}
