//! Who uses a session and does nothing else (`PROTOCOL.md` 9, 11): as long as its uses come in time, it lives, whatever
//! other sides let expire.

use std::collections::BTreeMap;

use colony_wire::client::{Ack, Attempt, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::op::Stamp;
use colony_wire::session::{Content, Key, Mutation, Precondition};
use colony_wire::{ClientId, RequestId};

use super::clients::Sent;
use super::world::{ROOT, World};
use crate::rng::Rng;

/// How many there are, each with a session of its own.
pub(super) const KEEPERS: usize = 4;
/// Keepers' clients and calls are counted from here: far beyond all others.
const FIRST: u64 = 1 << 20;
/// Times to live, in milliseconds: a side that does not use the session lets it expire in some splits and not in others.
const TTL_MS: [u64; 2] = [1_500, 4_000];
/// A session is used again after this, in microseconds: that puts its end off by more than a tenth of its time to live.
const USE_EVERY: u64 = 450_000;

pub(super) struct Keeper {
    /// The host it is beside.
    near: usize,
    key: Key,
    ttl_ms: u64,
    calls: u64,
    /// When the last call was made.
    asked: u64,
    /// When the last use was asked that was acknowledged, if the session was not known to be over since.
    used: Option<u64>,
}

impl Keeper {
    pub(super) fn all(dice: &mut Rng, hosts: usize) -> Vec<Self> {
        let keeper = |number: usize| {
            let key = Key::new(format!("kept{number}")).unwrap_or_else(|_| unreachable!("a short key"));
            Self { near: dice.index(hosts), key, ttl_ms: dice.pick(&TTL_MS), calls: 0, asked: 0, used: None }
        };
        (0..KEEPERS).map(keeper).collect()
    }

    /// Whether the session must be there: a use of it was acknowledged, and since that was asked less than its time to live
    /// has passed.
    fn must_live(&self, now: u64) -> bool {
        self.used.is_some_and(|used| now < used + self.ttl_ms * 1000)
    }
}

/// Whose call it is, if it is a keeper's.
pub(super) fn keeper_of(call: u64) -> Option<usize> {
    usize::try_from((call >> 32).checked_sub(FIRST)?).ok()
}

impl World {
    /// A keeper uses its session, or begins it.
    pub(super) fn keep(&mut self, keeper: usize) {
        let it = &mut self.keepers[keeper];
        it.calls += 1;
        it.asked = self.now.0;
        let (near, key, ttl) = (it.near, it.key.clone(), Some(it.ttl_ms));
        let (number, call) = (it.calls, (FIRST + keeper as u64) << 32 | it.calls);
        let mutation = if it.used.is_some() {
            Mutation::Touch { key: key.clone(), ttl }
        } else {
            let (content, precondition) = (Content::Attributes(BTreeMap::new()), Precondition::None);
            Mutation::Put { key: key.clone(), content, tags: Vec::new(), ttl, precondition }
        };
        self.use_again(keeper, USE_EVERY);
        let colony = self.colony_of(&key);
        let group = self.group_asked(near, colony);
        let Some(primary) = self.primary_of(colony, group) else { return };
        let request = RequestId { client: ClientId(u128::from(FIRST) + keeper as u128), number };
        let stamp = Stamp { request, lowest_unanswered: number };
        let body = RequestBody::Mutate { stamp, mutation, ack: Ack::InSync };
        let attempt = Some(Attempt { lineage: self.groups[group].state.lineage, is_first: true });
        let request = Request { colony, deadline_ms: 5_000, token: Token::default(), body, attempt };
        self.request(primary, group, Sent { near, call, request });
    }

    pub(super) fn kept(&mut self, keeper: usize, call: u64, reply: &Reply) -> Result<(), String> {
        let now = self.now.0;
        let is_one = !self.is_cut() && self.hosts.iter().all(|host| host.island.is_none());
        let Some(it) = self.keepers.get_mut(keeper) else { return Ok(()) };
        // What is late says nothing of now.
        if call & u64::from(u32::MAX) != it.calls {
            return Ok(());
        }
        match &reply.body {
            ReplyBody::Done(_) => it.used = Some(it.asked),
            ReplyBody::Refused(refusal) if !refusal.is_retryable() => {
                if !it.must_live(now) {
                    it.used = None;
                    self.note("expired for want of use", 1);
                } else if is_one {
                    return Err(format!("{:?} is over ({refusal:?}) though its uses came in time", it.key));
                }
                // Else somebody may have been asked who has not heard of the uses yet.
            }
            _ => {}
        }
        Ok(())
    }

    /// Every session that was used in time is there.
    pub(super) fn check_kept(&mut self) -> Result<(), String> {
        let now = self.now.0;
        for keeper in self.keepers.iter().filter(|keeper| keeper.must_live(now)) {
            let colony = self.colony_of(&keeper.key);
            let primary = self.primary_of(colony, ROOT).and_then(|host| self.hosts[host].root.replica(colony));
            let lives = primary.is_some_and(|primary| primary.store().get(&keeper.key).is_some());
            if !lives && !self.lost.contains(&colony) {
                return Err(format!("{:?} expired, though its uses came in time", keeper.key));
            }
        }
        let kept = self.keepers.iter().filter(|keeper| keeper.must_live(now)).count();
        self.note("sessions kept by use", kept as u64);
        Ok(())
    }
}
