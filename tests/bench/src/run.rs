//! A run: each contestant has its turn, round by round.

use crate::arguments::{Arguments, Plan};
use crate::colony::Colony;
use crate::failover;
use crate::failure::Failure;
use crate::field::{self, Field};
use crate::growth;
use crate::load::{Pace, Window};
use crate::plan;
use crate::results::{Figure, Results, Series};
use crate::row::Row;
use crate::touches;

/// Share of what the slowest carries that an open loop asks for.
const OPEN_SHARE: f64 = 0.5;

/// Measures what was asked for.
///
/// # Errors
/// [`Failure`] if Colony or the ceiling do not come up. A measurement that comes to nothing is part of the results.
pub(crate) async fn run(arguments: &Arguments, plan: &Plan) -> Result<Results, Failure> {
    let mut results = Results::default();
    if plan.plans {
        results.plans = plan::measure()?;
    }
    if plan.needs_a_cluster() {
        in_a_cluster(arguments, plan, &mut results).await?;
    }
    if plan.failover {
        results.failover = Some(failover::measure(arguments.kills, !arguments.no_install).await?);
    }
    Ok(results)
}

async fn in_a_cluster(arguments: &Arguments, plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    eprintln!("bench: starting three hosts");
    let colony = Colony::start().await;
    // First, in processes that have not given back memory yet that new sessions could take without being seen.
    if plan.growth {
        results.growth = growth::steps(&colony).await?;
    } else if plan.memory {
        eprintln!("bench: memory");
        results.growth = growth::memory(&colony).await?;
    }
    if plan.touches {
        eprintln!("bench: touches");
        results.touches = Some(touches::measure(&colony).await?);
    }
    if plan.rows.is_empty() {
        return Ok(());
    }
    let wanted = field::wanted(plan.rows.iter().flat_map(|row| &row.who));
    let mut field = Field::start(colony, &wanted, !arguments.no_install).await?;
    results.absent = field.absent().to_vec();
    let window = arguments.window();
    for (place, row) in plan.rows.iter().enumerate() {
        eprintln!("bench: {} of {}: {}", place + 1, plan.rows.len(), row.load);
        let closed = rounds(&mut field, row, Pace::Closed, window, arguments.rounds).await;
        let slowest = closed.iter().filter_map(|series| series.figure(Figure::Rate)).map(|rate| rate.median);
        let slowest = slowest.fold(f64::INFINITY, f64::min);
        results.series.extend(closed);
        if arguments.open && slowest.is_finite() {
            let pace = Pace::Open { rate: slowest * OPEN_SHARE };
            results.series.extend(rounds(&mut field, row, pace, window, arguments.rounds).await);
        }
    }
    Ok(())
}

/// All contestants of a row in turn, again and again: what the machine does meanwhile, it does to all.
async fn rounds(field: &mut Field, row: &Row, pace: Pace, window: Window, rounds: u32) -> Vec<Series> {
    let open = match pace {
        Pace::Closed => None,
        Pace::Open { rate } => Some(rate),
    };
    let mut all: Vec<Series> = row.who.iter().map(|who| Series::new(row.load, *who, open)).collect();
    for _ in 0..rounds {
        for series in &mut all {
            let sample = match field.measure(series.who, row.load, pace, window).await {
                Some(Ok(sample)) => Some(sample),
                // What a contestant does not have is not a failure, and not a line.
                None | Some(Err(Failure::NoSuchCall)) => continue,
                Some(Err(failure)) => {
                    eprintln!("bench: {} of {}: {failure}", row.load, series.who);
                    series.failed.get_or_insert(failure.to_string());
                    None
                }
            };
            series.rounds.push(sample);
        }
    }
    all.retain(|series| !series.rounds.is_empty());
    all
}
