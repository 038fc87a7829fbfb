//! A placement plugin that decides for a share of the colonies: it moves those and no others, whatever it says, and taken
//! back it leaves nothing behind.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use colony_core::group::{Command, Member, MemberState, Outcome, PluginVersion, Refusal, State};
use colony_core::placement::{Candidate, Even, Placement, Planner, Request, Role, Score, Silent};
use colony_wire::admin::Policy;
use colony_wire::limits::MAX_PLUGIN_VERSIONS;
use colony_wire::plugin::{ContentId, PluginKind};
use colony_wire::{ClusterId, ColonyId, LineageId, RaftId, StartId};

const BUCKETS: u32 = 64;
const OLD: ContentId = ContentId([1; 32]);
const NEW: ContentId = ContentId([2; 32]);

type Wants = BTreeMap<ColonyId, Vec<StartId>>;

// ---- A cluster of hosts h1, h2, ..., with an active placement plugin and a newer version of it. ----

fn member(number: u64) -> Member {
    Member {
        start: StartId(number),
        name: format!("h{number}"),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7400)),
        shards: 1,
        labels: BTreeMap::new(),
        raft: RaftId(number),
        earlier: Vec::new(),
        state: MemberState::Up,
    }
}

#[track_caller]
fn apply(state: &mut State, command: &Command) {
    let command = Command::decode(&command.encode()).expect("it was encoded here");
    let outcome = state.apply(&command);
    assert!(!matches!(outcome, Outcome::Refused(_)), "{command:?} gave {outcome:?}");
}

#[track_caller]
fn refused(state: &mut State, command: &Command) -> Refusal {
    let before = state.clone();
    let outcome = state.apply(command);
    assert_eq!(*state, State { revision: state.revision, ..before }, "a refused command changes nothing");
    let Outcome::Refused(why) = outcome else { panic!("{command:?} gave {outcome:?}") };
    why
}

fn install(name: &str, kind: PluginKind, content: ContentId) -> Command {
    Command::InstallPlugin { name: name.into(), kind, version: PluginVersion { content, size: 9, forced: false } }
}

fn everybody(state: &State) -> Vec<StartId> {
    state.up().map(|member| member.start).collect()
}

fn begin(state: &State, content: ContentId, percent: u8) -> Command {
    Command::BeginCanary { name: "zones".into(), content, percent, compiled: everybody(state) }
}

fn end() -> Command {
    Command::EndCanary { name: "zones".into(), content: NEW }
}

fn use_it(state: &State, name: &str, content: ContentId) -> Command {
    Command::UsePlugin { name: name.into(), content, compiled: everybody(state) }
}

fn cluster(hosts: u64) -> State {
    let mut state = State::default();
    apply(&mut state, &Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member: member(1) });
    for number in 2..=hosts {
        apply(&mut state, &Command::Join { member: member(number), deviations: Vec::new(), plugins: Vec::new() });
    }
    let policy = Policy { copies: 2, buckets: BUCKETS, ..Policy::default() };
    let placement = Planner::new(&state, &Even).place_namespace("cart", &policy).expect("it can be placed");
    apply(&mut state, &Command::CreateNamespace { name: "cart".into(), policy, placement });
    for content in [OLD, NEW] {
        apply(&mut state, &install("zones", PluginKind::Placement, content));
    }
    let old = use_it(&state, "zones", OLD);
    apply(&mut state, &old);
    state
}

fn wants(state: &State) -> Wants {
    state.table.iter().map(|(colony, entry)| (*colony, entry.want.clone())).collect()
}

fn share(state: &State, percent: u8) -> BTreeSet<ColonyId> {
    state.share(percent).collect()
}

/// The colonies whose copies are to live elsewhere than before.
fn moved(before: &Wants, state: &State) -> BTreeSet<ColonyId> {
    let set = |want: &[StartId]| want.iter().copied().collect::<BTreeSet<_>>();
    let changed = |(colony, want): &(&ColonyId, &Vec<StartId>)| {
        let now = &state.table[*colony].want;
        set(now) != set(want) || now.first() != want.first()
    };
    before.iter().filter(changed).map(|(colony, _)| *colony).collect()
}

/// Every copy that is wanted catches up, in the order of `PROTOCOL.md` 6.5: adds, swaps, then removes.
fn catch_up(state: &mut State) {
    for colony in state.table.keys().copied().collect::<Vec<_>>() {
        loop {
            let entry = &state.table[&colony];
            let Some(primary) = entry.primary else { break };
            let (cfg, reign) = (entry.cfg, entry.reign);
            let change = |add, remove| Command::ChangeInSync { colony, cfg, reign, by: primary, add, remove };
            let missing = entry.want.iter().find(|start| !entry.is_in_sync(**start));
            let surplus = entry.in_sync.iter().find(|start| !entry.is_wanted(**start));
            let step = match (missing, entry.want.first(), surplus) {
                (Some(missing), ..) => change(Some(*missing), Vec::new()),
                (None, Some(lead), _) if *lead != primary => Command::Swap { colony, cfg, from: primary, to: *lead },
                (None, _, Some(surplus)) => change(None, vec![*surplus]),
                (None, _, None) => break,
            };
            apply(state, &step);
        }
    }
}

/// The leader plans until there is nothing to plan; what was wrong with the answers.
fn settle(state: &mut State, placement: &dyn Placement, canary: &dyn Placement) -> Vec<String> {
    let mut problems = Vec::new();
    for _ in 0..8 {
        let planner = Planner::new(state, placement).with_canary(Some(canary));
        let Some(proposal) = planner.rebalance("test") else { return problems };
        problems.extend(proposal.problems);
        apply(state, &proposal.command);
        catch_up(state);
    }
    panic!("there is always something to move");
}

/// An opinion of each host by its name.
struct Opinion<F>(F);

impl<F: Fn(&str) -> Score> Placement for Opinion<F> {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        Ok(request.hosts.iter().map(|host| (self.0)(&host.name)).collect())
    }
}

/// Wants every primary on the first host, and its copies wherever they are.
struct Herd;

impl Placement for Herd {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        let is_liked = |host: &Candidate| request.role == Role::Secondary || host.name == "h1";
        Ok(request.hosts.iter().map(|host| Score::Weight(if is_liked(host) { 1000 } else { -1000 })).collect())
    }
}

// ---- What the group keeps. ----

/// A share is of about the size that was asked for, and a larger one holds a smaller one.
#[test]
fn a_share_hangs_on_the_colonies_names_alone() {
    let state = cluster(3);
    let mut smaller = BTreeSet::new();
    for percent in 1..100 {
        let share = share(&state, percent);
        assert!(share.is_superset(&smaller), "{percent}");
        smaller = share;
    }
    for (percent, expected) in [(10, 1..=13), (50, 20..=44)] {
        let count = share(&state, percent).len();
        assert!(expected.contains(&count), "{count} of {BUCKETS} for {percent} %");
    }
    assert_eq!(share(&state, 10), share(&cluster(5), 10), "whoever the hosts are");
}

/// Whatever is tried runs on every host that is up, and on those that come.
#[test]
fn a_canary_is_compiled_everywhere_before_it_decides() {
    let mut state = cluster(2);
    let missing = |start| Refusal::NotCompiled { name: "zones".into(), start: StartId(start) };
    let by_one = Command::BeginCanary { name: "zones".into(), content: NEW, percent: 10, compiled: vec![StartId(1)] };
    assert_eq!(refused(&mut state, &by_one), missing(2));
    let command = begin(&state, NEW, 10);
    apply(&mut state, &command);
    let join = |plugins| Command::Join { member: member(3), deviations: Vec::new(), plugins };
    assert_eq!(refused(&mut state, &join(vec![OLD])), missing(3));
    apply(&mut state, &join(vec![OLD, NEW]));
    assert_eq!(state.placement_plugin(), Some(("zones", OLD)), "it decides for no other colony");
}

#[test]
fn what_is_no_canary_is_refused_by_name() {
    let mut state = cluster(2);
    let name = || "zones".to_owned();
    for percent in [0, 100, 255] {
        let command = begin(&state, NEW, percent);
        assert!(matches!(refused(&mut state, &command), Refusal::Malformed(_)));
    }
    let active = begin(&state, OLD, 10);
    assert_eq!(refused(&mut state, &active), Refusal::DecidesAlready { name: name(), content: OLD });
    let unknown = begin(&state, ContentId([9; 32]), 10);
    assert!(matches!(refused(&mut state, &unknown), Refusal::NoVersion { .. }));
    apply(&mut state, &install("cart", PluginKind::Merge, ContentId([3; 32])));
    let merge = Command::BeginCanary {
        name: "cart".into(),
        content: ContentId([3; 32]),
        percent: 10,
        compiled: everybody(&state),
    };
    assert_eq!(refused(&mut state, &merge), Refusal::OtherKind { name: "cart".into(), kind: PluginKind::Merge });
    assert_eq!(refused(&mut state, &end()), Refusal::NoCanary { name: name() });
}

/// Versions that are not needed make room for new ones; the one that is tried is needed.
#[test]
fn a_canary_is_not_dropped_for_room() {
    let mut state = cluster(2);
    let command = begin(&state, NEW, 10);
    apply(&mut state, &command);
    for number in 10..10 + u8::try_from(2 * MAX_PLUGIN_VERSIONS).unwrap() {
        apply(&mut state, &install("zones", PluginKind::Placement, ContentId([number; 32])));
    }
    assert!(state.plugins["zones"].version(NEW).is_some() && state.plugins["zones"].version(OLD).is_some());
    assert_eq!(state.needed_plugins().count(), 2);
}

// ---- What it moves. ----

/// It moves its share and nothing else, not even to even out what it made uneven; taken back, every copy goes where
/// it was.
#[test]
fn a_canary_moves_its_share_only_and_taken_back_brings_it_home() {
    let mut state = cluster(4);
    let before = wants(&state);
    let command = begin(&state, NEW, 25);
    apply(&mut state, &command);
    settle(&mut state, &Even, &Herd);
    let share = share(&state, 25);
    assert!(!share.is_empty() && moved(&before, &state).is_subset(&share), "{:?}", moved(&before, &state));
    let leads = |colony: &ColonyId| state.table[colony].primary == Some(StartId(1));
    assert!(share.iter().all(leads), "it decides for all its colonies");

    apply(&mut state, &end());
    assert_eq!(wants(&state), before, "as if it had never been");
    catch_up(&mut state);
    settle(&mut state, &Even, &Herd);
    assert_eq!(wants(&state), before, "and nothing is to be evened out");
    assert_eq!(state.canary, None);
}

/// A share that grows takes more colonies, one that shrinks gives some back, and the homes stay those of the beginning.
#[test]
fn a_share_grows_and_shrinks_around_the_same_colonies() {
    let mut state = cluster(4);
    let before = wants(&state);
    for percent in [10, 50, 25] {
        let command = begin(&state, NEW, percent);
        apply(&mut state, &command);
        settle(&mut state, &Even, &Herd);
        let share = share(&state, percent);
        assert!(moved(&before, &state).is_subset(&share), "{percent} %");
        assert!(share.iter().all(|colony| state.table[colony].primary == Some(StartId(1))), "{percent} %");
    }
    apply(&mut state, &end());
    assert_eq!(wants(&state), before);
}

/// Used, it decides for all; the colonies that it had stay where they are.
#[test]
fn a_canary_that_is_used_decides_for_all() {
    let mut state = cluster(4);
    let command = begin(&state, NEW, 25);
    apply(&mut state, &command);
    settle(&mut state, &Even, &Herd);
    let tried = wants(&state);
    let command = use_it(&state, "zones", NEW);
    apply(&mut state, &command);
    assert_eq!((state.canary.as_ref(), state.placement_plugin()), (None, Some(("zones", NEW))));
    assert_eq!(wants(&state), tried);
    settle(&mut state, &Herd, &Even);
    assert!(state.table.values().all(|entry| entry.primary == Some(StartId(1))));
}

/// Its plugin uninstalled, or another one used, it is over.
#[test]
fn a_canary_ends_with_its_plugin() {
    let mut state = cluster(4);
    apply(&mut state, &install("racks", PluginKind::Placement, ContentId([5; 32])));
    let before = wants(&state);
    let command = begin(&state, NEW, 25);
    apply(&mut state, &command);
    settle(&mut state, &Even, &Herd);
    let mut other = state.clone();
    apply(&mut state, &Command::UninstallPlugin { name: "zones".into() });
    assert_eq!((&state.canary, wants(&state)), (&None, before));
    let command = use_it(&other, "racks", ContentId([5; 32]));
    apply(&mut other, &command);
    assert_eq!(other.canary, None);
}

/// A home that is gone or about to leave is none: the colony stays where it is, and the planner has it.
#[test]
fn a_colony_whose_home_is_gone_stays() {
    let mut state = cluster(4);
    let before = wants(&state);
    let command = begin(&state, NEW, 50);
    apply(&mut state, &command);
    settle(&mut state, &Even, &Opinion(|host: &str| Score::Weight(if host == "h4" { -1000 } else { 0 })));
    apply(&mut state, &Command::Dead { start: StartId(4), deviations: Vec::new() });
    apply(&mut state, &Command::Drain { starts: vec![StartId(3)] });
    apply(&mut state, &end());
    for (colony, entry) in &state.table {
        let new: Vec<_> = entry.want.iter().filter(|start| !entry.is_in_sync(**start)).collect();
        assert!(new.iter().all(|start| state.members[*start].state == MemberState::Up), "{colony} goes to {new:?}");
        assert!(before[colony].len() >= entry.want.len());
    }
}

// ---- Canaries that mean harm. ----

/// Says something else with every call, of every useless kind.
struct Moody(Cell<usize>);

impl Placement for Moody {
    fn rank(&self, request: &Request<'_>) -> Result<Vec<Score>, Silent> {
        let asked = self.0.replace(self.0.get() + 1);
        match asked % 4 {
            0 => Err(Silent { why: "trapped".into() }),
            1 => Ok(vec![Score::Weight(i32::MIN); request.hosts.len() + 1]),
            2 => Ok(vec![Score::Veto("no".into()); request.hosts.len()]),
            _ => Ok(Vec::new()),
        }
    }
}

/// One that traps, answers nonsense or vetoes every host is as none: its colonies are the other plugin's, which is
/// heard as ever.
#[test]
fn a_canary_that_means_harm_touches_nothing() {
    // Asked until it is silenced, the plugin itself would be heard no more, and "h4" keep its copies.
    let no_h4 = Opinion(|host: &str| if host == "h4" { Score::Veto("old".into()) } else { Score::Weight(0) });
    let mut state = cluster(4);
    settle(&mut state, &no_h4, &Even);
    let before = wants(&state);
    assert!(before.values().flatten().all(|start| *start != StartId(4)));
    let command = begin(&state, NEW, 50);
    apply(&mut state, &command);
    settle(&mut state, &no_h4, &Moody(Cell::new(0)));
    assert_eq!(moved(&before, &state), BTreeSet::new());

    // It is told, and asked no more than a few times for a plan, when there is something to plan.
    apply(&mut state, &Command::Join { member: member(5), deviations: Vec::new(), plugins: vec![OLD, NEW] });
    let moody = Moody(Cell::new(0));
    let problems = settle(&mut state, &no_h4, &moody);
    assert!(problems.iter().any(|problem| problem == "canary: placement gave no answer: trapped"), "{problems:?}");
    assert!(problems.iter().any(|problem| problem == "canary: it vetoes every host"), "{problems:?}");
    assert!(moved(&before, &state).is_subset(&share(&state, 50)));
    assert!(wants(&state).values().flatten().all(|start| *start != StartId(4)), "the veto of the plugin stands");
}

/// A death is answered for all colonies, whatever the canary says of those that are its own.
#[test]
fn a_death_is_answered_under_a_canary_that_vetoes_every_host() {
    let mut state = cluster(4);
    let command = begin(&state, NEW, 50);
    apply(&mut state, &command);
    let nobody = Opinion(|_: &str| Score::Veto("no".into()));
    let deviations = Planner::new(&state, &Even).with_canary(Some(&nobody)).heirs(StartId(1));
    apply(&mut state, &Command::Dead { start: StartId(1), deviations });
    assert!(state.table.values().all(|entry| entry.primary.is_some()));
    settle(&mut state, &Even, &nobody);
    assert!(state.table.values().all(|entry| entry.want.len() == 2), "what is missing is made good");
}

/// A host that is to leave is emptied, whichever colonies are tried.
#[test]
fn a_canary_keeps_nobody_from_leaving() {
    let mut state = cluster(4);
    let command = begin(&state, NEW, 25);
    apply(&mut state, &command);
    settle(&mut state, &Even, &Herd);
    apply(&mut state, &Command::Drain { starts: vec![StartId(1)] });
    settle(&mut state, &Even, &Herd);
    let holds = |want: &&Vec<StartId>| want.contains(&StartId(1));
    assert_eq!(wants(&state).values().filter(holds).count(), 0);
}

#[test]
fn where_nothing_is_tried_no_canary_is_asked() {
    let state = cluster(4);
    let plain = Planner::new(&state, &Herd).rebalance("test");
    assert_eq!(plain, Planner::new(&state, &Herd).with_canary(Some(&Even)).rebalance("test"));
}
