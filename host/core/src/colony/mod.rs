//! One shard's peers: the copies of colonies that this host holds, and how they replicate
//! (`PROTOCOL.md` 1, 3 to 6, 12).
//!
//! # The protocol in short
//!
//! A colony's primary gives every change a place in the log, sends it to every peer, and answers the
//! client once **every** start of the in-sync set holds it. Who is primary and who is in sync stands in the
//! group's table; only a commit of the group changes it. So
//!
//! - any in-sync peer holds all that was ever acknowledged, and any of them may be promoted;
//! - a deposed primary acknowledges nothing: the promoted peer is in its in-sync set and refuses its reign;
//! - no rule needs a clock or a lease to be safe.
//!
//! The log is matched as Raft's is, by the place and the reign of the op before: one writer a reign makes
//! (reign, seq) name one op. A peer that does not match says which reigns its log holds; the primary finds
//! the last op both have and goes on from there, or sends a snapshot taken at a committed position while
//! new ops go on streaming beside it.
//!
//! # The shell's part
//!
//! Feed [`Shard::handle`] with everything that happens, in order; carry out the [`Output`]s in order.
//! Messages may be lost, doubled, reordered and late. Call it with [`Input::Tick`] every
//! [`Settings::tick`]; nothing else depends on when.
//!
//! ```text
//!   shard.rs     all peers of one shard, copies kept by a process that was declared dead
//!   sides.rs     copies that go over to another side of a split, and come back
//!   replica.rs   one peer: what it holds, which part it plays
//!   primary/     serving: requests, replication, catching peers up, the in-sync set, hand-over
//!   follower.rs  holding: appends, truncation, snapshots taken in
//!   holding.rs   what a peer holds: log and committed state
//!   log.rs       ops not yet forgotten        history.rs   what a state covers
//!   images.rs    what sessions were where another side may have begun
//!   quarantine.rs what heals overrode         slots.rs     how many colonies do something at a time
//!   store.rs     committed sessions           session.rs   one session and what ops do to it
//!   ends.rs      lives that have ended        records.rs   exactly once
//!   snapshot.rs  a state as parts             ranges.rs    how a state is divided
//!   transfer/    a state on its way to a peer clock.rs     what sessions live by
//!   tags.rs      which sessions carry a tag
//!   doing.rs     what a peer is in the middle of, and how full it is
//!   standing.rs  how a peer stands, how far others are behind it
//! ```

/// Whether a bug put in on purpose is switched on; never without the feature `mutants`.
macro_rules! mutant {
    ($settings:expr, $name:ident) => {{
        #[cfg(feature = "mutants")]
        let on = $settings.has(crate::colony::Mutant::$name);
        #[cfg(not(feature = "mutants"))]
        let on = {
            let _ = &$settings;
            false
        };
        on
    }};
}

mod clock;
mod doing;
mod ends;
mod follower;
mod history;
mod holding;
mod images;
mod io;
mod log;
#[cfg(feature = "mutants")]
mod mutant;
mod primary;
mod quarantine;
mod ranges;
mod records;
mod replica;
mod session;
mod settings;
mod shard;
mod sides;
mod slots;
mod snapshot;
mod standing;
mod store;
mod tags;
mod transfer;

pub use clock::SessionTime;
pub use doing::{Doing, Load};
pub use ends::{Ends, KeyHash, Tombstone};
pub use history::History;
pub use io::{Caller, Input, Joined, Lane, Output, Space, Staying};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use quarantine::{MAX_QUARANTINED, MAX_QUARANTINED_BYTES, Quarantine};
pub use replica::{Part, Replica};
pub use session::{Session, Stored};
pub use settings::Settings;
pub use shard::Shard;
pub use sides::Left;
pub use standing::{Lag, Standing};
pub use store::Store;
