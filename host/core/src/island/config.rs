//! The times of an opening.

use std::time::Duration;

/// How soon a host that is cut off opens an island. Equal on all hosts of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// A host is attached as long as some leader had a majority behind it less than this ago. Above the time that a
    /// new leader takes when one is killed, so that no election opens an island.
    pub island_after: Duration,
    /// A host that reaches a majority of the voters, or does not know them, waits so many times `island_after`: they
    /// may agree on a leader yet. And only where a copy is missing, for without that nothing stands still.
    pub patience: u32,
    /// The host of rank k acts k times this later than the first. Above what a question and its answers take, so that
    /// the first is done before the next one begins; short, for the first may be dead.
    pub rank_pause: Duration,
    /// A founder waits so long for answers. Below `fence`: the rest is for making the group and telling the others.
    pub consent_within: Duration,
    /// Who consented acknowledges nothing for so long, unless it is told sooner what became of it. Its clients wait
    /// meanwhile: below the shortest deadline that they are likely to have.
    pub fence: Duration,
    /// A tick that comes this much after the one before it finds a host that was asleep: it listens for `island_after`
    /// anew before it believes that nobody is there. Above the interval of ticks and what a busy machine adds to it.
    pub asleep_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            island_after: Duration::from_secs(2),
            patience: 5,
            rank_pause: Duration::from_millis(300),
            consent_within: Duration::from_millis(400),
            fence: Duration::from_secs(1),
            asleep_after: Duration::from_millis(500),
        }
    }
}
