//! What sessions take of memory, and how a cluster bears many of them.

use std::time::Duration;

use colony_it::machine::resident_kib;

use crate::colony::{Colony, Where};
use crate::drive;
use crate::failure::Failure;
use crate::load::{Load, Pace, Profile, Window};
use crate::results::Step;

/// Sessions by which memory is told: enough that what a host takes by itself is a small part, few enough for a small
/// machine and a short run.
pub(crate) const MEMORY_SESSIONS: u64 = 100_000;
/// Sessions of the steps of a growing cluster.
const STEPS: [u64; 4] = [1_000, 10_000, MEMORY_SESSIONS, 1_000_000];
/// Bytes of a session, in two attributes.
const BYTES: usize = 256;
/// Calls in flight.
const EACH: usize = 64;
/// At every step, so long.
const WINDOW: Window = Window { warm: Duration::from_secs(1), measure: Duration::from_secs(4) };

/// What a session takes of memory: the figure of the target, in a cluster that has done nothing before.
///
/// # Errors
/// [`Failure`] if a session cannot be made.
pub(crate) async fn memory(colony: &Colony) -> Result<Vec<Step>, Failure> {
    let before = resident(colony);
    Ok(vec![grow(colony, 0, MEMORY_SESSIONS, before).await?])
}

/// The same in steps up to a million sessions, with the rate and the latency of calls at each.
///
/// # Errors
/// [`Failure`] if a call fails.
pub(crate) async fn steps(colony: &Colony) -> Result<Vec<Step>, Failure> {
    let before = resident(colony);
    let (mut steps, mut from) = (Vec::new(), 0);
    for sessions in STEPS {
        eprintln!("bench: {sessions} sessions");
        let step = grow(colony, from, sessions, before).await?;
        let mut calls = Vec::new();
        for profile in [Profile::Set, Profile::Get] {
            let load = load(profile, sessions);
            let callers = colony.callers(Where::Single, load).await?;
            calls.push(drive::run(callers, load, Pace::Closed, WINDOW, &colony.meter()).await?);
        }
        steps.push(Step { calls: calls.try_into().ok(), ..step });
        from = sessions;
    }
    Ok(steps)
}

/// Makes the sessions from one number to another; hosts had so many KiB before the first.
async fn grow(colony: &Colony, from: u64, to: u64, before: u64) -> Result<Step, Failure> {
    drive::fill(colony.callers(Where::Single, load(Profile::Set, to)).await?, from..to).await?;
    let grown = resident(colony).saturating_sub(before) << 10;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let bytes_each = grown as f64 / to as f64;
    Ok(Step { sessions: to, bytes_each, calls: None })
}

fn load(profile: Profile, sessions: u64) -> Load {
    Load { profile, bytes: BYTES, connections: 1, each: EACH, sessions }
}

/// What all hosts have, in KiB.
fn resident(colony: &Colony) -> u64 {
    colony.meter().servers.iter().filter_map(|process| resident_kib(*process)).sum()
}
