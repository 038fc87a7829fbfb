//! The group state and its one function.

use std::collections::{BTreeMap, VecDeque};

use colony_wire::admin::Policy;
use colony_wire::limits::{MAX_COLONIES, MAX_EARLIER_STARTS, MAX_HOSTS, MAX_LABELS, MAX_NAME, MAX_NAMESPACES};
use colony_wire::plugin::ContentId;
use colony_wire::{Cfg, ClusterId, ColonyId, LineageId, NamespaceId, Reign, Revision, StartId, View};
use serde::{Deserialize, Serialize};

use super::{Canary, Command, Deviation, Entry, Member, MemberState, Move, Outcome, Parent, Plugin, Refusal};

/// What the hosts of one lineage agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    /// Which cluster; zero before Genesis.
    pub cluster: ClusterId,
    /// Which line of group state; zero before Genesis.
    pub lineage: LineageId,
    /// Commands applied so far, refused ones included.
    pub revision: Revision,
    /// Revision of the last change of members.
    pub view: View,
    /// Every process the group still speaks of.
    pub members: BTreeMap<StartId, Member>,
    /// The newest starts that were declared dead, oldest first: longer than a join can be on its way.
    pub buried: VecDeque<StartId>,
    /// The newest starts that have left, oldest first, each with its host's name, remembered for as long.
    pub left: VecDeque<(StartId, String)>,
    /// The namespaces.
    pub namespaces: BTreeMap<NamespaceId, Namespace>,
    /// The table.
    pub table: BTreeMap<ColonyId, Entry>,
    /// The plugins that the group keeps, by name.
    pub plugins: BTreeMap<String, Plugin>,
    /// What this line of state parted from; none if it is no island.
    pub parent: Option<Parent>,
    /// The placement plugin that decides for a share of the colonies, if one does.
    pub canary: Option<Canary>,
}

/// Most starts remembered by themselves that are over, of each kind.
const MAX_REMEMBERED: usize = 4096;

/// A named set of sessions with one policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// How its sessions are treated.
    pub policy: Policy,
}

impl State {
    /// Carries out a committed command. Pure and total: the same state and command give the same result on
    /// every host, and a refused command changes nothing but the revision.
    pub fn apply(&mut self, command: &Command) -> Outcome {
        self.revision.0 += 1;
        let outcome = self.carry_out(command);
        self.forget_replaced();
        outcome
    }

    fn carry_out(&mut self, command: &Command) -> Outcome {
        if self.is_island() && is_for_all(command) {
            return Outcome::Refused(Refusal::NotInIsland);
        }
        let result = match command {
            Command::Genesis { cluster, lineage, member } => self.genesis(*cluster, *lineage, member),
            Command::Join { member, deviations, plugins } => self.join(member, deviations, plugins),
            Command::Dead { start, deviations } => self.dead(*start, deviations),
            Command::CreateNamespace { name, policy, placement } => {
                return self.create_namespace(name, policy, placement).map_or_else(Outcome::Refused, Outcome::Created);
            }
            Command::Plan { moves, .. } => {
                for change in moves {
                    self.move_to(change);
                }
                Ok(())
            }
            Command::ChangeInSync { colony, cfg, reign, by, add, remove } => {
                self.change_in_sync(*colony, *cfg, *reign, *by, *add, remove)
            }
            Command::Swap { colony, cfg, from, to } => self.swap(*colony, *cfg, *from, *to),
            Command::Promote { colony, cfg, to } => self.promote(*colony, *cfg, *to),
            Command::Restore { colony, cfg, dead, now } => self.restore(*colony, *cfg, *dead, *now),
            Command::Dropped { start, colonies } => self.dropped(*start, colonies),
            Command::AcceptStale { colony, cfg, to, lineage } => self.accept_stale(*colony, *cfg, *to, *lineage),
            Command::Drain { starts } => self.drain(starts),
            Command::CancelDrain { starts } => self.cancel_drain(starts),
            Command::Leave { start } => self.leave(*start),
            Command::InstallPlugin { name, kind, version } => self.install_plugin(name, *kind, *version),
            Command::UsePlugin { name, content, compiled } => self.use_plugin(name, *content, compiled),
            Command::RollBackPlugin { name, from, to, compiled } => self.roll_back_plugin(name, *from, *to, compiled),
            Command::UninstallPlugin { name } => self.uninstall_plugin(name),
            Command::Absorbed { colony, cfg, by, end, above } => self.absorbed(*colony, *cfg, *by, *end, *above),
            Command::Adopt(adoption) => self.adopt(adoption),
            Command::Island { state } => self.settle(state),
            Command::BeginCanary { name, content, percent, compiled } => {
                self.begin_canary(name, *content, *percent, compiled)
            }
            Command::EndCanary { name, content } => self.end_canary(name, *content),
        };
        result.map_or_else(Outcome::Refused, |()| Outcome::Applied)
    }

    /// Whether Genesis has been applied.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.view != View(0)
    }

    /// Whether the start is a member that serves. One that is draining does.
    #[must_use]
    pub fn is_up(&self, start: StartId) -> bool {
        self.members.get(&start).is_some_and(|member| member.state.is_up())
    }

    /// The members that serve, by start, those that are draining among them.
    pub fn up(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.state.is_up())
    }

    /// The policy of a colony's namespace.
    #[must_use]
    pub fn policy(&self, colony: ColonyId) -> Option<&Policy> {
        self.namespaces.get(&colony.namespace).map(|namespace| &namespace.policy)
    }

    /// [`Policy::least_in_sync`] of a colony's namespace.
    #[must_use]
    pub fn least_in_sync(&self, colony: ColonyId) -> usize {
        self.policy(colony).map_or(1, Policy::least_in_sync)
    }

    /// The namespace of this name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<(NamespaceId, &Namespace)> {
        self.namespaces.iter().find(|(_, namespace)| namespace.name == name).map(|(id, namespace)| (*id, namespace))
    }

    fn genesis(&mut self, cluster: ClusterId, lineage: LineageId, member: &Member) -> Result<(), Refusal> {
        if self.has_begun() {
            return Err(Refusal::NotAtBeginning);
        }
        check_member(member)?;
        self.cluster = cluster;
        self.lineage = lineage;
        self.admit(member);
        Ok(())
    }

    fn join(&mut self, member: &Member, deviations: &[Deviation], plugins: &[ContentId]) -> Result<(), Refusal> {
        if !self.has_begun() {
            return Err(Refusal::NotAtBeginning);
        }
        check_member(member)?;
        let member = &self.as_settled(member);
        match self.members.get(&member.start) {
            Some(known) if known.state == MemberState::Dead => return Err(Refusal::Dead(member.start)),
            // It lives here under a start of its own, or not at all.
            Some(known) if known.state == MemberState::Away => return Err(Refusal::NotUp(member.start)),
            Some(_) => return Ok(()),
            // A command may be carried out late: the record of the process may be gone, its death is final.
            None if self.is_over(member.start) => return Err(Refusal::Dead(member.start)),
            None => {}
        }
        self.check_joiner(plugins, member.start)?;
        let stays = |start: StartId| {
            let is_earlier = member.earlier.contains(&start) && self.is_waited_for(start);
            is_earlier || self.table.iter().any(|(id, entry)| entry.is_in_sync(start) && self.is_at_least(*id, entry))
        };
        let remembered = self.members.iter().filter(|(start, old)| old.name != member.name || stays(**start));
        if remembered.count() >= MAX_HOSTS {
            return Err(Refusal::Limit { what: "hosts".into(), limit: MAX_HOSTS as u64 });
        }
        let namesakes: Vec<StartId> = self.up().filter(|old| old.name == member.name).map(|old| old.start).collect();
        for start in namesakes {
            self.dead(start, deviations)?;
        }
        self.account_for_lost_processes(member);
        // A process of that name that was away is gone, if this is another one.
        let is_gone = |old: &Member| old.name == member.name && !member.earlier.contains(&old.start);
        self.members.retain(|_, old| old.state != MemberState::Away || !is_gone(old));
        self.admit(member);
        Ok(())
    }

    /// In an island a process keeps the starts under which it went apart, however often it was held for dead here: by them the
    /// side that stays knows whose copies its own went over to.
    fn as_settled(&self, member: &Member) -> Member {
        let mut member = member.clone();
        if self.is_island() {
            let own = self.members.values().filter(|old| member.earlier.contains(&old.start));
            let before: Vec<StartId> = own.flat_map(|old| old.earlier.iter().copied()).collect();
            for start in before {
                if !member.earlier.contains(&start) {
                    member.earlier.push(start);
                }
            }
        }
        member
    }

    /// Whether a colony's set may not lose another start.
    fn is_at_least(&self, colony: ColonyId, entry: &Entry) -> bool {
        entry.in_sync.len() <= self.least_in_sync(colony)
    }

    fn admit(&mut self, member: &Member) {
        self.members.insert(member.start, Member { state: MemberState::Up, ..member.clone() });
        self.view = View(self.revision.0);
    }

    /// Drops dead processes whose host runs again and whose copies no colony waits for any more.
    fn forget_replaced(&mut self) {
        let is_replaced = |dead: &Member| {
            dead.state == MemberState::Dead
                && self.up().any(|member| member.name == dead.name)
                && !self.is_waited_for(dead.start)
        };
        let replaced: Vec<StartId> =
            self.members.values().filter(|member| is_replaced(member)).map(|member| member.start).collect();
        for start in replaced {
            self.members.remove(&start);
            self.view = View(self.revision.0);
        }
    }

    fn dead(&mut self, start: StartId, deviations: &[Deviation]) -> Result<(), Refusal> {
        let member = self.members.get_mut(&start).ok_or(Refusal::NotUp(start))?;
        match member.state {
            MemberState::Dead => return Ok(()),
            // It is judged in the group where it lives.
            MemberState::Away => return Err(Refusal::NotUp(start)),
            MemberState::Up | MemberState::Draining => {}
        }
        member.state = MemberState::Dead;
        remember(&mut self.buried, start);
        self.view = View(self.revision.0);
        let members = &self.members;
        let namespaces = &self.namespaces;
        let state_of = |start: &StartId| members.get(start).map(|member| member.state);
        let is_up = |start: &StartId| state_of(start).is_some_and(MemberState::is_up);
        let stays = |start: &StartId| state_of(start) == Some(MemberState::Up);
        for (colony, entry) in self.table.iter_mut().filter(|(_, entry)| entry.concerns(start)) {
            entry.cfg.0 += 1;
            entry.want.retain(|wanted| *wanted != start);
            let least = namespaces.get(&colony.namespace).map_or(1, |namespace| namespace.policy.least_in_sync());
            if entry.in_sync.len() > least {
                entry.expel(&[start], false);
            }
            if entry.is_in_sync(start) {
                entry.dead.push(start);
            }
            if entry.primary != Some(start) {
                continue;
            }
            let chosen = deviations.iter().find(|deviation| deviation.colony == *colony);
            let heir = match chosen {
                Some(deviation) => deviation.primary.filter(|heir| entry.is_in_sync(*heir) && is_up(heir)),
                // As in [`State::succession`].
                None => {
                    let running = || entry.in_sync.iter().copied().filter(is_up);
                    running().find(stays).or_else(|| running().next())
                }
            };
            match heir {
                Some(heir) => entry.crown(heir),
                None => entry.primary = None,
            }
        }
        Ok(())
    }

    /// Whether a start that is no member any more was declared dead or has left.
    #[must_use]
    pub fn is_over(&self, start: StartId) -> bool {
        self.buried.contains(&start) || self.has_left(start)
    }

    fn create_namespace(
        &mut self,
        name: &str,
        policy: &Policy,
        placement: &[Vec<StartId>],
    ) -> Result<NamespaceId, Refusal> {
        if let Some((id, namespace)) = self.namespace(name) {
            // The proposer may not have heard the first answer: the same question has the same answer.
            return if namespace.policy == *policy {
                Ok(id)
            } else {
                Err(Refusal::NamespaceExists { name: name.to_owned() })
            };
        }
        check_name(name)?;
        policy.check().map_err(|error| Refusal::Malformed(error.to_string()))?;
        if placement.len() != policy.buckets as usize {
            return Err(Refusal::Malformed("one placement for each bucket is needed".into()));
        }
        if self.namespaces.len() >= MAX_NAMESPACES {
            return Err(Refusal::Limit { what: "namespaces".into(), limit: MAX_NAMESPACES as u64 });
        }
        if self.table.len() + placement.len() > MAX_COLONIES {
            return Err(Refusal::Limit { what: "colonies".into(), limit: MAX_COLONIES as u64 });
        }
        for want in placement {
            self.check_want(want, &[])?;
            if want.len() > usize::from(policy.copies) {
                return Err(Refusal::Malformed(format!("{} hosts for {} copies", want.len(), policy.copies)));
            }
        }
        let id = NamespaceId(self.namespaces.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        self.namespaces.insert(id, Namespace { name: name.to_owned(), policy: policy.clone() });
        for (bucket, want) in (0..).zip(placement) {
            // All copies begin empty, and an empty copy holds everything that was acknowledged so far.
            let entry = Entry {
                lineage: self.lineage,
                reign: Reign(1),
                cfg: Cfg(1),
                primary: want.first().copied(),
                want: want.clone(),
                in_sync: want.clone(),
                dead: Vec::new(),
                unaccounted: Vec::new(),
                absorbed: Vec::new(),
            };
            self.table.insert(ColonyId { namespace: id, bucket }, entry);
        }
        Ok(id)
    }

    /// A target names running hosts, each once, and at least one. A draining one only where it stands already.
    fn check_want(&self, want: &[StartId], standing: &[StartId]) -> Result<(), Refusal> {
        let mut names: Vec<&str> = Vec::with_capacity(want.len());
        for start in want {
            let member = self.members.get(start).filter(|member| member.state.is_up());
            let member = member.ok_or(Refusal::NotUp(*start))?;
            if member.state == MemberState::Draining && !standing.contains(start) {
                return Err(Refusal::Draining(*start));
            }
            if names.contains(&member.name.as_str()) {
                return Err(Refusal::Malformed(format!("two copies on host {}", member.name)));
            }
            names.push(&member.name);
        }
        if want.is_empty() { Err(Refusal::Malformed("a colony needs a host".into())) } else { Ok(()) }
    }

    pub(super) fn move_to(&mut self, change: &Move) {
        let Some(entry) = self.table.get(&change.colony) else { return };
        let standing: Vec<StartId> = entry.in_sync.iter().chain(&entry.want).copied().collect();
        if self.check_want(&change.want, &standing).is_err() {
            return;
        }
        let copies = self.policy(change.colony).map_or(0, |policy| usize::from(policy.copies));
        if let Some(entry) = self.table.get_mut(&change.colony)
            && entry.cfg == change.cfg
            && change.want.len() <= copies
        {
            entry.want.clone_from(&change.want);
            entry.cfg.0 += 1;
        }
    }

    /// The entry a command was decided on, if it still stands.
    pub(super) fn decided(&mut self, colony: ColonyId, cfg: Cfg) -> Result<&mut Entry, Refusal> {
        let entry = self.table.get_mut(&colony).ok_or(Refusal::NoColony(colony))?;
        if entry.cfg == cfg { Ok(entry) } else { Err(Refusal::Stale { colony, now: entry.cfg, decided: cfg }) }
    }

    fn change_in_sync(
        &mut self,
        colony: ColonyId,
        cfg: Cfg,
        reign: Reign,
        by: StartId,
        add: Option<StartId>,
        remove: &[StartId],
    ) -> Result<(), Refusal> {
        let add_is_up = add.is_none_or(|start| self.is_up(start));
        let replaced = add.map_or_else(Vec::new, |start| self.dead_namesakes(start));
        let least = self.least_in_sync(colony);
        let gone = self.gone();
        let entry = self.decided(colony, cfg)?;
        if entry.reign != reign || entry.primary != Some(by) || remove.contains(&by) {
            return Err(Refusal::NotEntitled { colony, start: by });
        }
        if let Some(start) = add {
            if !add_is_up {
                return Err(Refusal::NotUp(start));
            }
            if !entry.is_wanted(start) {
                return Err(Refusal::NotEntitled { colony, start });
            }
        }
        let added = add.filter(|start| !entry.is_in_sync(*start) && !remove.contains(start));
        let named: Vec<StartId> = entry.in_sync.iter().copied().filter(|start| remove.contains(start)).collect();
        let room = entry.in_sync.len() + usize::from(added.is_some()) - least.min(entry.in_sync.len());
        if named.len() > room {
            return Err(Refusal::BelowMinimum { colony, min: u8::try_from(least).unwrap_or(u8::MAX) });
        }
        // Whose place the living process of its host takes goes first: it is dead for certain. Of those named
        // beside it then as many as the least allows; the primary names the others again.
        let mut leaving: Vec<StartId> =
            entry.in_sync.iter().copied().filter(|start| replaced.contains(start)).collect();
        leaving.extend(named.into_iter().filter(|start| !replaced.contains(start)));
        leaving.truncate(room);
        entry.expel(&leaving, false);
        gone.iter().for_each(|start| entry.account(*start));
        if let Some(start) = added {
            entry.account(start);
            entry.in_sync.push(start);
        }
        entry.cfg.0 += 1;
        Ok(())
    }

    fn swap(&mut self, colony: ColonyId, cfg: Cfg, from: StartId, to: StartId) -> Result<(), Refusal> {
        let to_is_up = self.is_up(to);
        let entry = self.decided(colony, cfg)?;
        if entry.primary != Some(from) {
            return Err(Refusal::NotEntitled { colony, start: from });
        }
        if !to_is_up || !entry.is_in_sync(to) {
            return Err(Refusal::NotEntitled { colony, start: to });
        }
        entry.crown(to);
        entry.cfg.0 += 1;
        Ok(())
    }

    fn promote(&mut self, colony: ColonyId, cfg: Cfg, to: StartId) -> Result<(), Refusal> {
        let to_is_up = self.is_up(to);
        let entry = self.decided(colony, cfg)?;
        if entry.primary.is_some() || !to_is_up || !entry.is_in_sync(to) {
            return Err(Refusal::NotEntitled { colony, start: to });
        }
        entry.crown(to);
        entry.cfg.0 += 1;
        Ok(())
    }
}

/// Whether a command changes what the whole cluster shares, or gives up what another line of state may hold.
fn is_for_all(command: &Command) -> bool {
    match command {
        Command::CreateNamespace { .. }
        | Command::AcceptStale { .. }
        | Command::InstallPlugin { .. }
        | Command::UsePlugin { .. }
        | Command::RollBackPlugin { .. }
        | Command::UninstallPlugin { .. }
        | Command::BeginCanary { .. }
        | Command::EndCanary { .. }
        // An island is taken in, and takes in nobody.
        | Command::Absorbed { .. }
        | Command::Adopt(_) => true,
        Command::Genesis { .. }
        | Command::Join { .. }
        | Command::Dead { .. }
        | Command::Plan { .. }
        | Command::ChangeInSync { .. }
        | Command::Swap { .. }
        | Command::Promote { .. }
        | Command::Restore { .. }
        | Command::Dropped { .. }
        | Command::Drain { .. }
        | Command::CancelDrain { .. }
        | Command::Leave { .. }
        | Command::Island { .. } => false,
    }
}

/// Remembers what is over.
pub(super) fn remember<T>(starts: &mut VecDeque<T>, start: T) {
    starts.push_back(start);
    if starts.len() > MAX_REMEMBERED {
        starts.pop_front();
    }
}

pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
        return Err(Refusal::Malformed(format!("name {name:?} is not 1 to {MAX_NAME} of a-z, 0-9, - and _")));
    }
    Ok(())
}

pub(super) fn check_member(member: &Member) -> Result<(), Refusal> {
    check_name(&member.name)?;
    if member.shards == 0 {
        return Err(Refusal::Malformed("a host has at least one shard".into()));
    }
    if member.earlier.len() > MAX_EARLIER_STARTS {
        return Err(Refusal::Limit { what: "earlier starts of a host".into(), limit: MAX_EARLIER_STARTS as u64 });
    }
    if member.labels.len() > MAX_LABELS {
        return Err(Refusal::Limit { what: "labels of a host".into(), limit: MAX_LABELS as u64 });
    }
    if member.labels.iter().any(|(label, value)| label.len() > MAX_NAME || value.len() > MAX_NAME) {
        return Err(Refusal::Limit { what: "bytes of a label".into(), limit: MAX_NAME as u64 });
    }
    Ok(())
}
