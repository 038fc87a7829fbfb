//! Plugins that the group keeps: what is installed, which version decides, and who must have compiled it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use colony_core::group::{Command, Member, MemberState, Outcome, PluginVersion, Refusal, State};
use colony_wire::admin::{MergeBy, Policy};
use colony_wire::limits::{MAX_PLUGIN_BYTES, MAX_PLUGIN_VERSIONS, MAX_PLUGINS, MAX_PLUGINS_BYTES};
use colony_wire::plugin::{ContentId, PluginKind};
use colony_wire::{ClusterId, LineageId, RaftId, StartId};
use proptest::prelude::*;

const A: StartId = StartId(0xa);
const B: StartId = StartId(0xb);
const C: StartId = StartId(0xc);

const KIB: u32 = 1024;

fn content(number: u8) -> ContentId {
    ContentId([number; 32])
}

fn member(start: StartId, name: &str) -> Member {
    Member {
        start,
        name: name.to_owned(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 7400)),
        shards: 1,
        labels: BTreeMap::new(),
        raft: RaftId(start.0),
        earlier: Vec::new(),
        state: MemberState::Up,
    }
}

fn join(start: StartId, name: &str, plugins: &[ContentId]) -> Command {
    Command::Join { member: member(start, name), deviations: Vec::new(), plugins: plugins.to_vec() }
}

fn install(name: &str, kind: PluginKind, number: u8) -> Command {
    let version = PluginVersion { content: content(number), size: 50 * KIB, forced: false };
    Command::InstallPlugin { name: name.into(), kind, version }
}

fn merger(name: &str, number: u8) -> Command {
    install(name, PluginKind::Merge, number)
}

fn use_it(name: &str, number: u8, compiled: &[StartId]) -> Command {
    Command::UsePlugin { name: name.into(), content: content(number), compiled: compiled.to_vec() }
}

fn roll_back(name: &str, from: u8, to: u8) -> Command {
    Command::RollBackPlugin { name: name.into(), from: content(from), to: content(to), compiled: vec![A, B] }
}

fn uninstall(name: &str) -> Command {
    Command::UninstallPlugin { name: name.into() }
}

fn namespace(merge: &str) -> Command {
    let policy = Policy { copies: 1, buckets: 1, merge: MergeBy::Plugin(merge.into()), ..Policy::default() };
    Command::CreateNamespace { name: "shop".into(), policy, placement: vec![vec![A]] }
}

/// Hosts a and b.
fn group() -> State {
    let mut state = State::default();
    let genesis = Command::Genesis { cluster: ClusterId(1), lineage: LineageId(7), member: member(A, "a") };
    for command in [genesis, join(B, "b", &[])] {
        assert_eq!(state.apply(&command), Outcome::Applied);
    }
    state
}

#[track_caller]
fn applied(state: &mut State, commands: &[Command]) {
    for command in commands {
        assert_eq!(state.apply(command), Outcome::Applied, "{command:?}");
    }
}

/// The command is refused, and nothing but the revision changes.
#[track_caller]
fn refused(state: &mut State, command: &Command) -> Refusal {
    let mut before = state.clone();
    let outcome = state.apply(command);
    before.revision.0 += 1;
    assert_eq!(*state, before, "a refused command changes nothing");
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{command:?} gave {other:?}"),
    }
}

fn active(state: &State, name: &str) -> Option<u8> {
    state.plugins[name].active.map(|content| content.0[0])
}

/// What is installed decides nothing before it is used.
#[test]
fn an_installed_version_waits_to_be_used() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1)]);
    assert_eq!((active(&state, "cart"), state.active_plugins().count()), (None, 0));
    applied(&mut state, &[use_it("cart", 1, &[A, B]), merger("cart", 2)]);
    assert_eq!(active(&state, "cart"), Some(1), "a newer version does not decide by being there");
}

/// B29: A version that a host which is up has not compiled decides nowhere; the dead are not waited for.
#[test]
fn every_host_that_is_up_has_compiled_what_is_used() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1)]);
    let missing = Refusal::NotCompiled { name: "cart".into(), start: B };
    assert_eq!(refused(&mut state, &use_it("cart", 1, &[A])), missing);
    applied(&mut state, &[Command::Dead { start: B, deviations: Vec::new() }, use_it("cart", 1, &[A])]);
    assert_eq!(active(&state, "cart"), Some(1));
}

/// Nobody is admitted who could be asked to merge and could not.
#[test]
fn a_joiner_has_compiled_what_is_active() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1), use_it("cart", 1, &[A, B]), merger("cart", 2)]);
    let missing = Refusal::NotCompiled { name: "cart".into(), start: C };
    assert_eq!(refused(&mut state, &join(C, "c", &[])), missing);
    assert_eq!(refused(&mut state, &join(C, "c", &[content(2)])), missing);
    applied(&mut state, &[join(C, "c", &[content(1)])]);
    assert_eq!(
        refused(&mut state, &use_it("cart", 2, &[A, B])),
        Refusal::NotCompiled { name: "cart".into(), start: C }
    );
}

/// Each rollback goes one version further back, and not again to the one that was found wanting.
#[test]
fn rollbacks_go_back_in_order() {
    let mut state = group();
    for number in 1..=3 {
        applied(&mut state, &[merger("cart", number), use_it("cart", number, &[A, B])]);
    }
    applied(&mut state, &[roll_back("cart", 3, 2)]);
    assert_eq!(active(&state, "cart"), Some(2));
    let changed = Refusal::PluginChanged { name: "cart".into() };
    assert_eq!(refused(&mut state, &roll_back("cart", 3, 2)), changed, "heard twice it goes back once");
    assert_eq!(refused(&mut state, &roll_back("cart", 2, 3)), changed);
    applied(&mut state, &[roll_back("cart", 2, 1)]);
    assert_eq!(refused(&mut state, &roll_back("cart", 1, 3)), changed, "there is nothing before the first");
    applied(&mut state, &[use_it("cart", 3, &[A, B])]);
    assert_eq!(active(&state, "cart"), Some(3), "it is kept all the same");
}

/// The version that decides is never dropped for room, and a rollback leads to nothing that was.
#[test]
fn versions_are_bounded_and_the_active_one_stays() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1), merger("cart", 2), use_it("cart", 2, &[A, B])]);
    applied(&mut state, &[use_it("cart", 1, &[A, B])]);
    for number in 3..20 {
        applied(&mut state, &[merger("cart", number)]);
        assert!(state.plugins["cart"].versions.len() <= MAX_PLUGIN_VERSIONS);
    }
    let plugin = &state.plugins["cart"];
    assert!(plugin.version(content(1)).is_some() && plugin.version(content(2)).is_none());
    assert_eq!((plugin.active, plugin.before.as_slice()), (Some(content(1)), [].as_slice()));
}

/// B29: What is heard twice is done once; what contradicts what is there is refused by name.
#[test]
fn a_name_has_one_kind_and_bytes_have_one_name() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1), merger("cart", 1)]);
    assert_eq!(state.plugins["cart"].versions.len(), 1);
    let kind = PluginKind::Merge;
    let other = install("cart", PluginKind::Placement, 2);
    assert_eq!(refused(&mut state, &other), Refusal::OtherKind { name: "cart".into(), kind });
    let again = Refusal::InstalledAs { content: content(1), name: "cart".into() };
    assert_eq!(refused(&mut state, &merger("basket", 1)), again);
    assert!(matches!(refused(&mut state, &merger("Cart!", 3)), Refusal::Malformed(_)));
    assert_eq!(refused(&mut state, &use_it("basket", 1, &[A, B])), Refusal::NoPlugin { name: "basket".into() });
    let none = Refusal::NoVersion { name: "cart".into(), content: content(9) };
    assert_eq!(refused(&mut state, &use_it("cart", 9, &[A, B])), none);
}

/// Every host holds every byte: one plugin, all plugins, and their number are bounded.
#[test]
fn plugins_are_bounded() {
    let mut state = group();
    let sized = |name: &str, number: u8, size: usize| {
        let size = u32::try_from(size).unwrap();
        let version = PluginVersion { content: content(number), size, forced: false };
        Command::InstallPlugin { name: name.into(), kind: PluginKind::Merge, version }
    };
    for size in [0, MAX_PLUGIN_BYTES + 1] {
        assert!(matches!(refused(&mut state, &sized("cart", 1, size)), Refusal::Limit { .. }));
    }
    let fit = u8::try_from(MAX_PLUGINS_BYTES / MAX_PLUGIN_BYTES as u64).unwrap();
    for number in 0..fit {
        applied(&mut state, &[sized(&format!("p{number}"), number, MAX_PLUGIN_BYTES)]);
    }
    assert!(matches!(refused(&mut state, &sized("more", 200, 1)), Refusal::Limit { .. }));

    let mut state = group();
    for number in 0..u8::try_from(MAX_PLUGINS).unwrap() {
        applied(&mut state, &[merger(&format!("p{number}"), number)]);
    }
    assert!(matches!(refused(&mut state, &merger("more", 200)), Refusal::Limit { .. }));
}

/// One placement plugin decides for the cluster.
#[test]
fn a_placement_plugin_takes_the_place_of_another() {
    let mut state = group();
    let placement = |name, number| install(name, PluginKind::Placement, number);
    applied(&mut state, &[placement("zones", 1), placement("racks", 2), merger("cart", 3)]);
    assert_eq!(state.placement_plugin(), None);
    applied(&mut state, &[use_it("cart", 3, &[A, B]), use_it("zones", 1, &[A, B])]);
    assert_eq!(state.placement_plugin(), Some(("zones", content(1))));
    applied(&mut state, &[use_it("racks", 2, &[A, B])]);
    assert_eq!(state.placement_plugin(), Some(("racks", content(2))));
    assert_eq!((active(&state, "zones"), active(&state, "cart")), (None, Some(3)));
    applied(&mut state, &[uninstall("racks")]);
    assert_eq!(state.placement_plugin(), None, "the built-in places again");
}

/// What a namespace merges by is not taken from it.
#[test]
fn a_plugin_in_use_is_not_uninstalled() {
    let mut state = group();
    applied(&mut state, &[merger("cart", 1), use_it("cart", 1, &[A, B]), merger("spare", 2)]);
    assert!(matches!(state.apply(&namespace("cart")), Outcome::Created(_)));
    let used = Refusal::PluginInUse { name: "cart".into(), namespace: "shop".into() };
    assert_eq!(refused(&mut state, &uninstall("cart")), used);
    applied(&mut state, &[uninstall("spare")]);
    assert_eq!(refused(&mut state, &uninstall("spare")), Refusal::NoPlugin { name: "spare".into() });
}

fn cook(state: &State, (kind, x, y): (u8, u8, u8)) -> Command {
    let name = ["cart", "stock", "zones", "racks"][usize::from(x % 4)];
    let number = y % 24;
    let up: Vec<StartId> = state.up().map(|member| member.start).filter(|start| start.0 % 7 != u64::from(y)).collect();
    let needed: Vec<ContentId> = state.needed_plugins().map(|(_, _, version)| version.content).collect();
    match kind % 10 {
        0..=2 => install(name, if x % 4 < 2 { PluginKind::Merge } else { PluginKind::Placement }, number),
        3 | 4 => use_it(name, number, &up),
        5 => {
            let plugin = state.plugins.get(name);
            let to = plugin.and_then(|plugin| plugin.before.last().copied()).unwrap_or(content(number));
            let from = plugin.and_then(|plugin| plugin.active).unwrap_or(content(0));
            Command::RollBackPlugin { name: name.into(), from, to, compiled: up }
        }
        6 if y % 4 == 0 => uninstall(name),
        6 => Command::Dead { start: StartId(u64::from(x)), deviations: Vec::new() },
        7 => Command::BeginCanary { name: name.into(), content: content(number), percent: y, compiled: up },
        8 => {
            let content = state.canary.as_ref().map_or(content(number), |canary| canary.content);
            Command::EndCanary { name: name.into(), content }
        }
        _ => join(StartId(1000 + state.revision.0), &format!("h{}", x % 5), &needed[..needed.len().min(y.into())]),
    }
}

proptest! {
    /// Whatever is committed in whatever order: what is active is kept, a rollback leads to what is kept, one
    /// placement plugin at most decides, bounds hold, and every host that is up has compiled whatever is active.
    #[test]
    fn no_soup_of_commands_breaks_what_is_known_of_plugins(
        soup in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..120)
    ) {
        let mut state = group();
        let mut compiled: BTreeMap<ContentId, Vec<StartId>> = BTreeMap::new();
        for dice in soup {
            let command = cook(&state, dice);
            let command = Command::decode(&command.encode()).expect("it was encoded here");
            if state.apply(&command) == Outcome::Applied {
                match &command {
                    Command::UsePlugin { content, compiled: by, .. }
                    | Command::BeginCanary { content, compiled: by, .. } => {
                        compiled.entry(*content).or_default().extend(by);
                    }
                    Command::RollBackPlugin { to, compiled: by, .. } => compiled.entry(*to).or_default().extend(by),
                    Command::Join { member, plugins, .. } => {
                        plugins.iter().for_each(|one| compiled.entry(*one).or_default().push(member.start));
                    }
                    _ => {}
                }
            }
            for plugin in state.plugins.values() {
                prop_assert!((1..=MAX_PLUGIN_VERSIONS).contains(&plugin.versions.len()));
                prop_assert!(plugin.active.is_none_or(|active| plugin.version(active).is_some()));
                prop_assert!(plugin.before.iter().all(|earlier| plugin.version(*earlier).is_some()));
                prop_assert!(plugin.before.iter().all(|earlier| plugin.active != Some(*earlier)));
            }
            let places = state.active_plugins().filter(|(_, kind, _)| *kind == PluginKind::Placement);
            prop_assert!(places.count() <= 1);
            if let Some(canary) = &state.canary {
                let plugin = state.plugins.get(&canary.plugin).expect("it is kept");
                prop_assert_eq!(plugin.kind, PluginKind::Placement);
                prop_assert!(plugin.version(canary.content).is_some() && plugin.active != Some(canary.content));
            }
            for (name, _, version) in state.needed_plugins() {
                let by = compiled.get(&version.content).map_or(&[][..], Vec::as_slice);
                for member in state.up() {
                    prop_assert!(by.contains(&member.start), "{} decides by {name} and cannot", member.name);
                }
            }
        }
        prop_assert_eq!(&State::decode(&state.encode()).expect("it was encoded here"), &state);
    }
}
