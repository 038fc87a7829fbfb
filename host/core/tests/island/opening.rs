//! Who opens an island, and with whom (`PROTOCOL.md` 8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_core::island::{Attachment, Config, Opening, Output, Refusal, Sight};
use colony_core::{Now, Time};
use colony_wire::RaftId;
use colony_wire::admin::OnPartition;
use colony_wire::control::Electorate;

use crate::town::{Town, group, start};

const SETTLED_WITHIN: u64 = 6_000;

fn town(hosts: usize, voters: &[usize]) -> Town {
    let all: Vec<usize> = (0..hosts).collect();
    // A power of two, so that every host holds something.
    let buckets = hosts.next_power_of_two();
    let copies: Vec<Vec<usize>> =
        (0..buckets).map(|first| all.iter().cycle().skip(first).take(2).copied().collect()).collect();
    let copies: Vec<&[usize]> = copies.iter().map(Vec::as_slice).collect();
    Town::new(hosts, voters, group(hosts, OnPartition::Island, &copies))
}

fn islands<const N: usize>(islands: [(usize, &[usize]); N]) -> BTreeMap<usize, Vec<usize>> {
    islands.into_iter().map(|(founder, hosts)| (founder, hosts.to_vec())).collect()
}

/// Of two hosts one votes. Its side is the group, whatever its address; the other opens an island by itself.
#[test]
fn of_two_hosts_the_one_that_does_not_vote_opens_an_island() {
    for voter in [0, 1] {
        let mut town = town(2, &[voter]);
        town.cut(&[&[0], &[1]]);
        town.run(SETTLED_WITHIN);
        let other = 1 - voter;
        assert_eq!(town.islands(), islands([(other, &[other])]));
    }
}

/// The others go on when the only voter is killed: nobody waits for the dead.
#[test]
fn the_last_voters_end_opens_an_island() {
    let mut town = town(2, &[0]);
    town.kill(0);
    town.run(SETTLED_WITHIN);
    assert_eq!(town.islands(), islands([(1, &[1])]));
}

/// Parts, voters, islands: the founder of each, and who lives there.
type Cut<'a> = (&'a [&'a [usize]], &'a [usize], BTreeMap<usize, Vec<usize>>);

/// C17: soon every side has a group that decides.
#[test]
fn every_side_without_a_majority_opens_one_island() {
    let five = [0, 1, 2, 3, 4];
    let cuts: &[Cut<'_>] = &[
        (&[&[0, 1], &[2, 3, 4]], &[2, 3, 4], islands([(0, &[0, 1])])),
        (&[&[0, 1, 2], &[3, 4]], &five, islands([(3, &[3, 4])])),
        (&[&[0, 1, 2], &[3, 4]], &[0, 3, 4], islands([(0, &[0, 1, 2])])),
        (&[&[0, 1], &[2, 3], &[4]], &five, islands([(0, &[0, 1]), (2, &[2, 3]), (4, &[4])])),
        (&[&[0, 1], &[2, 3], &[4]], &[0, 1, 2], islands([(2, &[2, 3]), (4, &[4])])),
        (&[&[0], &[1, 2, 3, 4]], &five, islands([(0, &[0])])),
        (&[&[0, 1, 2, 3], &[4]], &five, islands([(4, &[4])])),
        (&[&[0], &[1], &[2], &[3], &[4]], &five, islands([0, 1, 2, 3, 4].map(|one| (one, &five[one..=one])))),
    ];
    for (parts, voters, expected) in cuts {
        let mut town = town(5, voters);
        town.cut(parts);
        town.run(SETTLED_WITHIN);
        assert_eq!(town.islands(), *expected, "{parts:?} with voters {voters:?}: {:#?}", town.log);
    }
}

/// A leader that is missing for as long as an election can take, and much longer, is no cut.
#[test]
fn a_change_of_leader_opens_nothing() {
    let mut town = town(5, &[0, 1, 2]);
    town.kill(0);
    town.leaderless = true;
    town.run(1_500);
    town.leaderless = false;
    town.run(SETTLED_WITHIN);
    assert_eq!(town.islands(), islands([]));

    // Not even one that lasts, as long as a majority is there and no copy is missing.
    let mut town = Town::new(3, &[0, 1, 2], group(3, OnPartition::Island, &[&[0, 1], &[1, 2]]));
    town.leaderless = true;
    town.run(30_000);
    assert_eq!(town.islands(), islands([]));
    // A missing copy is what it takes then, and patience.
    town.kill(2);
    town.run(2_000);
    assert_eq!(town.islands(), islands([(1, &[0, 1])]), "host 0 misses nothing, and comes along: {:#?}", town.log);
}

/// Nobody opens an island for colonies that would not be served in it.
#[test]
fn strict_colonies_open_nothing() {
    let mut town = Town::new(3, &[0, 1, 2], group(3, OnPartition::Strict, &[&[0, 1], &[1, 2]]));
    town.cut(&[&[0], &[1], &[2]]);
    town.run(30_000);
    assert_eq!(town.islands(), islands([]));
}

/// Whatever step the founder dies at, the others have an island soon after: without it, or the one it opened.
#[test]
fn a_founder_that_dies_leaves_nobody_waiting() {
    let steps = ["Question", "Consent", "founds with", "Open"];
    for step in steps {
        let mut town = town(5, &[0, 1]);
        town.cut(&[&[0, 1], &[2, 3, 4]]);
        let said = |town: &Town| town.log.iter().any(|line| line.contains(step));
        assert!(town.run_until(SETTLED_WITHIN, said), "{step}");
        town.kill(2);
        let is_settled = |town: &Town| town.islands().values().map(Vec::len).sum::<usize>() == 2;
        assert!(town.run_until(4_000, is_settled), "{step}: {:#?}", town.log);
        assert_eq!(town.islands(), islands([(3, &[3, 4])]), "{step}: what it had begun is void: {:#?}", town.log);
    }
    // It opened the island before it died.
    let mut town = town(5, &[0, 1]);
    town.cut(&[&[0, 1], &[2, 3, 4]]);
    assert!(town.run_until(SETTLED_WITHIN, |town| town.islands().get(&2).is_some_and(|all| all.len() == 3)));
    town.kill(2);
    town.run(4_000);
    assert_eq!(town.islands(), islands([(2, &[3, 4])]));
}

/// A host that was asleep has heard nothing either. It listens before it believes that nobody is there.
#[test]
fn a_host_that_wakes_late_opens_nothing() {
    let mut town = town(3, &[0, 1, 2]);
    for host in [0, 2] {
        town.sleep(host, 20_000);
        town.run(26_000);
        assert_eq!(town.islands(), islands([]), "{:#?}", town.log);
    }
    // In the middle of its own attempt.
    let mut town = self::town(5, &[0, 1]);
    town.cut(&[&[0, 1], &[2, 3, 4]]);
    assert!(town.run_until(SETTLED_WITHIN, |town| town.log.iter().any(|line| line.contains("Consent"))));
    town.sleep(2, 3_000);
    town.run(10_000);
    assert_eq!(town.islands(), islands([(2, &[2]), (3, &[3, 4])]), "{:#?}", town.log);
}

/// The links come back while hosts are being asked: nobody opens anything, and every fence is lifted.
#[test]
fn a_heal_in_the_middle_ends_the_attempt() {
    let mut town = town(5, &[0, 1]);
    town.cut(&[&[0, 1], &[2, 3, 4]]);
    assert!(town.run_until(SETTLED_WITHIN, |town| town.log.iter().any(|line| line.contains("Question"))));
    // Long enough for no answer: who is asked hears of the leader before it is asked.
    town.cut(&[&[0, 1, 2, 3, 4]]);
    town.run(1_500);
    let none_or_one = town.islands();
    assert!(none_or_one.is_empty() || none_or_one == islands([(2, &[2, 3, 4])]), "{:#?}", town.log);
    assert!((0..5).all(|host| !town.is_fenced(host)) || !none_or_one.is_empty());
}

/// A host by itself, seen from inside.
struct Alone {
    attachment: Attachment,
    opening: Opening,
    state: colony_core::group::State,
    reached: BTreeSet<colony_wire::StartId>,
    now: Now,
}

impl Alone {
    /// Host 1 of three, cut off from the only voter for long enough.
    fn cut_off() -> Self {
        let config = Config::default();
        let mut attachment = Attachment::new(config.island_after);
        attachment.heard_voters(&Electorate { at: 1, voters: vec![RaftId(start(0).0)] });
        attachment.heard(Time(0), Duration::ZERO);
        let mut alone = Self {
            attachment,
            opening: Opening::new(config, start(1), 1, Now::default()),
            state: group(3, OnPartition::Island, &[&[0, 1], &[1, 2]]),
            reached: BTreeSet::from([start(2)]),
            now: Now::default(),
        };
        assert_eq!(alone.ticks(1_900), [], "not cut off yet");
        alone
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut Opening, Now, &Sight<'_>, &mut Vec<Output>) -> R) -> (R, Vec<Output>) {
        let sight = Sight { state: &self.state, attachment: &self.attachment, reached: &self.reached };
        let mut out = Vec::new();
        let result = act(&mut self.opening, self.now, &sight, &mut out);
        (result, out)
    }

    fn ticks(&mut self, ms: u64) -> Vec<Output> {
        let mut all = Vec::new();
        for _ in 0..ms / 100 {
            self.now.mono = self.now.mono + Duration::from_millis(100);
            all.extend(self.call(|opening, now, sight, out| opening.tick(now, sight, out)).1);
        }
        all
    }

    fn asked(&mut self, nonce: u64, founder: usize) -> Result<Time, Refusal> {
        self.call(|opening, now, sight, out| opening.asked(now, sight, nonce, start(founder), out)).0
    }

    fn open(&mut self, nonce: u64) -> Result<(), Refusal> {
        self.call(|opening, now, sight, _| opening.open(now, sight, nonce)).0
    }

    /// The nonce of the attempt that is made now.
    fn attempt(&mut self) -> u64 {
        let out = self.ticks(200);
        let [Output::Fence { until: Some(_) }, Output::Ask { nonce, hosts }] = out.as_slice() else {
            panic!("{out:?}")
        };
        assert_eq!(*hosts, [start(2)]);
        *nonce
    }
}

/// Of all others the founder is the one that reaches them: alone it founds alone, and at once.
#[test]
fn nobody_but_oneself_is_enough() {
    let mut alone = Alone::cut_off();
    alone.reached.clear();
    let out = alone.ticks(100);
    assert!(
        matches!(out.as_slice(), [Output::Fence { until: Some(_) }, Output::Found { with, .. }] if with.is_empty()),
        "{out:?}"
    );
    assert_eq!(alone.call(|opening, now, sight, out| opening.founded(now, sight, out)).0, Ok(()));
    assert_eq!(alone.asked(9, 2), Err(Refusal::InIsland));
    assert_eq!(alone.ticks(5_000), []);
}

#[test]
fn a_refusal_only_takes_that_host_off_the_list() {
    let mut alone = Alone::cut_off();
    let nonce = alone.attempt();
    alone.opening.refused(nonce + 1, start(2), false);
    assert_eq!(alone.ticks(100), [], "of another attempt");
    alone.opening.refused(nonce, start(2), false);
    let out = alone.ticks(100);
    assert!(matches!(out.as_slice(), [Output::Found { with, .. }] if with.is_empty()), "{out:?}");
}

/// Who is not ready is asked again, a few times, and each time those who were are let go.
#[test]
fn who_refuses_for_now_is_asked_again() {
    let mut alone = Alone::cut_off();
    let mut asked = 0;
    loop {
        let out = alone.ticks(100);
        if let Some(Output::Ask { nonce, .. }) = out.iter().find(|one| matches!(one, Output::Ask { .. })) {
            asked += 1;
            alone.opening.refused(*nonce, start(2), true);
        }
        if out.iter().any(|one| matches!(one, Output::Found { .. })) {
            break;
        }
    }
    assert_eq!(asked, 5);
    assert!(alone.now.mono < Time(6_000_000), "{:?}", alone.now);
}

/// Who does not answer is not waited for longer than a moment, and a consent of an earlier attempt is none.
#[test]
fn silence_is_no_consent() {
    let mut alone = Alone::cut_off();
    let nonce = alone.attempt();
    alone.opening.consented(nonce ^ 1, start(2));
    let out = alone.ticks(500);
    assert!(
        matches!(out.as_slice(), [Output::Found { with, nonce: found }] if with.is_empty() && *found == nonce),
        "{out:?}"
    );
}

#[test]
fn a_founder_that_is_too_slow_gives_up() {
    let mut alone = Alone::cut_off();
    let nonce = alone.attempt();
    alone.opening.consented(nonce, start(2));
    assert!(matches!(alone.ticks(100).as_slice(), [Output::Found { .. }]));
    assert_eq!(alone.ticks(1_000), []);
    let (result, out) = alone.call(|opening, now, sight, out| opening.founded(now, sight, out));
    assert_eq!(result, Err(Refusal::NoAttempt));
    assert_eq!(out, [Output::Cancel { nonce, hosts: vec![start(2)] }, Output::Fence { until: None }]);
    assert_eq!(alone.ticks(200), [], "not what it just found");
    assert_ne!(alone.attempt(), nonce, "another attempt has another nonce");
}

/// An island opens only for who consented to it, with that nonce, and in time.
#[test]
fn an_island_outside_its_nonce_is_refused() {
    let mut alone = Alone::cut_off();
    assert_eq!(alone.asked(5, 2), Err(Refusal::Attached));
    alone.now.mono = alone.now.mono + Duration::from_millis(100);
    assert_eq!(alone.open(5), Err(Refusal::NoAttempt));
    let until = alone.asked(5, 2).expect("it consents");
    assert_eq!(until, alone.now.mono + Config::default().fence);
    assert_eq!(alone.open(6), Err(Refusal::NoAttempt));
    // Cancelled.
    let (_, out) = alone.call(|opening, now, _, out| opening.cancelled(now, 6, out));
    assert_eq!(out, [], "another attempt");
    let (_, out) = alone.call(|opening, now, _, out| opening.cancelled(now, 5, out));
    assert_eq!(out, [Output::Fence { until: None }]);
    assert_eq!(alone.open(5), Err(Refusal::NoAttempt));
    // Too late.
    assert!(alone.asked(7, 2).is_ok());
    alone.now.mono = alone.now.mono + Config::default().fence;
    assert_eq!(alone.open(7), Err(Refusal::NoAttempt));
    // The group is back.
    assert!(alone.asked(8, 2).is_ok());
    alone.attachment.heard(alone.now.mono, Duration::ZERO);
    assert_eq!(alone.open(8), Err(Refusal::Attached));
}

/// Two who ask at the same time: the first by address goes on, the other comes along.
#[test]
fn of_two_founders_the_first_by_address_goes_on() {
    let mut alone = Alone::cut_off();
    let nonce = alone.attempt();
    assert_eq!(alone.asked(5, 2), Err(Refusal::Promised), "host 2 comes after host 1");
    let (answer, out) = alone.call(|opening, now, sight, out| opening.asked(now, sight, 6, start(0), out));
    let until = answer.expect("host 0 goes before host 1");
    assert_eq!(out, [Output::Cancel { nonce, hosts: vec![start(2)] }, Output::Fence { until: Some(until) }]);
    assert_eq!(alone.asked(7, 2), Err(Refusal::Promised));
    assert_eq!(alone.open(6), Ok(()));
}

/// Who reaches a majority of the voters waits for them to agree.
#[test]
fn who_reaches_a_majority_consents_to_nothing() {
    let mut alone = Alone::cut_off();
    alone.now.mono = alone.now.mono + Duration::from_millis(300);
    alone.reached.insert(start(0));
    assert_eq!(alone.asked(5, 2), Err(Refusal::NotCut));
    assert_eq!(alone.ticks(3_000), []);
}
