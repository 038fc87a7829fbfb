//! A process that the group declared dead and that runs (`PROTOCOL.md` 7): it serves nothing under the start
//! it lost, draws a new one, joins again, and keeps its copies until the group has answered for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::MemberState;
use colony_wire::control::{ControlReply, ControlRequest, Fate};
use colony_wire::limits::MAX_EARLIER_STARTS;
use colony_wire::{ColonyId, StartId};

use super::{Control, join, lock};
use crate::host::HostError;
use crate::host::shard::{KeptCopies, Order};

/// Copies whose fate is `Wait` are asked for again after this time.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// An answer may need one commit for each copy.
const FATES_WITHIN: Duration = Duration::from_secs(10);

/// Watches for the group's word that this process is dead, and comes back each time.
pub(super) async fn watch_own_state(control: &Arc<Control>) -> Result<(), HostError> {
    let mut seen = control.view.subscribe();
    loop {
        let start = control.start();
        let is_lost = {
            let state = seen.borrow_and_update();
            state.has_begun() && state.members.get(&start).is_none_or(|own| own.state == MemberState::Dead)
        };
        if is_lost {
            // It asked to be let go, and that is what the group may have done.
            if *control.host.leaving.borrow() {
                let _ = control.host.leaving.subscribe().wait_for(|leaving| !leaving).await;
                continue;
            }
            come_back(control, start).await?;
            continue;
        }
        let waits = ask_fates(control).await?;
        let changed = seen.changed();
        if waits {
            let _ = tokio::time::timeout(ASK_AGAIN_AFTER, changed).await;
        } else if changed.await.is_err() {
            return Ok(());
        }
    }
}

async fn come_back(control: &Arc<Control>, dead: StartId) -> Result<(), HostError> {
    begin_anew(control, dead).await?;
    join::join(control, &[]).await
}

/// Goes on under a new start, in place of one that is over.
pub(super) async fn begin_anew(control: &Control, dead: StartId) -> Result<(), HostError> {
    let start = StartId(control.host.surroundings.random()?);
    tracing::warn!(%dead, %start, "the group holds this process's start for over: it goes on under a new one");
    lock(&control.own).start = start;
    for shard in control.shards() {
        control.tell(shard, Order::Reborn(start)).await;
    }
    // The group must know under which starts this very process may still keep copies.
    let mut earlier = BTreeSet::new();
    for shard in control.shards() {
        earlier.extend(kept_copies(control, shard).await.earlier);
    }
    if earlier.len() > MAX_EARLIER_STARTS {
        return Err(HostError::TooManyStarts);
    }
    lock(&control.own).earlier = earlier.into_iter().collect();
    Ok(())
}

/// Asks for the fate of every kept copy; says whether some must be asked for again.
async fn ask_fates(control: &Control) -> Result<bool, HostError> {
    let mut waits = false;
    for shard in control.shards() {
        let kept = kept_copies(control, shard).await;
        if kept.copies.is_empty() {
            continue;
        }
        if kept.earlier.len() > MAX_EARLIER_STARTS {
            return Err(HostError::TooManyStarts);
        }
        waits = true;
        let colonies: Vec<ColonyId> = kept.copies.iter().map(|(colony, _)| *colony).collect();
        let Some(fates) = fates(control, kept.earlier, colonies).await else { continue };
        let count = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
        tracing::info!(
            shard,
            discard = count(Fate::Discard),
            restore = count(Fate::Restore),
            wait = count(Fate::Wait),
            "the group answered for the copies kept here"
        );
        for ((colony, dead), fate) in kept.copies.into_iter().zip(fates) {
            control.tell(shard, Order::Fate { colony, dead, fate }).await;
        }
    }
    Ok(waits)
}

pub(super) async fn kept_copies(control: &Control, shard: usize) -> KeptCopies {
    control.ask(shard, Order::Kept).await.unwrap_or_default()
}

/// The leader's answer, if there is one now.
async fn fates(control: &Control, earlier: Vec<StartId>, colonies: Vec<ColonyId>) -> Option<Vec<Fate>> {
    let now = control.start();
    let asked = colonies.len();
    let reply = if control.group.is_leader() {
        control.fates(&join::own_identity(control), &earlier, now, &colonies).await
    } else {
        let leader = control.leader_address()?;
        let request = ControlRequest::Fates { earlier, now, colonies };
        control.calls.call(leader, &request, FATES_WITHIN).await.ok()?
    };
    match reply {
        ControlReply::Fates { fates } if fates.len() == asked => Some(fates),
        ControlReply::NotLeader { leader } => {
            control.note_leader(leader.and_then(|address| address.parse().ok()));
            None
        }
        _ => None,
    }
}
