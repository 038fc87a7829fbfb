//! The faults: one row of the table each.

use std::time::Duration;

use clap::ValueEnum;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// SIGKILL of one host
    Kill,
    /// SIGKILL of the host that leads the group
    KillLeader,
    /// One host is drained, leaves, and is started again
    Drain,
    /// SIGSTOP of one host for 0.3 s: less than anybody suspects
    #[value(name = "stop-0.3")]
    StopShort,
    /// SIGSTOP of one host for 5 s
    #[value(name = "stop-5")]
    Stop,
    /// SIGSTOP of one host for 30 s: longer than connections live
    #[value(name = "stop-30")]
    StopLong,
    /// Every processor is busy, and every host is stopped for 0.3 s at random, about every second
    Pauses,
    /// Two hosts and three do not hear each other
    Split,
    /// One host hears the others and is not heard, or the other way round
    OneWay,
    /// Two hosts do not hear each other, all others hear both
    Partial,
    /// One packet of twenty is lost, everywhere
    Loss,
    /// Every sentinel connection is reset, and every new one
    Reset,
    /// More calls at once for one colony than it takes
    FullQueue,
    /// The hosts' control ports do not hear each other: no leader, no decision, and no host that is gone
    NoLeader,
    /// SIGKILL of four of five hosts at once, which come back with the group's log
    KillAllButOne,
    /// What `--broken` does: acknowledged by the primary alone, which is killed
    #[value(skip)]
    Broken,
}

/// How soon the first write after the fault is to be acknowledged, over the colonies whose primary was hit. Of a drain:
/// how long the slowest write of each of them may take meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Half of the colonies.
    pub p50: Duration,
    /// 99 of 100.
    pub p99: Duration,
}

/// A process is gone: the kernel says so at once.
const KILLED: Goal = Goal { p50: Duration::from_millis(150), p99: Duration::from_millis(500) };
/// A process hangs or is cut off: only its silence tells.
const SILENT: Goal = Goal { p50: Duration::from_millis(1500), p99: Duration::from_secs(3) };
/// Nobody is gone: a reign is handed over.
const PLANNED: Goal = Goal { p50: Duration::from_millis(20), p99: Duration::from_millis(20) };

impl Row {
    /// All rows of the table, in their order. The last one ends the life of its cluster's sessions in other
    /// clusters than its own, so it has its own.
    pub const ALL: [Self; 15] = [
        Self::Kill,
        Self::KillLeader,
        Self::Drain,
        Self::StopShort,
        Self::Stop,
        Self::StopLong,
        Self::Pauses,
        Self::Split,
        Self::OneWay,
        Self::Partial,
        Self::Loss,
        Self::Reset,
        Self::FullQueue,
        Self::NoLeader,
        Self::KillAllButOne,
    ];

    /// As it is typed and printed.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(|| "broken".to_owned(), |value| value.get_name().to_owned())
    }

    /// Whether hosts must stand in networks of their own for it.
    #[must_use]
    pub fn needs_network(self) -> bool {
        match self {
            Self::Split | Self::OneWay | Self::Partial | Self::Loss | Self::Reset | Self::NoLeader => true,
            Self::Kill
            | Self::KillLeader
            | Self::Drain
            | Self::StopShort
            | Self::Stop
            | Self::StopLong
            | Self::Pauses
            | Self::FullQueue
            | Self::KillAllButOne
            | Self::Broken => false,
        }
    }

    /// Shorter runs leave it out.
    #[must_use]
    pub fn least_minutes(self) -> u64 {
        if self == Self::StopLong { 5 } else { 0 }
    }

    /// Copies of each colony. Who kills four of five hosts loses every colony that has no copy on the fifth, by the
    /// rules; there each host holds one.
    #[must_use]
    pub fn copies(self) -> u8 {
        if self == Self::KillAllButOne { 5 } else { 3 }
    }

    /// How long the fault lasts. A run of a few minutes has not the time for a minute without a leader, or for ten of
    /// pauses.
    #[must_use]
    pub fn lasts(self, minutes: u64) -> Duration {
        match self {
            Self::StopShort => Duration::from_millis(300),
            Self::Broken => Duration::from_millis(200),
            Self::Kill | Self::KillLeader | Self::Drain | Self::Reset => Duration::from_secs(3),
            Self::Stop | Self::Split | Self::OneWay | Self::Partial | Self::FullQueue | Self::KillAllButOne => {
                Duration::from_secs(5)
            }
            Self::Loss => Duration::from_secs(10),
            Self::StopLong => Duration::from_secs(30),
            Self::Pauses if minutes < 10 => Duration::from_secs(20),
            Self::Pauses => Duration::from_secs(600),
            Self::NoLeader if minutes < 3 => Duration::from_secs(20),
            Self::NoLeader => Duration::from_secs(60),
        }
    }

    /// What is hoped of the time to the first acknowledged write, if a primary is hit.
    #[must_use]
    pub fn goal(self) -> Option<Goal> {
        match self {
            Self::Kill | Self::KillLeader => Some(KILLED),
            Self::Drain => Some(PLANNED),
            Self::Stop | Self::StopLong | Self::Split | Self::OneWay => Some(SILENT),
            Self::StopShort
            | Self::Pauses
            | Self::Partial
            | Self::Loss
            | Self::Reset
            | Self::FullQueue
            | Self::NoLeader
            | Self::KillAllButOne
            | Self::Broken => None,
        }
    }

    /// What is timed in each colony whose primary is hit.
    #[must_use]
    pub fn measures(self) -> &'static str {
        if self == Self::Drain { "slowest write" } else { "first acknowledged write" }
    }

    /// Whether no operation may fail meanwhile.
    #[must_use]
    pub fn fails_nothing(self) -> bool {
        matches!(self, Self::NoLeader | Self::Drain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_that_can_be_typed_is_in_the_table() {
        assert_eq!(Row::value_variants(), Row::ALL);
    }
}
