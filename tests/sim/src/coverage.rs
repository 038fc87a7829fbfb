//! Which faults met which steps of the protocol: a fault that never strikes in the middle of a hand-over says
//! nothing about hand-overs.

use std::fmt;

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($(#[$item:meta])* $name:ident => $words:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $($(#[$item])* $name),*
        }

        impl $kind {
            /// All of them, in the order they are printed.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in a report.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words),*
                }
            }
        }
    };
}

named! {
    /// A kind of fault.
    Strike {
        /// A host's process is killed and comes back empty.
        Crash => "crash",
        /// Several are killed at once.
        Massacre => "massacre",
        /// A process is killed between what it did and the reply that says so.
        CutShort => "killed at the reply",
        /// A host's process is stopped for a while.
        Pause => "pause",
        /// A host does everything a hundred times as slowly for a while.
        Slow => "slow host",
        /// A host's clocks run at another rate.
        Rate => "clock rate",
        /// A host's wall clock is set forward or back by up to an hour.
        Step => "wall clock step",
        /// A host's monotonic clock goes forward at once, as after a suspension.
        Jump => "clock jump",
        /// The network splits.
        Split => "split",
        /// A link goes dead in one direction.
        OneWay => "one-way cut",
        /// Links are held up and let go one by one.
        Clog => "clog",
        /// The group is gone.
        Groupless => "group gone",
        /// A primary is declared dead while its peers differ.
        Depose => "depose",
        /// A living host is declared dead.
        Accuse => "accuse",
        /// A colony is to live elsewhere.
        Shuffle => "shuffle",
        /// A copy is not wanted for a moment, and then again.
        Flap => "flap",
        /// Hosts are to leave.
        Drain => "drain",
    }
}

named! {
    /// Something that takes more than a moment, and may be under way when a fault strikes.
    Step {
        /// A client's change is prepared and not committed.
        Write => "write",
        /// The end of a session whose time is over is prepared and not committed.
        Expiry => "expiry",
        /// A promotion is decided and its primary has not heard of it.
        Unheard => "unheard",
        /// A reign's barrier is not committed.
        Barrier => "barrier",
        /// Ops that earlier reigns left are not committed.
        Inherited => "inherited",
        /// A change of the in-sync set is proposed and not known to be decided.
        Change => "in-sync",
        /// A reign is being handed over.
        Handover => "hand-over",
        /// A snapshot is on its way.
        Snapshot => "snapshot",
        /// A peer that catches up is counted on.
        CountedOn => "counted on",
        /// A save waits for a merge.
        Merge => "merge",
        /// A process keeps a copy whose fate is open.
        Fate => "fate",
        /// A colony has no primary.
        Offline => "offline",
    }
}

impl Step {
    /// Those that faults meet too seldom by chance alone.
    pub const RARE: &[Self] =
        &[Self::Unheard, Self::Barrier, Self::Inherited, Self::Handover, Self::Snapshot, Self::Fate, Self::Offline];
}

/// How often each kind of fault struck while each step was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    counts: Vec<u64>,
    /// How often each kind struck at all.
    struck: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: vec![0; Strike::ALL.len() * Step::ALL.len()], struck: vec![0; Strike::ALL.len()] }
    }
}

impl Coverage {
    /// Whether some batch of seeds can be expected to have it. What cannot be, cannot happen at all.
    #[must_use]
    pub fn is_reachable(strike: Strike, step: Step) -> bool {
        match (strike, step) {
            // These are decided by the group on an entry with a primary: nothing of the kind happens to a
            // colony that is offline.
            (Strike::Depose | Strike::Shuffle, Step::Offline) => false,
            _ => true,
        }
    }

    /// A fault of this kind strikes.
    pub fn strike(&mut self, strike: Strike) {
        self.struck[strike as usize] += 1;
    }

    /// A fault of this kind strikes while this step is under way.
    pub fn note(&mut self, strike: Strike, step: Step) {
        self.counts[index(strike, step)] += 1;
    }

    /// How often that was so.
    #[must_use]
    pub fn count(&self, strike: Strike, step: Step) -> u64 {
        self.counts[index(strike, step)]
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        for (mine, theirs) in self.struck.iter_mut().zip(&other.struck) {
            *mine += theirs;
        }
    }

    /// What could have met and never did.
    #[must_use]
    pub fn missing(&self) -> Vec<(Strike, Step)> {
        let all = Strike::ALL.iter().flat_map(|strike| Step::ALL.iter().map(move |step| (*strike, *step)));
        all.filter(|(strike, step)| Self::is_reachable(*strike, *step) && self.count(*strike, *step) == 0).collect()
    }
}

fn index(strike: Strike, step: Step) -> usize {
    strike as usize * Step::ALL.len() + step as usize
}

/// One line for each kind of fault, one column for each step; a dash stands where nothing can be.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>20} {:>8}", "fault \\ under way", "struck")?;
        for step in Step::ALL {
            write!(f, " {:>10}", step.words())?;
        }
        for strike in Strike::ALL {
            write!(f, "\n{:>20} {:>8}", strike.words(), self.struck[*strike as usize])?;
            for step in Step::ALL {
                if Self::is_reachable(*strike, *step) {
                    write!(f, " {:>10}", self.count(*strike, *step))?;
                } else {
                    write!(f, " {:>10}", "-")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_met_is_no_longer_missing() {
        let mut coverage = Coverage::default();
        let before = coverage.missing();
        coverage.note(Strike::Crash, Step::Handover);
        let mut sum = Coverage::default();
        sum.add(&coverage);
        assert_eq!(sum.count(Strike::Crash, Step::Handover), 1);
        assert_eq!(sum.missing().len() + 1, before.len());
        assert!(!before.contains(&(Strike::Shuffle, Step::Offline)));
    }
}
