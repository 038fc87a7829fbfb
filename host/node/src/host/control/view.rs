//! The newest group state on this host: applied by its own Raft if it votes, fed by others if not
//! (`PROTOCOL.md` 15).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Member, State};
use colony_wire::control::{ControlReply, ControlRequest};

use super::{Control, lock};

/// A feed's answer is held back at most this long by the giver; beyond the sum the giver is taken for gone.
pub(super) const FEED_HOLD: Duration = Duration::from_secs(1);
const FEED_WITHIN: Duration = Duration::from_millis(1500);
/// Pause after a giver that gave nothing.
const ANOTHER_GIVER_AFTER: Duration = Duration::from_millis(50);

/// Shows what this host's own Raft applies.
pub(super) async fn follow_group(control: Arc<Control>) {
    let mut applied = control.group.state();
    applied.mark_changed();
    while applied.changed().await.is_ok() {
        let state = applied.borrow_and_update().clone();
        show(&control, state);
    }
}

/// Shows a state if it is newer than the one shown.
fn show(control: &Control, state: Arc<State>) {
    control.view.send_if_modified(|shown| {
        let is_newer = state.has_begun() && (state.lineage != shown.lineage || state.revision > shown.revision);
        if is_newer {
            *shown = state;
        }
        is_newer
    });
}

/// While this host's own Raft does not tell it: asks the leader, or any host that is up, for what was committed.
pub(super) async fn follow_feed(control: Arc<Control>) {
    let mut view = control.view.subscribe();
    let mut turn = 0_usize;
    loop {
        let state = view.borrow_and_update().clone();
        if !state.has_begun() {
            if view.changed().await.is_err() {
                return;
            }
            continue;
        }
        // Whoever drains loses its vote, and may hear that late.
        if control.group.is_told() && !state.is_draining(control.start()) {
            tokio::select! {
                () = control.group.falls_silent() => {}
                changed = view.changed() => if changed.is_err() {
                    return;
                },
            }
            continue;
        }
        turn += 1;
        let reached = control.reached().await;
        let Some(giver) = giver(&control, &state, turn, &reached) else {
            // There is nobody else.
            if view.changed().await.is_err() {
                return;
            }
            continue;
        };
        if control.leader_address().is_none() {
            ask_for_leader(&control, giver).await;
        }
        if let Err(why) = fetch(&control, giver).await {
            tracing::debug!(%giver, %why, "no feed from this host");
            if control.leader_address() == Some(giver) {
                control.note_leader(None);
            }
            tokio::time::sleep(ANOTHER_GIVER_AFTER).await;
        }
    }
}

/// A host that does not vote hears of elections from others only.
async fn ask_for_leader(control: &Control, of: SocketAddr) {
    let introduce = ControlRequest::Introduce { start: control.start() };
    if let Ok(ControlReply::Introduction(found)) = control.calls.call(of, &introduce, FEED_WITHIN).await {
        control.note_leader(found.leader.and_then(|address| address.parse().ok()));
    }
}

/// The leader, or when none is known, or it does not answer, one host after the other.
fn giver(control: &Control, state: &State, turn: usize, reached: &[Member]) -> Option<SocketAddr> {
    let own = lock(&control.own).address;
    let is_of_use = |leader: &SocketAddr| *leader != own && !control.is_cut_off(*leader, reached);
    control.leader_address().filter(is_of_use).or_else(|| {
        let others: Vec<SocketAddr> = state.up().map(|member| member.address).filter(|to| *to != own).collect();
        others.get(turn % others.len().max(1)).copied()
    })
}

/// Fetches once what this host lacks. Waits at the giver until there is something, or for a while.
pub(super) async fn fetch(control: &Control, giver: SocketAddr) -> Result<(), String> {
    let state = control.state();
    let request = ControlRequest::Feed { lineage: state.lineage, have: state.revision };
    let reply = control.calls.call(giver, &request, FEED_WITHIN).await.map_err(|error| error.to_string())?;
    match reply {
        ControlReply::FeedSnapshot { state, .. } => {
            let state = State::decode(&state).map_err(|error| error.to_string())?;
            show(control, Arc::new(state));
        }
        ControlReply::FeedCommands { commands } if commands.is_empty() => {}
        ControlReply::FeedCommands { commands } => {
            let mut next = State::clone(&state);
            for bytes in &commands {
                let command = Command::decode(bytes).map_err(|error| error.to_string())?;
                next.apply(&command);
            }
            show(control, Arc::new(next));
        }
        ControlReply::NotLeader { leader } => {
            control.note_leader(leader.and_then(|address| address.parse().ok()));
            return Err("it has no feed".into());
        }
        ControlReply::Refused { why, .. } => return Err(why),
        _ => return Err("an answer to another question".into()),
    }
    Ok(())
}
