//! Founding and joining (`PROTOCOL.md` 7).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use colony_core::group::Command;
use colony_link::PeerIdentity;
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::{ClusterId, LineageId};

use super::{Control, plugins, undead, view};
use crate::host::HostError;

/// One attempt to reach a seed.
const SEED_WITHIN: Duration = Duration::from_secs(3);
/// An admission waits for a commit at the leader.
const ADMISSION_WITHIN: Duration = Duration::from_secs(5);
/// Founding is one disk write and one election with one voter.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// Pauses between attempts: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Founds, joins, or goes on with what the disk holds. Returns once this start is a member that is up.
pub(super) async fn enter(control: &Arc<Control>) -> Result<(), HostError> {
    let has_log = control.group.is_founded().await.unwrap_or(false);
    let seeds = resolve(&control.host.config.seeds).await?;
    if !has_log && control.host.config.bootstrap {
        match find_cluster(control, &seeds).await {
            Some(seed) => tracing::info!(%seed, "a cluster answers: joining it instead of founding one"),
            None => return found(control).await,
        }
    } else if !has_log && seeds.is_empty() {
        return Err(HostError::NoSeeds);
    }
    join(control, &seeds).await
}

async fn found(control: &Control) -> Result<(), HostError> {
    let cluster = ClusterId(control.host.surroundings.random_u128()?);
    let lineage = LineageId(control.host.surroundings.random_u128()?);
    let member = control.own();
    let address = member.address;
    control.group.found(&Command::Genesis { cluster, lineage, member }, address, FOUND_WITHIN).await?;
    tracing::info!(%cluster, %lineage, "cluster founded");
    Ok(())
}

/// A seed that is in a cluster. Whoever does not answer is asked once: a host told to found waits for nobody.
async fn find_cluster(control: &Control, seeds: &[SocketAddr]) -> Option<SocketAddr> {
    let own = control.own();
    let introduce = ControlRequest::Introduce { start: own.start };
    for seed in seeds.iter().filter(|seed| **seed != own.address) {
        match control.calls.call(*seed, &introduce, SEED_WITHIN).await {
            Ok(ControlReply::Introduction(found)) if found.cluster.is_some() => return Some(*seed),
            Ok(_) => {}
            Err(error) => tracing::info!(%seed, %error, "seed does not answer"),
        }
    }
    None
}

/// Asks until it is admitted and sees itself in the group state.
pub(super) async fn join(control: &Arc<Control>, seeds: &[SocketAddr]) -> Result<(), HostError> {
    let mut pause = PAUSE;
    let mut turn = 0;
    loop {
        let own = control.own();
        if control.state().is_up(own.start) {
            tracing::info!(start = %own.start, "host is up");
            return Ok(());
        }
        let to = doors(control, seeds, turn);
        turn += 1;
        match to {
            // Whoever is up may be asked to merge: it can run what is active before it asks to be admitted.
            Some(door) if plugins::prepare(control, door).await? => match knock(control, door).await {
                Knocked::Admitted => {
                    pause = PAUSE;
                    if wait_until_seen(control, door).await {
                        continue;
                    }
                }
                Knocked::Over => {
                    undead::begin_anew(control, own.start).await?;
                    continue;
                }
                Knocked::NotAdmitted => {}
            },
            Some(door) => tracing::info!(%door, "not ready to ask for admission"),
            None => tracing::info!("no host to join through"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whom to ask: the leader if it is known, else a seed or a member, one after the other.
fn doors(control: &Control, seeds: &[SocketAddr], turn: usize) -> Option<SocketAddr> {
    let own = control.own().address;
    if control.group.is_leader() {
        return Some(own);
    }
    let leader = control.leader_address();
    let state = control.state();
    let members = state.up().map(|member| member.address);
    let all: Vec<SocketAddr> =
        leader.into_iter().chain(seeds.iter().copied()).chain(members).filter(|door| *door != own).collect();
    all.get(turn % all.len().max(1)).copied()
}

/// What came of asking for admission.
enum Knocked {
    Admitted,
    NotAdmitted,
    /// The start is over: it was admitted, and declared dead before it saw itself up.
    Over,
}

/// Asks one host for admission.
async fn knock(control: &Control, door: SocketAddr) -> Knocked {
    let own = control.own();
    let state = control.state();
    let cluster = state.has_begun().then_some(state.cluster);
    let reply = if door == own.address {
        Ok(control.admit(cluster, own.clone()).await)
    } else {
        let request = ControlRequest::Join { cluster, member: own.encode() };
        control.calls.call(door, &request, ADMISSION_WITHIN).await
    };
    match reply {
        Ok(ControlReply::Joined { .. }) => {
            control.note_leader(Some(door).filter(|door| *door != own.address));
            return Knocked::Admitted;
        }
        Ok(ControlReply::Over) => return Knocked::Over,
        Ok(ControlReply::NotLeader { leader }) => {
            let leader = leader.and_then(|address| address.parse().ok());
            tracing::debug!(%door, ?leader, "sent on to the leader");
            control.note_leader(leader);
        }
        Ok(ControlReply::Refused { why, .. }) => tracing::warn!(%door, %why, "not admitted"),
        Ok(_) => tracing::warn!(%door, "an answer to another question"),
        Err(error) => {
            control.note_leader(None);
            tracing::warn!(%door, %error, "cannot be reached; trying again");
        }
    }
    Knocked::NotAdmitted
}

/// Fetches the state until this start is seen in it.
async fn wait_until_seen(control: &Control, door: SocketAddr) -> bool {
    let start = control.start();
    let mut seen = control.view.subscribe();
    let deadline = tokio::time::Instant::now() + ADMISSION_WITHIN;
    while tokio::time::Instant::now() < deadline {
        let is_seen = seen.borrow_and_update().is_up(start);
        if is_seen {
            return true;
        }
        if door == control.own().address {
            let _ = tokio::time::timeout_at(deadline, seen.changed()).await;
        } else if let Err(why) = view::fetch(control, door).await {
            tracing::debug!(%door, %why, "the group state cannot be fetched yet");
            return false;
        }
    }
    false
}

async fn resolve(seeds: &[String]) -> Result<Vec<SocketAddr>, HostError> {
    let mut addresses = Vec::new();
    for seed in seeds {
        let failed = |why: String| HostError::Seed { seed: seed.clone(), why };
        let found = tokio::net::lookup_host(seed).await.map_err(|error| failed(error.to_string()))?;
        let before = addresses.len();
        addresses.extend(found);
        if addresses.len() == before {
            return Err(failed("has no address".into()));
        }
    }
    Ok(addresses)
}

/// This host as it would be seen by itself.
pub(super) fn own_identity(control: &Control) -> PeerIdentity {
    PeerIdentity::host(control.own().name)
}
