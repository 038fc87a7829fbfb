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
        };
        state.apply(&Command::Genesis { cluster: ClusterId(1), lineage: LineageId(1), member });
        Self { state, now }
    }

    fn join(&mut self, member: Member) {
        self.state.apply(&Command::Join { member, deviations: Vec::<Deviation>::new() });
    }

    fn die(&mut self, host: u64) {
        self.state.apply(&Command::Dead { start: StartId(host), deviations: Vec::new() });
    }

    /// Takes every step there is; learners catch up at once. Returns the steps.
    fn settle(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Next::Step(step) = next_step(&self.state, &self.now, VOTERS) {
            assert!(steps.len() < 16, "the steps do not end: {steps:?}");
            match &step {
                Step::Finish(voters) | Step::Elect(voters) => {
                    let removed = |raft: &RaftId| self.now.voters.iter().any(|set| set.contains(raft));
                    self.now.nodes.retain(|raft, _| voters.contains(raft) || !removed(raft));
                    self.now.voters = vec![voters.clone()];
                }
                Step::Teach(peer) => {
                    self.now.nodes.insert(peer.raft, peer.address);
                    self.now.caught_up.insert(peer.raft);
                }
                Step::Dismiss(raft) => drop(self.now.nodes.remove(raft)),
            }
            steps.push(step);
        }
        steps
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
