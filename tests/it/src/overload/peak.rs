//! What a cluster can carry.

use std::sync::Arc;
use std::time::Duration;

use colony_load::{Fleet, OpenLoop, closed_loop, open_loop};

/// Callers of the closed loops, in turn: from where the cluster idles between calls to where calls wait in it.
const CALLERS: [usize; 4] = [64, 128, 256, 512];
/// How long each loop is.
const LOOK: Duration = Duration::from_secs(3);
/// A rate is carried if this share of what was due is done.
const CARRIED: f64 = 0.97;
/// What is taken off a rate that is not carried.
const STEP: f64 = 0.9;
/// Most steps down.
const STEPS_MAX: usize = 8;

/// The highest rate that the cluster carries, in operations a second.
pub(crate) async fn find(fleet: &Arc<Fleet>, in_flight_max: usize) -> f64 {
    let mut peak = 0.0_f64;
    for callers in CALLERS {
        let tally = closed_loop(fleet, callers, LOOK).await;
        println!("closed callers {callers} {tally}");
        peak = peak.max(tally.goodput());
    }
    for _ in 0..STEPS_MAX {
        let tally = open_loop(fleet, OpenLoop { rate: peak, duration: LOOK, in_flight_max }).await;
        println!("open rate {peak:.0} {tally}");
        if tally.goodput() >= CARRIED * tally.rate() {
            break;
        }
        peak *= STEP;
    }
    peak
}
