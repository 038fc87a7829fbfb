//! Who is dead: what one host concludes, and what the leader makes of it (`PROTOCOL.md` 13).

use std::time::Duration;

use colony_core::watch::{Config, Input, Jury, Output, Watch};
use colony_core::{Now, Time};
use colony_wire::StartId;
use proptest::prelude::*;

const ME: StartId = StartId(1);
const PEER: StartId = StartId(2);
const OTHER: StartId = StartId(3);

const TICK: u64 = 100;
const ACCUSE: Output = Output::Accuse { accused: PEER };
const CLEAR: Output = Output::Clear { accused: PEER };
const PROBE: Output = Output::Probe { peer: PEER };

fn at(ms: u64) -> Now {
    Now { mono: Time(ms * 1000), wall_ms: 0 }
}

/// The watch of `ME` over `PEER` and `OTHER`, told only what a story tells it.
struct Post {
    watch: Watch,
    now: u64,
}

impl Post {
    fn new() -> Self {
        let mut post = Self { watch: Watch::new(Config::default(), ME, at(0)), now: 0 };
        let names = [(ME, "me"), (PEER, "peer"), (OTHER, "other")];
        post.tell(Input::Members(names.map(|(start, name)| (start, name.to_owned())).to_vec()));
        post
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.watch.handle(at(self.now), input, &mut out);
        out
    }

    /// A tick at this moment; what it has done besides sending beacons. Whoever is asked does not reach `PEER`.
    fn tick_at(&mut self, ms: u64) -> Vec<Output> {
        self.now = ms;
        let (mut asked, mut others) = (Vec::new(), Vec::new());
        for output in self.tell(Input::Tick) {
            match output {
                Output::SendBeacon { .. } => {}
                Output::Ask { peer, through } => asked.push(Input::Told { peer, through, answered: Some(false) }),
                output => others.push(output),
            }
        }
        asked.into_iter().for_each(|answer| assert_eq!(self.tell(answer), []));
        others
    }

    /// A tick at this moment; whom it asks about `PEER`.
    fn asks_at(&mut self, ms: u64) -> Vec<StartId> {
        self.now = ms;
        let out = self.tell(Input::Tick);
        let asked = out.into_iter().filter_map(|output| match output {
            Output::Ask { peer: PEER, through } => Some(through),
            _ => None,
        });
        asked.collect()
    }

    /// `through` was asked about `PEER`.
    fn told(&mut self, through: StartId, answered: Option<bool>) -> Vec<Output> {
        self.tell(Input::Told { peer: PEER, through, answered })
    }

    /// Ticks on time until then, while `OTHER` is heard and `PEER` is silent.
    fn silence_until(&mut self, ms: u64) -> Vec<(u64, Output)> {
        let mut all = Vec::new();
        if self.now == 0 {
            self.tick_at(0);
        }
        while self.now + TICK <= ms {
            let outputs = self.tick_at(self.now + TICK);
            all.extend(outputs.into_iter().map(|output| (self.now, output)));
            self.tell(Input::BeaconAnswered { from: OTHER });
        }
        all
    }

    fn probe_says(&mut self, answered: bool, refused: bool) -> Vec<Output> {
        self.now += 50;
        self.tell(Input::ProbeResult { peer: PEER, answered, refused })
    }
}

// ---- The watch. ----

/// C35: every host sends a beacon to every other, not to itself, once an interval.
#[test]
fn beacons_go_to_all_others_every_interval() {
    let mut post = Post::new();
    let beacons = [Output::SendBeacon { to: PEER }, Output::SendBeacon { to: OTHER }];
    assert_eq!(post.tell(Input::Tick), beacons);
    post.now = 99;
    assert_eq!(post.tell(Input::Tick), [], "too early");
    assert_eq!(post.watch.tick_due(), at(100).mono);
    post.now = 100;
    assert_eq!(post.tell(Input::Tick), beacons);
}

/// Silence accuses after `suspect_after`, not before, and again while it lasts: the leader may have changed.
#[test]
fn silence_is_accused_again_and_again() {
    let mut post = Post::new();
    assert_eq!(post.silence_until(900), []);
    assert_eq!(post.silence_until(1400), [(1000, ACCUSE), (1200, ACCUSE), (1400, ACCUSE)]);
    assert_eq!(post.watch.accused().collect::<Vec<_>>(), [(PEER, "peer")]);
}

/// A sign of life takes the accusation back, once.
#[test]
fn a_sign_of_life_clears() {
    let mut post = Post::new();
    post.silence_until(1000);
    assert_eq!(post.tell(Input::BeaconAnswered { from: PEER }), [CLEAR]);
    assert_eq!(post.tell(Input::BeaconAnswered { from: PEER }), []);
    assert_eq!(post.silence_until(1900), []);
}

/// A killed process: the socket closes, a new connection is refused, nobody answers: accused within the probe.
#[test]
fn a_refused_and_unanswered_probe_accuses_at_once() {
    let mut post = Post::new();
    post.tick_at(0);
    assert_eq!(post.tell(Input::SentinelBroken { peer: PEER }), [PROBE]);
    assert_eq!(post.probe_says(false, true), [ACCUSE]);
    assert_eq!(post.now, 50, "no later than the probe itself takes");
    assert_eq!(post.silence_until(150), []);
    assert_eq!(post.silence_until(250), [(250, ACCUSE)], "and again while nothing is heard");
}

/// C12: a broken connection alone proves nothing: the host answers, or its refusal is all there is.
#[test]
fn a_closed_socket_alone_accuses_nobody() {
    for (answered, refused) in [(true, true), (true, false), (false, false)] {
        let mut post = Post::new();
        post.tell(Input::SentinelBroken { peer: PEER });
        assert_eq!(post.probe_says(answered, refused), [], "answered {answered}, refused {refused}");
    }
}

/// What was heard while the probe was out counts for more than the probe.
#[test]
fn a_beacon_during_the_probe_makes_it_void() {
    let mut post = Post::new();
    post.tell(Input::SentinelBroken { peer: PEER });
    post.tell(Input::BeaconAnswered { from: PEER });
    assert_eq!(post.probe_says(false, true), []);
}

/// However often the socket breaks, one probe is out at a time.
#[test]
fn one_probe_is_out_at_a_time() {
    let mut post = Post::new();
    assert_eq!(post.tell(Input::SentinelBroken { peer: PEER }), [PROBE]);
    assert_eq!(post.tell(Input::SentinelBroken { peer: PEER }), []);
    post.probe_says(false, false);
    assert_eq!(post.tell(Input::SentinelBroken { peer: PEER }), [PROBE]);
}

/// A host that slept accuses nobody for what it did not hear meanwhile, and takes back what it said before.
#[test]
fn a_host_that_slept_accuses_nobody() {
    let mut post = Post::new();
    post.silence_until(1000);
    assert_eq!(post.tick_at(5000), [CLEAR]);
    assert_eq!(post.tick_at(5100), []);
    post.tell(Input::BeaconAnswered { from: OTHER });
    post.now = 5100;
    assert_eq!(post.silence_until(6400), [], "it doubts itself for a while");
    assert_eq!(post.silence_until(6500), [(6500, ACCUSE)], "and judges again");
}

/// A host that slept through its own probe asks again instead of accusing.
#[test]
fn a_probe_that_was_slept_through_is_repeated() {
    let mut post = Post::new();
    post.tell(Input::SentinelBroken { peer: PEER });
    post.now = 3000;
    assert_eq!(post.probe_says(false, true), [PROBE]);
    assert_eq!(post.probe_says(false, true), [ACCUSE]);
}

/// A newcomer has its whole time to be heard, and one that left is not spoken of any more.
#[test]
fn members_come_heard_and_go_forgotten() {
    let mut post = Post::new();
    post.silence_until(1000);
    let newcomer = StartId(4);
    post.tell(Input::Members(vec![(OTHER, "other".into()), (newcomer, "new".into())]));
    assert_eq!(post.watch.accused().count(), 0);
    assert_eq!(post.tell(Input::BeaconAnswered { from: PEER }), [], "it is no member");
    assert_eq!(post.silence_until(1900), []);
    assert_eq!(post.silence_until(2000), [(2000, Output::Accuse { accused: newcomer })]);
}

/// To be told the same members again restarts no clock.
#[test]
fn a_known_member_is_not_heard_by_being_listed() {
    let mut post = Post::new();
    post.silence_until(900);
    post.tell(Input::Members(vec![(PEER, "peer".into()), (OTHER, "other".into())]));
    assert_eq!(post.silence_until(1000), [(1000, ACCUSE)]);
}

/// Before a host is accused for silence another one is asked, so early that it delays nothing.
#[test]
fn others_are_asked_before_a_silent_host_is_accused() {
    let mut post = Post::new();
    assert_eq!(post.silence_until(500), []);
    assert_eq!(post.asks_at(600), [OTHER]);
    assert_eq!(post.told(OTHER, Some(false)), []);
    post.tell(Input::BeaconAnswered { from: OTHER });
    assert_eq!(post.silence_until(1000), [(1000, ACCUSE)]);
}

/// A question that nobody was asked, or that is over, has no answer.
#[test]
fn only_who_was_asked_is_believed() {
    let mut post = Post::new();
    post.silence_until(500);
    assert_eq!(post.told(OTHER, Some(true)), [], "not asked yet");
    post.asks_at(600);
    post.told(StartId(9), Some(true));
    post.tell(Input::BeaconAnswered { from: OTHER });
    assert_eq!(post.silence_until(1000), []);
    assert_eq!(post.silence_until(1100), [(1100, ACCUSE)], "a little later, for nobody said anything");
}

/// C42: a host that answers through another is not dead: the link is broken, and named so once, until it works again.
#[test]
fn a_host_that_another_reaches_is_not_accused() {
    let mut post = Post::new();
    post.silence_until(500);
    let mut named = Vec::new();
    for ms in (600..10_000).step_by(100) {
        for through in post.asks_at(ms) {
            named.extend(post.told(through, Some(true)).into_iter().map(|output| (ms, output)));
        }
        post.tell(Input::BeaconAnswered { from: OTHER });
        assert_eq!(post.watch.accused().count(), 0);
    }
    assert_eq!(named, [(1200, Output::LinkBroken { peer: PEER, through: OTHER })]);
    assert_eq!(post.watch.broken_links().collect::<Vec<_>>(), [(PEER, "peer")]);
    assert_eq!(post.watch.reached(at(post.now)), [OTHER]);
    assert_eq!(post.tell(Input::BeaconAnswered { from: PEER }), [Output::LinkMended { peer: PEER }]);
    assert_eq!(post.watch.broken_links().count(), 0);
}

/// A host that is accused already is taken back when another reaches it.
#[test]
fn an_answer_through_another_clears() {
    let mut post = Post::new();
    post.silence_until(900);
    assert_eq!(post.asks_at(1000), [OTHER]);
    assert_eq!(post.watch.accused().count(), 1);
    assert_eq!(post.told(OTHER, Some(true)), [Output::LinkBroken { peer: PEER, through: OTHER }, CLEAR]);
}

/// Three of many are asked, others each time.
#[test]
fn three_are_asked_at_a_time_and_they_take_turns() {
    let mut post = Post::new();
    let helpers: Vec<StartId> = (3..=9).map(StartId).collect();
    let all = helpers.iter().chain([&PEER]).map(|start| (*start, start.0.to_string()));
    post.tell(Input::Members(all.collect()));
    let (mut asked, mut first) = (std::collections::BTreeSet::new(), Vec::new());
    for ms in (0..3000).step_by(100) {
        for from in &helpers {
            post.tell(Input::BeaconAnswered { from: *from });
        }
        let now = post.asks_at(ms);
        assert!(now.is_empty() || now.len() == 3, "{now:?}");
        asked.extend(now.iter().copied());
        if first.is_empty() {
            first = now;
        }
    }
    assert_eq!(first, helpers[..3]);
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), helpers);
}

/// A host whose answers always came in bursts is given longer, and never longer than `suspect_max`.
#[test]
fn an_unsteady_host_is_given_longer_within_bounds() {
    let mut post = Post::new();
    post.tick_at(0);
    for round in 0..20 {
        for step in 1..=8 {
            post.tick_at(round * 800 + step * TICK);
            post.tell(Input::BeaconAnswered { from: OTHER });
        }
        post.tell(Input::BeaconAnswered { from: PEER });
        post.now += 1;
        post.tell(Input::BeaconAnswered { from: PEER });
        post.now -= 1;
    }
    let last = post.now;
    let accused = post.silence_until(last + 5000).first().map(|(ms, _)| ms - last);
    assert!(accused.is_some_and(|after| after > 2000 && after <= 3100), "{accused:?}");
}

/// A host whose timers are late judges nobody by a late tick, and for a while gives everybody longer.
#[test]
fn a_late_host_doubts_itself_first() {
    let mut post = Post::new();
    post.silence_until(800);
    for ms in [1200, 1600, 2000, 2400, 2800] {
        assert_eq!(post.tick_at(ms), [], "three tenths of a second late each time");
        post.tell(Input::BeaconAnswered { from: OTHER });
    }
    let accused = post.silence_until(6000).first().map(|(ms, _)| *ms);
    assert!(accused.is_some_and(|ms| (3300..=4000).contains(&ms)), "{accused:?}");
}

proptest! {
    /// A host that is heard at least once in every `suspect_after` is never accused of silence, however the
    /// ticks fall; and every accusation that ends is taken back.
    #[test]
    fn whoever_is_heard_in_time_is_never_accused(steps in prop::collection::vec((0_u64..400, any::<bool>()), 1..200)) {
        let mut post = Post::new();
        let (mut heard, mut is_accused) = (0, false);
        for (pause, is_heard) in steps {
            post.now += pause;
            let outputs = if is_heard {
                heard = post.now;
                post.tell(Input::BeaconAnswered { from: PEER })
            } else {
                post.tell(Input::Tick)
            };
            for output in outputs {
                if output == ACCUSE {
                    prop_assert!(post.now - heard >= 1000, "heard {} ms ago", post.now - heard);
                    is_accused = true;
                } else if output == CLEAR {
                    prop_assert!(is_accused);
                    is_accused = false;
                }
            }
            prop_assert_eq!(post.watch.accused().any(|(start, _)| start == PEER), is_accused);
        }
    }
}

// ---- The jury. ----

fn jury(members: u64) -> Jury {
    let mut jury = Jury::new(Config::default());
    jury.members((1..=members).map(StartId));
    jury
}

/// C12: one host's broken link kills nobody; two observers do, and the verdict is given once.
#[test]
fn two_observers_must_agree() {
    let mut jury = jury(4);
    assert_eq!(jury.accuse(at(0), ME, PEER), None);
    assert_eq!(jury.accuse(at(200), ME, PEER), None, "the same observer again");
    assert_eq!(jury.accuse(at(300), OTHER, PEER), Some(PEER));
    assert_eq!(jury.accuse(at(400), StartId(4), PEER), None, "found already");
}

/// With one other host left, that one decides.
#[test]
fn the_last_other_host_decides_alone() {
    assert_eq!(jury(2).accuse(at(0), ME, PEER), Some(PEER));
}

/// Accusations that are not repeated lapse, and those that are taken back do not count.
#[test]
fn old_and_withdrawn_accusations_do_not_count() {
    let mut lapsed = jury(3);
    assert_eq!(lapsed.accuse(at(0), ME, PEER), None);
    assert_eq!(lapsed.accuse(at(1001), OTHER, PEER), None);
    let mut withdrawn = jury(3);
    assert_eq!(withdrawn.accuse(at(0), ME, PEER), None);
    withdrawn.withdraw(ME, PEER);
    assert_eq!(withdrawn.accuse(at(1), OTHER, PEER), None);
}

/// The dead, strangers and the accused themselves are no observers.
#[test]
fn only_other_members_are_heard() {
    let mut jury = jury(3);
    assert_eq!(jury.accuse(at(0), StartId(9), PEER), None);
    assert_eq!(jury.accuse(at(0), PEER, PEER), None);
    assert_eq!(jury.accuse(at(0), ME, StartId(9)), None);
    assert_eq!(jury.accuse(at(0), ME, PEER), None);
    jury.members([OTHER, PEER, StartId(4)]);
    assert_eq!(jury.accuse(at(1), OTHER, PEER), None, "what the dead said is forgotten");
    assert_eq!(jury.accuse(at(2), StartId(4), PEER), Some(PEER));
}

/// A verdict whose proposal failed comes again while the accusations go on.
#[test]
fn a_verdict_that_came_to_nothing_is_given_again() {
    let mut jury = jury(3);
    let mut verdicts = Vec::new();
    for ms in (0..2500).step_by(200) {
        verdicts.extend(jury.accuse(at(ms), ME, PEER).map(|_| ms));
        verdicts.extend(jury.accuse(at(ms), OTHER, PEER).map(|_| ms));
    }
    assert_eq!(verdicts, [0, 1200, 2400]);
}

/// From the kill of a host to the leader's verdict: a closed socket and a probe, seen by two.
#[test]
fn a_killed_host_is_found_within_a_probe() {
    let config = Config::default();
    let mut jury = jury(3);
    let mut verdict = None;
    for observer in [ME, OTHER] {
        let mut watch = Watch::new(config, observer, at(0));
        let mut out = Vec::new();
        watch.handle(at(0), Input::Members(vec![(PEER, "peer".into())]), &mut out);
        watch.handle(at(0), Input::SentinelBroken { peer: PEER }, &mut out);
        assert_eq!(out, [PROBE]);
        let result = Input::ProbeResult { peer: PEER, answered: false, refused: true };
        watch.handle(at(50), result, &mut out);
        assert_eq!(out[1..], [ACCUSE]);
        verdict = jury.accuse(at(50), observer, PEER);
    }
    assert_eq!(verdict, Some(PEER));
    assert!(config.probe_within <= Duration::from_millis(50));
}
