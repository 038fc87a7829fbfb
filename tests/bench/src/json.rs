//! The results, for programs.

use serde_json::{Value, json};

use crate::results::{Figure, Gaps, Results, Series};
use crate::target::{self, TARGETS};

/// Each figure with its unit, its median, its spread, and what each round was.
pub(crate) fn value(results: &Results) -> Value {
    let figures: Vec<Value> = results.series.iter().flat_map(of_series).collect();
    let targets = TARGETS.iter().filter_map(|target| {
        let now = target.now(results)?;
        Some(json!({
            "target": target.about, "unit": "ratio", "median": now.median, "least": now.least, "most": now.most,
            "first": target.first, "later": target.later, "reached": target.reached(now.median),
        }))
    });
    let growth = results.growth.iter().map(|step| {
        let calls = step.calls.as_ref().map(|[set, get]| {
            json!({"set": {"calls/s": set.rate, "p99_us": set.p99}, "get": {"calls/s": get.rate, "p99_us": get.p99}})
        });
        json!({"sessions": step.sessions, "median": step.bytes_each, "unit": "bytes/session", "calls": calls})
    });
    let touches = results.touches.map(|of| json!({"touches": of.touches, "ops_sent": of.ops, "bytes": of.bytes}));
    let plans = results.plans.iter().map(|plan| {
        json!({
            "plan": plan.about, "median": plan.took.as_secs_f64() * 1e3, "unit": "ms", "moves": plan.moves,
            "fewest": plan.fewest, "most_copies": plan.most, "least_copies": plan.least,
        })
    });
    let failed = results.series.iter().filter_map(|series| {
        let why = series.failed.as_ref()?;
        Some(json!({"row": series.load.to_string(), "contestant": series.who.name(), "why": why}))
    });
    let absent = results.absent.iter().map(|(who, why)| json!({"contestant": who.name(), "why": why}));
    let failover = results.failover.as_ref().map(|of| {
        let gaps = |gaps: &Gaps| {
            json!({
                "unit": "ms", "count": gaps.count(), "p50": gaps.quantile_ms(0.5), "p90": gaps.quantile_ms(0.9),
                "p99": gaps.quantile_ms(0.99), "most": gaps.quantile_ms(1.0),
            })
        };
        let ratio = |(share, name): (f64, &str)| (name.to_owned(), json!(target::gap_ratio(results, share)));
        json!({
            "lost_primary": gaps(&of.primaries), "lost_copy": gaps(&of.copies), "redis_cluster": gaps(&of.redis),
            "times_shorter": target::GAP_SHARES.map(ratio).into_iter().collect::<serde_json::Map<_, _>>(),
        })
    });
    json!({
        "failover": failover,
        "figures": figures,
        "targets": targets.collect::<Vec<_>>(),
        "growth": growth.collect::<Vec<_>>(),
        "touches": touches,
        "plans": plans.collect::<Vec<_>>(),
        "failed": failed.collect::<Vec<_>>(),
        "absent": absent.collect::<Vec<_>>(),
    })
}

fn of_series(series: &Series) -> impl Iterator<Item = Value> {
    Figure::ALL.into_iter().filter_map(|figure| {
        let spread = series.figure(figure)?;
        Some(json!({
            "row": series.load.to_string(), "contestant": series.who.name(),
            "pace": series.open.map_or(json!("closed"), |rate| json!({"open": rate})),
            "figure": figure.name(), "unit": figure.unit(),
            "median": spread.median, "least": spread.least, "most": spread.most, "rounds": series.rounds.len(),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::series;
    use crate::row::Who;

    #[test]
    fn every_figure_has_its_unit_and_spread() {
        let mut results = Results::default();
        results.series.push(series("set-1k-1x64", Who::Colony, &[100.0, 120.0, 140.0]));
        let value = value(&results);
        let figures = value["figures"].as_array().unwrap();
        assert!(figures.iter().all(|figure| figure["unit"].is_string()));
        let rate = figures.iter().find(|figure| figure["figure"] == "rate").unwrap();
        assert_eq!((&rate["median"], &rate["least"], &rate["most"]), (&json!(120.0), &json!(100.0), &json!(140.0)));
        assert_eq!(rate["row"], "set-1k-1x64");
    }
}
