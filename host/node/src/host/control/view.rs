//! The newest group state on this host: applied by its own Raft if it votes, fed by others if not
//! (`PROTOCOL.md` 15).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::{Command, Member, State};
use colony_wire::control::{ControlReply, ControlRequest};

use tokio::task::JoinSet;

use super::{Control, lock};

/// A feed's answer is held back at most this long by the giver; beyond the sum the giver is taken for gone.
pub(super) const FEED_HOLD: Duration = Duration::from_secs(1);
const FEED_WITHIN: Duration = Duration::from_millis(1500);
/// The same for one that does not lead, where no leader is known; doubled from one to the next, up to [`FEED_HOLD`].
const PATIENCE: Duration = Duration::from_millis(10);
/// So many hosts are asked at a time who leads.
const ASKED_FOR_LEADER: usize = 8;
/// Longest wait for their answers.
const LEADER_NAMED_WITHIN: Duration = Duration::from_millis(200);
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
    let (mut turn, mut patience) = (0_usize, PATIENCE);
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
        let leader = match control.leader_of_use(&reached) {
            Some(leader) => Some(leader),
            None => find_leader(&control, &reached).await,
        };
        let Some(giver) = leader.or_else(|| other(&control, &state, turn)) else {
            // There is nobody else.
            if view.changed().await.is_err() {
                return;
            }
            continue;
        };
        // Without a leader whoever is asked may know no more than this host: soon it looks for one again.
        patience = if leader.is_some() { PATIENCE } else { (patience * 2).min(FEED_HOLD) };
        let within = if leader.is_some() { FEED_WITHIN } else { patience };
        let is_gone = control.is_gone(giver);
        let fetched = tokio::select! {
            fetched = tokio::time::timeout(within, fetch(&control, giver)) => fetched,
            () = control.until_gone(giver), if !is_gone => continue,
        };
        if let Ok(Err(why)) = fetched {
            tracing::debug!(%giver, %why, "no feed from this host");
            if leader == Some(giver) {
                control.note_leader(None);
            }
            tokio::time::sleep(ANOTHER_GIVER_AFTER).await;
        }
    }
}

impl Control {
    /// The leader, if this host knows and reaches it.
    fn leader_of_use(&self, reached: &[Member]) -> Option<SocketAddr> {
        let own = lock(&self.own).address;
        self.leader_address().filter(|leader| *leader != own && !self.is_cut_off(*leader, reached))
    }
}

/// A host that does not vote hears of elections from others only: of the first that names a leader.
async fn find_leader(control: &Arc<Control>, reached: &[Member]) -> Option<SocketAddr> {
    let mut asked = JoinSet::new();
    for member in reached.iter().filter(|member| !control.is_gone(member.address)).take(ASKED_FOR_LEADER) {
        let (control, address) = (control.clone(), member.address);
        asked.spawn(async move {
            let introduce = ControlRequest::Introduce { start: control.start() };
            match control.calls.call(address, &introduce, LEADER_NAMED_WITHIN).await {
                Ok(ControlReply::Introduction(found)) => found.leader?.parse().ok(),
                _ => None,
            }
        });
    }
    while let Some(named) = asked.join_next().await {
        if let Ok(Some(leader)) = named
            && !control.is_gone(leader)
        {
            control.note_leader(Some(leader));
            return control.leader_of_use(reached);
        }
    }
    None
}

/// One host after the other; if this one holds all of them for dead, those: they may have come back under starts that
/// only they can tell it of.
fn other(control: &Control, state: &State, turn: usize) -> Option<SocketAddr> {
    let own = lock(&control.own).address;
    let others = || state.up().map(|member| member.address).filter(|to| *to != own);
    let of_use: Vec<SocketAddr> = others().filter(|to| !control.is_gone(*to)).collect();
    let all = if of_use.is_empty() { others().collect() } else { of_use };
    all.get(turn % all.len().max(1)).copied()
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
