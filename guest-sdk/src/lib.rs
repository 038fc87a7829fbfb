//! Write Colony merge and placement plugins.
//!
//! Many plugins are a list of which attribute is what ([`ready`]):
//!
//! ```
//! use colony_guest::ready::{Merges, counter, quantity, set_union};
//!
//! colony_guest::export_merge!(
//!     Merges::new().attribute("visits", counter()).prefix("item:", quantity()).attribute("tags", set_union())
//! );
//! ```
//!
//! Any other is a plain Rust type with one trait, and one line that exports it as a WebAssembly component:
//!
//! ```
//! use colony_guest::merge::{Choice, Conflict, Merge, Resolution};
//!
//! /// The name that is spelled out stays.
//! struct Longest;
//!
//! impl Merge for Longest {
//!     fn attribute(&self, conflict: &Conflict) -> Resolution {
//!         match (conflict.ours.text(), conflict.theirs.text()) {
//!             (Some(ours), Some(theirs)) if ours.len() > theirs.len() => Resolution::Keep(Choice::Ours),
//!             (Some(ours), Some(theirs)) if ours.len() < theirs.len() => Resolution::Keep(Choice::Theirs),
//!             _ => Resolution::Keep(conflict.later()),
//!         }
//!     }
//! }
//!
//! colony_guest::export_merge!(Longest);
//!
//! // The traits are plain Rust, so `cargo test` runs a plugin natively:
//! use colony_guest::merge::{Side, resolve};
//! let conflict = Conflict::new("name", Some(Side::of("A. L.")), Side::of("Ada Lovelace"), Side::of("Ada L."));
//! assert_eq!(resolve(&Longest, &conflict), Resolution::Keep(Choice::Ours));
//! ```
//!
//! # Building one
//!
//! `colony plugin new merge DIR` writes all of this:
//!
//! ```toml
//! # Cargo.toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//! [dependencies]
//! colony-guest = { path = "/where/colony/is/guest-sdk" }
//! [profile.release]
//! panic = "abort"
//! strip = true
//!
//! # .cargo/config.toml: rustc brings this linker along; it wraps the module into a component.
//! [target.wasm32-unknown-unknown]
//! linker = "wasm-component-ld"
//! ```
//!
//! `cargo build --target wasm32-unknown-unknown --release` then gives the component. The standard library
//! has no clock, no files and no entropy on that target, and the worlds import [`log!`] only: the same
//! question always gets the same answer.
//!
//! # What the host does with it
//!
//! A call gets a bounded amount of work, memory, input and output. A plugin that traps, loops, or answers
//! nonsense fails that one call: the host's built-in rule decides, and says so in its report. A panic is a
//! trap and its message is lost, so log or return what a person should read.
//!
//! The contract itself, for authors in other languages, is the WIT package `colony:plugin` in `wit/`.

mod log;
pub mod merge;
pub mod placement;
pub mod ready;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;

pub use log::{Level, write_log};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Exports a value that implements [`merge::Merge`] as a component of the world `merge`.
///
/// Takes an expression, evaluated anew for every call: `export_merge!(Cart)` for a unit struct,
/// `export_merge!(Capped { most: 99 })` for one with fields. On other targets than WebAssembly it only
/// checks the type, so that `cargo test` runs natively.
#[macro_export]
macro_rules! export_merge {
    ($plugin:expr) => {
        const _: fn() = || {
            fn implements_merge(_: &impl $crate::merge::Merge) {}
            implements_merge(&$plugin);
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exported;

            impl $crate::wasm::merge::bindings::exports::colony::plugin::merger::Guest for Exported {
                fn merge(
                    conflict: $crate::wasm::merge::wit::Conflict,
                ) -> ::core::result::Result<$crate::wasm::merge::wit::Resolution, ::std::string::String> {
                    $crate::wasm::merge::answer(&$plugin, conflict)
                }
            }

            $crate::wasm::merge::bindings::export_merge_world!(
                Exported with_types_in $crate::wasm::merge::bindings
            );
        };
    };
}

/// Exports a value that implements [`placement::Placement`] as a component of the world `placement`.
///
/// Takes an expression, as [`export_merge!`] does.
#[macro_export]
macro_rules! export_placement {
    ($plugin:expr) => {
        const _: fn() = || {
            fn implements_placement(_: &impl $crate::placement::Placement) {}
            implements_placement(&$plugin);
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exported;

            impl $crate::wasm::placement::bindings::exports::colony::plugin::ranker::Guest for Exported {
                fn rank(
                    request: $crate::wasm::placement::wit::Request,
                ) -> ::core::result::Result<::std::vec::Vec<$crate::wasm::placement::wit::Score>, ::std::string::String>
                {
                    $crate::wasm::placement::answer(&$plugin, request)
                }
            }

            $crate::wasm::placement::bindings::export_placement_world!(
                Exported with_types_in $crate::wasm::placement::bindings
            );
        };
    };
}
