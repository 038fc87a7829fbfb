//! Merge and placement plugins: the only crate that names wasmtime.
//!
//! A plugin is a WebAssembly component of the world `merge` or `placement` (`guest-sdk/wit`). It may import
//! the log and nothing else, so its answer depends on its question alone. [`Runtime`] compiles and checks
//! one, and what it gives back answers questions: [`MergePlugin`], and [`PlacementPlugin`], which is a
//! [`colony_core::placement::Placement`].
//!
//! ```text
//!   bytes --Runtime::load_*--> plugin --merge / rank--> answer, size-checked
//!             |                   |                        `-- its meaning is judged by colony_core
//!             |                   `-- an instance from the pool, under Limits; a failed one is thrown away
//!             `-- LoadError: one line that says what is wrong with the file
//! ```
//!
//! # What a plugin can do to its host
//!
//! Fail one call. Who calls decides what becomes of it, and logs it: nothing is logged here but what plugins say, within
//! a budget. Work is bounded by fuel, which is deterministic, with wall time as a backstop; memory,
//! tables, stack, input, output and log lines are bounded by [`Limits`]. A breach ends the call with a
//! [`PluginError`], the instance is dropped with all it held, and the next call gets a fresh one.
//!
//! # How to call it
//!
//! Everything here is synchronous and short: a call takes microseconds, at worst [`Limits::call_time`].
//! Plugins are `Send + Sync`; calls from several threads run side by side, each on an instance of its own.
//! The calling thread needs [`Limits::stack_bytes`] of free stack. Loading takes longer, up to
//! [`Limits::compile_time`], and belongs on a thread that serves nobody.
//!
//! Not known here: sessions as a whole, the built-in rule that stands in for a failed plugin, when to give
//! up on a plugin that fails often, and where the bytes come from.

mod bindings;
mod budget;
mod engine;
mod error;
mod identity;
mod limits;
mod load;
mod memories;
mod merge;
mod placement;
mod pool;
mod runtime;
mod sandbox;
mod text;
mod ticker;
mod trial;

pub use budget::LogBudget;
pub use error::{LoadError, PluginError};
pub use identity::{Identity, content_id};
pub use limits::Limits;
pub use merge::{Asked, MergePlugin};
pub use placement::PlacementPlugin;
pub use runtime::{Plugin, Runtime};
pub use trial::{MergeTrial, PlacementTrial};
