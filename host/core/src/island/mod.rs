//! When a host that is cut off from the group opens an island, and with whom (`PROTOCOL.md` 8).
//!
//! ```text
//!   answers to beacons            -> Attachment ->  how long ago a leader had a majority behind it
//!   the group's state, who votes,
//!   who answers                   -> Sight      ->  whether this host is cut off, and its place among those that are
//!   ticks, questions of founders,
//!   consents and refusals         -> Opening    ->  questions to others, a fence, an island to found
//! ```
//!
//! A host leaves an island that has come back once nothing is left there on any host ([`Parting`]).
//!
//! What an island begins with is for the group state to say ([`State::island`](crate::group::State::island)). What a cut
//! would do to each colony is foretold by [`what_if`].

mod attachment;
mod config;
mod opening;
mod parting;
mod sight;
mod what_if;

pub use attachment::Attachment;
pub use config::Config;
pub use opening::{Opening, Output, Refusal};
pub use parting::{LEFT_FOR, Parting, SILENT_FOR};
pub use sight::Sight;
pub use what_if::{Outlook, Service, what_if};
