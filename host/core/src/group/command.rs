//! What may be agreed, and what comes of it.

use bytes::Bytes;
use colony_wire::admin::Policy;
use colony_wire::plugin::{ContentId, PluginKind};
use colony_wire::{Cfg, ClusterId, ColonyId, LineageId, NamespaceId, Position, Reign, StartId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Adoption, Member, PluginVersion};

/// A decision for the group to commit. Variants are only ever appended: they stand in logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// First command of a lineage.
    Genesis {
        /// The cluster it founds.
        cluster: ClusterId,
        /// The line of group state it begins.
        lineage: LineageId,
        /// The founder, its only member so far.
        member: Member,
    },
    /// Admits a process. A member of the same name with another start is thereby attested to be gone.
    Join {
        /// The new member.
        member: Member,
        /// As in [`Command::Dead`], for the earlier process of that name, if there is one.
        deviations: Vec<Deviation>,
        /// The plugins it has compiled: all that are active must be among them.
        plugins: Vec<ContentId>,
    },
    /// Declares a process dead and promotes for all its colonies at once (`PROTOCOL.md` 5.1).
    Dead {
        /// Who is dead.
        start: StartId,
        /// Colonies whose next primary is not simply the first living start of `in_sync`.
        deviations: Vec<Deviation>,
    },
    /// Creates a namespace with all its colonies.
    CreateNamespace {
        /// Its name, unique.
        name: String,
        /// How its sessions are treated.
        policy: Policy,
        /// By bucket: where the copies are to live, the primary first.
        placement: Vec<Vec<StartId>>,
    },
    /// Changes where copies are to live. A move whose `cfg` is no longer the colony's is passed over.
    Plan {
        /// The changes.
        moves: Vec<Move>,
        /// Why, for people.
        reason: String,
        /// Digest of what was considered.
        inputs: u64,
    },
    /// The primary changes its colony's in-sync set. With nothing to add or remove it only counts `cfg`
    /// up, which makes every older proposal void.
    ChangeInSync {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// The proposer's reign.
        reign: Reign,
        /// The proposer, who must be the primary.
        by: StartId,
        /// A peer that has caught up.
        add: Option<StartId>,
        /// Peers that fell silent or are no longer wanted; never the primary.
        remove: Vec<StartId>,
    },
    /// The primary hands its reign to an in-sync peer that holds all it holds.
    Swap {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// The proposer, who must be the primary.
        from: StartId,
        /// Who takes over.
        to: StartId,
    },
    /// Gives a colony that has no primary one of its in-sync starts.
    Promote {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// Who serves from now on.
        to: StartId,
    },
    /// A process that was declared dead kept an in-sync copy: it holds it under its new start from now on,
    /// and serves it if nobody does (`PROTOCOL.md` 7).
    Restore {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// The start that was declared dead.
        dead: StartId,
        /// The start that process has now.
        now: StartId,
    },
    /// A process says that it holds no copy of these colonies any more under a start that once was in sync or is to catch
    /// up: what it begins from now on is another copy.
    /// A colony whose entry has changed since is passed over: the process will say it again.
    Dropped {
        /// The start.
        start: StartId,
        /// The colonies, each with the entry it was decided on; at most [`MAX_DROPPED`].
        colonies: Vec<(ColonyId, Cfg)>,
    },
    /// An operator gives a colony that has no in-sync copy to a copy that may lack acknowledged writes. It
    /// begins a lineage of its own, so that nobody takes its positions for those that were lost
    /// (`PROTOCOL.md` 5.5).
    AcceptStale {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// Who holds the copy.
        to: StartId,
        /// The lineage that begins: drawn at random by whoever proposes.
        lineage: LineageId,
    },
    /// These hosts are to leave: what they hold is moved away, all by one plan (`PROTOCOL.md` 7).
    Drain {
        /// Their starts; all must be up, or none is drained.
        starts: Vec<StartId>,
    },
    /// These hosts stay after all.
    CancelDrain {
        /// Their starts; all must be up, or nothing changes.
        starts: Vec<StartId>,
    },
    /// A drained process that holds nothing any more says that it ends. Final for its start.
    Leave {
        /// The start.
        start: StartId,
    },
    /// One version more of a plugin, or its first one. A quorum of the voters holds its bytes. It decides nothing yet.
    InstallPlugin {
        /// The plugin's name.
        name: String,
        /// What it decides.
        kind: PluginKind,
        /// The version.
        version: PluginVersion,
    },
    /// Lets a version of a plugin decide from now on.
    UsePlugin {
        /// The plugin's name.
        name: String,
        /// Which version.
        content: ContentId,
        /// Who has compiled it: every start that is up must be among them.
        compiled: Vec<StartId>,
    },
    /// Lets the version decide that did before the active one.
    RollBackPlugin {
        /// The plugin's name.
        name: String,
        /// The active version: if it is another by now, nothing changes.
        from: ContentId,
        /// The version that decided before it.
        to: ContentId,
        /// As in [`Command::UsePlugin`].
        compiled: Vec<StartId>,
    },
    /// Forgets a plugin that no namespace merges by.
    UninstallPlugin {
        /// The plugin's name.
        name: String,
    },
    /// The primary has taken in what another side of a split did to its colony.
    Absorbed {
        /// Which colony.
        colony: ColonyId,
        /// The entry it was decided on.
        cfg: Cfg,
        /// The proposer, who must be the primary.
        by: StartId,
        /// Where the other side stood still.
        end: Position,
        /// The other side's reign.
        above: Reign,
    },
    /// The copies of another side become the colony's own: this side has none that serves.
    Adopt(Adoption),
    /// First command of an island: all that it begins with (`PROTOCOL.md` 8).
    Island {
        /// What [`State::island`](super::State::island) made.
        state: Box<super::State>,
    },
    /// Lets a version of a placement plugin decide for a share of the colonies from now on. If it does already, the
    /// share changes; another canary is taken back.
    BeginCanary {
        /// The plugin's name.
        name: String,
        /// Which version.
        content: ContentId,
        /// The share in per cent, 1 to 99.
        percent: u8,
        /// As in [`Command::UsePlugin`].
        compiled: Vec<StartId>,
    },
    /// Takes a canary back: the copies of its colonies go where they were.
    EndCanary {
        /// The plugin's name.
        name: String,
        /// Which version: if another is the canary by now, nothing changes.
        content: ContentId,
    },
}

/// Most colonies in one [`Command::Dropped`], so that it stays a small command; there are more commands.
pub const MAX_DROPPED: usize = 1024;

/// A next primary that is not the first living start of `in_sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deviation {
    /// Which colony.
    pub colony: ColonyId,
    /// Who serves it, or nobody: none of its in-sync starts may be primary.
    pub primary: Option<StartId>,
}

/// A change of where one colony's copies are to live.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Move {
    /// Which colony.
    pub colony: ColonyId,
    /// The entry it was decided on.
    pub cfg: Cfg,
    /// The new target, the primary first.
    pub want: Vec<StartId>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, or done before.
    Applied,
    /// The namespace is there, under this number.
    Created(NamespaceId),
    /// Nothing changed.
    Refused(Refusal),
}

/// Why a committed command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The group has begun already, or has not yet.
    #[error("the group is not at its beginning")]
    NotAtBeginning,
    /// No such colony.
    #[error("there is no colony {0}")]
    NoColony(ColonyId),
    /// The entry has changed since the command was decided.
    #[error("the entry of {colony} is at {now}, the command was decided on {decided}")]
    Stale {
        /// Which colony.
        colony: ColonyId,
        /// The entry's number now.
        now: Cfg,
        /// The number the command names.
        decided: Cfg,
    },
    /// The proposer is not who it must be, or names a start that may not take the part.
    #[error("start {start} may not do this in {colony}")]
    NotEntitled {
        /// Which colony.
        colony: ColonyId,
        /// Which start.
        start: StartId,
    },
    /// Too few copies would be left: the namespace asks for `min`.
    #[error("{colony} would be left with fewer than {min} copies in sync")]
    BelowMinimum {
        /// Which colony.
        colony: ColonyId,
        /// The least number.
        min: u8,
    },
    /// The start is not a member that is up.
    #[error("start {0} is not up")]
    NotUp(StartId),
    /// The start was declared dead or has left; that is final.
    #[error("start {0} was declared dead or has left")]
    Dead(StartId),
    /// The name is taken by a namespace with another policy.
    #[error("namespace {name} exists already")]
    NamespaceExists {
        /// The name.
        name: String,
    },
    /// A bound of the group state is reached.
    #[error("{what}: the limit is {limit}")]
    Limit {
        /// What there would be too many of.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// The command is not well formed.
    #[error("malformed command: {0}")]
    Malformed(String),
    /// The start is about to leave: nothing is moved to it.
    #[error("start {0} is about to leave")]
    Draining(StartId),
    /// Only a start that was drained leaves.
    #[error("start {0} is not draining")]
    NotDraining(StartId),
    /// A start that still holds something does not leave.
    #[error("start {start} still has a part in {colonies} colonies")]
    Holds {
        /// The start.
        start: StartId,
        /// How many colonies.
        colonies: u32,
    },
    /// There is no such plugin.
    #[error("no plugin named {name} is installed")]
    NoPlugin {
        /// The name.
        name: String,
    },
    /// There is no such version of the plugin.
    #[error("{} is no version of plugin {name}", content.short())]
    NoVersion {
        /// The plugin's name.
        name: String,
        /// The version.
        content: ContentId,
    },
    /// The name is taken by a plugin that decides something else.
    #[error("{name} is a {kind} plugin")]
    OtherKind {
        /// The plugin's name.
        name: String,
        /// What it decides.
        kind: PluginKind,
    },
    /// The same bytes are installed under another name.
    #[error("{} is installed already, as {name}", content.short())]
    InstalledAs {
        /// The bytes.
        content: ContentId,
        /// The name they are installed under.
        name: String,
    },
    /// Somebody who is up, or asks to be, cannot run the plugin.
    #[error("start {start} has not compiled plugin {name}")]
    NotCompiled {
        /// The plugin's name.
        name: String,
        /// The start.
        start: StartId,
    },
    /// Another version decides by now.
    #[error("another version of plugin {name} is active by now, or none was before it")]
    PluginChanged {
        /// The plugin's name.
        name: String,
    },
    /// A namespace merges by it.
    #[error("namespace {namespace} merges by plugin {name}")]
    PluginInUse {
        /// The plugin's name.
        name: String,
        /// The namespace's name.
        namespace: String,
    },
    /// An island does not change what belongs to the whole cluster.
    #[error("not in an island: the group that it parted from decides that")]
    NotInIsland,
    /// The version decides for every colony.
    #[error("{} of plugin {name} decides for all colonies already", content.short())]
    DecidesAlready {
        /// The plugin's name.
        name: String,
        /// The version.
        content: ContentId,
    },
    /// No version of the plugin is tried on a share of the colonies.
    #[error("no version of plugin {name}, or another one, is a canary by now")]
    NoCanary {
        /// The plugin's name.
        name: String,
    },
}

/// Bytes that hold no command, outcome or state of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There are no bytes.
    #[error("no bytes")]
    Empty,
    /// Another version wrote them.
    #[error("encoding version {theirs}, this build knows {ours}")]
    Version {
        /// The writer's.
        theirs: u8,
        /// This build's.
        ours: u8,
    },
    /// They do not decode.
    #[error("does not decode: {0}")]
    Body(postcard::Error),
    /// They go on after the value ended.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// First byte of every encoded command, outcome and state.
const ENCODING: u8 = 6;

/// The value with its version before it.
pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    // The types of this module hold nothing that postcard cannot encode, and a Vec takes all it is given.
    let encoded = postcard::to_extend(value, vec![ENCODING]).expect("group types always encode");
    Bytes::from(encoded)
}

/// The value that [`encode`] wrote.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *version != ENCODING {
        return Err(CodecError::Version { theirs: *version, ours: ENCODING });
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(CodecError::Body)?;
    if rest.is_empty() { Ok(value) } else { Err(CodecError::Trailing(rest.len())) }
}

macro_rules! codec {
    ($($name:ty),*) => {$(
        impl $name {
            /// Its bytes, for a log or a frame.
            #[must_use]
            pub fn encode(&self) -> Bytes {
                encode(self)
            }

            /// The value these bytes hold.
            ///
            /// # Errors
            /// [`CodecError`] if this build did not write them so.
            pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
                decode(bytes)
            }
        }
    )*};
}

codec!(Command, Outcome, Member, super::State);
