//! The words of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use colony_client::admin::{MergeBy, OnConflict, OnPartition, OnPluginFailure};
use colony_client::{Ack, Position, Read, Ttl};

use super::heal::HealId;
use super::plugin::PluginCommand;
use super::{merge, text};
use crate::config;
use crate::demo::DemoOptions;

/// Where a command looks for a cluster if nothing says otherwise: where a host listens by default.
const DEFAULT_CONNECT: &str = "127.0.0.1:7400";
/// Where certificates are if nothing says otherwise.
const DEFAULT_CERTS: &str = "certs";

#[derive(Debug, Parser)]
#[command(name = "colony", version, about = "A replicated, in-memory session store.", propagate_version = true)]
pub(super) struct CommandLine {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// Hosts to ask, the first that answers serves [default: 127.0.0.1:7400]
    #[arg(
        long,
        global = true,
        env = "COLONY_CONNECT",
        hide_env_values = true,
        value_name = "ADDR[,ADDR]",
        value_delimiter = ',',
        value_parser = config::seed
    )]
    connect: Vec<String>,
    /// Folder with ca.pem and the certificate to use with its key [default: certs]
    #[arg(long, global = true, env = "COLONY_CERTS", hide_env_values = true, value_name = "DIR")]
    pub(super) certs: Option<PathBuf>,
    /// Print JSON: one document, or one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Common {
    pub(super) fn seeds(&self) -> Vec<String> {
        if self.connect.is_empty() { vec![DEFAULT_CONNECT.to_owned()] } else { self.connect.clone() }
    }

    pub(super) fn certs(&self) -> PathBuf {
        self.certs.clone().unwrap_or_else(|| DEFAULT_CERTS.into())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the certificates of a cluster
    #[command(subcommand)]
    Cert(CertCommand),
    /// Run a host
    Host(Box<HostArgs>),
    /// What the cluster is and what is not as it should be
    Status {
        /// End with 3 if the cluster is degraded, with 4 if it refuses clients; with 0 only if it is healthy
        #[arg(long)]
        check: bool,
    },
    /// The hosts
    Hosts,
    /// Where the colonies live
    Colonies {
        /// Only those with a copy on this host
        #[arg(long, value_name = "HOST")]
        of: Option<String>,
    },
    /// Move everything away from hosts and let them leave; waits until they have left
    Drain {
        /// Their names
        #[arg(required = true, value_name = "HOST", value_parser = config::name)]
        hosts: Vec<String>,
        /// They stay after all
        #[arg(long)]
        cancel: bool,
        /// How long to wait, such as 5m; the hosts go on draining after it
        #[arg(long, default_value = "5m", value_parser = config::span)]
        timeout: Duration,
    },
    /// Whether a host can be stopped at once without a colony being short of a copy, or the group of its majority
    #[command(name = "safe-to-stop")]
    SafeToStop {
        /// Its name
        #[arg(value_name = "HOST", value_parser = config::name)]
        host: String,
    },
    /// What is left of a colony that has lost every copy in sync; with --host, let it go on from that host's
    #[command(name = "accept-stale")]
    AcceptStale {
        /// The namespace
        #[arg(long, value_name = "NS")]
        namespace: String,
        /// The colony's bucket, as `colony colonies` shows it
        #[arg(long)]
        bucket: u32,
        /// The host whose copy is to be the colony from now on; what it lacks is lost
        #[arg(long, value_name = "HOST", value_parser = config::name)]
        host: Option<String>,
        /// Also if that host holds no copy: the colony begins empty
        #[arg(long, requires = "host")]
        empty: bool,
    },
    /// Plan where copies live, and have them moved; needs the admin right
    Plan {
        /// Only show what would be moved now, and why
        #[arg(long)]
        dry_run: bool,
        /// The component of a placement plugin to ask instead of the one in use
        #[arg(long, value_name = "FILE", requires = "dry_run")]
        plugin: Option<PathBuf>,
    },
    /// What a cut of the network would do: which colonies would be served on both sides, on one, nowhere
    #[command(name = "what-if")]
    WhatIf {
        /// The hosts with this label are cut off from all others
        #[arg(long, value_name = "LABEL=VALUE", value_parser = config::label)]
        cut: (String, String),
    },
    /// Create or list namespaces
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Read and change sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// What heals overrode after a split, and having it back; needs the admin right
    #[command(subcommand)]
    Heal(HealCommand),
    /// Begin, check, measure and install plugins, and choose which version decides
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// The whole story in under a minute, on real processes of this machine
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum HealCommand {
    /// The values that were acknowledged on one side and that the heal did not choose
    List {
        /// The namespace
        #[arg(long, value_name = "NS")]
        namespace: String,
        /// Show the keys: whoever has a key can use its session
        #[arg(long)]
        keys: bool,
    },
    /// One of them
    Show {
        /// The namespace
        #[arg(long, value_name = "NS")]
        namespace: String,
        /// As the list names it
        id: HealId,
        /// Show the key
        #[arg(long)]
        keys: bool,
    },
    /// Write it over what the session holds now
    Restore {
        /// The namespace
        #[arg(long, value_name = "NS")]
        namespace: String,
        /// As the list names it
        id: HealId,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// Make the authority of a cluster: ca.pem and ca.key in DIR
    Ca {
        /// The folder, made if need be
        dir: PathBuf,
    },
    /// Issue a host's certificate: NAME.pem and NAME.key in the authority's DIR
    Host {
        /// The authority's folder
        dir: PathBuf,
        /// The host's name
        #[arg(long, value_parser = config::name)]
        name: String,
        /// IP addresses or DNS names of the host, for people who read the certificate
        #[arg(long, value_name = "ADDRESS", num_args = 1..)]
        address: Vec<String>,
        /// How many days it is valid
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
    /// Issue the certificate of an application or operator: NAME.pem and NAME.key in the authority's DIR
    Client {
        /// The authority's folder
        dir: PathBuf,
        /// The client's name
        #[arg(long, value_parser = config::name)]
        name: String,
        /// What it may do
        #[arg(long, value_delimiter = ',', default_value = "read,write")]
        rights: Vec<Right>,
        /// How many days it is valid
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Right {
    /// Read sessions
    Read,
    /// Create, change and delete sessions
    Write,
    /// Change the cluster
    Admin,
}

/// Each flag goes before the variable COLONY_NAME, COLONY_LISTEN, ... and that before the key of host.toml.
#[derive(Args, Debug)]
pub(super) struct HostArgs {
    /// The settings in a file; see --print-config for its form
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The host's name, as in its certificate
    #[arg(long, value_parser = config::name)]
    pub(super) name: Option<String>,
    /// Where it listens: UDP for the group, TCP for the sentinel; shards take the UDP ports after it
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Where others reach it, if that is another address
    #[arg(long, value_name = "ADDR")]
    pub(super) advertise: Option<SocketAddr>,
    /// Begin a cluster if no seed knows one
    #[arg(long)]
    pub(super) bootstrap: bool,
    /// Hosts to ask for the cluster
    #[arg(long, value_name = "ADDR,...", value_delimiter = ',', value_parser = config::seed)]
    pub(super) seeds: Option<Vec<String>>,
    /// What placement knows of the host, such as zone=a
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = config::label)]
    pub(super) labels: Vec<(String, String)>,
    /// Folder for what must not be forgotten of the group; without one all is in memory
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// How long a signal lets the host move away what it holds, such as 30s [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = config::span)]
    pub(super) drain_timeout: Option<Duration>,
    /// Threads that serve sessions; 0 is one a core, at most 4
    #[arg(long, value_name = "N", value_parser = config::shards)]
    pub(super) shards: Option<u16>,
    /// The component of a merge plugin, by the name that namespaces use
    #[arg(long = "merge-plugin", value_name = "NAME=FILE", value_parser = config::named_path)]
    pub(super) merge_plugins: Vec<(String, PathBuf)>,
    /// The component of the placement plugin
    #[arg(long, value_name = "FILE")]
    pub(super) placement_plugin: Option<PathBuf>,
    /// Where it answers /healthz, /readyz and /metrics by HTTP, such as 127.0.0.1:7480 [default: nowhere]
    #[arg(long, visible_alias = "admin-listen", value_name = "ADDR")]
    pub(super) admin: Option<SocketAddr>,
    /// Let --admin be an address that other machines reach: whoever does may read the metrics
    #[arg(long)]
    pub(super) admin_public: bool,
    /// How the log is written, one line an event
    #[arg(long, value_enum, value_name = "FORM", env = "COLONY_LOG_FORMAT", hide_env_values = true,
          default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    /// What is logged, such as info,quinn=debug; goes before the variable COLONY_LOG
    #[arg(long, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Print the settings that hold, as a host.toml, and run nothing
    #[arg(long)]
    pub(super) print_config: bool,
}

/// How a host's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum NamespaceCommand {
    /// Make a namespace
    Create {
        /// Its name
        name: String,
        /// Copies of each colony, the primary included
        #[arg(long, default_value_t = 2)]
        copies: u8,
        /// Below so many copies in sync nothing is acknowledged: the colony says so and waits for one more
        #[arg(long, default_value_t = 1)]
        min_in_sync: u8,
        /// Number of colonies, a power of two; fixed for ever
        #[arg(long, default_value_t = 64)]
        buckets: u32,
        /// How long a session lives after its last touch, such as 30m, or never
        #[arg(long, default_value = "30m", value_parser = text::ttl)]
        ttl: Ttl,
        /// What a save does that meets a change made since its base
        #[arg(long, value_enum, default_value_t = Conflict::Merge)]
        on_conflict: Conflict,
        /// Who merges: a plugin by its name, or rules that are built in, one for all attributes or one for each, such
        /// as builtin:counter or "builtin:count=counter,item:*=quantity,*=last-write". There are last-write, max, min,
        /// counter, quantity, set-union, json, reject
        #[arg(long, value_name = "PLUGIN|builtin:RULES", default_value = merge::BUILTIN_LAST_WRITE,
              value_parser = merge::parse)]
        merge: MergeBy,
        /// What its colonies do while the network is split: both sides go on and are merged when they meet, or at most
        /// one goes on. Island, unless --min-in-sync is above 1
        #[arg(long, value_enum)]
        on_partition: Option<Partition>,
        /// What becomes of a save whose merge plugin fails
        #[arg(long, value_enum, default_value_t = PluginFailure::Builtin)]
        on_plugin_failure: PluginFailure,
    },
    /// All namespaces
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Conflict {
    /// The two are merged
    Merge,
    /// The save is refused
    Reject,
    /// The save wins
    Overwrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Partition {
    /// Both sides go on
    Island,
    /// One history: at most one side goes on
    Strict,
}

impl From<Partition> for OnPartition {
    fn from(partition: Partition) -> Self {
        match partition {
            Partition::Island => Self::Island,
            Partition::Strict => Self::Strict,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PluginFailure {
    /// The built-in decides: the later change wins
    Builtin,
    /// The save is refused and nothing changes
    Refuse,
}

impl From<PluginFailure> for OnPluginFailure {
    fn from(failure: PluginFailure) -> Self {
        match failure {
            PluginFailure::Builtin => Self::BuiltIn,
            PluginFailure::Refuse => Self::Refuse,
        }
    }
}

impl From<Conflict> for OnConflict {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Merge => Self::Merge,
            Conflict::Reject => Self::Reject,
            Conflict::Overwrite => Self::Overwrite,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// Set the whole content of a session; begins it if there is none
    #[command(group = clap::ArgGroup::new("content").required(true).multiple(true))]
    Put {
        #[command(flatten)]
        which: Which,
        /// An attribute; repeat it for more
        #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = text::attribute, group = "content")]
        attributes: Vec<(String, String)>,
        /// The content as one blob, from a file or - for the standard input
        #[arg(long, value_name = "FILE|-", group = "content", conflicts_with = "attributes")]
        blob_file: Option<PathBuf>,
        /// A tag to find the session by, such as user=42; repeat it for more
        #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = text::tag)]
        tags: Vec<(String, String)>,
        /// How long it lives, such as 30m, or never [default: as the namespace says]
        #[arg(long, value_parser = text::ttl)]
        ttl: Option<Ttl>,
        /// Only if there is no such session
        #[arg(long, conflicts_with = "if_version")]
        if_absent: bool,
        /// Only if the session is at this version
        #[arg(long, value_name = "VERSION", value_parser = text::parse_version)]
        if_version: Option<Position>,
        #[command(flatten)]
        level: Level,
    },
    /// Read a session
    Get {
        #[command(flatten)]
        which: Which,
        /// What the answer must show
        #[arg(long, value_enum, default_value_t = ReadLevel::Token)]
        read: ReadLevel,
    },
    /// Change attributes of a session, based on the version that it has now
    #[command(group = clap::ArgGroup::new("changes").required(true).multiple(true))]
    Patch {
        #[command(flatten)]
        which: Which,
        /// An attribute to set; repeat it for more
        #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = text::attribute, group = "changes")]
        attributes: Vec<(String, String)>,
        /// An attribute to remove; repeat it for more
        #[arg(long, value_name = "NAME", group = "changes")]
        remove: Vec<String>,
        #[command(flatten)]
        level: Level,
        /// A tag to set; repeat it for more
        #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = text::tag, group = "changes")]
        tags: Vec<(String, String)>,
        /// A tag to remove; repeat it for more
        #[arg(long, value_name = "NAME", group = "changes")]
        untag: Vec<String>,
    },
    /// Restart a session's time to live
    Touch {
        #[command(flatten)]
        which: Which,
        /// How long it lives from now, such as 30m, or never [default: as the namespace says]
        #[arg(long, value_parser = text::ttl)]
        ttl: Option<Ttl>,
    },
    /// End a session; wins over concurrent saves
    Delete {
        #[command(flatten)]
        which: Which,
        /// Only if the session is at this version
        #[arg(long, value_name = "VERSION", value_parser = text::parse_version)]
        if_version: Option<Position>,
    },
    /// Print what happens to a session, one line an event, until interrupted
    Watch {
        #[command(flatten)]
        which: Which,
        /// Stop after so many events
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// The sessions that carry a tag; needs the admin right
    List {
        #[command(flatten)]
        carriers: Carriers,
        /// Show the keys: whoever has a key can use its session
        #[arg(long)]
        keys: bool,
    },
    /// End all sessions that carry a tag; needs the admin right
    Revoke {
        #[command(flatten)]
        carriers: Carriers,
    },
}

/// The sessions that carry a tag.
#[derive(Args, Debug)]
pub(super) struct Carriers {
    /// The namespace
    #[arg(long, value_name = "NS")]
    pub(super) namespace: String,
    /// The tag, such as user=42
    #[arg(long, value_name = "NAME=VALUE", value_parser = text::tag)]
    pub(super) tag: (String, String),
}

/// When a change counts as made.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Level {
    /// What must be done before the change is acknowledged
    #[arg(long, value_enum, default_value_t = AckLevel::InSync)]
    pub(super) ack: AckLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AckLevel {
    /// Every in-sync copy holds it
    InSync,
    /// The primary's host alone holds it
    Primary,
    /// Every in-sync copy has it on disk; refused: sessions are kept in memory
    Durable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReadLevel {
    /// All that this client has seen
    Token,
    /// All that was acknowledged to anybody
    Confirm,
    /// Whatever the host holds
    Any,
}

impl From<AckLevel> for Ack {
    fn from(level: AckLevel) -> Self {
        match level {
            AckLevel::InSync => Self::InSync,
            AckLevel::Primary => Self::Primary,
            AckLevel::Durable => Self::Durable,
        }
    }
}

impl From<ReadLevel> for Read {
    fn from(level: ReadLevel) -> Self {
        match level {
            ReadLevel::Token => Self::Token,
            ReadLevel::Confirm => Self::Confirm,
            ReadLevel::Any => Self::Any,
        }
    }
}

/// Which session.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The namespace
    #[arg(long, value_name = "NS")]
    pub(super) namespace: String,
    /// The session's key
    pub(super) key: String,
}

#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// Hosts at the beginning; one is killed and one joins
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=8))]
    pub(super) hosts: u8,
    /// Leave the cluster running at the end
    #[arg(long)]
    pub(super) keep: bool,
    /// Folder with the components cart_merge.wasm and spread_zones.wasm
    #[arg(long, value_name = "DIR", env = "COLONY_PLUGINS", hide_env_values = true)]
    pub(super) plugins: Option<PathBuf>,
}

impl From<DemoArgs> for DemoOptions {
    fn from(args: DemoArgs) -> Self {
        Self { hosts: args.hosts, keep: args.keep, plugins: args.plugins }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }
}
