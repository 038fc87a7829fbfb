//! How much may happen, and under which settings.

use std::time::Duration;

use colony_core::colony::{Mutant, Settings};
use colony_wire::StartId;

use crate::world::start_of;

/// How often each thing may happen in one run. Delivery, late delivery, reordering and loss are not counted: the
/// network and the group do them as they like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Mutations of a client, each under its own request id.
    pub writes: u8,
    /// Mutations that are sent once more.
    pub retries: u8,
    /// Processes that end with all they hold. Their host may start another process, which joins.
    pub crashes: u8,
    /// Starts that the group declares dead, rightly or wrongly.
    pub deaths: u8,
    /// Processes that hear that they were declared dead and go on under another start.
    pub rebirths: u8,
    /// Hosts that placement wants a copy on in addition.
    pub joins: u8,
    /// Times that a primary sends again and tells its commit position.
    pub ticks: u8,
    /// Times that a primary finds everybody silent who owes it an answer.
    pub silences: u8,
    /// Messages that arrive twice.
    pub doubles: u8,
    /// Times that one host is cut off from both others, for as long as it pleases. Where messages arrive in any
    /// order they may all be lost anyway.
    pub splits: u8,
}

/// In which order messages arrive, and which are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// In any order, and any of them never.
    Any,
    /// On each stream in the order in which they were sent, as late as they like, and none is lost but with its
    /// process or by a split: that is what the product's connections do.
    Sent,
}

/// One configuration to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its name in reports.
    pub name: &'static str,
    /// How many of the three hosts have a copy from the beginning.
    pub copies: usize,
    /// How much may happen.
    pub bounds: Bounds,
    /// Committed ops a log keeps. With one, a peer that catches up needs a snapshot; with many, the log will do.
    pub log_kept: usize,
    /// What the network does.
    pub order: Order,
    /// A bug put in on purpose.
    pub mutant: Option<Mutant>,
}

/// What the clock of a host goes on by at a time.
pub(crate) const STEP: Duration = Duration::from_millis(100);

/// After so many steps a peer counts as silent.
pub(crate) const STEPS_TO_SILENCE: u8 = 3;

impl Scope {
    /// Whether a start has a copy from the beginning.
    #[must_use]
    pub fn is_founder(&self, start: StartId) -> bool {
        (0..self.copies).any(|host| start_of(host, 0) == start)
    }

    /// The settings of every host.
    ///
    /// Times: a step lets what was not answered be sent again; [`STEPS_TO_SILENCE`] steps make a peer silent and a
    /// proposal due again. Whatever has a longer term in the product never comes up. Bounds of memory are out of
    /// reach of three writes, but the lag bound is not.
    #[must_use]
    pub fn settings(&self) -> Settings {
        const NEVER: Duration = Duration::from_hours(24);
        Settings {
            tick: STEP,
            replica_timeout: STEP * 2,
            resend_after: STEP,
            propose_again_after: STEP * u32::from(STEPS_TO_SILENCE),
            handover_pause: NEVER,
            lag_bound: 1,
            log_kept: self.log_kept,
            max_uncommitted: 16,
            max_buffered: 16,
            chunk_window: 1,
            record_ttl: NEVER,
            promotion_pad: Duration::ZERO,
            mutant: self.mutant,
            ..Settings::default()
        }
    }
}
