//! What hosts say to each other besides replication: contact, membership, the group's Raft, the table's feed.
//!
//! Commands and states of the group travel as opaque bytes: their types belong to the core, which encodes
//! and decodes them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::frame::{DecodeError, Kind, Message, within};
use crate::id::{ClusterId, ColonyId, LineageId, Position, RaftId, Revision, StartId, View};
use crate::island::Consent;
use crate::limits::{
    MAX_ADDRESS, MAX_COLONIES, MAX_EARLIER_STARTS, MAX_FEED_COMMANDS, MAX_NAME, MAX_PLUGIN_BYTES, MAX_REALMS,
    MAX_RELAYS, MAX_TROUBLES, MAX_VOTERS, PLUGIN_CHUNK,
};
use crate::load::LoadCounts;
use crate::plugin::{ContentId, PluginReport};

/// Sent as a datagram between every pair of hosts, and answered, so that one-way links show.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beacon {
    /// The sending process.
    pub from: StartId,
    /// Its line of group state.
    pub lineage: LineageId,
    /// The newest view it has.
    pub view: View,
    /// Its own counter.
    pub nonce: u64,
    /// The nonce of the beacon this answers; a beacon with one is not answered again.
    pub answers: Option<u64>,
    /// Milliseconds since the leader of the sender's group last heard from a majority of the voters, as far as the
    /// sender knows, by itself or through others; none if it never heard of it (`PROTOCOL.md` 8).
    pub quorum_age_ms: Option<u32>,
    /// Who votes in the sender's group, as far as it knows: most hosts do not vote, and are told by nobody else.
    pub electorate: Option<Electorate>,
}

impl Message for Beacon {
    const KIND: Kind = Kind(0x0301);
    const MAX_BODY: usize = 256;

    fn check(&self) -> Result<(), DecodeError> {
        within("number of voters", self.electorate.as_ref().map_or(0, |known| known.voters.len()), MAX_VOTERS)
    }
}

/// Who votes in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Electorate {
    /// Place in the group's log that says so; of two, the one with the higher place holds.
    pub at: u64,
    /// The logs of those who vote; at most [`MAX_VOTERS`].
    pub voters: Vec<RaftId>,
}

/// A host asks a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ControlRequest {
    /// Who is there?
    Introduce {
        /// The asking process.
        start: StartId,
    },
    /// Admit a process to the group. The leader commits it, others name the leader.
    Join {
        /// The cluster it takes itself to belong to, if it ever belonged to one.
        cluster: Option<ClusterId>,
        /// The member record, as the core encodes it.
        member: Bytes,
    },
    /// Propose a command to the group. The leader commits it, others name the leader.
    Propose {
        /// The command, as the core encodes it.
        command: Bytes,
    },
    /// A message of the group's Raft.
    Raft {
        /// The line of group state it is of.
        lineage: LineageId,
        /// The log it is meant for; another log must not take it.
        to: RaftId,
        /// The message, as the Raft adaptor encodes it.
        message: Bytes,
    },
    /// What was committed after this revision? Held back until there is something, or for a while.
    Feed {
        /// The line of group state that the asker has.
        lineage: LineageId,
        /// The asker's revision.
        have: Revision,
    },
    /// Up to which revision must a state go that shows all that was decided before now? The leader makes sure
    /// with a quorum that it still leads; others name the leader.
    ReadIndex,
    /// What copies of a colony does the asked host hold?
    Copies {
        /// Of which colony.
        colony: ColonyId,
    },
    /// An observer holds a host for dead. For the leader.
    Accuse {
        /// Who holds it.
        observer: StartId,
        /// Who is meant.
        accused: StartId,
    },
    /// A process that was declared dead asks what is to become of the copies it kept (`PROTOCOL.md` 7).
    Fates {
        /// The starts it had that were declared dead, oldest first.
        earlier: Vec<StartId>,
        /// The start it has now.
        now: StartId,
        /// The colonies it holds copies of.
        colonies: Vec<ColonyId>,
    },
    /// Does this process answer the asked host? It does not answer the asking one (`PROTOCOL.md` 13).
    Reach {
        /// Which process.
        target: StartId,
    },
    /// As `Propose`, by a host that does not reach the leader: the asked host brings it there. The first that is
    /// asked checks that the asker may propose it.
    Forward {
        /// The command, as the core encodes it.
        command: Bytes,
        /// So many more hosts may pass it on, [`MAX_RELAYS`] at most.
        relays: u8,
    },
    /// A process is about to end. The leader commits that it has left, others name the leader. Held back for a while
    /// until all that it held is moved away and its vote is another's (`PROTOCOL.md` 7).
    Leave {
        /// Its start.
        start: StartId,
        /// Whether it ends all the same: then nothing is waited for, and what it still holds passes on as from one
        /// who died.
        anyway: bool,
    },
    /// What have you used so far? From the leader, which moves copies where there is room (`PROTOCOL.md` 14).
    Load,
    /// What has the asked host to do with plugins?
    Plugins,
    /// The bytes of a plugin from here on, one piece of them. Asked on a stream of its own.
    PluginPart {
        /// Which plugin.
        content: ContentId,
        /// Where the piece begins.
        offset: u32,
    },
    /// Fetch a plugin's bytes and hold them: the leader has a quorum of voters do so before a plugin is installed.
    HoldPlugin {
        /// Which plugin.
        content: ContentId,
        /// Its size in bytes.
        size: u32,
        /// Address of the control port of a host that holds it.
        from: String,
    },
    /// The asker, who is cut off from the group, opens an island: does the asked host, who shares its fate, come with
    /// it? From then on it acknowledges nothing for colonies of island namespaces until
    /// [`OpenIsland`](Self::OpenIsland) or [`CancelIsland`](Self::CancelIsland) with the same nonce, or for as long as
    /// a fence stands (`PROTOCOL.md` 8).
    Consent {
        /// Names this attempt; drawn at random.
        nonce: u64,
        /// The asking process, by its start in the root group.
        founder: StartId,
    },
    /// The island is open: the asked host, who agreed, lives in it from now on.
    OpenIsland {
        /// Of the attempt that it agreed to. With another one, or too late, it is refused.
        nonce: u64,
        /// The line of group state that begins.
        lineage: LineageId,
        /// Address of the founder's control port.
        founder_address: String,
        /// The state that the island begins with, as the core encodes it.
        state: Bytes,
    },
    /// The island is not opened: the asked host's fence is lifted.
    CancelIsland {
        /// Of the attempt.
        nonce: u64,
    },
    /// What is wrong on the asked host that the group's state does not show?
    Troubles,
    /// Is nothing left on the asked host of the island that it is asked in? Until then the asking one stays in it.
    IsOver,
}

impl Message for ControlRequest {
    const KIND: Kind = Kind(0x0302);

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Fates { colonies, earlier, .. } => {
                within("number of earlier starts", earlier.len(), MAX_EARLIER_STARTS)?;
                within("number of colonies", colonies.len(), MAX_COLONIES)
            }
            Self::Forward { relays, .. } => within("number of relays", usize::from(*relays), MAX_RELAYS),
            Self::HoldPlugin { size, .. } => within("size of a plugin", *size as usize, MAX_PLUGIN_BYTES),
            Self::OpenIsland { founder_address, .. } => {
                within("length of an address", founder_address.len(), MAX_ADDRESS)
            }
            _ => Ok(()),
        }
    }
}

/// A host asks a host in an island (`PROTOCOL.md` 8). What is asked without this is asked in the root's lineage. It is
/// no request among the others, so that none can hold another: whoever decodes bytes of strangers must not recurse.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IslandRequest {
    /// The island's line of group state.
    pub lineage: LineageId,
    /// What is asked there.
    pub request: ControlRequest,
}

impl Message for IslandRequest {
    const KIND: Kind = Kind(0x0304);

    fn check(&self) -> Result<(), DecodeError> {
        self.request.check()
    }
}

/// A host answers a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ControlReply {
    /// Who is there.
    Introduction(Introduction),
    /// Admitted; the group state at this revision names the new member.
    Joined {
        /// Revision of the admission.
        revision: Revision,
    },
    /// Committed, or refused by the group's rules; the outcome as the core encodes it.
    Proposed {
        /// The outcome.
        outcome: Bytes,
    },
    /// The Raft adaptor's answer.
    Raft {
        /// The answer, as the Raft adaptor encodes it.
        message: Bytes,
    },
    /// The whole state: the asker has another lineage or is too far behind for deltas.
    FeedSnapshot {
        /// Its revision.
        revision: Revision,
        /// The state, as the core encodes it.
        state: Bytes,
    },
    /// The commands after the asker's revision, oldest first; none if nothing happened.
    FeedCommands {
        /// The commands, as the core encodes them.
        commands: Vec<Bytes>,
    },
    /// Everything decided before the question was asked is in the state of this revision.
    ReadIndex {
        /// The revision.
        revision: Revision,
    },
    /// The copies of a colony that the host holds.
    Copies {
        /// One for each start it holds one under.
        copies: Vec<HeldCopy>,
    },
    /// The accusation is noted.
    Noted,
    /// What becomes of the copies, in the order asked.
    Fates {
        /// One for each colony.
        fates: Vec<Fate>,
    },
    /// This host does not lead the group.
    NotLeader {
        /// Address of the leader's control port, if it is known.
        leader: Option<String>,
    },
    /// Not done.
    Refused {
        /// Why, for people.
        why: String,
        /// Whether asking again later may help.
        retryable: bool,
    },
    /// Whether the process answered the asked host.
    Reached {
        /// It did, just now.
        answered: bool,
    },
    /// Not admitted: this start was declared dead or has left, and that is final. The process may ask under another.
    Over,
    /// What the host has used so far.
    Load {
        /// The counts.
        counts: LoadCounts,
    },
    /// What the host has to do with plugins.
    Plugins(PluginReport),
    /// A piece of a plugin.
    PluginPart {
        /// Bytes of the whole.
        size: u32,
        /// The piece; empty beyond the end.
        bytes: Bytes,
    },
    /// The host does not hold that plugin.
    NoPlugin,
    /// The host comes into the island, if it opens in time.
    Consented(Consent),
    /// The host does not live in the lineage that it was asked in.
    NotHere {
        /// Those that it lives in.
        lineages: Vec<LineageId>,
    },
    /// What is wrong on the host.
    Troubles {
        /// Each in one line, for people; [`MAX_TROUBLES`] at most.
        lines: Vec<String>,
    },
    /// Whether nothing is left on the host of the island that it was asked in.
    IsOver {
        /// Nothing is.
        is_over: bool,
    },
}

impl Message for ControlReply {
    const KIND: Kind = Kind(0x0303);

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Introduction(introduction) => introduction.check(),
            Self::FeedCommands { commands } => within("number of commands", commands.len(), MAX_FEED_COMMANDS),
            Self::Fates { fates } => within("number of fates", fates.len(), MAX_COLONIES),
            Self::Troubles { lines } => within("number of troubles", lines.len(), MAX_TROUBLES),
            Self::Plugins(report) => report.check(),
            Self::PluginPart { size, bytes } => {
                within("size of a plugin", *size as usize, MAX_PLUGIN_BYTES)?;
                within("bytes of a plugin's piece", bytes.len(), PLUGIN_CHUNK)
            }
            Self::Copies { copies } => within("number of copies on a host", copies.len(), MAX_EARLIER_STARTS),
            Self::Load { counts } => counts.check(),
            Self::Consented(consent) => consent.check(),
            Self::NotHere { lineages } => within("number of lineages of a host", lineages.len(), MAX_REALMS),
            _ => Ok(()),
        }
    }
}

/// A copy of a colony, in sync or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeldCopy {
    /// The start it is held under: the process's, or one that was declared dead.
    pub held_as: StartId,
    /// Position of its last committed op; none if it is empty.
    pub position: Option<Position>,
    /// Sessions in it.
    pub sessions: u64,
}

/// What becomes of a copy whose start was declared dead (`PROTOCOL.md` 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// Drop it: whatever it holds beyond the living in-sync copies was never acknowledged.
    Discard,
    /// It is the last in-sync copy: it becomes the primary under the new start.
    Restore,
    /// Keep it and ask again: the copies that went on without it are not running.
    Wait,
}

/// Who a host is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Introduction {
    /// The process.
    pub start: StartId,
    /// Its name.
    pub name: String,
    /// Its cluster, once it is in one.
    pub cluster: Option<ClusterId>,
    /// Its line of group state, once it has one.
    pub lineage: Option<LineageId>,
    /// Address of the control port of the group's leader, if known.
    pub leader: Option<String>,
    /// Whether the cluster holds any session namespace yet.
    pub in_use: bool,
}

impl Introduction {
    /// Refuses an introduction whose parts exceed their limits.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the limit.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("length of the host name", self.name.len(), MAX_NAME)
    }
}
