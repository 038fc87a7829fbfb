//! What can be wrong with the settings of a host.

use std::io;
use std::net::{AddrParseError, SocketAddr};
use std::num::ParseIntError;
use std::path::PathBuf;

use colony_link::NameError;

use super::values::MAX_SEEDS;

/// Why a host cannot be run as its settings say. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the file is not understood.
    #[error("{}:{line}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, beginning at 1.
        line: usize,
        /// The key and what is wrong with it.
        what: String,
    },
    /// A variable of the environment is not understood.
    #[error("{name}: {what}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        what: ValueError,
    },
    /// The host has no name.
    #[error("the host has no name: give --name, set COLONY_NAME or write name = \"...\" in host.toml")]
    NoName,
    /// The host neither begins a cluster nor knows one.
    #[error(
        "host `{name}` has no cluster to join: give --seeds with the address of a running host, or --bootstrap \
         to begin a cluster"
    )]
    NoCluster {
        /// The host.
        name: String,
    },
    /// The other hosts could not reach it under this address.
    #[error("{key} = {address}: no other host can reach this address; set advertise to one that they can")]
    Unreachable {
        /// `listen` or `advertise`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// The shards' ports do not fit after the group's.
    #[error("{key} = {address}: its port needs {shards} more ports after it, one a shard; take one from 1 to {last}")]
    Port {
        /// `listen` or `advertise`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Number of shards.
        shards: u16,
        /// The last port that leaves room.
        last: u16,
    },
    /// The admin port would be open to other machines, and nobody said that it may.
    #[error(
        "[admin] listen = {address}: whoever reaches this address may read the metrics; take one of loopback, or \
         set public = true (--admin-public) if that is meant"
    )]
    AdminPublic {
        /// The address.
        address: SocketAddr,
    },
    /// All layers together have too many labels.
    #[error("labels: {0}")]
    Labels(#[source] ValueError),
    /// The settings cannot be written as TOML.
    #[error("cannot print the settings: {0}")]
    Print(#[from] toml::ser::Error),
}

/// Why one value cannot be what its key wants.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Not the name of a host or plugin.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not an IP address with a port.
    #[error("`{value}` is not an address like 127.0.0.1:7400: {source}")]
    Address {
        /// The value.
        value: String,
        /// What is wrong with it.
        source: AddrParseError,
    },
    /// Not the address of a seed.
    #[error("`{value}` is not the address of a host: it needs a name or an IP address, a colon and a port")]
    Seed {
        /// The value.
        value: String,
    },
    /// More seeds than are asked.
    #[error("{count} seeds; at most {MAX_SEEDS} are asked, and a few are enough")]
    Seeds {
        /// Their number.
        count: usize,
    },
    /// Not a number of shards.
    #[error("`{value}` is not a number of shards: {source}")]
    NotNumber {
        /// The value.
        value: String,
        /// What is wrong with it.
        source: ParseIntError,
    },
    /// More shards than a host may have.
    #[error("{value} shards; a host has at most {limit}, 0 is one a core")]
    Shards {
        /// The value.
        value: u16,
        /// The bound.
        limit: u16,
    },
    /// Not a length of time.
    #[error("`{value}` is not a length of time such as 30s, 5m or 500ms")]
    Span {
        /// The value.
        value: String,
    },
    /// Not of the form `key=value`, and not to be repeated: it may be a secret.
    #[error("it is not of the form {form}")]
    Unquoted {
        /// The form.
        form: &'static str,
    },
    /// Not of the form `key=value`.
    #[error("`{value}` is not of the form {form}")]
    Pair {
        /// The value.
        value: String,
        /// The form.
        form: &'static str,
    },
    /// The key or value of a label is empty or too long.
    #[error("label `{key}`: key and value need 1 to {limit} bytes each")]
    Label {
        /// The key.
        key: String,
        /// The bound.
        limit: usize,
    },
    /// More labels than a host may have.
    #[error("{count} labels; a host has at most {limit}")]
    Labels {
        /// Their number.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// Not text.
    #[error("the value is not UTF-8")]
    NotText,
}
