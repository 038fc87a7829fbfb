//! Hosts, groups, messages and time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::colony::{Input, Joined, Mutant, Output, Replica, Settings, Shard, Space};
use colony_core::group::{Command, Member, MemberState, Move, Outcome, Settler, State};
use colony_core::merge::{Conflict, Ticket, by_rules};
use colony_core::{Now, Time};
use colony_wire::admin::{AttributeNames, BuiltIn, MergeBy, MergeRule, OnConflict, Policy};
use colony_wire::heal::HealMessage;
use colony_wire::peer::PeerMessage;
use colony_wire::{ClusterId, ColonyId, LineageId, NamespaceId, RaftId, RequestId, StartId};

use super::clients::{Client, Sent};
use super::keepers::{KEEPERS, Keeper, keeper_of};
use crate::panics;
use crate::rng::Rng;

/// The root's number among the groups.
pub(super) const ROOT: usize = 0;
/// Longest that a run goes on after its last split, in virtual time.
const QUIET_WITHIN: Duration = Duration::from_secs(120);
/// A host of an island in which nobody decides goes on alone after this: less than real ones wait, for elections take no time
/// here.
const LEADERLESS_FOR: Duration = Duration::from_secs(2);
const TICK: u64 = 20_000;
const WALL_MS: u64 = 1_700_000_000_000;
/// Longest that a merge takes, in microseconds: of an idle host, and of one with a queue, where others change the session
/// meanwhile.
const MERGED_WITHIN: [u64; 2] = [2_000, 400_000];

pub(super) struct Host {
    pub(super) root: Shard,
    /// The shard of its island, and which group that is.
    pub(super) island: Option<(usize, Shard)>,
    /// The root's state as it came here last.
    known: State,
    side: usize,
}

/// One line of group state.
pub(super) struct Group {
    pub(super) state: State,
    /// Who lives in it; everybody in the root.
    hosts: BTreeSet<usize>,
    /// Since when nobody decides there any more, for whoever would is gone.
    leaderless: Option<Time>,
}

enum Event {
    Peer(usize, PeerMessage),
    Heal(usize, HealMessage),
    Commit(usize, Command),
    Table(usize, usize),
    Merged(usize, usize, Ticket, Box<Conflict>),
    Tick(usize),
    Plan,
    Request(usize, usize, Box<Sent>),
    Client(usize, u64),
    Keeper(usize),
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) now: Time,
    print: bool,
    pub(super) hosts: Vec<Host>,
    pub(super) groups: Vec<Group>,
    pub(super) clients: Vec<Client>,
    pub(super) keepers: Vec<Keeper>,
    pub(super) seen: BTreeMap<&'static str, u64>,
    /// Whose start it is.
    starts: BTreeMap<StartId, usize>,
    events: BTreeMap<(u64, u64), Event>,
    numbers: u64,
    pub(super) dice: Rng,
    loss: u32,
    is_cut: bool,
    /// No side holds a quorum of the root's voters.
    is_rootless: bool,
    settings: Settings,
    pub(super) space: Arc<Space>,
    pub(super) calls_open: bool,
    /// Changes that were done on two sides, as was said.
    pub(super) doubled: BTreeSet<RequestId>,
    /// Colonies whose every copy in sync was lost on some side: nobody can have all of what was acknowledged there.
    pub(super) lost: BTreeSet<ColonyId>,
}

/// How sessions are merged: `n` counts.
fn counting() -> Vec<MergeRule> {
    vec![MergeRule { of: AttributeNames::One("n".into()), rule: BuiltIn::Counter }]
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>, print: bool) -> Self {
        let mut dice = Rng::new(seed).fork("islands");
        let count = usize::try_from(dice.between(2, 5)).unwrap_or(5);
        let is_by_plugin = Rng::new(seed).fork("merges").chance(500);
        let merge = if is_by_plugin { MergeBy::Plugin("counter".into()) } else { MergeBy::Rules(counting()) };
        let policy = Policy {
            copies: u8::try_from(dice.between(1, 3)).unwrap_or(3).min(u8::try_from(count).unwrap_or(3)),
            buckets: 4,
            ttl_ms: None,
            on_conflict: OnConflict::Merge,
            merge,
            ..Policy::default()
        };
        let settings = Settings { log_kept: dice.pick(&[16, 1024]), mutant, ..Settings::default() };
        let lineage = LineageId(1);
        let mut world = Self {
            seed,
            now: Time(1_000_000),
            print,
            hosts: Vec::new(),
            groups: vec![Group { state: State::default(), hosts: (0..count).collect(), leaderless: None }],
            clients: (0..4).map(|number| Client::new(number, number % count)).collect(),
            keepers: Keeper::all(&mut Rng::new(seed).fork("keepers"), count),
            seen: BTreeMap::new(),
            starts: BTreeMap::new(),
            events: BTreeMap::new(),
            numbers: 0,
            loss: dice.pick(&[0, 0, 20]),
            dice,
            is_cut: false,
            is_rootless: false,
            space: Arc::new(Space { name: "counted".into(), policy: policy.clone() }),
            settings: settings.clone(),
            calls_open: true,
            doubled: BTreeSet::new(),
            lost: BTreeSet::new(),
        };
        for host in 0..count {
            let start = world.fresh_start(host);
            let root = Shard::new(lineage, start, settings.clone());
            world.hosts.push(Host { root, island: None, known: State::default(), side: 0 });
            let member = world.member(host, start);
            let command = if host == 0 {
                Command::Genesis { cluster: ClusterId(1), lineage, member }
            } else {
                Command::Join { member, deviations: Vec::new(), plugins: Vec::new() }
            };
            world.groups[ROOT].state.apply(&command);
        }
        let starts: Vec<StartId> = world.hosts.iter().map(|host| host.root.start()).collect();
        let copies = usize::from(policy.copies);
        let placed = |bucket: usize| (0..copies).map(|copy| starts[(bucket + copy) % count]).collect();
        let placement = (0..policy.buckets as usize).map(placed).collect();
        let created =
            world.groups[ROOT].state.apply(&Command::CreateNamespace { name: "counted".into(), policy, placement });
        assert_eq!(created, Outcome::Created(NamespaceId(1)));
        world.push_tables(ROOT);
        for host in 0..count {
            world.after(TICK, Event::Tick(host));
        }
        for client in 0..world.clients.len() {
            world.wake(client, 50_000);
        }
        for keeper in 0..KEEPERS {
            world.use_again(keeper, 50_000);
        }
        world.after(500_000, Event::Plan);
        world
    }

    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn note(&mut self, what: &'static str, times: u64) {
        *self.seen.entry(what).or_default() += times;
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.print {
            println!("{:>9} {}", self.now.0 / 1000, what());
        }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn fresh_start(&mut self, host: usize) -> StartId {
        let start = StartId(((host as u64 + 1) << 32) + self.next_number());
        self.starts.insert(start, host);
        start
    }

    fn member(&self, host: usize, start: StartId) -> Member {
        let port = 7000 + u16::try_from(host).unwrap_or(0);
        let earlier = self.hosts.get(host).map(|host| host.root.earlier().to_vec()).unwrap_or_default();
        Member {
            start,
            name: format!("h{host}"),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            shards: 1,
            labels: BTreeMap::new(),
            raft: RaftId(start.0),
            earlier,
            state: MemberState::Up,
        }
    }

    fn after(&mut self, micros: u64, event: Event) {
        let number = self.next_number();
        self.events.insert((self.now.0 + micros, number), event);
    }

    /// Wakes a client after this time; an earlier wish to be woken is void.
    pub(super) fn wake(&mut self, client: usize, micros: u64) {
        let alarm = self.next_number();
        self.clients[client].alarm = alarm;
        self.after(micros, Event::Client(client, alarm));
    }

    pub(super) fn use_again(&mut self, keeper: usize, micros: u64) {
        self.after(micros, Event::Keeper(keeper));
    }

    pub(super) fn request(&mut self, host: usize, group: usize, sent: Sent) {
        let delay = self.dice.between(100, 3_000);
        self.after(delay, Event::Request(host, group, Box::new(sent)));
    }

    fn now(&self) -> Now {
        Now { mono: self.now, wall_ms: WALL_MS + self.now.0 / 1000 }
    }

    // The network.

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn reaches(&self, one: usize, other: usize) -> bool {
        !self.is_cut || self.hosts[one].side == self.hosts[other].side
    }

    /// Whether what this host proposes to the group is decided, and it hears what is.
    pub(super) fn hears(&self, host: usize, group: usize) -> bool {
        if group == ROOT {
            return !self.is_cut || (self.hosts[host].side == 0 && !self.is_rootless);
        }
        if self.groups[group].leaderless.is_some() {
            return false;
        }
        let founder = self.groups[group].hosts.first();
        founder.is_some_and(|founder| self.reaches(host, *founder))
    }

    pub(super) fn cut(&mut self, sides: &[usize], is_rootless: bool) {
        self.say(|| format!("cut {sides:?}, rootless {is_rootless}"));
        self.is_cut = true;
        self.is_rootless = is_rootless;
        for (host, side) in self.hosts.iter_mut().zip(sides) {
            host.side = *side;
        }
        for host in 0..self.hosts() {
            self.after(0, Event::Table(host, ROOT));
        }
    }

    pub(super) fn mend(&mut self) {
        self.say(|| "mended".to_owned());
        self.is_cut = false;
        for group in 0..self.groups.len() {
            self.push_tables(group);
        }
    }

    /// The root declares those dead that its side does not reach.
    pub(super) fn judge(&mut self, sides: &[usize]) {
        let starts: Vec<StartId> =
            self.hosts.iter().zip(sides).filter(|(_, side)| **side != 0).map(|(host, _)| host.root.start()).collect();
        for start in starts {
            self.commit(ROOT, &Command::Dead { start, deviations: Vec::new() });
        }
    }

    /// The hosts of this side go on apart. Those that live in an island already stay where they are.
    pub(super) fn open(&mut self, side: usize) -> Result<(), String> {
        let founders: Vec<usize> = (0..self.hosts())
            .filter(|host| self.hosts[*host].side == side && self.hosts[*host].island.is_none())
            .collect();
        let newest = founders.iter().map(|host| &self.hosts[*host].known).max_by_key(|state| state.revision).cloned();
        let Some(newest) = newest else { return Ok(()) };
        let group = self.groups.len();
        let lineage = LineageId(100 + group as u128);
        let mut settlers = Vec::new();
        let until = Some(self.now + Duration::from_secs(1));
        for host in &founders {
            self.feed(*host, ROOT, Input::Fence { until })?;
            let start = self.fresh_start(*host);
            let copies = self.hosts[*host].root.ends();
            let root = self.hosts[*host].root.start();
            settlers.push(Settler { root, member: self.member(*host, start), copies });
        }
        let state = newest.island(lineage, &settlers);
        let mut begun = State::default();
        if begun.apply(&Command::Island { state: Box::new(state) }) != Outcome::Applied {
            // Nobody of them was a member any more.
            return founders.iter().try_for_each(|host| self.feed(*host, ROOT, Input::Fence { until: None }));
        }
        self.say(|| format!("island {group} of {founders:?}"));
        self.note("islands", 1);
        for (host, settler) in founders.iter().zip(&settlers) {
            if !begun.is_up(settler.member.start) {
                self.feed(*host, ROOT, Input::Fence { until: None })?;
                continue;
            }
            let (now, mut out) = (self.now(), Vec::new());
            let departed = self.hosts[*host].root.fork(now, &mut out);
            self.carry_out(*host, ROOT, out)?;
            let mut shard = Shard::apart(lineage, settler.member.start, self.settings.clone());
            let mut out = Vec::new();
            shard.take_over(now, departed, &mut out);
            self.hosts[*host].island = Some((group, shard));
            self.carry_out(*host, group, out)?;
        }
        let hosts =
            founders.into_iter().filter(|host| self.hosts[*host].island.as_ref().is_some_and(|it| it.0 == group));
        self.groups.push(Group { state: begun, hosts: hosts.collect(), leaderless: None });
        self.push_tables(group);
        Ok(())
    }

    // Groups.

    fn commit(&mut self, group: usize, command: &Command) {
        let outcome = self.groups[group].state.apply(command);
        match command {
            Command::Absorbed { .. } if outcome == Outcome::Applied => self.note("absorbed", 1),
            Command::Adopt(_) if outcome == Outcome::Applied => self.note("adopted", 1),
            _ => {}
        }
        self.say(|| format!("group {group}: {command:?} {outcome:?}"));
        self.push_tables(group);
    }

    fn push_tables(&mut self, group: usize) {
        for host in self.groups[group].hosts.clone() {
            let delay = self.dice.between(200, 6_000);
            self.after(delay, Event::Table(host, group));
        }
    }

    /// What a group's placement wants now: copies on hosts that are up, and none moved without need.
    fn plan(&mut self, group: usize) {
        let state = &self.groups[group].state;
        let up: Vec<StartId> = state.up().map(|member| member.start).collect();
        let copies = usize::from(self.space.policy.copies);
        let mut moves = Vec::new();
        for (colony, entry) in &state.table {
            if entry.primary.is_none() {
                continue;
            }
            let mut want: Vec<StartId> =
                entry.in_sync.iter().chain(&entry.want).copied().filter(|start| up.contains(start)).collect();
            want.extend(up.iter().cycle().skip(colony.bucket as usize).take(up.len()));
            let mut seen = BTreeSet::new();
            want.retain(|start| seen.insert(*start));
            want.truncate(copies);
            if want.iter().all(|start| entry.is_in_sync(*start)) {
                // Another host leads on every side, often one that the colony came to only there.
                let mut ranked = want.clone();
                ranked.sort_unstable();
                let first = ranked.get((group + colony.bucket as usize) % ranked.len().max(1)).copied();
                want.sort_by_key(|start| Some(*start) != first);
            }
            if want != entry.want && !want.is_empty() {
                moves.push(Move { colony: *colony, cfg: entry.cfg, want });
            }
        }
        if !moves.is_empty() {
            self.commit(group, &Command::Plan { moves, reason: String::new(), inputs: 0 });
        }
    }

    fn hear_table(&mut self, host: usize, group: usize) -> Result<(), String> {
        if !self.hears(host, group) {
            if group == ROOT {
                // It does not reach the side that stays.
                for colony in self.groups[ROOT].state.table.keys().copied().collect::<Vec<_>>() {
                    self.feed_island(host, Input::Staying { colony, staying: None })?;
                }
            }
            return Ok(());
        }
        let state = self.groups[group].state.clone();
        for (colony, entry) in &state.table {
            let (entry, space) = (entry.clone(), Arc::clone(&self.space));
            self.feed(host, group, Input::Table { colony: *colony, entry, space })?;
        }
        if group == ROOT {
            self.hosts[host].known = state.clone();
        }
        let Some(me) = self.shard_of(host, group).map(Shard::start) else { return Ok(()) };
        if state.is_up(me) {
            if group == ROOT {
                self.show_staying(host, &state)?;
            }
            return self.ask_fates(host, group, &state);
        }
        if state.members.contains_key(&me) || state.is_over(me) {
            let start = self.fresh_start(host);
            self.feed(host, group, Input::Reborn { start })?;
        }
        let Some(shard) = self.shard_of(host, group) else { return Ok(()) };
        let member = Member { earlier: shard.earlier().to_vec(), ..self.member(host, shard.start()) };
        self.propose(host, group, Command::Join { member, deviations: Vec::new(), plugins: Vec::new() });
        Ok(())
    }

    /// The host's shard in this group, if it lives there.
    fn shard_of(&self, host: usize, group: usize) -> Option<&Shard> {
        let it = &self.hosts[host];
        if group == ROOT {
            return Some(&it.root);
        }
        it.island.as_ref().filter(|(own, _)| *own == group).map(|(_, shard)| shard)
    }

    // Deaths.

    /// A host that lives in an island dies there with all it holds, and begins anew. If nobody else could say that it was so,
    /// nobody decides in that island from then on. Not one without whose copies a colony would be lost on the side that stays.
    pub(super) fn kill_in_island(&mut self, pick: usize) -> Result<(), String> {
        let in_islands: Vec<usize> = (0..self.hosts()).filter(|host| self.hosts[*host].island.is_some()).collect();
        let Some(host) = in_islands.get(pick % in_islands.len().max(1)).copied() else { return Ok(()) };
        let Some(group) = self.hosts[host].island.as_ref().map(|(group, _)| *group) else { return Ok(()) };
        let is_of_it = |start: &StartId| self.starts.get(start) == Some(&host);
        let runs = |start: &StartId| {
            let of = self.starts.get(start).map(|of| &self.hosts[*of].root);
            of.is_some_and(|shard| shard.start() == *start || shard.earlier().contains(start))
        };
        let root = &self.groups[ROOT].state.table;
        if root.values().any(|entry| !entry.in_sync.iter().any(|start| !is_of_it(start) && runs(start))) {
            return Ok(());
        }
        let lost: Vec<ColonyId> = self.groups[group]
            .state
            .table
            .iter()
            .filter(|(_, entry)| !entry.in_sync.is_empty() && entry.in_sync.iter().all(is_of_it))
            .map(|(colony, _)| *colony)
            .collect();
        // A process that the root has in sync and whose copy is gone has no way to say so.
        let is_served = |colony: &ColonyId| {
            let primary = root.get(colony).and_then(|entry| self.starts.get(entry.primary.as_ref()?));
            primary.is_some_and(|primary| self.hosts[*primary].island.is_none())
        };
        if !lost.iter().all(is_served) {
            return Ok(());
        }
        self.say(|| format!("h{host} dies in group {group}: {lost:?} are lost there"));
        self.note("died in an island", 1);
        self.note("colonies lost in an island", lost.len() as u64);
        self.lost.extend(lost);
        let dead = self.shard_of(host, group).map(Shard::start);
        let is_founder = self.groups[group].hosts.first() == Some(&host);
        let start = self.fresh_start(host);
        self.hosts[host].root = Shard::new(self.groups[ROOT].state.lineage, start, self.settings.clone());
        self.hosts[host].island = None;
        self.hosts[host].known = State::default();
        self.groups[group].hosts.remove(&host);
        if is_founder {
            self.groups[group].leaderless = Some(self.now);
        } else if let Some(start) = dead {
            self.commit(group, &Command::Dead { start, deviations: Vec::new() });
        }
        Ok(())
    }

    /// An island's group holds a host of it for dead that lives, and that gets its copies back: the root may have it in sync
    /// of others, and a process whose copy is gone has no way to say so.
    pub(super) fn misjudge(&mut self, pick: usize) {
        let is_one_of_many = |host: &usize| {
            self.hosts[*host].island.as_ref().is_some_and(|(group, _)| {
                let group = &self.groups[*group];
                let is_its = |start: &StartId| self.starts.get(start) == Some(host);
                let is_alone = |set: &[StartId]| !set.iter().any(is_its) || set.iter().all(is_its);
                let mut sets = group.state.table.values().map(|entry| entry.in_sync.as_slice());
                group.hosts.len() > 1 && group.leaderless.is_none() && sets.all(is_alone)
            })
        };
        let judged: Vec<usize> = (0..self.hosts()).filter(is_one_of_many).collect();
        let Some(host) = judged.get(pick % judged.len().max(1)).copied() else { return };
        let Some((group, start)) = self.hosts[host].island.as_ref().map(|(group, shard)| (*group, shard.start()))
        else {
            return;
        };
        self.note("held for dead in an island", 1);
        self.commit(group, &Command::Dead { start, deviations: Vec::new() });
    }

    /// The island that this host lives in decides nothing any more: it goes on alone, if the root is in reach.
    fn go_on_alone(&mut self, host: usize) -> Result<(), String> {
        let Some((group, shard)) = &self.hosts[host].island else { return Ok(()) };
        let (group, left, start) = (*group, shard.left(), shard.start());
        let is_due = self.groups[group].leaderless.is_some_and(|since| self.now >= since + LEADERLESS_FOR);
        if !is_due || !self.hears(host, ROOT) || left.open == 0 || left.taken_in > 0 {
            return Ok(());
        }
        let (copies, earlier) = (shard.ends(), shard.earlier().to_vec());
        let me = Member { earlier, ..self.member(host, start) };
        let next = self.fresh_start(host);
        let number = self.groups.len();
        let lineage = LineageId(100 + number as u128);
        let alone = self.groups[group].state.alone(lineage, &me, self.member(host, next), copies);
        let Some(alone) = alone.filter(|alone| alone.is_up(next)) else {
            return Err(format!("h{host} cannot go on alone: {}", self.standing()));
        };
        let mut begun = State::default();
        if begun.apply(&Command::Island { state: Box::new(alone) }) != Outcome::Applied {
            return Err(format!("nothing begins with what h{host} has"));
        }
        self.say(|| format!("h{host} goes on alone from group {group} in group {number}"));
        self.note("gone on alone", 1);
        let (now, mut out, mut there) = (self.now(), Vec::new(), Vec::new());
        let Some((_, mut shard)) = self.hosts[host].island.take() else { return Ok(()) };
        let copies = shard.fork(now, &mut out);
        let mut shard = Shard::apart(lineage, next, self.settings.clone());
        shard.take_over(now, copies, &mut there);
        self.hosts[host].island = Some((number, shard));
        self.groups[group].hosts.remove(&host);
        self.groups.push(Group { state: begun, hosts: BTreeSet::from([host]), leaderless: None });
        self.push_tables(number);
        self.carry_out(host, group, out)?;
        self.carry_out(host, number, there)
    }

    /// The island's shard hears how colonies stand on the side that stays.
    fn show_staying(&mut self, host: usize, state: &State) -> Result<(), String> {
        let Some((group, _)) = &self.hosts[host].island else { return Ok(()) };
        let (me, island) = (self.hosts[host].root.start(), self.groups[*group].state.clone());
        for colony in state.table.keys() {
            if let Some(staying) = state.seen_from(&island, *colony, me) {
                self.feed_island(host, Input::Staying { colony: *colony, staying: Some(Arc::new(staying)) })?;
            }
        }
        Ok(())
    }

    fn ask_fates(&mut self, host: usize, group: usize, state: &State) -> Result<(), String> {
        let Some(shard) = self.shard_of(host, group) else { return Ok(()) };
        let (earlier, now) = (shard.earlier().to_vec(), shard.start());
        let kept: Vec<(StartId, ColonyId)> = shard.kept().map(|(dead, replica)| (dead, replica.colony())).collect();
        for (dead, colony) in kept {
            if let Some(restore) = state.restoration(colony, &earlier, now) {
                self.propose(host, group, restore);
                continue;
            }
            let fate = state.fate(colony, &earlier, now);
            self.feed(host, group, Input::Fate { colony, dead, fate })?;
        }
        Ok(())
    }

    fn propose(&mut self, host: usize, group: usize, command: Command) {
        if self.hears(host, group) && !self.dice.chance(self.loss) {
            let delay = self.dice.between(500, 10_000);
            self.after(delay, Event::Commit(group, command));
        }
    }

    // Shards.

    fn feed_island(&mut self, host: usize, input: Input) -> Result<(), String> {
        match self.hosts[host].island.as_ref().map(|(group, _)| *group) {
            Some(group) => self.feed(host, group, input),
            None => Ok(()),
        }
    }

    fn feed(&mut self, host: usize, group: usize, input: Input) -> Result<(), String> {
        let (now, mut out) = (self.now(), Vec::new());
        let at = &mut self.hosts[host];
        let shard = match &mut at.island {
            Some((own, shard)) if *own == group => shard,
            _ if group == ROOT => &mut at.root,
            _ => return Ok(()),
        };
        panics::caught(|| shard.handle(now, input, &mut out)).map_err(|panic| format!("h{host}.{group}: {panic}"))?;
        let returning = shard.returning();
        self.carry_out(host, group, out)?;
        if !returning.is_empty() {
            let (now, mut out) = (self.now(), Vec::new());
            self.hosts[host].root.take_over(now, returning, &mut out);
            self.carry_out(host, ROOT, out)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, host: usize, group: usize, outputs: Vec<Output>) -> Result<(), String> {
        for output in outputs {
            if let Output::Heal(message) = &output {
                self.say(|| format!("h{host}.{group} {} to {}: {:?}", message.colony, message.to, message.body));
            }
            match output {
                Output::Send { to, message, .. } => self.send(host, to, |to| Event::Peer(to, message)),
                Output::Heal(message) => self.send(host, message.to, |to| Event::Heal(to, message)),
                Output::Reply { to, reply } => match keeper_of(to.0) {
                    Some(keeper) => self.kept(keeper, to.0, &reply)?,
                    None => self.answered(to.0, &reply),
                },
                Output::Propose(command) => self.propose(host, group, command),
                Output::ProposeStaying(command) => self.propose(host, ROOT, command),
                Output::ReadGroup { colony, nonce } => {
                    if self.hears(host, group) {
                        let entry = self.groups[group].state.table.get(&colony).cloned();
                        self.feed(host, group, Input::GroupRead { colony, nonce, entry })?;
                    }
                }
                Output::Joined { how, .. } => self.note(
                    match how {
                        Joined::Same => "sessions equal",
                        Joined::Taken => "sessions taken",
                        Joined::Merged => "merged",
                        Joined::Overridden { .. } => "overridden",
                        Joined::Ended => "ended at heal",
                    },
                    1,
                ),
                Output::Doubled { request, .. } => {
                    self.note("doubled and said so", 1);
                    self.doubled.insert(request);
                }
                Output::TakenIn { colony } => self.feed(host, ROOT, Input::TakenIn { colony })?,
                Output::Merge { ticket, conflict, .. } => {
                    let longest = self.dice.pick(&MERGED_WITHIN);
                    let delay = self.dice.between(100, longest);
                    self.after(delay, Event::Merged(host, group, ticket, Box::new(conflict)));
                }
                Output::TooLarge { .. } => return Err(format!("unexpected: {output:?}")),
                Output::FetchTable { .. } => {
                    let delay = self.dice.between(500, 3_000);
                    self.after(delay, Event::Table(host, group));
                }
                Output::Decided { .. } | Output::FellBack { .. } | Output::ExpiryHeld { .. } => {}
            }
        }
        Ok(())
    }

    fn send(&mut self, from: usize, to: StartId, event: impl FnOnce(usize) -> Event) {
        let Some(to) = self.starts.get(&to).copied() else { return };
        if self.reaches(from, to) && !self.dice.chance(self.loss) {
            let delay = self.dice.between(50, 4_000);
            self.after(delay, event(to));
        }
    }

    // Time.

    pub(super) fn run_for(&mut self, millis: u64) -> Result<(), String> {
        let end = self.now.0 + millis * 1000;
        while self.now.0 < end {
            self.step(end)?;
        }
        Ok(())
    }

    pub(super) fn stop_clients(&mut self) {
        self.calls_open = false;
    }

    /// Until every host lives in the root alone.
    pub(super) fn run_until_one(&mut self) -> Result<(), String> {
        self.run_while("islands are not over", |world| world.hosts.iter().any(|host| host.island.is_some()))
    }

    /// Until nobody waits for anything.
    pub(super) fn run_until_quiet(&mut self) -> Result<(), String> {
        self.run_until_one()?;
        self.run_while("clients are not answered", |world| world.clients.iter().any(|client| !client.is_idle()))?;
        let copies = usize::from(self.space.policy.copies);
        self.run_while("colonies lack copies", move |world| {
            world.groups[ROOT].state.table.values().any(|entry| {
                entry.primary.is_none()
                    || entry.in_sync.len() < copies
                    || entry.in_sync.iter().any(|start| !entry.is_wanted(*start))
            })
        })?;
        self.run_while("copies are not even", |world| {
            world.copies().any(|(primary, copy)| primary.position() != copy.position())
        })
    }

    /// Every in-sync copy beside its primary.
    pub(super) fn copies(&self) -> impl Iterator<Item = (&Replica, &Replica)> {
        self.groups[ROOT].state.table.iter().flat_map(move |(colony, entry)| {
            let replica = move |start: &StartId| self.hosts[*self.starts.get(start)?].root.replica(*colony);
            let primary = entry.primary.as_ref().and_then(replica);
            entry.in_sync.iter().filter_map(move |start| Some((primary?, replica(start)?)))
        })
    }

    pub(super) fn primary_of(&self, colony: ColonyId, group: usize) -> Option<usize> {
        let primary = self.groups[group].state.table.get(&colony)?.primary?;
        self.starts.get(&primary).copied()
    }

    fn run_while(&mut self, what: &str, goes_on: impl Fn(&Self) -> bool) -> Result<(), String> {
        let end = self.now + QUIET_WITHIN;
        while goes_on(self) {
            if self.now > end {
                return Err(format!("{what} after {} s: {}", QUIET_WITHIN.as_secs(), self.standing()));
            }
            let until = self.now.0 + 50_000;
            while self.now.0 < until {
                self.step(until)?;
            }
        }
        Ok(())
    }

    /// How things stand, for who looks for the cause.
    fn standing(&self) -> String {
        let mut lines = Vec::new();
        for (group, it) in self.groups.iter().enumerate() {
            for (colony, entry) in &it.state.table {
                lines.push(format!("group {group} {colony}: {entry:?}"));
            }
        }
        for (number, host) in self.hosts.iter().enumerate() {
            let island = host.island.as_ref();
            let of = |shard: &Shard| -> Vec<String> {
                let one = |it: &Replica| {
                    format!("{} {:?} {:?} taken in {}", it.colony(), it.part(), it.position(), it.is_taken_in())
                };
                shard.replicas().map(one).collect()
            };
            lines.push(format!(
                "h{number} {:?} root {:?} island {:?} done {:?}",
                host.root.start(),
                of(&host.root),
                island.map(|(group, shard)| (group, of(shard))),
                island.map(|(_, shard)| shard.is_done())
            ));
        }
        lines.join("\n")
    }

    fn step(&mut self, end: u64) -> Result<(), String> {
        let due = self.events.first_key_value().map(|((at, _), _)| *at);
        let Some(at) = due.filter(|at| *at <= end) else {
            self.now = Time(end);
            return Ok(());
        };
        self.now = Time(at);
        let Some((_, event)) = self.events.pop_first() else { return Ok(()) };
        match event {
            Event::Peer(host, message) => {
                let group = self.group_of(host, message.lineage);
                group.map_or(Ok(()), |group| self.feed(host, group, Input::Peer(message)))
            }
            Event::Heal(host, message) => {
                let group = self.group_of(host, message.to_lineage);
                group.map_or(Ok(()), |group| self.feed(host, group, Input::Heal(message)))
            }
            Event::Commit(group, command) => {
                if group != ROOT || !self.is_cut || !self.is_rootless {
                    self.commit(group, &command);
                }
                Ok(())
            }
            Event::Table(host, group) => self.hear_table(host, group),
            Event::Merged(host, group, ticket, conflict) => {
                let decided = by_rules(&counting(), &conflict).ok_or("counters never reject")?;
                self.note("asked", 1);
                self.feed(host, group, Input::Merged { ticket, answer: Ok(decided.resolution) })
            }
            Event::Tick(host) => {
                self.after(TICK, Event::Tick(host));
                self.feed(host, ROOT, Input::Tick)?;
                self.feed_island(host, Input::Tick)?;
                self.go_on_alone(host)?;
                let is_done = self.hosts[host].island.as_ref().is_some_and(|(_, shard)| shard.is_done());
                if is_done && self.hears(host, ROOT) {
                    self.say(|| format!("h{host} is back"));
                    self.hosts[host].island = None;
                    self.feed(host, ROOT, Input::Back)?;
                }
                Ok(())
            }
            Event::Plan => {
                self.after(500_000, Event::Plan);
                for group in 0..self.groups.len() {
                    let is_led = if group == ROOT { !self.is_cut || !self.is_rootless } else { true };
                    if is_led {
                        self.plan(group);
                    }
                }
                for host in 0..self.hosts() {
                    self.after(1_000, Event::Table(host, ROOT));
                }
                Ok(())
            }
            Event::Request(host, group, sent) => self.deliver(host, group, *sent),
            Event::Client(client, alarm) => {
                if self.clients[client].alarm == alarm {
                    self.act(client);
                }
                Ok(())
            }
            Event::Keeper(keeper) => {
                self.keep(keeper);
                Ok(())
            }
        }
    }

    fn group_of(&self, host: usize, lineage: LineageId) -> Option<usize> {
        let island = self.hosts[host].island.as_ref().map(|(group, _)| *group);
        [Some(ROOT), island].into_iter().flatten().find(|group| self.groups[*group].state.lineage == lineage)
    }

    fn deliver(&mut self, host: usize, group: usize, sent: Sent) -> Result<(), String> {
        let Sent { near, call, request } = sent;
        if !self.reaches(near, host) {
            return Ok(());
        }
        let group = if group == ROOT || self.hosts[host].island.as_ref().is_some_and(|(own, _)| *own == group) {
            group
        } else {
            return Ok(());
        };
        self.feed(host, group, Input::Request { from: colony_core::colony::Caller(call), request })
    }
}
