//! The surface: what happens to a shard, and what it wants done.

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_wire::admin::{OnPluginFailure, Policy};
use colony_wire::client::{Reply, Request};
use colony_wire::control::Fate;
use colony_wire::heal::HealMessage;
use colony_wire::peer::PeerMessage;
use colony_wire::session::Key;
use colony_wire::{ColonyId, LineageId, Reign, RequestId, StartId};

use crate::Time;
use crate::group::{Command, Entry};
use crate::merge::{Conflict, Resolution, Ticket};

/// Names a client's call to the shell; the core only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// What a colony's namespace says of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    /// The namespace's name.
    pub name: String,
    /// How its sessions are treated.
    pub policy: Policy,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Input {
    /// A colony's table entry as newly heard. Older ones than known are passed over.
    Table {
        /// Which colony.
        colony: ColonyId,
        /// Its entry.
        entry: Entry,
        /// Its namespace.
        space: Arc<Space>,
    },
    /// A client calls. With [`Settings::gather`](super::Settings::gather) what it changes waits for [`Input::Flush`], or for
    /// the next tick.
    Request {
        /// Who is to get the reply.
        from: Caller,
        /// The call.
        request: Request,
    },
    /// No other call or merge waits to be handed in: what was gathered goes to the copies.
    Flush,
    /// Another copy speaks.
    Peer(PeerMessage),
    /// A merge was decided, or failed for the reason given. What it changes is gathered like what a call changes.
    Merged {
        /// Which.
        ticket: Ticket,
        /// The decision.
        answer: Result<Resolution, String>,
    },
    /// The group declared this process dead: it goes on under a new start. Its copies are kept but serve
    /// nothing until their [`Fate`] is known.
    Reborn {
        /// The new start.
        start: StartId,
    },
    /// The group says what becomes of a kept copy.
    Fate {
        /// Of which colony.
        colony: ColonyId,
        /// The start it was held under.
        dead: StartId,
        /// What becomes of it.
        fate: Fate,
    },
    /// The answer to [`Output::ReadGroup`]: the colony's entry by a linearizable read of the table that began
    /// after it was asked for.
    GroupRead {
        /// Of which colony.
        colony: ColonyId,
        /// The question's.
        nonce: u64,
        /// The entry, if there is one.
        entry: Option<Entry>,
    },
    /// To a side that yields: how the colony stands on the side that stays, or that it cannot be reached.
    Staying {
        /// Which colony.
        colony: ColonyId,
        /// How it stands.
        staying: Option<Arc<Staying>>,
    },
    /// The other side of a split speaks (`PROTOCOL.md` 9).
    Heal(HealMessage),
    /// To the side that stays: it has everything that this process's copy on the other side held.
    TakenIn {
        /// Of which colony.
        colony: ColonyId,
    },
    /// The process lives on no other side any more: it may hold any colony again.
    Back,
    /// Nothing is acknowledged for colonies that may go on apart, until then: their copies have been reported, and a side
    /// may be opened on that report (`PROTOCOL.md` 8). None lifts it.
    Fence {
        /// Until when.
        until: Option<Time>,
    },
    /// Time has passed.
    Tick,
}

/// A colony on the side that stays.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Staying {
    /// The side's line of group state.
    pub lineage: LineageId,
    /// This process's start there.
    pub me: StartId,
    /// The colony's entry there.
    pub entry: Entry,
    /// The start under which this process stands in sync in that entry: the one it has there, or one that it had.
    pub held_as: Option<StartId>,
    /// Whether the copies of this side may become the colony's there: one of them was in sync there, and nobody serves.
    pub may_adopt: bool,
    /// The processes of the side that yields, by their starts there: their starts on the side that stays.
    pub starts: Arc<BTreeMap<StartId, StartId>>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "an output is carried out as it comes and not kept")]
pub enum Output {
    /// Send a message to another copy. May be lost.
    Send {
        /// To which process.
        to: StartId,
        /// On which connection.
        lane: Lane,
        /// The message.
        message: PeerMessage,
    },
    /// Answer a client's call.
    Reply {
        /// Whose.
        to: Caller,
        /// The answer.
        reply: Reply,
    },
    /// Propose a command to the group. May be lost, may be carried out late or twice.
    Propose(Command),
    /// Have a plugin decide a conflict; hand the answer back as [`Input::Merged`].
    Merge {
        /// Names the question.
        ticket: Ticket,
        /// Whose session it is about.
        colony: ColonyId,
        /// The session, for logs: shown as a short hash.
        key: Key,
        /// Name of the plugin.
        by: String,
        /// The question.
        conflict: Conflict,
    },
    /// A conflict was decided here, by what is built in: for logs and metrics.
    Decided {
        /// Whose session it was about.
        colony: ColonyId,
        /// What could not be read or was too large, if so: there the later write was kept.
        unread: Option<String>,
    },
    /// A merge gave no usable answer, and the built-in decided in its place or the save was refused: for logs and
    /// metrics.
    FellBack {
        /// Which question.
        ticket: Ticket,
        /// Which of the two the namespace asks for.
        to: OnPluginFailure,
        /// What was wrong with the answer.
        why: String,
    },
    /// Read the colony's entry linearizably, from now on or later, and hand it back as [`Input::GroupRead`]: no
    /// peer is in sync that could tell whether this reign is over. May be lost.
    ReadGroup {
        /// Of which colony.
        colony: ColonyId,
        /// Names the question.
        nonce: u64,
    },
    /// A colony's state is too large to be copied to a peer, which therefore never catches up: for logs and
    /// alarms. Said again each minute.
    TooLarge {
        /// Which colony.
        colony: ColonyId,
        /// To which process.
        to: StartId,
        /// Its size, or about that: what does not go by key is not counted.
        bytes: u64,
        /// What may be sent.
        limit: u64,
    },
    /// Sessions are over and not ended, for too many of them came due while nobody could use them: the rest ends
    /// later (`PROTOCOL.md` 11). Said once a minute while it is so; somebody should look.
    ExpiryHeld {
        /// Of which colony.
        colony: ColonyId,
        /// How many.
        held: u64,
    },
    /// Send a message to the other side of a split. May be lost.
    Heal(HealMessage),
    /// Propose a command to the group of the side that stays. May be lost, may be carried out late or twice.
    ProposeStaying(Command),
    /// A session that both sides of a split may have changed was taken in: for the report and for metrics.
    Joined {
        /// Of which colony.
        colony: ColonyId,
        /// How.
        how: Joined,
    },
    /// A change was done on both sides of a split: its primary was gone when the sides parted, what it had begun stood on
    /// both, and one of them was asked again. For the report; nothing can be taken back (`PROTOCOL.md` 8).
    Doubled {
        /// Of which colony.
        colony: ColonyId,
        /// Which request.
        request: RequestId,
    },
    /// The side that stays has everything that this copy holds: hand [`Input::TakenIn`] to its shard, which may begin a
    /// copy there from now on. This one is dropped once there are copies enough.
    TakenIn {
        /// Of which colony.
        colony: ColonyId,
    },
    /// A peer speaks for a reign that this host's table does not know yet: fetch the table.
    FetchTable {
        /// Of which colony.
        colony: ColonyId,
        /// The reign heard of.
        reign: Reign,
    },
}

/// What came of a session that another side brought.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Joined {
    /// Nothing had to be done.
    Same,
    /// Only the other side had changed it.
    Taken,
    /// Both had changed it, and both changes are in it.
    Merged,
    /// Both had changed it, and one value is kept for people: the other was chosen.
    Overridden {
        /// Why, if no answer of a merge could be used.
        why: Option<String>,
    },
    /// It ended.
    Ended,
}

/// Bulk never shares replication's congestion window (`PROTOCOL.md` 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Ops, acknowledgements, commit positions.
    Replication,
    /// Snapshots.
    Bulk,
}
