//! A reign handed to an in-sync peer (`PROTOCOL.md` 6.5).

use std::sync::Arc;

use bytes::Bytes;
use colony_core::colony::{Input, Output, Settings, Shard, Space};
use colony_core::group::{Command, Entry, Outcome};
use colony_core::{Now, Time};
use colony_wire::admin::Policy;
use colony_wire::client::Refusal;
use colony_wire::{Cfg, ColonyId, LineageId, NamespaceId, Reign, StartId};

use crate::calls::{blob, request};
use crate::world::{A, B, C, World, world};

/// A reigns, all is in sync, and placement wants B to reign; A has just heard of it.
fn about_to_hand_over() -> World {
    let mut w = world(&[A, B]);
    w.done(A, request(1, blob("k", "v")));
    w.run(100);
    w.want(&[B, A]);
    w.tell(A);
    w
}

/// `PROTOCOL.md` 6.5; C44: roles are swapped, no state moves, nothing is lost.
#[test]
fn a_reign_is_handed_to_the_peer_that_placement_wants() {
    let mut w = about_to_hand_over();
    w.run(100);
    assert_eq!(w.entry().primary, Some(w.start(B)));
    assert_eq!(w.entry().in_sync, [w.start(B), w.start(A)]);
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
    let late = w.ask(A, request(2, blob("k", "v")));
    assert_eq!(w.refusal(late), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
}

/// `PROTOCOL.md` 6.5: stop, flush, all acknowledged, and only then the group is asked.
#[test]
fn a_handover_is_proposed_only_when_everything_is_held_everywhere() {
    let mut w = world(&[A, B]);
    let caller = w.ask(A, request(1, blob("k", "v")));
    w.want(&[B, A]);
    w.tell(A);
    assert!(w.proposals.is_empty());
    let late = w.ask(A, request(2, blob("k", "w")));
    w.quiet();
    assert!(w.is_done(caller));
    assert!(matches!(w.proposals.as_slice(), [Command::Swap { .. }]));
    assert!(!w.is_done(late) && w.refusal(late).is_none(), "it waits for the swap");
    w.run(100);
    assert_eq!(w.refusal(late), Some(&Refusal::NotPrimary { reign: w.entry().reign }));
}

/// C8: what comes during a hand-over waits a moment and is told where to go, or is carried out if the hand-over comes
/// to nothing; asked again meanwhile, it is one request.
#[test]
fn what_comes_during_a_handover_waits_for_its_end() {
    let mut w = about_to_hand_over();
    let first = w.ask(A, request(2, blob("k", "w")));
    let again = w.ask(A, request(2, blob("k", "w")));
    assert_eq!(w.refusal(first), Some(&Refusal::Deposed), "the newest attempt gets the answer");
    w.want(&[A, B]);
    w.tell(A);
    w.quiet();
    assert!(w.is_done(again));
    assert_eq!(w.value(A, "k"), Some(Bytes::from("w")));
}

/// `PROTOCOL.md` 6.5: not to one who lacks a copy, and not before all that are wanted have one.
#[test]
fn nobody_takes_over_before_all_that_are_wanted_are_in_sync() {
    let mut w = world(&[A]);
    w.done(A, request(1, blob("k", "v")));
    w.want(&[B, C]);
    w.tell_all();
    for _ in 0..100 {
        w.run(20);
        let entry = w.entry();
        assert!(entry.primary == Some(w.start(A)) || entry.is_in_sync(w.start(B)) && entry.is_in_sync(w.start(C)));
    }
    assert_eq!((w.entry().primary, w.entry().in_sync.len()), (Some(w.start(B)), 2));
    assert!(!w.holds(A));
    assert_eq!(w.value(B, "k"), Some(Bytes::from("v")));
}

/// `PROTOCOL.md` 6.5: the entry changed in between: the swap is void, and the reign goes on.
#[test]
fn a_handover_overtaken_by_another_entry_is_void() {
    let mut w = about_to_hand_over();
    assert!(matches!(w.proposals.as_slice(), [Command::Swap { .. }]));
    w.want(&[A, B]);
    assert!(w.decide().iter().all(|outcome| matches!(outcome, Outcome::Refused(_))));
    w.tell(A);
    w.done(A, request(2, blob("k", "w")));
    assert_eq!(w.entry().primary, Some(w.start(A)));
}

/// `PROTOCOL.md` 6.5: the heir died first; who hands over goes on to reign.
#[test]
fn a_handover_to_one_who_died_is_given_up() {
    let mut w = about_to_hand_over();
    w.kill(B);
    w.declare_dead(B);
    w.decide();
    w.tell(A);
    let caller = w.ask(A, request(2, blob("k", "w")));
    assert!(w.is_done(caller));
}

/// `PROTOCOL.md` 6.5, 7; C30.
///
/// Bug: without a leader of the group a colony that was being handed over took no writes for as long.
/// Cause: once proposed, it waited for the answer. Fix: the wait has an end. Whatever is acknowledged then is
/// held by the heir as well, so it does no harm if the swap is decided after all.
#[test]
fn a_handover_that_nobody_decides_does_not_stop_the_colony() {
    let mut w = about_to_hand_over();
    let swap = w.proposals[0].clone();
    let mut served = 0;
    for number in 2..=150 {
        let caller = w.ask(A, request(number, blob("k", "w")));
        w.quiet();
        served += usize::from(w.is_done(caller));
        w.tick(A);
        w.quiet();
    }
    assert!(served > 50, "served {served} of 149 in three seconds");
    assert_eq!(w.apply(&swap), Outcome::Applied, "late, and as good as ever");
    w.tell_all();
    w.run(100);
    assert_eq!(w.value(B, "k"), Some(Bytes::from("w")));
}

/// `PROTOCOL.md` 6.5: when a host is drained, most of its reigns go on serving while some are handed over.
///
/// Bug: while a host was drained each of its colonies stood still for as long as the swaps of all of them took. Cause:
/// all stopped at once, and their proposals, tables and barriers waited for one another. Fix: some at a time.
#[test]
fn a_few_reigns_are_handed_over_at_a_time() {
    const REIGNS: u32 = 10;
    let (me, heir) = (StartId(1), StartId(2));
    let settings = Settings::default();
    let at_a_time = settings.handover_parallel;
    let mut shard = Shard::new(LineageId(7), me, settings);
    let space = Arc::new(Space { name: "cart".into(), policy: Policy::default() });
    let colony = |bucket| ColonyId { namespace: NamespaceId(1), bucket };
    let entry = |cfg, primary, want: &[StartId], in_sync: &[StartId]| Entry {
        lineage: LineageId(7),
        reign: Reign(if primary == me { 1 } else { 2 }),
        cfg: Cfg(cfg),
        primary: Some(primary),
        want: want.to_vec(),
        in_sync: in_sync.to_vec(),
        dead: Vec::new(),
        unaccounted: Vec::new(),
        absorbed: Vec::new(),
    };
    let handle = |shard: &mut Shard, input| {
        let mut out = Vec::new();
        shard.handle(Now { mono: Time(0), wall_ms: 0 }, input, &mut out);
        let swap = |output| match output {
            Output::Propose(Command::Swap { colony, .. }) => Some(colony.bucket),
            _ => None,
        };
        out.into_iter().filter_map(swap).collect::<Vec<u32>>()
    };
    let table = |bucket, entry| Input::Table { colony: colony(bucket), entry, space: space.clone() };
    for bucket in 0..REIGNS {
        assert!(handle(&mut shard, table(bucket, entry(1, me, &[me], &[me]))).is_empty());
    }
    let drains = |bucket| table(bucket, entry(2, me, &[heir, me], &[me, heir]));
    let mut under_way: Vec<u32> = (0..REIGNS).flat_map(|bucket| handle(&mut shard, drains(bucket))).collect();
    assert_eq!(under_way.len(), at_a_time);
    let mut handed_over = 0;
    while let Some(bucket) = under_way.pop() {
        handed_over += 1;
        assert!(handle(&mut shard, table(bucket, entry(3, heir, &[heir, me], &[heir, me]))).is_empty());
        under_way.extend(handle(&mut shard, Input::Tick));
        assert!(under_way.len() <= at_a_time);
    }
    assert_eq!(handed_over, REIGNS);
}
