//! Settings from the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{ConfigError, Layer, TlsSource, ValueError, values};

impl Layer {
    /// What the `COLONY_*` variables say: `COLONY_NAME`, `COLONY_LISTEN`, `COLONY_ADVERTISE`, `COLONY_SEEDS` and
    /// `COLONY_LABELS` (each a list with commas), `COLONY_SHARDS`, `COLONY_DATA_DIR`, `COLONY_DRAIN_TIMEOUT`,
    /// `COLONY_CERTS`, `COLONY_ADMIN`. An empty one counts as absent.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] names the variable.
    pub fn from_env(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let text = |name| match set(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => Err(ConfigError::Variable { name, what: ValueError::NotText }),
        };
        Ok(Self {
            name: parsed("COLONY_NAME", text, values::name)?,
            listen: parsed("COLONY_LISTEN", text, values::address)?,
            advertise: parsed("COLONY_ADVERTISE", text, values::address)?,
            seeds: parsed("COLONY_SEEDS", text, |list| values::seeds(list.split(',')))?,
            shards: parsed("COLONY_SHARDS", text, values::shards)?,
            admin_listen: parsed("COLONY_ADMIN", text, values::address)?,
            labels: parsed("COLONY_LABELS", text, labels)?.unwrap_or_default(),
            data_dir: set("COLONY_DATA_DIR").map(Into::into),
            drain_timeout: parsed("COLONY_DRAIN_TIMEOUT", text, values::span)?,
            tls: set("COLONY_CERTS").map(|dir| TlsSource::Dir(dir.into())),
            ..Self::default()
        })
    }
}

fn parsed<T>(
    name: &'static str,
    text: impl Fn(&'static str) -> Result<Option<String>, ConfigError>,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<Option<T>, ConfigError> {
    let value = text(name)?.map(|text| parse(&text)).transpose();
    value.map_err(|what| ConfigError::Variable { name, what })
}

fn labels(list: &str) -> Result<BTreeMap<String, String>, ValueError> {
    list.split(',').map(values::label).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn layer(set: &[(&str, &str)]) -> Result<Layer, ConfigError> {
        Layer::from_env(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn every_variable_is_read() {
        let layer = layer(&[
            ("COLONY_NAME", "h1"),
            ("COLONY_LISTEN", "127.0.0.1:7500"),
            ("COLONY_ADVERTISE", "10.0.0.1:7500"),
            ("COLONY_SEEDS", "h2:7400,h3:7400"),
            ("COLONY_SHARDS", "3"),
            ("COLONY_DATA_DIR", "/data"),
            ("COLONY_DRAIN_TIMEOUT", "90s"),
            ("COLONY_CERTS", "/certs"),
            ("COLONY_LABELS", "zone=a,rack=r1"),
            ("COLONY_ADMIN", "127.0.0.1:7480"),
        ])
        .unwrap();
        assert_eq!(layer.name.as_deref(), Some("h1"));
        assert_eq!(layer.listen.map(|it| it.port()), Some(7500));
        assert_eq!(layer.advertise.map(|it| it.to_string()).as_deref(), Some("10.0.0.1:7500"));
        assert_eq!(layer.seeds, Some(vec!["h2:7400".into(), "h3:7400".into()]));
        assert_eq!(layer.shards, Some(3));
        assert_eq!(layer.data_dir.as_deref(), Some(Path::new("/data")));
        assert_eq!(layer.drain_timeout.map(|span| span.as_secs()), Some(90));
        assert_eq!(layer.tls, Some(TlsSource::Dir("/certs".into())));
        assert_eq!(layer.admin_listen.map(|it| it.port()), Some(7480));
        assert_eq!(layer.labels.get("rack").map(String::as_str), Some("r1"));
        assert_eq!(layer.labels.len(), 2);
    }

    #[test]
    fn an_empty_environment_says_nothing() {
        assert_eq!(layer(&[]).unwrap(), Layer::default());
        assert_eq!(layer(&[("COLONY_SEEDS", ""), ("COLONY_NAME", "")]).unwrap(), Layer::default());
    }

    #[test]
    fn an_error_names_the_variable() {
        for name in ["COLONY_NAME", "COLONY_LISTEN", "COLONY_SEEDS", "COLONY_SHARDS", "COLONY_LABELS", "COLONY_ADMIN"] {
            let error = layer(&[(name, "No Such")]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
        }
    }
}
