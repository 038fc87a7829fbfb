//! What can happen in a run.

use bytes::Bytes;
use colony_core::colony::Caller;
use colony_core::group::{Command, Entry};
use colony_core::merge::{Resolution, Ticket};
use colony_wire::control::Fate;
use colony_wire::{ColonyId, Revision, StartId};

use crate::coverage::Strike;

/// One thing that happens.
#[derive(Debug)]
pub enum Event {
    /// To a host.
    Host {
        /// Which.
        host: usize,
        /// Only to this process, if it still runs; else to whichever runs.
        process: Option<u64>,
        /// What.
        what: What,
    },
    /// A slow host gets to what happened to this process.
    Late {
        /// Which host.
        host: usize,
        /// As in [`Event::Host`].
        process: Option<u64>,
        /// What.
        what: What,
    },
    /// An answer reaches a client.
    Answer {
        /// The call it answers.
        caller: Caller,
        /// The frame.
        frame: Bytes,
    },
    /// A client looks whether it has something to do.
    Wake {
        /// Which.
        client: usize,
    },
    /// A client has waited for an answer.
    Retry {
        /// Which.
        client: usize,
        /// Its call.
        call: u64,
        /// The attempt that was not answered.
        attempt: u32,
    },
    /// A proposal reaches the group.
    Commit(Command),
    /// The group's leader looks after its cluster.
    Govern,
    /// A fault begins or ends.
    Fault(Fault),
}

/// What happens to a host.
#[derive(Clone, Debug)]
pub enum What {
    /// Time passes.
    Tick,
    /// A message of another copy.
    Peer(Bytes),
    /// A client's call.
    Call {
        /// Whose.
        from: Caller,
        /// The frame.
        frame: Bytes,
    },
    /// The table up to this revision.
    Feed(Revision),
    /// A merge is decided.
    Merged {
        /// On which shard.
        shard: usize,
        /// Which.
        ticket: Ticket,
        /// The decision.
        answer: Result<Resolution, String>,
    },
    /// A colony's entry by a linearizable read.
    GroupRead {
        /// On which shard.
        shard: usize,
        /// Of which colony.
        colony: ColonyId,
        /// The question's.
        nonce: u64,
        /// The entry.
        entry: Option<Entry>,
    },
    /// The group declared this start dead.
    Died(StartId),
    /// What becomes of a kept copy.
    Fate {
        /// Of which colony.
        colony: ColonyId,
        /// The start it is kept under.
        dead: StartId,
        /// The start the process had when it asked.
        now: StartId,
        /// What becomes of it.
        fate: Fate,
    },
}

/// A fault, or its end.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A fault's time has come: it strikes where chance wants it, or lies in wait for some step.
    Due(Strike),
    /// A fault strikes in the middle of what it was waiting for.
    Aimed(Strike, Aim),
    /// Does to the next primary of a colony what deposed the last one, this many times.
    DeposeNext(ColonyId, u32),
    /// Declares this start dead, be it so or not.
    Bury(StartId),
    /// Plans this copy back.
    Want(ColonyId, StartId),
    /// A drain is taken back.
    Stay(Vec<StartId>),
    /// A process that has left ends.
    End {
        /// On which host.
        host: usize,
        /// Which process.
        process: u64,
    },
    /// A host's process comes back.
    Restart(usize),
    /// A host's process goes on.
    Resume(usize),
    /// These links are whole again, as (from, to).
    Mend(Vec<(usize, usize)>),
    /// The group goes away for minutes and nothing else happens.
    LeaveAlone,
    /// Everything heals.
    HealAll,
}

/// Where a step was seen to be under way.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// On which host.
    pub host: usize,
    /// Of which colony.
    pub colony: ColonyId,
}
