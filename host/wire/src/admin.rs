//! What people ask of a cluster: who is there, where everything lives, what is degraded and why.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cut::CutReport;
use crate::frame::{DecodeError, Kind, Message, within};
use crate::id::{Cfg, ClusterId, LineageId, NamespaceId, Position, Reign, Revision, StartId};
use crate::limits::{
    MAX_ATTRIBUTE_NAME, MAX_BUCKETS, MAX_COLONIES, MAX_COPIES, MAX_HOSTS, MAX_MERGE_RULES, MAX_NAME, MAX_NAMESPACES,
    MAX_PLAN_PLUGIN, MAX_PLUGIN_BYTES, MAX_PLUGINS_LISTED, MAX_PROBLEMS,
};
use crate::plan::PlanReport;
use crate::plugin::{CanaryStatus, ContentId, PluginKind, PluginStatus};
use crate::session::check_ttl;

/// Digits of a whole content id.
const CONTENT_DIGITS: usize = 64;

/// What a namespace's sessions are treated by. Equal on all hosts, kept in the group state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// Copies of each colony, the primary included; 1 to [`MAX_COPIES`].
    pub copies: u8,
    /// Below so many copies in sync a colony acknowledges nothing and says so; 1 to `copies`, and 1 unless the namespace
    /// is strict (`PROTOCOL.md` 3.8).
    pub min_in_sync: u8,
    /// Number of colonies, a power of two up to [`MAX_BUCKETS`]; fixed when the namespace is created.
    pub buckets: u32,
    /// Time to live of a session for which the client names none, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// What a save does that meets a change made since its base.
    pub on_conflict: OnConflict,
    /// Who merges.
    pub merge: MergeBy,
    /// What its colonies do while the network is split.
    pub on_partition: OnPartition,
    /// What becomes of a save whose merge plugin gave no usable answer.
    pub on_plugin_failure: OnPluginFailure,
}

impl Default for Policy {
    fn default() -> Self {
        const HALF_AN_HOUR_MS: u64 = 30 * 60 * 1000;
        Self {
            copies: 2,
            min_in_sync: 1,
            buckets: 64,
            ttl_ms: Some(HALF_AN_HOUR_MS),
            on_conflict: OnConflict::Merge,
            merge: MergeBy::LastWrite,
            on_partition: OnPartition::Island,
            on_plugin_failure: OnPluginFailure::BuiltIn,
        }
    }
}

impl Policy {
    /// Below how many copies no change may bring a colony's in-sync set: the last one always stays, and a strict
    /// namespace may ask for more (`PROTOCOL.md` 3.8).
    #[must_use]
    pub fn least_in_sync(&self) -> usize {
        match self.on_partition {
            OnPartition::Island => 1,
            OnPartition::Strict => usize::from(self.min_in_sync).max(1),
        }
    }

    /// Refuses a policy outside its bounds.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] names the bound.
    pub fn check(&self) -> Result<(), DecodeError> {
        within("number of copies", usize::from(self.copies), usize::from(MAX_COPIES))?;
        within("number of buckets", self.buckets as usize, MAX_BUCKETS as usize)?;
        if self.copies == 0 {
            return Err(DecodeError::Limit { what: "number of copies (at least 1)", len: 0, limit: MAX_COPIES.into() });
        }
        if self.min_in_sync == 0 || self.min_in_sync > self.copies {
            return Err(DecodeError::Limit {
                what: "least number of copies in sync (1 to copies)",
                len: self.min_in_sync.into(),
                limit: self.copies.into(),
            });
        }
        // Either side of a split goes on with the copies it has: a least would be broken in silence.
        if self.on_partition == OnPartition::Island && self.min_in_sync > 1 {
            return Err(DecodeError::Limit {
                what: "least number of copies in sync of a namespace that goes on in islands",
                len: self.min_in_sync.into(),
                limit: 1,
            });
        }
        if !self.buckets.is_power_of_two() {
            return Err(DecodeError::Limit {
                what: "number of buckets (a power of two)",
                len: self.buckets as usize,
                limit: MAX_BUCKETS as usize,
            });
        }
        self.merge.check()?;
        check_ttl(self.ttl_ms)
    }
}

/// What a save does that meets a change made since its base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// The two are merged.
    #[default]
    Merge,
    /// The save is refused with the current version.
    Reject,
    /// The save wins.
    Overwrite,
}

/// What the colonies of a namespace do while the network is split (`PROTOCOL.md` 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPartition {
    /// Both sides go on, and what they did is merged when they meet.
    #[default]
    Island,
    /// One side goes on, or neither: there is one history.
    Strict,
}

/// Who merges two versions of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MergeBy {
    /// Built in: of two changes the later one.
    #[default]
    LastWrite,
    /// The merge plugin of this name.
    Plugin(String),
    /// Built in: attribute by attribute. An attribute's own rule goes first, then that of the longest prefix its name
    /// begins with; what no rule is for keeps the later change. A blob is an attribute without a name, which the empty
    /// prefix fits.
    Rules(Vec<MergeRule>),
}

impl MergeBy {
    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::LastWrite => Ok(()),
            Self::Plugin(name) => within("length of the plugin's name", name.len(), MAX_NAME),
            Self::Rules(rules) => {
                within("number of merge rules", rules.len(), MAX_MERGE_RULES)?;
                let mut named = BTreeSet::new();
                for MergeRule { of, .. } in rules {
                    let (AttributeNames::One(name) | AttributeNames::Prefix(name)) = of;
                    within("length of an attribute's name in a merge rule", name.len(), MAX_ATTRIBUTE_NAME)?;
                    if !named.insert(of) {
                        return Err(DecodeError::Limit {
                            what: "number of merge rules for the same attributes",
                            len: 2,
                            limit: 1,
                        });
                    }
                }
                Ok(())
            }
        }
    }
}

/// By which rule some attributes are merged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MergeRule {
    /// Which attributes.
    pub of: AttributeNames,
    /// The rule.
    pub rule: BuiltIn,
}

/// Attributes by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AttributeNames {
    /// The one of this name.
    One(String),
    /// All whose names begin with this.
    Prefix(String),
}

/// A merge of one attribute that every host knows. What each reads and makes of it is in the crate `colony-merges`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BuiltIn {
    /// The later change.
    LastWrite,
    /// The larger number.
    Max,
    /// The smaller number.
    Min,
    /// Both sides' changes of a whole number.
    Counter,
    /// The same of a number of things, which is never below zero.
    Quantity,
    /// What either side added, without what either side removed.
    SetUnion,
    /// JSON objects key by key.
    Json,
    /// None: the second save is refused with the current version.
    Reject,
}

/// What becomes of a save whose merge plugin traps, exceeds a limit, answers nonsense, is switched off, or cannot be
/// asked (`PROTOCOL.md` 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPluginFailure {
    /// The built-in decides: of two changes the later one.
    #[default]
    BuiltIn,
    /// The save is refused, nothing changes, and the client decides.
    Refuse,
}

/// A person asks a host's control port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AdminRequest {
    /// The state of the cluster in one answer.
    Status,
    /// Where the colonies live, all or those with a copy on the named host.
    Colonies {
        /// Name of the host.
        of: Option<String>,
    },
    /// The namespaces.
    Namespaces,
    /// A new namespace. Needs the admin right.
    CreateNamespace {
        /// Its name.
        name: String,
        /// Its policy.
        policy: Policy,
    },
    /// Which copies are there of a colony that has none in sync? Needs the admin right.
    StaleCopies {
        /// Name of the namespace.
        namespace: String,
        /// The colony's bucket.
        bucket: u32,
    },
    /// Lets such a colony go on from one of them. What was acknowledged and is not in that copy is lost to it.
    /// Needs the admin right (`PROTOCOL.md` 5.5).
    AcceptStale {
        /// Name of the namespace.
        namespace: String,
        /// The colony's bucket.
        bucket: u32,
        /// Name of the host with the copy. If it has none, the colony begins empty.
        host: String,
    },
    /// Moves everything away from these hosts and lets them leave, or lets them stay after all. Needs the admin right
    /// (`PROTOCOL.md` 7).
    Drain {
        /// Their names.
        hosts: Vec<String>,
        /// Whether they stay.
        cancel: bool,
    },
    /// How far are these processes with leaving?
    Departures {
        /// The processes.
        starts: Vec<StartId>,
    },
    /// Could this host be stopped at once without a colony being short of a copy, or the group of its majority?
    SafeToStop {
        /// Its name.
        host: String,
    },
    /// Plans at once where copies live, or only says what would be planned. Needs the admin right.
    Plan {
        /// Only say it.
        dry_run: bool,
        /// The component of a placement plugin to ask instead of the one in use; for a dry run only.
        plugin: Option<Bytes>,
    },
    /// The installed plugins.
    Plugins,
    /// Makes a plugin, or one more version of it, known to the group, which keeps its bytes. They were sent before
    /// ([`PluginPart`](crate::plugin::PluginPart)). Needs the admin right. To be asked again while it is
    /// [`PluginPending`](AdminReply::PluginPending): asking twice does no more than asking once.
    InstallPlugin {
        /// Its name.
        name: String,
        /// Its kind.
        kind: PluginKind,
        /// Identity of its bytes.
        content: ContentId,
        /// How many bytes.
        size: u32,
        /// Whether whoever installs it overrode the check.
        forced: bool,
    },
    /// Lets a version decide from now on, once every host that is up can run it. Needs the admin right. To be asked
    /// again while it is pending.
    UsePlugin {
        /// The plugin's name.
        name: String,
        /// The first digits of the version's content id; the newest one if there are none.
        content: Option<String>,
    },
    /// Lets the version decide that did before the active one. Needs the admin right. To be asked again while it is
    /// pending, with the same `from`.
    RollBackPlugin {
        /// The plugin's name.
        name: String,
        /// The version that decides no more.
        from: ContentId,
    },
    /// Forgets a plugin with all its versions. Needs the admin right.
    UninstallPlugin {
        /// Its name.
        name: String,
    },
    /// Lets a version of a placement plugin decide for a share of the colonies from now on, once every host that is up can
    /// run it. Needs the admin right. To be asked again while it is pending.
    BeginCanary {
        /// The plugin's name.
        name: String,
        /// The first digits of the version's content id; the newest one if there are none.
        content: Option<String>,
        /// The share in per cent, 1 to 99.
        percent: u8,
    },
    /// Takes a canary back: its colonies' copies go where they were. Needs the admin right.
    EndCanary {
        /// The plugin's name.
        name: String,
        /// Which version.
        content: ContentId,
    },
    /// What would become of every colony if the hosts with a label and all others reached each other no more?
    WhatIf {
        /// The label.
        label: String,
        /// Its value.
        value: String,
    },
}

impl Message for AdminRequest {
    const KIND: Kind = Kind(0x0401);

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Status | Self::Namespaces | Self::Plugins => Ok(()),
            Self::InstallPlugin { name, size, .. } => {
                within("length of the plugin's name", name.len(), MAX_NAME)?;
                within("size of a plugin", *size as usize, MAX_PLUGIN_BYTES)
            }
            Self::UsePlugin { name, content } | Self::BeginCanary { name, content, .. } => {
                within("length of the plugin's name", name.len(), MAX_NAME)?;
                within("digits of a content id", content.as_ref().map_or(0, String::len), CONTENT_DIGITS)
            }
            Self::RollBackPlugin { name, .. } | Self::UninstallPlugin { name } | Self::EndCanary { name, .. } => {
                within("length of the plugin's name", name.len(), MAX_NAME)
            }
            Self::Colonies { of } => within("length of the host name", of.as_ref().map_or(0, String::len), MAX_NAME),
            Self::CreateNamespace { name, policy } => {
                within("length of the namespace's name", name.len(), MAX_NAME)?;
                policy.check()
            }
            Self::Drain { hosts, .. } => {
                within("number of hosts", hosts.len(), MAX_HOSTS)?;
                hosts.iter().try_for_each(|host| within("length of the host name", host.len(), MAX_NAME))
            }
            Self::Departures { starts } => within("number of hosts", starts.len(), MAX_HOSTS),
            Self::WhatIf { label, value } => {
                within("length of the label", label.len(), MAX_NAME)?;
                within("length of the label's value", value.len(), MAX_NAME)
            }
            Self::SafeToStop { host } => within("length of the host name", host.len(), MAX_NAME),
            Self::StaleCopies { namespace, .. } => within("length of the namespace's name", namespace.len(), MAX_NAME),
            Self::AcceptStale { namespace, host, .. } => {
                within("length of the namespace's name", namespace.len(), MAX_NAME)?;
                within("length of the host name", host.len(), MAX_NAME)
            }
            Self::Plan { plugin, .. } => {
                within("bytes of the placement plugin", plugin.as_ref().map_or(0, Bytes::len), MAX_PLAN_PLUGIN)
            }
        }
    }
}

/// The host answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AdminReply {
    /// The state of the cluster.
    Status(ClusterStatus),
    /// Where the colonies live.
    Colonies(Vec<ColonyStatus>),
    /// The namespaces.
    Namespaces(Vec<NamespaceStatus>),
    /// Created.
    Created {
        /// Its number.
        id: NamespaceId,
    },
    /// The copies of a colony that has none in sync.
    StaleCopies(StaleCopies),
    /// The colony goes on from the copy; what was known of it and of the lost ones before.
    Accepted(StaleCopies),
    /// How far hosts are with leaving.
    Departures(Vec<Departure>),
    /// Whether a host can be stopped at once.
    SafeToStop {
        /// What stands against it, each in one line; nothing if it can.
        why_not: Vec<String>,
    },
    /// Not done.
    Refused {
        /// What, why and what to do, for people.
        why: String,
        /// Whether asking again may help.
        retryable: bool,
    },
    /// What was planned.
    Plan(PlanReport),
    /// The installed plugins, and those that hosts name by file.
    Plugins(Vec<PluginStatus>),
    /// The host holds the beginning of a plugin, or all of it.
    PluginHeld {
        /// So many bytes.
        have: u32,
    },
    /// The version is installed.
    PluginInstalled {
        /// The version of the plugin that decides now, if one does.
        active: Option<ContentId>,
    },
    /// The version decides from now on.
    PluginUsed {
        /// Which.
        content: ContentId,
        /// The one that did before, if one did.
        before: Option<ContentId>,
    },
    /// Not done yet.
    PluginPending {
        /// Names of the hosts that are waited for.
        hosts: Vec<String>,
    },
    /// The plugin is forgotten.
    PluginUninstalled,
    /// The version decides for a share of the colonies from now on.
    CanaryBegun(CanaryStatus),
    /// The canary decides nothing any more.
    CanaryEnded,
    /// What a cut would do.
    Cut(CutReport),
}

impl Message for AdminReply {
    const KIND: Kind = Kind(0x0402);

    fn check(&self) -> Result<(), DecodeError> {
        match self {
            Self::Status(status) => {
                within("number of hosts", status.hosts.len(), MAX_HOSTS)?;
                within("number of problems", status.problems.len(), MAX_PROBLEMS)?;
                within("number of things under way", status.under_way.len(), MAX_PROBLEMS)
            }
            Self::Colonies(colonies) => within("number of colonies", colonies.len(), MAX_COLONIES),
            Self::Cut(report) => report.check(),
            Self::Namespaces(namespaces) => within("number of namespaces", namespaces.len(), MAX_NAMESPACES),
            Self::StaleCopies(stale) | Self::Accepted(stale) => {
                within("number of copies", stale.copies.len(), MAX_HOSTS)?;
                within("number of lost copies", stale.lost.len(), MAX_HOSTS)
            }
            Self::Departures(departures) => within("number of hosts", departures.len(), MAX_HOSTS),
            Self::SafeToStop { why_not } => within("number of reasons", why_not.len(), MAX_COLONIES),
            Self::Plan(report) => report.check(),
            Self::Plugins(plugins) => {
                within("number of plugins", plugins.len(), MAX_PLUGINS_LISTED)?;
                plugins.iter().try_for_each(PluginStatus::check)
            }
            Self::PluginPending { hosts } => within("number of hosts", hosts.len(), MAX_HOSTS),
            Self::PluginHeld { .. }
            | Self::PluginInstalled { .. }
            | Self::PluginUsed { .. }
            | Self::PluginUninstalled
            | Self::CanaryBegun(_)
            | Self::CanaryEnded
            | Self::Created { .. }
            | Self::Refused { .. } => Ok(()),
        }
    }
}

/// The state of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Which line of group state.
    pub lineage: LineageId,
    /// Its revision on the answering host.
    pub revision: Revision,
    /// Name of the answering host.
    pub answered_by: String,
    /// Name of the group's leader, if one is known there.
    pub leader: Option<String>,
    /// For how long, in milliseconds, no leader has been known there; 0 if one is. What is told may be that old.
    pub leaderless_ms: u64,
    /// All members that are not gone for good.
    pub hosts: Vec<HostStatus>,
    /// Colonies in all.
    pub colonies: u32,
    /// Colonies with a primary.
    pub served: u32,
    /// What is not as it should be, worst first.
    pub problems: Vec<Problem>,
    /// What is on its way to be as it should: copies that catch up, copies that wait for the group's answer. Each in
    /// one line.
    pub under_way: Vec<String>,
    /// The line of group state that this one parted from, if it is of an island (`PROTOCOL.md` 8).
    pub parent: Option<LineageId>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Name of the namespace, if it is about colonies.
    pub namespace: Option<String>,
    /// The buckets of those, in order.
    pub buckets: Vec<u32>,
    /// What and why, in one line.
    pub text: String,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Clients are refused what they ask for.
    Failing,
    /// Clients are served, with less behind it than there should be.
    Degraded,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// The process.
    pub start: StartId,
    /// Address of its control port.
    pub address: String,
    /// `up`, `dead`, ...
    pub state: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many shards it has.
    pub shards: u16,
    /// Whether it votes in the group.
    pub voter: bool,
    /// Colonies it is the primary of.
    pub primaries: u32,
    /// Colonies it holds an in-sync copy of, the primaries included.
    pub copies: u32,
}

/// How far one host is with leaving.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Departure {
    /// Its name; empty if the group does not know the process.
    pub host: String,
    /// The process.
    pub start: StartId,
    /// What has become of it.
    pub stage: DepartureStage,
    /// Colonies it still has a part in.
    pub colonies: u32,
    /// Those of them that it serves.
    pub primaries: u32,
    /// What cannot be moved and why, each in one line.
    pub stuck: Vec<String>,
    /// Whether it still votes in the group.
    pub votes: bool,
}

/// What has become of a host that was told to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DepartureStage {
    /// It stays: nobody told it to leave, or it was taken back.
    Staying,
    /// What it holds is being moved away.
    Draining,
    /// It has left.
    Left,
    /// It was declared dead.
    Dead,
}

/// One colony's entry in the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColonyStatus {
    /// Name of its namespace.
    pub namespace: String,
    /// Its bucket.
    pub bucket: u32,
    /// Name of the primary's host, if there is one.
    pub primary: Option<String>,
    /// Names of the hosts with an in-sync copy, the primary's included.
    pub in_sync: Vec<String>,
    /// Names of the hosts placement wants copies on.
    pub want: Vec<String>,
    /// Its reign.
    pub reign: Reign,
    /// Number of its entry.
    pub cfg: Cfg,
    /// What is not as it should be.
    pub problem: Option<String>,
}

/// What is left of a colony that has no copy in sync.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StaleCopies {
    /// Hosts whose copies were in sync: whatever was acknowledged is on each of them, and they do not run.
    pub lost: Vec<String>,
    /// The reign that was served last.
    pub reign: Reign,
    /// The copies that running hosts hold, the newest first.
    pub copies: Vec<StaleCopy>,
}

/// A copy that may lack what was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StaleCopy {
    /// Name of its host.
    pub host: String,
    /// Position of its last committed op; none if it is empty.
    pub position: Option<Position>,
    /// Sessions in it.
    pub sessions: u64,
}

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamespaceStatus {
    /// Its number.
    pub id: NamespaceId,
    /// Its name.
    pub name: String,
    /// Its policy.
    pub policy: Policy,
}
