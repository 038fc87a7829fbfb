//! Stories of one group: hosts come and go, the steps are taken as they are named.

use colony_core::group::{Command, Deviation, MemberState};
use colony_wire::{ClusterId, LineageId, StartId};

use super::*;

/// A group state and its electorate, both changed only as the product would.
struct Story {
    state: State,
    now: Electorate,
}

impl Story {
    /// Host 1 founded the group.
    fn new() -> Self {
        Self::founded_by(member(1, &[]))
    }

    fn founded_by(member: Member) -> Self {
        let mut state = State::default();
        let now = Electorate {
            voters: vec![BTreeSet::from([member.raft])],
            nodes: BTreeMap::from([(member.raft, member.address)]),
            caught_up: BTreeSet::new(),
            informed: BTreeSet::new(),
            leader: member.raft,
        };
        state.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member });
        Self { state, now }
    }

    fn join(&mut self, member: Member) {
        self.state.apply(&Command::Join { member, deviations: Vec::<Deviation>::new(), plugins: Vec::new() });
    }

    fn die(&mut self, host: u64) {
        self.state.apply(&Command::Dead { start: StartId(host), deviations: Vec::new() });
    }

    /// The next step, if every node hears at once of what was decided.
    fn next(&mut self) -> Next {
        self.now.informed = self.now.nodes.keys().copied().collect();
        next_step(&self.state, &self.now, VOTERS)
    }

    /// Takes every step there is; learners catch up at once. Returns the steps.
    fn settle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Next::Step(step) = self.next() {
            assert!(steps.len() < 16, "the steps do not end: {steps:?}");
            match &step {
                Step::Finish(voters) | Step::Elect(voters) => {
                    self.now.voters = vec![voters.clone()];
                }
                Step::Teach(peer) => {
                    self.now.nodes.insert(peer.raft, peer.address);
                    self.now.caught_up.insert(peer.raft);
                }
                Step::Dismiss(raft) => drop(self.now.nodes.remove(raft)),
                Step::HandOver(raft) => self.now.leader = *raft,
            }
            steps.push(step);
        }
        steps
    }

    fn drain(&mut self, hosts: &[u64]) {
        self.state.apply(&Command::Drain { starts: hosts.iter().copied().map(StartId).collect() });
    }

    fn leave(&mut self, host: u64) {
        self.state.apply(&Command::Leave { start: StartId(host) });
    }

    fn voters(&self) -> Vec<u64> {
        self.now.voters.iter().flatten().map(|raft| raft.0).collect()
    }
}

/// Host `n` has start `n` and log `n`.
fn member(n: u64, labels: &[(&str, &str)]) -> Member {
    Member {
        start: StartId(n),
        name: format!("h{n}"),
        address: SocketAddr::from(([127, 0, 0, 1], 7000 + u16::try_from(n).expect("a small number"))),
        shards: 1,
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        raft: RaftId(n),
        earlier: Vec::new(),
        state: MemberState::Up,
    }
}

fn ids(ids: &[u64]) -> BTreeSet<RaftId> {
    ids.iter().copied().map(RaftId).collect()
}

#[test]
fn two_hosts_have_one_voter_and_three_have_three() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    assert_eq!(story.settle(), []);
    story.join(member(3, &[]));
    story.settle();
    assert_eq!(story.voters(), [1, 2, 3]);
    story.join(member(4, &[]));
    story.join(member(5, &[]));
    assert_eq!(story.settle(), []);
}

#[test]
fn a_voter_is_taught_before_it_is_elected_and_waited_for() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    for n in [2, 3] {
        let Next::Step(Step::Teach(peer)) = next_step(&story.state, &story.now, VOTERS) else {
            panic!("host {n} is not taught");
        };
        assert_eq!(peer, Peer { raft: RaftId(n), address: member(n, &[]).address });
        story.now.nodes.insert(peer.raft, peer.address);
    }
    story.now.caught_up = ids(&[2]);
    assert_eq!(next_step(&story.state, &story.now, VOTERS), Next::Wait);
    story.now.caught_up = ids(&[2, 3]);
    assert_eq!(next_step(&story.state, &story.now, VOTERS), Next::Step(Step::Elect(ids(&[1, 2, 3]))));
}

#[test]
fn a_dead_voter_stays_until_there_is_a_spare_for_it() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.die(3);
    assert_eq!(story.settle(), []);
    assert_eq!(story.voters(), [1, 2, 3]);
    story.join(member(4, &[]));
    story.settle();
    assert_eq!(story.voters(), [1, 2, 4]);
}

#[test]
fn a_host_that_came_back_without_its_log_takes_its_own_place() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.join(Member { name: "h3".into(), ..member(30, &[]) });
    story.settle();
    assert_eq!(story.voters(), [1, 2, 30]);
}

#[test]
fn a_host_that_came_back_with_its_log_votes_on() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.join(Member { name: "h3".into(), raft: RaftId(3), ..member(30, &[]) });
    assert_eq!(story.settle(), []);
}

#[test]
fn voters_are_spread_over_zones_then_racks() {
    let mut story = Story::founded_by(member(1, &[("zone", "a"), ("rack", "r1")]));
    story.join(member(2, &[("zone", "a"), ("rack", "r1")]));
    story.join(member(3, &[("zone", "a"), ("rack", "r2")]));
    story.join(member(4, &[("zone", "b"), ("rack", "r3")]));
    story.settle();
    assert_eq!(story.voters(), [1, 3, 4]);
}

#[test]
fn a_change_that_was_begun_is_finished_first() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.now.voters = vec![ids(&[1, 2, 3]), ids(&[1, 2, 4])];
    assert_eq!(next_step(&story.state, &story.now, VOTERS), Next::Step(Step::Finish(ids(&[1, 2, 4]))));
}

#[test]
fn a_learner_that_nobody_waits_for_is_dismissed() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.now.nodes.insert(RaftId(2), member(2, &[]).address);
    assert_eq!(story.settle(), [Step::Dismiss(RaftId(2))]);
}

#[test]
fn a_spare_that_dies_while_it_learns_is_replaced() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.now.nodes.insert(RaftId(3), member(3, &[]).address);
    story.die(3);
    story.join(member(4, &[]));
    story.settle();
    assert_eq!(story.voters(), [1, 2, 4]);
    assert!(!story.now.nodes.contains_key(&RaftId(3)));
}

/// C1: the voter that leaves is replaced while it runs, and hears of it.
#[test]
fn a_voter_that_drains_is_replaced_one_for_one() {
    let mut story = Story::new();
    for n in 2..=4 {
        story.join(member(n, &[]));
    }
    story.settle();
    assert_eq!(story.voters(), [1, 2, 3]);
    story.drain(&[3]);
    story.settle();
    assert_eq!(story.voters(), [1, 2, 4]);
    assert!(story.now.nodes.contains_key(&RaftId(3)), "it is sent the log until it is gone");
    story.leave(3);
    assert_eq!(story.settle(), [Step::Dismiss(RaftId(3))]);
    assert_eq!(story.voters(), [1, 2, 4]);
}

/// A11: the leader gives its office to one that votes and stays, and then its vote.
#[test]
fn a_leader_that_drains_lets_another_lead_first() {
    let mut story = Story::new();
    for n in 2..=4 {
        story.join(member(n, &[]));
    }
    story.settle();
    story.now.caught_up = ids(&[2, 3, 4]);
    story.drain(&[1]);
    let steps = story.settle();
    let handed = steps.iter().position(|step| matches!(step, Step::HandOver(heir) if [2, 3].contains(&heir.0)));
    let elected = steps.iter().position(|step| *step == Step::Elect(ids(&[2, 3, 4])));
    assert!(handed < elected && handed.is_some(), "{steps:?}");
    assert_ne!(story.now.leader, RaftId(1));
}

/// PROTOCOL.md 15: with nobody to replace it the number falls, to one of two, and grows again with who comes.
#[test]
fn the_number_of_voters_falls_only_by_leaving() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.drain(&[1]);
    story.settle();
    assert_eq!(story.voters().len(), 1, "{:?}", story.now);
    assert_ne!(story.voters(), [1]);
    story.leave(1);
    story.settle();
    story.join(member(4, &[]));
    story.settle();
    assert_eq!(story.voters(), [2, 3, 4]);
    story.die(3);
    assert_eq!(story.settle(), [], "a death takes no vote away");
    assert_eq!(story.voters().len(), 3);
}

/// Bug: after a drain one of the other hosts heard of nothing any more. Cause: the number of voters fell, and who lost its
/// vote was dismissed before it had heard so: it waited for a log that nobody sent it. Fix: who runs is dismissed when it
/// has the membership in which it does not vote.
#[test]
fn who_votes_no_more_is_dismissed_when_it_knows() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.now.voters = vec![ids(&[1])];
    story.drain(&[3]);
    story.now.informed = ids(&[1]);
    assert_eq!(next_step(&story.state, &story.now, VOTERS), Next::Wait);
    story.now.informed = ids(&[1, 2, 3]);
    assert_eq!(next_step(&story.state, &story.now, VOTERS), Next::Step(Step::Dismiss(RaftId(2))));
}

/// Two hosts, one voter, and that one leaves: the other votes before, and leads.
#[test]
fn the_only_voter_leaves_its_vote_to_the_other() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.settle();
    story.drain(&[1]);
    let steps = story.settle();
    assert_eq!((story.voters(), story.now.leader), (vec![2], RaftId(2)), "{steps:?}");
}

#[test]
fn where_all_leave_the_voters_stay() {
    let mut story = Story::new();
    story.join(member(2, &[]));
    story.join(member(3, &[]));
    story.settle();
    story.drain(&[1, 2, 3]);
    assert_eq!(story.settle(), []);
    assert_eq!(story.voters(), [1, 2, 3]);
}
