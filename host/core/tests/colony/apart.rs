//! A process that goes on apart from the root, and comes back (`PROTOCOL.md` 8, 9): what its two shards tell each other.

use std::sync::Arc;

use colony_core::Now;
use colony_core::colony::{Caller, Input, Output, Part, Settings, Shard, Space};
use colony_core::group::{Command, Entry, Member, Outcome, Settler, State};
use colony_wire::admin::Policy;
use colony_wire::client::{ReplyBody, Request};
use colony_wire::session::{Mutation, Precondition};
use colony_wire::{LineageId, RaftId, StartId};

use crate::calls::{blob, key, request};
use crate::world::{A, B, COLONY, World, world};

const ISLAND: LineageId = LineageId(9);
/// What one host goes on in alone.
const ALONE: LineageId = LineageId(10);

/// One process's part in an island.
struct Apart {
    shard: Shard,
    told: Vec<Output>,
}

/// The record of a host in an island.
fn settled(w: &World, host: usize, number: u64) -> Member {
    let start = StartId(500 + 10 * host as u64 + number);
    Member { start, raft: RaftId(start.0), earlier: Vec::new(), ..w.member(host) }
}

/// What an island of these hosts begins with. The copies are fenced from then on.
fn opens(w: &World, hosts: &[usize]) -> State {
    let settler = |host: &usize| {
        let copies = w.hosts[*host].shard.ends();
        Settler { root: w.start(*host), member: settled(w, *host, 0), copies }
    };
    begun(&w.group.island(ISLAND, &hosts.iter().map(settler).collect::<Vec<_>>()))
}

fn begun(state: &State) -> State {
    let mut begun = State::default();
    assert_eq!(begun.apply(&Command::Island { state: Box::new(state.clone()) }), Outcome::Applied);
    begun
}

/// The process's copies go over from this shard.
fn go_over(w: &World, from: &mut Shard, lineage: LineageId, start: StartId, island: &State) -> Apart {
    let mut out = Vec::new();
    let copies = from.fork(now(w), &mut out);
    let mut apart = Apart { shard: Shard::apart(lineage, start, Settings::default()), told: Vec::new() };
    apart.shard.take_over(now(w), copies, &mut apart.told);
    apart.hear_table(w, &island.table[&COLONY]);
    apart
}

fn now(w: &World) -> Now {
    Now { mono: w.now, wall_ms: 1_700_000_000_000 + w.now.0 / 1000 }
}

impl Apart {
    fn feed(&mut self, w: &World, input: Input) {
        self.shard.handle(now(w), input, &mut self.told);
    }

    fn hear_table(&mut self, w: &World, entry: &Entry) {
        let policy = Policy { copies: 3, buckets: 1, ..Policy::default() };
        let space = Arc::new(Space { name: "carts".into(), policy });
        self.feed(w, Input::Table { colony: COLONY, entry: entry.clone(), space });
    }

    fn hear_root(&mut self, w: &World, island: &State, me: StartId) {
        let staying = w.group.seen_from(island, COLONY, me).map(Arc::new);
        self.feed(w, Input::Staying { colony: COLONY, staying });
    }

    fn run(&mut self, w: &mut World, millis: u64) {
        for _ in 0..millis / 20 {
            w.pass(20);
            self.feed(w, Input::Tick);
        }
    }

    fn ask(&mut self, w: &World, call: u64, request: Request) -> Option<ReplyBody> {
        self.feed(w, Input::Request { from: Caller(call), request });
        self.told.iter().rev().find_map(|output| match output {
            Output::Reply { to: Caller(to), reply } if *to == call => Some(reply.body.clone()),
            _ => None,
        })
    }

    fn adoption(&self) -> Option<Command> {
        let adopts = |output: &Output| match output {
            Output::ProposeStaying(command @ Command::Adopt(_)) => Some(command.clone()),
            _ => None,
        };
        self.told.iter().rev().find_map(adopts)
    }

    fn says_taken_in(&self) -> bool {
        self.told.iter().any(|output| matches!(output, Output::TakenIn { .. }))
    }
}

/// A story's beginning: host A is cut off from everybody with the one copy, and writes to it.
fn alone_with_a_copy() -> (World, State, Apart) {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "before")));
    let island = opens(&w, &[A]);
    let mut root = w.hosts[A].shard.clone();
    let start = settled(&w, A, 0).start;
    let mut apart = go_over(&w, &mut root, ISLAND, start, &island);
    w.hosts[A].shard = root;
    apart.run(&mut w, 100);
    assert!(matches!(apart.ask(&w, 7, request(2, blob("k", "apart"))), Some(ReplyBody::Done(_))));
    (w, island, apart)
}

/// Bug: all sessions of a colony were lost when the island declared a host dead in the moment in which the root took over its
/// copies. Cause: a copy that is kept because its start was declared dead was overlooked: the root was told that everything
/// was there, and began an empty copy where the one that it had adopted was meant. Fix: a kept copy is a copy, and goes back.
#[test]
fn a_copy_that_is_kept_when_the_root_adopts_it_is_the_one_that_goes_back() {
    let (mut w, island, mut apart) = alone_with_a_copy();
    apart.hear_root(&w, &island, w.start(A));
    apart.run(&mut w, 1_000);
    let adoption = apart.adoption().expect("nobody serves it in the root");
    assert_eq!(w.apply(&adoption), Outcome::Applied);
    apart.feed(&w, Input::Reborn { start: settled(&w, A, 1).start });
    assert!(!apart.shard.is_done(), "a kept copy is something");
    apart.hear_root(&w, &island, w.start(A));
    assert!(!apart.says_taken_in());
    let returning = apart.shard.returning();
    assert_eq!(returning.len(), 1);
    assert!(apart.shard.is_done());
    let time = now(&w);
    w.tell(A);
    w.hosts[A].shard.take_over(time, returning, &mut Vec::new());
    w.run(100);
    assert_eq!(w.value(A, "k"), Some("apart".into()));
}

/// Bug: sessions that were in use on an island of one host expired in the moment in which the root took that island's copies
/// over, and on islands nothing expired for as long as the host had run before. Cause: each shard counts the time of its
/// sessions from its own beginning, and a copy that went from one to another had its deadlines read by the other's clock. Fix:
/// a copy takes its time along.
#[test]
fn a_copy_that_goes_over_to_another_shard_takes_its_time_along() {
    let mut w = world(&[A]);
    w.run(30_000);
    let living = |number, name: &'static str| {
        let content = colony_wire::session::Content::Blob(bytes::Bytes::from_static(b"v"));
        let (ttl, precondition) = (Some(5_000), Precondition::None);
        request(number, Mutation::Put { key: key(name), content, tags: Vec::new(), ttl, precondition })
    };
    w.done(A, living(1, "used"));
    w.done(A, living(2, "left alone"));
    let (mut root, island) = (w.hosts[A].shard.clone(), opens(&w, &[A]));
    let mut apart = go_over(&w, &mut root, ISLAND, settled(&w, A, 0).start, &island);
    w.hosts[A].shard = root;
    let has = |shard: &Shard, name: &'static str| shard.replica(COLONY).unwrap().store().get(&key(name)).is_some();
    for second in 0..8 {
        apart.run(&mut w, 1_000);
        w.tick(A);
        let touch = Mutation::Touch { key: key("used"), ttl: Some(5_000) };
        let done = apart.ask(&w, 10 + second, request(10 + second, touch));
        assert!(matches!(done, Some(ReplyBody::Done(_))), "{done:?}");
    }
    assert!(has(&apart.shard, "used") && !has(&apart.shard, "left alone"), "a tenth and a second beyond five");
    apart.hear_root(&w, &island, w.start(A));
    apart.run(&mut w, 1_000);
    assert_eq!(w.apply(&apart.adoption().expect("nobody serves it in the root")), Outcome::Applied);
    apart.hear_root(&w, &island, w.start(A));
    let (time, returning) = (now(&w), apart.shard.returning());
    w.tell(A);
    w.hosts[A].shard.take_over(time, returning, &mut Vec::new());
    w.run(2_000);
    assert!(has(&w.hosts[A].shard, "used"));
    w.run(6_000);
    assert!(!has(&w.hosts[A].shard, "used"), "nobody uses it any more");
}

/// D1: nothing passes for a copy that is on its way.
///
/// Bug and cause as above. Fix: where the table names a start in sync whose copy went over, none is begun empty.
#[test]
fn no_empty_copy_is_begun_where_the_one_that_went_over_is_meant() {
    let (mut w, ..) = alone_with_a_copy();
    w.tell(A);
    w.feed(A, Input::TakenIn { colony: COLONY });
    assert!(!w.holds(A));
    w.feed(A, Input::Back);
    w.want(&[A, B]);
    w.tell(A);
    assert!(!w.holds(A), "it is in sync by this entry as well");
}

/// I2: what a lost copy acknowledged does not count for another one.
///
/// Bug: a colony took no changes any more once a copy that was catching up had gone to an island and was dropped there. Cause:
/// another one was begun on the same table entry, which is what its primary tells two copies of one process apart by: what the
/// first had acknowledged was never sent to the second, and every change waited for it. Fix: none is begun on an entry that the
/// first one may have known; the process says that it has dropped it, which makes a newer entry.
#[test]
fn a_copy_that_went_over_is_followed_by_none_on_an_entry_that_it_knew() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[A, B]);
    w.tell_all();
    while w.replica(B).prepared() < w.replica(A).prepared() {
        w.deliver(A);
        w.deliver(B);
    }
    w.ask(A, request(2, blob("k", "w")));
    w.deliver(A);
    w.lose_to(B);
    assert_eq!(w.proposals, [], "it lacks a change");
    let (known, time) = (w.entry().cfg, now(&w));
    let departed = w.hosts[B].shard.fork(time, &mut Vec::new());
    assert_eq!(departed.len(), 1, "and the island has no use for it");
    w.feed(B, Input::Back);
    assert!(!w.holds(B), "the entry is the same");
    w.run(2_000);
    assert!(w.entry().cfg > known && w.entry().is_in_sync(w.start(B)));
    assert_eq!(w.replica(B).position(), w.replica(A).position());
    w.done(A, request(3, blob("k", "x")));
}

/// Bug: the island did not end on hosts that had nothing left of it when the last copy of one colony was lost with its host:
/// they could not open another. Cause: they waited until the root had that colony too. Fix: each host brings what it holds.
#[test]
fn who_holds_nothing_of_a_colony_does_not_wait_for_it() {
    let w = world(&[A]);
    let mut island = opens(&w, &[A]);
    let mut apart = Apart { shard: Shard::apart(ISLAND, StartId(77), Settings::default()), told: Vec::new() };
    apart.hear_table(&w, &island.table[&COLONY]);
    apart.hear_root(&w, &island, w.start(B));
    assert!(apart.shard.is_done());
    // One that was to be made and never was.
    let entry = island.table.get_mut(&COLONY).unwrap();
    entry.want.push(StartId(77));
    entry.cfg.0 += 1;
    apart.hear_table(&w, &island.table[&COLONY]);
    assert_eq!(apart.shard.replica(COLONY).map(|it| it.part()), Some(Part::CatchingUp));
    assert!(!apart.shard.is_done(), "its primary may bring it the rest yet");
    let entry = island.table.get_mut(&COLONY).unwrap();
    entry.primary = None;
    entry.cfg.0 += 1;
    apart.hear_table(&w, &island.table[&COLONY]);
    assert!(apart.shard.is_done());
}

/// Bug: an island of which a majority died for good never ended on those who were left, and what they had was never taken in.
/// Cause: a colony with one of the dead in sync commits nothing, and nobody was left to decide that it goes on without. Fix:
/// the host goes on alone, in an island of its own.
#[test]
fn who_is_left_of_an_island_goes_on_alone_with_what_it_has() {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "before")));
    let island = opens(&w, &[A, B]);
    let mut root = w.hosts[A].shard.clone();
    let mut apart = go_over(&w, &mut root, ISLAND, settled(&w, A, 0).start, &island);
    w.hosts[A].shard = root;
    apart.run(&mut w, 1_000);
    let asked = apart.ask(&w, 7, request(2, blob("k", "apart")));
    assert!(!matches!(asked, Some(ReplyBody::Done(_))), "B is in sync and says nothing");
    w.want(&[B, A]);
    w.want(&[A, B]);
    apart.hear_root(&w, &island, w.start(A));
    let (me, next) = (settled(&w, A, 0), settled(&w, A, 2));
    let alone = island.alone(ALONE, &me, next.clone(), apart.shard.ends()).expect("it is up");
    assert_eq!(alone.up().count(), 1);
    let alone = begun(&alone);
    let mut last = go_over(&w, &mut apart.shard, ALONE, next.start, &alone);
    assert!(apart.shard.is_done());
    last.run(&mut w, 100);
    assert!(matches!(last.ask(&w, 8, request(3, blob("l", "alone"))), Some(ReplyBody::Done(_))));
    assert!(last.shard.replica(COLONY).unwrap().store().get(&key("k")).is_some());
    last.hear_root(&w, &alone, w.start(A));
    last.run(&mut w, 1_000);
    let adoption = last.adoption().expect("both its copies in the root went apart");
    assert_eq!(w.apply(&adoption), Outcome::Applied);
}

/// The same of a host that its island held for dead, and that was not let in again before the others were gone.
#[test]
fn who_was_held_for_dead_by_an_island_that_is_no_more_goes_on_alone_as_well() {
    let (w, mut island, mut apart) = alone_with_a_copy();
    let me = settled(&w, A, 0);
    assert_eq!(island.apply(&Command::Dead { start: me.start, deviations: Vec::new() }), Outcome::Applied);
    let reborn = settled(&w, A, 1);
    apart.feed(&w, Input::Reborn { start: reborn.start });
    let me = Member { earlier: apart.shard.earlier().to_vec(), ..reborn };
    let next = settled(&w, A, 2);
    let alone = island.alone(ALONE, &me, next.clone(), apart.shard.ends()).expect("it lets itself in");
    assert_eq!(alone.table[&COLONY].primary, Some(next.start));
    let mut w = w;
    let mut last = go_over(&w, &mut apart.shard, ALONE, next.start, &begun(&alone));
    last.run(&mut w, 100);
    assert!(last.shard.replica(COLONY).is_some_and(|it| it.is_serving() && it.store().get(&key("k")).is_some()));
    assert!(apart.shard.is_done());
}

/// Bug: a colony was not adopted, and its island never ended, if the island had held its one host for dead and let it in again.
/// Cause: what the side that stays knows an island's process by, the start under which it went apart, was forgotten when it joined
/// the island under another. Fix: it is kept.
#[test]
fn who_was_held_for_dead_by_its_island_is_still_known_to_have_gone_apart() {
    let (w, mut island, _) = alone_with_a_copy();
    let (me, reborn) = (settled(&w, A, 0), settled(&w, A, 1));
    assert!(w.group.seen_from(&island, COLONY, w.start(A)).unwrap().may_adopt);
    assert_eq!(island.apply(&Command::Dead { start: me.start, deviations: Vec::new() }), Outcome::Applied);
    let member = Member { earlier: vec![me.start], ..reborn.clone() };
    let join = Command::Join { member, deviations: Vec::new(), plugins: Vec::new() };
    assert_eq!(island.apply(&join), Outcome::Applied);
    let restore = island.restoration(COLONY, &[me.start], reborn.start).unwrap();
    assert_eq!(island.apply(&restore), Outcome::Applied);
    assert!(w.group.seen_from(&island, COLONY, w.start(A)).unwrap().may_adopt);
}
