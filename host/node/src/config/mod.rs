//! What concerns one host process. What must be equal on all hosts is in the group state instead.
//!
//! Settings come from four places, each over the next, key by key:
//!
//! ```text
//!   flags  >  COLONY_* variables  >  host.toml  >  defaults
//! ```
//!
//! The first three are each read into a [`Layer`], in which a key is either absent or has a value that is
//! right by itself; the layers are put over each other; [`NodeConfig::parse`] checks what concerns several
//! keys and fills in the defaults. So what runs a host is a [`NodeConfig`] and cannot be half of one.
//!
//! An error names where the value stands: the file and line, the variable, or the flag.

mod env;
mod error;
mod file;
mod layer;
mod node;
mod print;
mod values;

pub use error::{ConfigError, ValueError};
pub use layer::{Layer, TlsSource};
pub use node::{AdminConfig, MAX_DEFAULT_SHARDS, MAX_SHARDS, NodeConfig, PluginsConfig, TlsFiles};
pub use values::{MAX_SEEDS, label, name, named_path, seed, seeds, shards, span};
