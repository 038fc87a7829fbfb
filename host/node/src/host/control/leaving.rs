//! This process leaves (`PROTOCOL.md` 7): because an operator drained it, or because a signal stops it.
//!
//! ```text
//!   signal --> Draining --> copies and votes move away --> nothing held --> Left, exit 0
//!                  |                                         |
//!      (operator) -+      time is over, or nobody takes it --+--> leaves all the same, and says what is lost
//! ```
//!
//! A second signal ends it at once.

use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Holding, Outcome, Refusal, State};
use colony_wire::control::{ControlReply, ControlRequest};
use tokio::time::{self, Instant};

use super::undead::kept_copies;
use super::view::FEED_HOLD;
use super::{Control, Realms, departures};
use crate::host::HostError;

/// The leader holds a request to leave back for as long as a feed, and then has it committed.
const LEAVE_WITHIN: Duration = FEED_HOLD.saturating_add(Duration::from_secs(2));
/// What ends all the same waits no longer than this for the group's word: it is only to spare others the time until
/// they notice.
const ANYWAY_WITHIN: Duration = Duration::from_secs(1);
/// Pause after a request that came to nothing: an election takes about as long.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A host that stays answers a question within this time; asked when the group decides nothing.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Resolves when this process is to end: it has left, or it cannot stay any longer.
pub(super) async fn run(realms: Arc<Realms>) -> Result<(), HostError> {
    let control = realms.root.clone();
    let mut told = control.host.surroundings.told_to_stop()?;
    tokio::select! {
        () = until_left(&realms) => return Ok(()),
        Some(()) = told.recv() => tracing::info!("told to stop: this host drains, a second signal stops it at once"),
    }
    tokio::select! {
        outcome = leave_within(&realms, control.host.config.drain_timeout) => outcome,
        Some(()) = told.recv() => Err(HostError::LeftUnsafe { why: "a second signal stopped it while it drained".into() }),
    }
}

/// Leaves once an operator has drained this host and nothing is left here. For ever, if nobody does.
async fn until_left(realms: &Realms) {
    let control = &*realms.root;
    let mut view = control.view.subscribe();
    loop {
        let state = view.borrow_and_update().clone();
        let start = control.start();
        if has_left(control, &state) {
            return;
        }
        let is_empty = state.is_draining(start) && state.holdings(start).is_empty();
        if is_empty && keeps_nothing(realms).await {
            if ask_to_leave(control).await {
                return;
            }
            time::sleep(AGAIN_AFTER).await;
        } else if view.changed().await.is_err() {
            return;
        }
    }
}

/// Drains this host and leaves, with what cannot be moved away within this time if need be.
async fn leave_within(realms: &Realms, within: Duration) -> Result<(), HostError> {
    let control = &*realms.root;
    let deadline = Instant::now() + within;
    let mut view = control.view.subscribe();
    loop {
        let state = view.borrow_and_update().clone();
        let start = control.start();
        if has_left(control, &state) {
            return Ok(());
        }
        let is_late = Instant::now() >= deadline;
        let is_empty = keeps_nothing(realms).await;
        if !state.is_up(start) && is_empty {
            // It has not joined yet, or was declared dead and keeps nothing.
            return Ok(());
        }
        let holdings = state.holdings(start);
        if state.is_draining(start) && holdings.is_empty() && is_empty {
            if ask_to_leave(control).await {
                return Ok(());
            }
        } else if is_late || (state.is_draining(start) && holdings.iter().all(|held| held.is_stuck) && is_empty) {
            return leave_anyway(control, &state, &holdings, !is_empty).await;
        } else if state.is_draining(start) || !state.is_up(start) {
            let _ = time::timeout_at(deadline, view.changed()).await;
            continue;
        } else if ask_to_drain(control).await {
            continue;
        }
        if is_late || !anybody_stays(control, &state).await {
            return leave_anyway(control, &state, &holdings, !is_empty).await;
        }
        let _ = time::timeout(AGAIN_AFTER, view.changed()).await;
    }
}

/// Whether the group has let this process go, as it asked to.
fn has_left(control: &Control, state: &State) -> bool {
    *control.host.leaving.borrow() && state.has_begun() && !state.members.contains_key(&control.start())
}

/// Whether no copy is kept here whose fate is open, and none is in an island.
async fn keeps_nothing(realms: &Realms) -> bool {
    if realms.island().is_some() {
        return false;
    }
    for shard in realms.root.shards() {
        if !kept_copies(&realms.root, shard).await.copies.is_empty() {
            return false;
        }
    }
    true
}

/// Has the group drain this host; says whether that is so.
async fn ask_to_drain(control: &Control) -> bool {
    let command = Command::Drain { starts: vec![control.start()] };
    match control.propose(&command).await {
        Ok(Outcome::Applied) => {
            let mut view = control.view.subscribe();
            let start = control.start();
            let seen = view.wait_for(|state| state.is_draining(start) || !state.is_up(start));
            time::timeout(LEAVE_WITHIN, seen).await.is_ok()
        }
        Ok(outcome) => {
            tracing::warn!(?outcome, "not drained");
            false
        }
        Err(error) => {
            tracing::info!(%error, "not drained yet");
            false
        }
    }
}

/// Asks the leader to let this process go; says whether it did. From here on the process does not come back by
/// itself, until it is sure that the group did not.
async fn ask_to_leave(control: &Control) -> bool {
    control.host.leaving.send_replace(true);
    let why = match ask(control, false, LEAVE_WITHIN).await {
        Ok(Outcome::Applied) => {
            tracing::info!("left the group");
            return true;
        }
        Ok(Outcome::Refused(why)) => {
            // Other answers say nothing for sure: it may have been let go.
            if !matches!(why, Refusal::NotUp(_)) {
                control.host.leaving.send_replace(false);
            }
            why.to_string()
        }
        Ok(Outcome::Created(_)) => "an answer to another question".to_owned(),
        Err(why) => why,
    };
    tracing::info!(%why, "not let go yet");
    false
}

/// Ends with what it holds: the group hears of it, so that nobody waits for a failure to be noticed.
async fn leave_anyway(
    control: &Control,
    state: &State,
    holdings: &[Holding],
    keeps_copies: bool,
) -> Result<(), HostError> {
    let others_run = anybody_runs(control, state).await;
    let lost: Vec<String> =
        holdings.iter().filter(|held| held.is_last() || !others_run).map(|held| name(state, held)).collect();
    control.host.leaving.send_replace(true);
    if others_run && let Err(why) = ask(control, true, ANYWAY_WITHIN).await {
        tracing::info!(%why, "the group did not hear that this host leaves");
    }
    if keeps_copies {
        let why =
            "it kept copies that the group has not taken in: of an island, or under a start that was declared dead";
        let why = why.to_owned();
        return Err(HostError::LeftUnsafe { why });
    }
    if lost.is_empty() {
        let short: Vec<String> = holdings.iter().map(|held| name(state, held)).collect();
        tracing::warn!(colonies = %departures::listed(&short), "left with copies that no other host could take");
        return Ok(());
    }
    Err(HostError::LeftUnsafe { why: format!("the last copies were here of {}", departures::listed(&lost)) })
}

fn name(state: &State, held: &Holding) -> String {
    departures::colony_name(state, held.colony)
}

/// Asks the leader to let this process go.
async fn ask(control: &Control, anyway: bool, within: Duration) -> Result<Outcome, String> {
    let start = control.start();
    let asking = async {
        loop {
            let reply = if control.group.is_leader() {
                control.let_go(start, anyway).await
            } else if let Some(leader) = control.leader_address().or_else(|| control.somebody()) {
                let asked = control.calls.call(leader, &ControlRequest::Leave { start, anyway }, within).await;
                asked.unwrap_or_else(|error| ControlReply::Refused { why: error.to_string(), retryable: true })
            } else {
                return Err("no other host is known".to_owned());
            };
            match reply {
                ControlReply::Proposed { outcome } => {
                    return Outcome::decode(&outcome).map_err(|error| error.to_string());
                }
                ControlReply::NotLeader { leader } => {
                    control.note_leader(leader.and_then(|address| address.parse().ok()));
                }
                ControlReply::Refused { why, .. } => {
                    control.note_leader(None);
                    return Err(why);
                }
                _ => return Err("an answer to another question".to_owned()),
            }
            time::sleep(AGAIN_AFTER).await;
        }
    };
    time::timeout(within, asking).await.unwrap_or_else(|_| Err("the leader does not answer".to_owned()))
}

/// Whether a host that stays answers: it could take what is here, or will once the group decides again.
async fn anybody_stays(control: &Control, state: &State) -> bool {
    anybody_answers(control, state.staying()).await
}

/// Whether any other host answers, be it about to leave itself.
async fn anybody_runs(control: &Control, state: &State) -> bool {
    anybody_answers(control, state.up()).await
}

async fn anybody_answers(control: &Control, members: impl Iterator<Item = &colony_core::group::Member>) -> bool {
    let start = control.start();
    let mut asked = tokio::task::JoinSet::new();
    for member in members.filter(|member| member.start != start) {
        let (calls, address, expected) = (control.calls.clone(), member.address, member.start);
        asked.spawn(async move {
            let introduce = ControlRequest::Introduce { start };
            let answer = calls.call(address, &introduce, ANSWER_WITHIN).await;
            matches!(answer, Ok(ControlReply::Introduction(found)) if found.start == expected)
        });
    }
    while let Some(answered) = asked.join_next().await {
        if answered.unwrap_or(false) {
            return true;
        }
    }
    false
}
