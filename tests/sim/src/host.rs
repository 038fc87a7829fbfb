//! A simulated host: a name, and perhaps a process that holds real shards.

use std::collections::{BTreeSet, VecDeque};

use colony_core::Now;
use colony_core::colony::{Replica, Settings, Shard};
use colony_wire::{ColonyId, LineageId, Revision, StartId};

use crate::clock::Micros;
use crate::event::What;
use crate::timepiece::Timepiece;

/// One host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// How many shards its processes have.
    pub shards: u16,
    /// Its process, if one runs.
    pub process: Option<Process>,
    /// What waits for a stopped process, oldest first; none if it is not stopped.
    pub stopped: Option<VecDeque<What>>,
    /// Its clocks.
    pub clock: Timepiece,
    /// Why it is slow; none if it is not.
    pub slow: Option<Slow>,
}

/// A host that takes a while for everything.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// What comes from then on is taken at once again.
    pub until: Micros,
    /// When it is through with what has come so far.
    pub free_at: Micros,
}

/// One process of a host.
#[derive(Debug)]
pub struct Process {
    /// Which process it is, over all hosts of the run.
    pub number: u64,
    /// Every start it has had, the present one last.
    pub starts: Vec<StartId>,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// How much of the table it has heard.
    pub have: Revision,
    /// When it may ask for the fates of its kept copies again.
    pub asks_at: Micros,
}

impl Host {
    /// A host without a process.
    #[must_use]
    pub fn new(index: usize, shards: u16, clock: Timepiece) -> Self {
        Self { name: format!("host-{index}"), shards, process: None, stopped: None, clock, slow: None }
    }

    /// What its clocks show.
    #[must_use]
    pub fn shows(&self, now: Micros) -> Now {
        self.clock.shows(now)
    }

    /// The starts its process had and lost.
    #[must_use]
    pub fn earlier(&self) -> Vec<StartId> {
        let shards = self.process.iter().flat_map(|process| &process.shards);
        let starts: BTreeSet<StartId> = shards.flat_map(|shard| shard.earlier().iter().copied()).collect();
        starts.into_iter().collect()
    }

    /// Whether it runs and is not stopped.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some() && self.stopped.is_none()
    }

    /// The copies of a colony that its process holds, the one in use first, each with the start it is
    /// held under.
    pub fn copies(&self, colony: ColonyId) -> impl Iterator<Item = (StartId, &Replica)> {
        let shard =
            self.process.as_ref().and_then(|process| process.shards.get(usize::from(colony.shard(self.shards))));
        let used = shard.and_then(|shard| Some((shard.start(), shard.replica(colony)?)));
        let kept = shard.into_iter().flat_map(Shard::kept);
        used.into_iter().chain(kept.filter(move |(_, replica)| replica.colony() == colony))
    }
}

impl Process {
    /// A process that has heard of nothing yet.
    #[must_use]
    pub fn new(number: u64, start: StartId, lineage: LineageId, shards: u16, settings: &Settings) -> Self {
        let shard = |_| Shard::new(lineage, start, settings.clone());
        Self { number, starts: vec![start], shards: (0..shards).map(shard).collect(), have: Revision(0), asks_at: 0 }
    }

    /// The start it has now.
    #[must_use]
    pub fn start(&self) -> StartId {
        self.starts.last().copied().unwrap_or_default()
    }
}
