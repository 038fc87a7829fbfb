//! The settings that a host runs with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::values::check_labels;
use super::{ConfigError, Layer, TlsSource};

/// Most shards that a host gives itself. Beyond a few, shards only divide the load of one machine's network.
pub const MAX_DEFAULT_SHARDS: u16 = 4;
/// Most shards a host may be given: each takes a thread and a UDP port, and its clients a connection each.
pub const MAX_SHARDS: u16 = 64;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7400);
const DEFAULT_CERTS: &str = "certs";
/// As long as service managers usually wait before they kill what they stop.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The settings of one host process, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The host's name: one DNS label, the name in its certificate, unique in the cluster. It says which
    /// machine or container this is, so keep it over restarts. No default.
    pub name: String,
    /// Where the host listens: the group's UDP port, and the sentinel's TCP port of the same number. Shard
    /// `i` listens on the UDP port `1 + i` after it. Give the address of the network that hosts and clients
    /// share. Default 127.0.0.1:7400.
    pub listen: SocketAddr,
    /// The address that other hosts and clients reach [`listen`](Self::listen) by, if it is another one: behind
    /// a port mapping, or if `listen` is 0.0.0.0. The shards' ports are mapped likewise, one by one. Default:
    /// `listen`.
    pub advertise: Option<SocketAddr>,
    /// Begin a cluster if no seed knows one. On for the first host of a cluster, harmless on it later. Default
    /// off.
    pub bootstrap: bool,
    /// Control ports (`listen` of others) to ask for the cluster, each a name or IP address with a port; at
    /// most [`MAX_SEEDS`](super::MAX_SEEDS). Two or three hosts that rarely change are enough. Needed unless
    /// [`bootstrap`](Self::bootstrap) is on or [`data_dir`](Self::data_dir) remembers the cluster.
    pub seeds: Vec<String>,
    /// Threads that serve sessions, up to [`MAX_SHARDS`]. More than cores is of no use. Default 0: one a core, at
    /// most [`MAX_DEFAULT_SHARDS`].
    pub shards: u16,
    /// Folder for what the host must not forget of the group; its own, on a local disk. Default: none, all is
    /// in memory, and a host that restarts comes back as a new one.
    pub data_dir: Option<PathBuf>,
    /// How long the host moves away what it holds when a signal (SIGTERM or SIGINT) stops it; a second signal stops
    /// it at once. Keep it below the time after which whatever sends the signal kills. When it is over the host
    /// leaves all the same, and says what is lost. Default 30s.
    pub drain_timeout: Duration,
    /// What placement repels on, up to 32: `machine`, `rack`, `zone`, `region`, or keys of your own that your
    /// placement plugin reads. Hosts with the same `zone` are expected to fail together. Default: none.
    pub labels: BTreeMap<String, String>,
    /// Its certificate. Default: from the folder `certs`.
    pub tls: TlsFiles,
    /// Its plugins. The same on all hosts, since any host may come to merge or place.
    pub plugins: PluginsConfig,
    /// Its admin port. Default: none.
    pub admin: AdminConfig,
}

/// The port for health probes and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where it answers `/healthz`, `/readyz` and `/metrics` by HTTP, such as 127.0.0.1:7480. Only loopback, unless
    /// [`public`](Self::public). Default: none, there is no such port.
    pub listen: Option<SocketAddr>,
    /// Whether `listen` may be an address that other machines reach. Nothing can be changed there, but whoever
    /// reaches it reads the names of hosts, namespaces and plugins, and how much is going on. Default off.
    pub public: bool,
}

/// The files of a host's certificate, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that are trusted.
    pub ca: PathBuf,
    /// The host's certificate.
    pub cert: PathBuf,
    /// Its private key; readable by the owner only.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files of `name` in a folder that `colony cert` filled.
    #[must_use]
    pub fn in_dir(dir: &Path, name: &str) -> Self {
        let file = |file: String| dir.join(file);
        Self { ca: file("ca.pem".into()), cert: file(format!("{name}.pem")), key: file(format!("{name}.key")) }
    }
}

/// The files of a host's plugins, each a WebAssembly component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Merge plugins by the name that namespaces use. Default: none.
    pub merge: BTreeMap<String, PathBuf>,
    /// The placement plugin. Default: none, every host is as good as another.
    pub placement: Option<PathBuf>,
}

impl NodeConfig {
    /// The settings of a layer, defaults filled in.
    ///
    /// # Errors
    /// [`ConfigError`] names the keys that are missing or do not fit each other.
    pub fn parse(layer: Layer) -> Result<Self, ConfigError> {
        let name = layer.name.ok_or(ConfigError::NoName)?;
        let seeds = layer.seeds.unwrap_or_default();
        let bootstrap = layer.bootstrap.unwrap_or(false);
        let data_dir = layer.data_dir.filter(|dir| !dir.as_os_str().is_empty());
        if seeds.is_empty() && !bootstrap && data_dir.is_none() {
            return Err(ConfigError::NoCluster { name });
        }
        let shards = layer.shards.unwrap_or(0);
        let listen = layer.listen.unwrap_or(DEFAULT_LISTEN);
        check_ports("listen", listen, shard_count(shards))?;
        check_reachable(listen, layer.advertise, shard_count(shards))?;
        check_labels(&layer.labels).map_err(ConfigError::Labels)?;
        let admin = AdminConfig { listen: layer.admin_listen, public: layer.admin_public.unwrap_or(false) };
        if let Some(address) = admin.listen.filter(|address| !address.ip().is_loopback() && !admin.public) {
            return Err(ConfigError::AdminPublic { address });
        }
        let tls = match layer.tls {
            Some(TlsSource::Files(files)) => files,
            Some(TlsSource::Dir(dir)) => TlsFiles::in_dir(&dir, &name),
            None => TlsFiles::in_dir(Path::new(DEFAULT_CERTS), &name),
        };
        Ok(Self {
            name,
            listen,
            advertise: layer.advertise,
            bootstrap,
            seeds,
            shards,
            data_dir,
            drain_timeout: layer.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT),
            labels: layer.labels,
            tls,
            plugins: PluginsConfig { merge: layer.merge_plugins, placement: layer.placement_plugin },
            admin,
        })
    }

    /// The address that others reach the host by.
    #[must_use]
    pub fn advertised(&self) -> SocketAddr {
        self.advertise.unwrap_or(self.listen)
    }

    /// How many shards the host has, at least one.
    #[must_use]
    pub fn shard_count(&self) -> u16 {
        shard_count(self.shards)
    }
}

fn shard_count(shards: u16) -> u16 {
    if shards == 0 { cores().min(MAX_DEFAULT_SHARDS) } else { shards }
}

fn cores() -> u16 {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    u16::try_from(cores).unwrap_or(u16::MAX)
}

fn check_reachable(listen: SocketAddr, advertise: Option<SocketAddr>, shards: u16) -> Result<(), ConfigError> {
    let (key, address) = match advertise {
        Some(address) => ("advertise", address),
        None => ("listen", listen),
    };
    if address.ip().is_unspecified() {
        return Err(ConfigError::Unreachable { key, address });
    }
    check_ports(key, address, shards)
}

fn check_ports(key: &'static str, address: SocketAddr, shards: u16) -> Result<(), ConfigError> {
    let last = u16::MAX - shards;
    if (1..=last).contains(&address.port()) { Ok(()) } else { Err(ConfigError::Port { key, address, shards, last }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrapped() -> Layer {
        Layer { name: Some("h1".into()), bootstrap: Some(true), ..Layer::default() }
    }

    fn at(listen: &str, advertise: Option<&str>) -> Result<NodeConfig, ConfigError> {
        let address = |text: &str| text.parse().unwrap();
        let layer = Layer {
            listen: Some(address(listen)),
            advertise: advertise.map(address),
            shards: Some(4),
            ..bootstrapped()
        };
        NodeConfig::parse(layer)
    }

    #[test]
    fn a_name_and_a_cluster_are_all_a_host_needs() {
        let config = NodeConfig::parse(bootstrapped()).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:7400");
        assert_eq!(config.shards, 0);
        assert_eq!(config.tls, TlsFiles::in_dir(Path::new("certs"), "h1"));
        assert_eq!(config.tls.key, Path::new("certs/h1.key"));
        assert_eq!(config.data_dir, None);
    }

    #[test]
    fn without_a_name_or_a_cluster_there_is_no_host() {
        assert!(matches!(NodeConfig::parse(Layer::default()), Err(ConfigError::NoName)));
        let alone = Layer { bootstrap: None, ..bootstrapped() };
        assert!(matches!(NodeConfig::parse(alone.clone()), Err(ConfigError::NoCluster { .. })));
        let joins = Layer { seeds: Some(vec!["h2:7400".into()]), ..alone.clone() };
        assert!(!NodeConfig::parse(joins).unwrap().bootstrap);
        let remembers = Layer { data_dir: Some("/data".into()), ..alone };
        assert!(NodeConfig::parse(remembers).is_ok());
    }

    #[test]
    fn zero_shards_are_as_many_as_there_are_cores() {
        let config = NodeConfig::parse(Layer { shards: Some(0), ..bootstrapped() }).unwrap();
        assert_eq!(config.shard_count(), cores().min(MAX_DEFAULT_SHARDS));
        let config = NodeConfig::parse(Layer { shards: Some(7), ..bootstrapped() }).unwrap();
        assert_eq!(config.shard_count(), 7);
    }

    #[test]
    fn an_address_that_nobody_can_reach_is_refused() {
        assert!(matches!(at("0.0.0.0:7400", None), Err(ConfigError::Unreachable { key: "listen", .. })));
        assert!(matches!(
            at("10.0.0.1:7400", Some("0.0.0.0:7400")),
            Err(ConfigError::Unreachable { key: "advertise", .. })
        ));
        let mapped = at("0.0.0.0:7400", Some("10.0.0.1:17400")).unwrap();
        assert_eq!(mapped.advertised().to_string(), "10.0.0.1:17400");
    }

    #[test]
    fn every_shard_has_a_port() {
        assert!(at("127.0.0.1:65531", None).is_ok());
        for bad in ["127.0.0.1:65532", "127.0.0.1:65535", "127.0.0.1:0"] {
            assert!(matches!(at(bad, None), Err(ConfigError::Port { last: 65531, .. })), "{bad}");
        }
    }

    #[test]
    fn the_admin_port_is_public_only_by_name() {
        let at = |listen: &str, public| {
            let admin_listen = Some(listen.parse().unwrap());
            NodeConfig::parse(Layer { admin_listen, admin_public: public, ..bootstrapped() })
        };
        assert_eq!(at("127.0.0.1:7480", None).unwrap().admin.listen.map(|it| it.port()), Some(7480));
        assert!(matches!(at("0.0.0.0:7480", None), Err(ConfigError::AdminPublic { .. })));
        assert!(matches!(at("10.0.0.1:7480", Some(false)), Err(ConfigError::AdminPublic { .. })));
        assert!(at("0.0.0.0:7480", Some(true)).unwrap().admin.public);
        assert_eq!(NodeConfig::parse(bootstrapped()).unwrap().admin, AdminConfig::default());
    }

    #[test]
    fn an_empty_data_dir_is_memory_only() {
        let config = NodeConfig::parse(Layer { data_dir: Some(PathBuf::new()), ..bootstrapped() }).unwrap();
        assert_eq!(config.data_dir, None);
    }
}
