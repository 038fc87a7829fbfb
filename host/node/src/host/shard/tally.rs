//! Counting, beside what a shard does and never in its way: what comes in and goes out is looked at, and the core is
//! asked how a copy stands. Nothing here waits, locks or fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_core::Time;
use colony_core::colony::{Input, Output, Part, Shard};
use colony_core::merge::Ticket;
use colony_wire::admin::OnPluginFailure;
use colony_wire::client::{Refusal, Reply, ReplyBody};
use colony_wire::peer::PeerBody;
use colony_wire::{ColonyId, Reign, StartId};

use crate::host::plugins::Plugins;
use crate::host::seen::{Commits, Kind, ShardMeters, Transfers};

/// Merges without an answer that are remembered. More than wait for the plugin thread; what exceeds it has lost its
/// answer, and is counted for nobody.
const ASKED: usize = 8192;
/// The reign that every colony begins with: taking it is no promotion.
const FIRST: Reign = Reign(1);

/// The counting of one shard.
pub(super) struct Tally {
    meters: Arc<ShardMeters>,
    plugins: Arc<Plugins>,
    commits: Commits,
    transfers: Transfers,
    /// Merges under way: about which colony, and which plugin was asked.
    asked: BTreeMap<Ticket, (ColonyId, String)>,
}

/// What an input is about.
#[derive(Debug, Default)]
pub(super) struct Concern {
    /// Which colony, if it is one.
    pub(super) colony: Option<ColonyId>,
    /// The peer that speaks.
    from: Option<StartId>,
    /// The plugin that answers.
    plugin: Option<String>,
    /// The reign that this host was primary in before.
    reigned: Option<Reign>,
    /// Whether nothing can come of it that is counted here.
    is_plain: bool,
}

impl Tally {
    pub(super) fn new(meters: Arc<ShardMeters>, plugins: Arc<Plugins>) -> Self {
        let (commits, transfers) = (Commits::default(), Transfers::default());
        Self { meters, plugins, commits, transfers, asked: BTreeMap::new() }
    }

    /// Something is about to be handled.
    pub(super) fn before(&mut self, input: &Input, shard: &Shard) -> Concern {
        let plain = |colony| Concern { colony, is_plain: true, ..Concern::default() };
        match input {
            Input::Request { request, .. } if request.body.stamp().is_none() => plain(Some(request.colony)),
            Input::Request { request, .. } => Concern { colony: Some(request.colony), ..Concern::default() },
            Input::Peer(message) => match message.body {
                PeerBody::Appended { .. } => {
                    Concern { colony: Some(message.colony), from: Some(message.from), ..Concern::default() }
                }
                _ => plain(Some(message.colony)),
            },
            Input::Table { colony, .. } => {
                Concern { colony: Some(*colony), reigned: reigned(shard, *colony), ..Concern::default() }
            }
            Input::Merged { ticket, .. } => match self.asked.remove(ticket) {
                Some((colony, plugin)) => Concern { colony: Some(colony), plugin: Some(plugin), ..Concern::default() },
                None => plain(None),
            },
            Input::Fate { colony, .. }
            | Input::GroupRead { colony, .. }
            | Input::Staying { colony, .. }
            | Input::TakenIn { colony } => plain(Some(*colony)),
            Input::Heal(message) => plain(Some(message.colony)),
            Input::Reborn { .. } | Input::Back | Input::Fence { .. } | Input::Flush | Input::Tick => plain(None),
        }
    }

    /// Something comes of it.
    pub(super) fn output(&mut self, concern: &Concern, output: &Output) {
        let meters = &*self.meters;
        match output {
            Output::Send { to, message, .. } => match &message.body {
                PeerBody::Append(append) => meters.ops_sent.add(append.ops.len() as u64),
                PeerBody::Offer(offer) => self.transfers.offered(meters, message.colony, *to, offer.transfer),
                PeerBody::Chunk(chunk) => meters.transfer_bytes.add(chunk.bytes.len() as u64),
                _ => {}
            },
            Output::Propose(command) | Output::ProposeStaying(command) => meters.proposed(command),
            Output::Merge { ticket, colony, by, .. } => {
                meters.merges.inc();
                self.asked.insert(*ticket, (*colony, by.clone()));
                if self.asked.len() > ASKED {
                    self.asked.pop_first();
                }
            }
            Output::Decided { unread, .. } => {
                meters.merges.inc();
                if unread.is_some() {
                    meters.fallbacks.inc();
                }
            }
            Output::FellBack { to, .. } => {
                let guard = concern.plugin.as_ref().and_then(|name| self.plugins.guard_of(name));
                let plugin = guard.as_ref().map(|guard| guard.meters());
                match to {
                    OnPluginFailure::BuiltIn => {
                        meters.fallbacks.inc();
                        plugin.inspect(|plugin| plugin.fallbacks.inc());
                    }
                    OnPluginFailure::Refuse => {
                        plugin.inspect(|plugin| plugin.saves_refused.inc());
                    }
                }
            }
            Output::ExpiryHeld { held, .. } => meters.expiries_held.add(*held),
            Output::Reply { .. }
            | Output::ReadGroup { .. }
            | Output::TooLarge { .. }
            | Output::FetchTable { .. }
            | Output::Heal(_)
            | Output::Joined { .. }
            | Output::Doubled { .. }
            | Output::TakenIn { .. } => {}
        }
    }

    /// It has been handled.
    pub(super) fn after(&mut self, now: Time, concern: &Concern, shard: &Shard) {
        let Some(colony) = concern.colony.filter(|_| !concern.is_plain) else { return };
        let Some(replica) = shard.replica(colony).filter(|replica| replica.part() == Part::Primary) else {
            return self.commits.forget(colony);
        };
        let reign = replica.reign();
        if reign > FIRST && concern.reigned.is_some_and(|before| before < reign) {
            self.meters.promotions.inc();
            tracing::debug!(%colony, %reign, "takes over");
        }
        self.commits.note(&self.meters, now, colony, replica.prepared(), replica.committed());
        if let Some(from) = concern.from
            && self.transfers.is_under_way(colony, from)
            && !replica.sends_state_to(from)
        {
            self.transfers.finished(&self.meters, colony, from);
        }
    }

    /// The table has changed: transfers that nobody goes on with are no longer under way.
    pub(super) fn look_through(&mut self, shard: &Shard) {
        let goes_on = |colony, to| shard.replica(colony).is_some_and(|replica| replica.sends_state_to(to));
        self.transfers.retain(goes_on);
    }

    /// A client asks.
    pub(super) fn asked(&self, kind: Kind) {
        self.meters.asked(kind);
    }

    /// A client that asked `since` is answered.
    pub(super) fn answered(&self, kind: Kind, since: Time, now: Time, reply: &Reply) {
        self.meters.answered(kind, now.since(since));
        if let ReplyBody::Refused(refusal) = &reply.body {
            self.refused(refusal);
        }
    }

    /// A client is refused before the core has heard of it, or by the core.
    pub(super) fn refused(&self, refusal: &Refusal) {
        self.meters.refused(refusal);
    }
}

/// The reign in which this host is primary; zero where it is not.
fn reigned(shard: &Shard, colony: ColonyId) -> Option<Reign> {
    let replica = shard.replica(colony).filter(|replica| replica.part() == Part::Primary);
    Some(replica.map_or(Reign(0), |replica| replica.reign()))
}
