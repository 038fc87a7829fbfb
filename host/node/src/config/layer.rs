//! The settings that one source names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The settings that one source names: each value right by itself, everything optional. What each means is
/// told at [`NodeConfig`](super::NodeConfig).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// The host's name.
    pub name: Option<String>,
    /// Where it listens.
    pub listen: Option<SocketAddr>,
    /// Where others reach it.
    pub advertise: Option<SocketAddr>,
    /// Whether it begins a cluster where its seeds know none.
    pub bootstrap: Option<bool>,
    /// Whom it asks for the cluster.
    pub seeds: Option<Vec<String>>,
    /// Number of shards; 0 is one a core, at most [`MAX_DEFAULT_SHARDS`](super::MAX_DEFAULT_SHARDS).
    pub shards: Option<u16>,
    /// Where it keeps the group's log; an empty path is memory only.
    pub data_dir: Option<PathBuf>,
    /// How long a signal lets it drain.
    pub drain_timeout: Option<Duration>,
    /// Where its certificate is.
    pub tls: Option<TlsSource>,
    /// What placement knows of it.
    pub labels: BTreeMap<String, String>,
    /// Components of merge plugins, by the plugin's name.
    pub merge_plugins: BTreeMap<String, PathBuf>,
    /// Component of the placement plugin.
    pub placement_plugin: Option<PathBuf>,
    /// Where its admin port is.
    pub admin_listen: Option<SocketAddr>,
    /// Whether other machines may reach that.
    pub admin_public: Option<bool>,
}

/// Where the certificate of a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSource {
    /// In a folder: `ca.pem`, `NAME.pem` and `NAME.key`, as `colony cert` makes them.
    Dir(PathBuf),
    /// In three files.
    Files(super::TlsFiles),
}

impl Layer {
    /// These settings, and where they name none those of `below`. Lists are replaced as a whole; labels and
    /// merge plugins are replaced one by one.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            name: self.name.or(below.name),
            listen: self.listen.or(below.listen),
            advertise: self.advertise.or(below.advertise),
            bootstrap: self.bootstrap.or(below.bootstrap),
            seeds: self.seeds.or(below.seeds),
            shards: self.shards.or(below.shards),
            data_dir: self.data_dir.or(below.data_dir),
            drain_timeout: self.drain_timeout.or(below.drain_timeout),
            tls: self.tls.or(below.tls),
            labels: united(self.labels, below.labels),
            merge_plugins: united(self.merge_plugins, below.merge_plugins),
            placement_plugin: self.placement_plugin.or(below.placement_plugin),
            admin_listen: self.admin_listen.or(below.admin_listen),
            admin_public: self.admin_public.or(below.admin_public),
        }
    }
}

fn united<V>(above: BTreeMap<String, V>, mut below: BTreeMap<String, V>) -> BTreeMap<String, V> {
    below.extend(above);
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_lies_above_wins_key_by_key() {
        let above = Layer { shards: Some(2), seeds: Some(vec!["a:1".into()]), ..Layer::default() };
        let below = Layer {
            name: Some("h1".into()),
            shards: Some(4),
            seeds: Some(vec!["b:1".into(), "c:1".into()]),
            ..Layer::default()
        };
        let both = above.over(below);
        assert_eq!(both.name.as_deref(), Some("h1"));
        assert_eq!(both.shards, Some(2));
        assert_eq!(both.seeds, Some(vec!["a:1".into()]), "lists are not joined");
    }

    #[test]
    fn labels_are_replaced_one_by_one() {
        let above = Layer { labels: pairs(&[("zone", "b")]), ..Layer::default() };
        let below = Layer { labels: pairs(&[("zone", "a"), ("rack", "r1")]), ..Layer::default() };
        assert_eq!(above.over(below).labels, pairs(&[("zone", "b"), ("rack", "r1")]));
    }
}
