//! Groups of several hosts: founding, joining, losing leaders and voters, coming back.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use colony_core::group::{Command, Outcome, Refusal, State};
use colony_raft::{Feed, FoundError, KEPT_COMMANDS, Peer, ProposeError, ReconcileError, Storage, VOTERS};
use colony_wire::{RaftId, Revision};
use common::{Host, Net, leader_among, note, soon, three};

#[tokio::test]
async fn a_founder_alone_commits_and_is_confirmed() {
    let host = Host::start(&Net::new(), 1).await;
    host.found().await;
    assert!(host.group.is_confirmed());
    assert_eq!(host.propose(&note(1)).await, Ok(Outcome::Applied));
    assert_eq!(host.group.state().borrow().revision, Revision(2));
    assert_eq!(host.group.voters(), [RaftId(1)]);
}

#[tokio::test]
async fn a_group_is_founded_once() {
    let host = Host::start(&Net::new(), 1).await;
    assert_eq!(host.group.is_founded().await, Ok(false));
    host.found().await;
    assert_eq!(host.group.is_founded().await, Ok(true));
    let again = host.group.found(&host.genesis(), host.member.address, common::PATIENCE).await;
    assert_eq!(again, Err(FoundError::AlreadyFounded));
    let refused = Outcome::Refused(Refusal::NotAtBeginning);
    assert_eq!(host.propose(&host.genesis()).await, Ok(refused));
}

/// C3: every voter holds the state in which the others have joined.
#[tokio::test]
async fn a_third_host_makes_three_voters_that_hold_the_same_state() {
    let net = Net::new();
    let [one, two, three] = three(&net).await;
    one.propose(&note(1)).await.expect("commits");
    let expected = one.group.state().borrow().clone();
    for follower in [&two, &three] {
        assert_eq!(follower.reaches(expected.revision).await, expected);
    }
}

#[tokio::test]
async fn a_follower_names_the_leader() {
    let net = Net::new();
    let [one, two, _three] = three(&net).await;
    let leader = Peer { raft: RaftId(1), address: one.member.address };
    let mut leadership = two.group.leadership();
    drop(soon("a leader", leadership.wait_for(|seen| seen.leader == Some(leader))).await);
    assert_eq!(two.propose(&note(1)).await, Err(ProposeError::NotLeader { leader: Some(leader) }));
    assert_eq!(two.group.leader(), Some(leader));
    assert!(!two.group.is_leader() && !two.group.is_confirmed());
    assert_eq!(two.group.reconcile_voters(VOTERS).await, Err(ReconcileError::NotConfirmed));
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_proposals_go_on() {
    let net = Net::new();
    let [one, two, three] = three(&net).await;
    one.propose(&note(1)).await.expect("commits");
    let before = one.group.state().borrow().revision;
    let killed = Instant::now();
    one.kill().await;
    let leader = leader_among(&[&two, &three]).await;
    leader.propose(&note(2)).await.expect("commits");
    println!("first commit {} ms after the kill", killed.elapsed().as_millis());
    assert!(leader.group.state().borrow().revision > before);
}

#[tokio::test]
async fn a_voter_that_knows_the_leader_is_gone_does_not_wait_for_its_lease() {
    let net = Net::new();
    let [one, two, three] = three(&net).await;
    two.reaches(one.group.state().borrow().revision).await;
    let lease = colony_raft::ELECTION_MAX;
    one.kill().await;
    let killed = Instant::now();
    two.group.take_over().await.expect("the group runs");
    two.leads().await;
    let took = killed.elapsed();
    println!("took over in {} ms", took.as_millis());
    assert!(took < lease, "{took:?}");
    two.propose(&note(1)).await.expect("commits");
    three.reaches(two.group.state().borrow().revision).await;
}

/// C13: also a host that begins to vote later holds the state in which the other is dead.
#[tokio::test]
async fn a_dead_voter_is_replaced_by_a_spare_and_the_spare_holds_all() {
    let net = Net::new();
    let [one, two, three] = three(&net).await;
    let spare = Host::start(&net, 4).await;
    one.admit(&[&spare]).await;
    assert_eq!(one.group.voters(), [RaftId(1), RaftId(2), RaftId(3)]);
    let dead = three.member.start;
    three.kill().await;
    one.propose(&Command::Dead { start: dead, deviations: Vec::new() }).await.expect("commits");
    one.settle().await;
    assert_eq!(one.group.voters(), [RaftId(1), RaftId(2), RaftId(4)]);
    // The new voter counts: with another of the old ones gone the group goes on.
    two.kill().await;
    one.propose(&note(1)).await.expect("commits");
    let state = one.group.state().borrow().clone();
    assert_eq!(spare.reaches(state.revision).await, state);
}

/// A9: what a former leader decides without the others is not committed.
#[tokio::test]
async fn a_leader_that_is_cut_off_decides_nothing_and_follows_when_it_is_back() {
    let net = Net::new();
    let [one, two, three] = three(&net).await;
    net.isolate(&one);
    let bound = Duration::from_millis(200);
    let asked = Instant::now();
    let lost = one.group.propose(&note(1), bound).await;
    assert!(matches!(lost, Err(ProposeError::Unavailable | ProposeError::NoQuorum)), "{lost:?}");
    assert!(asked.elapsed() < bound * 10, "{:?}", asked.elapsed());
    let mut leadership = one.group.leadership();
    drop(soon("doubt", leadership.wait_for(|leadership| !leadership.is_confirmed)).await);
    assert!(!one.group.is_confirmed());
    let refused = one.group.propose(&note(2), bound).await;
    assert!(matches!(&refused, Err(error) if error.is_retryable() && error.has_no_side_effects()), "{refused:?}");

    let leader = leader_among(&[&two, &three]).await;
    leader.propose(&note(3)).await.expect("commits");
    net.heal();
    let state = leader.group.state().borrow().clone();
    assert_eq!(one.reaches(state.revision).await, state);
    assert!(!one.group.is_leader());
}

#[tokio::test]
async fn a_voter_that_was_cut_off_does_not_unseat_the_leader() {
    let net = Net::new();
    let [one, _two, three] = three(&net).await;
    let term = one.group.leadership().borrow().term;
    net.isolate(&three);
    // Long enough for several elections.
    tokio::time::sleep(Duration::from_secs(4)).await;
    net.heal();
    one.propose(&note(1)).await.expect("commits");
    three.reaches(one.group.state().borrow().revision).await;
    assert!(one.group.is_confirmed());
    assert_eq!(one.group.leadership().borrow().term, term);
}

#[tokio::test]
async fn a_restart_from_disk_keeps_id_vote_log_and_state() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let net = Net::new();
    let open = |fresh| Storage::open(folder.path(), RaftId(fresh)).expect("opens");
    let host = Host::start_on(&net, 1, open(71)).await;
    host.found().await;
    for number in 0..20 {
        host.propose(&note(number)).await.expect("commits");
    }
    let state = host.group.state().borrow().clone();
    let term = host.group.leadership().borrow().term;
    host.kill().await;

    let host = Host::start_on(&net, 1, open(72)).await;
    assert_eq!(host.group.id(), RaftId(71));
    assert_eq!(host.group.is_founded().await, Ok(true));
    host.leads().await;
    assert!(host.group.leadership().borrow().term > term, "a restarted leader is elected anew");
    assert_eq!(host.reaches(state.revision).await, state);
    host.propose(&note(20)).await.expect("commits");
    host.kill().await;
}

#[tokio::test]
async fn a_group_of_disks_that_all_stop_loses_nothing() {
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder for the test"));
    let net = Net::new();
    let start = async |n: u16| {
        let folder = folders[usize::from(n) - 1].path();
        Host::start_on(&net, n, Storage::open(folder, RaftId(u64::from(n))).expect("opens")).await
    };
    let hosts = [start(1).await, start(2).await, start(3).await];
    hosts[0].found().await;
    hosts[0].admit(&[&hosts[1], &hosts[2]]).await;
    hosts[0].propose(&note(1)).await.expect("commits");
    let state = hosts[0].group.state().borrow().clone();
    for host in hosts {
        host.kill().await;
    }
    let hosts = [start(1).await, start(2).await, start(3).await];
    let leader = leader_among(&[&hosts[0], &hosts[1], &hosts[2]]).await;
    assert_eq!(leader.reaches(state.revision).await, state);
    leader.propose(&note(2)).await.expect("commits");
}

/// Applies what the feed gives to a state of its own, as a host that does not vote does.
fn follow(host: &Host, mut own: State) -> (State, usize) {
    let mut snapshots = 0;
    loop {
        match host.group.feed(own.revision) {
            Feed::Commands(commands) if commands.is_empty() => return (own, snapshots),
            Feed::Commands(commands) => {
                for command in commands {
                    own.apply(&Command::decode(&command).expect("a command"));
                }
            }
            Feed::Snapshot { revision, state } => {
                own = State::decode(&state).expect("a state");
                assert_eq!(own.revision, revision);
                snapshots += 1;
            }
        }
    }
}

#[tokio::test]
async fn the_feed_gives_commands_and_to_the_far_behind_the_state() {
    let host = Host::start(&Net::new(), 1).await;
    host.found().await;
    let (early, snapshots) = follow(&host, State::default());
    assert_eq!((&early, snapshots), (&**host.group.state().borrow(), 0));
    for number in 0..KEPT_COMMANDS as u64 {
        host.propose(&note(number)).await.expect("commits");
    }
    let (near, snapshots) = follow(&host, early);
    assert_eq!((&near, snapshots), (&**host.group.state().borrow(), 0));
    let (far, snapshots) = follow(&host, State::default());
    assert_eq!((&far, snapshots), (&**host.group.state().borrow(), 1));
}

#[tokio::test]
async fn a_host_that_lacks_what_was_purged_takes_a_snapshot() {
    let net = Net::new();
    let one = Host::start(&net, 1).await;
    one.found().await;
    // Enough that the first entries are neither in the log nor kept for the feed any more.
    let notes = 16_000;
    for number in 0..notes {
        one.propose(&note(number)).await.expect("commits");
    }
    let (two, three) = (Host::start(&net, 2).await, Host::start(&net, 3).await);
    one.admit(&[&two, &three]).await;
    let state = one.group.state().borrow().clone();
    assert_eq!(state.revision, Revision(notes + 3));
    assert_eq!(two.reaches(state.revision).await, state);
    assert!(matches!(two.group.feed(Revision(1)), Feed::Snapshot { .. }));
    one.kill().await;
    let leader = leader_among(&[&two, &three]).await;
    leader.propose(&note(0)).await.expect("commits");
}

#[tokio::test]
async fn a_host_that_moved_is_found_where_the_state_says() {
    let net = Net::new();
    let [one, two, _three] = three(&net).await;
    let mut moved = two.member.clone();
    moved.start.0 += 100;
    moved.address.set_port(8002);
    one.propose(&Command::Join { member: moved.clone(), deviations: Vec::new(), plugins: Vec::new() })
        .await
        .expect("commits");
    assert_eq!(one.group.reconcile_voters(VOTERS).await, Ok(colony_raft::Reconciled::Settled));
    // Its log votes on, so it may lead, and is named with the address it has now.
    let state = one.group.state().borrow().clone();
    two.reaches(state.revision).await;
    two.group.take_over().await.expect("the group runs");
    two.leads().await;
    let mut leadership = one.group.leadership();
    drop(soon("a leader", leadership.wait_for(|seen| seen.leader.is_some_and(|peer| peer.raft == RaftId(2)))).await);
    assert_eq!(one.group.leader(), Some(Peer { raft: RaftId(2), address: moved.address }));
    let at: BTreeMap<_, _> = state.members.values().map(|member| (member.raft, member.address)).collect();
    assert_eq!(at.len(), 3);
}

#[tokio::test]
async fn a_proposal_after_the_end_says_so() {
    let host = Host::start(&Net::new(), 1).await;
    host.found().await;
    host.group.shutdown().await;
    assert_eq!(host.propose(&note(1)).await, Err(ProposeError::Stopped));
    let fatal = tokio::time::timeout(Duration::from_millis(50), host.group.fatal()).await;
    assert!(fatal.is_err(), "a wanted end is no failure");
}

#[tokio::test]
async fn a_malformed_message_is_refused_and_harms_nothing() {
    let host = Host::start(&Net::new(), 1).await;
    host.found().await;
    for message in [&[][..], &[9, 0, 0], &[1], &[1, 0, 255], &[1, 200, 1, 1]] {
        let message = bytes::Bytes::copy_from_slice(message);
        assert!(host.group.handle(message.clone()).await.is_err(), "{message:?}");
    }
    host.propose(&note(1)).await.expect("commits");
}
