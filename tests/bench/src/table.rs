//! The results, for people.

use std::fmt::Write;

use crate::figures::Spread;
use crate::load::Load;
use crate::plan::Planned;
use crate::results::{Failover, Figure, Results, Series, Step, Touches};
use crate::row::Who;
use crate::target::{self, Good, TARGETS};

/// All results as text.
pub(crate) fn text(results: &Results) -> String {
    let mut text = String::new();
    let mut shown: Vec<(Load, Option<u64>)> = Vec::new();
    for series in &results.series {
        // Series of one load at one pace stand beneath each other.
        let group = (series.load, series.open.map(f64::to_bits));
        if shown.contains(&group) {
            continue;
        }
        shown.push(group);
        let alike = results.series.iter().filter(|other| (other.load, other.open.map(f64::to_bits)) == group);
        section(&mut text, &alike.collect::<Vec<_>>());
    }
    growth(&mut text, &results.growth);
    if let Some(Touches { touches, ops, bytes }) = &results.touches {
        let bytes = bytes.map_or("not counted".to_owned(), |bytes| bytes.to_string());
        let _ = writeln!(
            text,
            "\n{touches} touches of one session: {ops} ops sent to copies, {bytes} bytes beyond as many reads"
        );
    }
    plans(&mut text, &results.plans);
    if let Some(of) = &results.failover {
        failover(&mut text, of);
    }
    absent(&mut text, results);
    targets(&mut text, results);
    text
}

fn section(text: &mut String, alike: &[&Series]) {
    let Some(first) = alike.first() else { return };
    let pace = match first.open {
        Some(rate) => format!(", open loop at {} a second", short(rate)),
        None => String::new(),
    };
    let rounds = alike.iter().map(|series| series.rounds.len()).max().unwrap_or_default();
    let _ = writeln!(text, "\n{}{pace}: {}, {rounds} rounds", first.load, about(&first.load));
    let _ = writeln!(
        text,
        "  {:<20} {:>5} {:>9} {:>19} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7}  Colony is",
        "", "conns", "calls/s", "(least-most)", "p50 us", "p99 us", "p99.9 us", "client us", "server us", "bytes"
    );
    let ours = alike.iter().find(|series| series.who == Who::Colony);
    for series in alike {
        line(text, series, ours.filter(|ours| ours.who != series.who).copied());
    }
}

fn line(text: &mut String, series: &Series, ours: Option<&Series>) {
    let Some(rate) = series.figure(Figure::Rate) else {
        let why = series.failed.as_deref().unwrap_or("it was not measured");
        let _ = writeln!(text, "  {:<20} FAILED: {why}", series.who);
        return;
    };
    let connections =
        if series.who.has_a_connection_to_each_call() { series.load.in_flight() } else { series.load.connections };
    let middle = |figure| series.figure(figure).map_or("-".to_owned(), |spread| fine(spread.median));
    let ratio = ours.and_then(|ours| ours.ratio(series, Figure::Rate)).map_or(String::new(), |ratio| times(&ratio));
    let _ = writeln!(
        text,
        "  {:<20} {connections:>5} {:>9} {:>19} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7}  {ratio}",
        series.who,
        short(rate.median),
        format!("({}-{})", short(rate.least), short(rate.most)),
        middle(Figure::P50),
        middle(Figure::P99),
        middle(Figure::P999),
        middle(Figure::ClientCpu),
        middle(Figure::ServerCpu),
        middle(Figure::Wire),
    );
    if let Some(why) = &series.failed {
        let _ = writeln!(text, "  {:<20} FAILED in a round: {why}", "");
    }
}

fn about(load: &Load) -> String {
    format!("{} bytes, {} calls in flight", load.bytes, load.in_flight())
}

fn growth(text: &mut String, steps: &[Step]) {
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nsessions of 256 B in two attributes, one copy, over three hosts; calls 1x64");
    let _ = writeln!(
        text,
        "  {:>9} {:>13} {:>9} {:>9} {:>9} {:>9}",
        "sessions", "bytes/session", "set/s", "p99 us", "get/s", "p99 us"
    );
    for step in steps {
        let calls = match &step.calls {
            Some(calls) => calls.iter().map(|of| format!("{:>9} {:>9}", short(of.rate), fine(of.p99))).collect(),
            None => Vec::new(),
        };
        let _ = writeln!(text, "  {:>9} {:>13.0} {}", step.sessions, step.bytes_each, calls.join(" "));
    }
}

fn plans(text: &mut String, plans: &[Planned]) {
    if plans.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<40} {:>9} {:>7} {:>7} {:>13}",
        "plans, without a cluster", "ms", "moves", "fewest", "copies a host"
    );
    for plan in plans {
        let ms = fine(plan.took.as_secs_f64() * 1e3);
        let copies = format!("{}-{}", plan.least, plan.most);
        let _ = writeln!(text, "  {:<38} {ms:>9} {:>7} {:>7} {copies:>13}", plan.about, plan.moves, plan.fewest);
    }
}

fn failover(text: &mut String, of: &Failover) {
    let _ = writeln!(text, "\nfrom kill -9 to the first acknowledged write, ms");
    let _ = writeln!(text, "  {:<42} {:>7} {:>8} {:>8} {:>8} {:>8}", "", "count", "p50", "p90", "p99", "most");
    let lines = [
        ("Colony, colonies that lost their primary", &of.primaries),
        ("Colony, colonies that lost another copy", &of.copies),
        ("Redis Cluster, node timeout 500 ms", &of.redis),
    ];
    for (name, gaps) in lines {
        let [p50, p90, p99, most] =
            [0.5, 0.9, 0.99, 1.0].map(|share| gaps.quantile_ms(share).map_or("-".to_owned(), fine));
        let _ = writeln!(text, "  {name:<42} {:>7} {p50:>8} {p90:>8} {p99:>8} {most:>8}", gaps.count());
    }
    for (who, why) in &of.absent {
        let _ = writeln!(text, "  NOT MEASURED (FURTHER): {who}: {why}");
    }
}

fn absent(text: &mut String, results: &Results) {
    for (who, why) in &results.absent {
        let _ = writeln!(text, "\nNOT MEASURED: {who}: {why}");
    }
}

fn targets(text: &mut String, results: &Results) {
    let _ = writeln!(
        text,
        "\n  {:<58} {:>6} {:>13} {:>6} {:>6}  reached",
        "target", "now", "(least-most)", "first", "later"
    );
    for target in TARGETS {
        let _ = match target.now(results) {
            Some(now) => writeln!(
                text,
                "  {:<58} {:>6.2} {:>13} {:>6} {:>6}  {}",
                target.about,
                now.median,
                format!("({:.2}-{:.2})", now.least, now.most),
                target.first,
                target.later,
                target.reached(now.median)
            ),
            None => writeln!(text, "  {:<58} not measured", target.about),
        };
    }
    for (share, name) in target::GAP_SHARES {
        let about = format!("write gap after kill -9, {name}: times shorter than Redis Cluster's");
        let (first, later) = target::GAP;
        let _ = match target::gap_ratio(results, share) {
            Some(now) => {
                let reached = target::reached(Good::More, now, target::GAP);
                writeln!(text, "  {about:<58} {now:>6.2} {:>13} {first:>6} {later:>6}  {reached}", "")
            }
            None => writeln!(text, "  {about:<58} not measured"),
        };
    }
    let about = "memory of a session of 256 B in two attributes, bytes a copy";
    let _ = match results.memory() {
        Some(bytes) => {
            let reached = target::reached(Good::Less, bytes, target::MEMORY);
            let (first, later) = target::MEMORY;
            writeln!(text, "  {about:<58} {bytes:>6.0} {:>13} {first:>6} {later:>6}  {reached}", "")
        }
        None => writeln!(text, "  {about:<58} not measured"),
    };
}

fn times(ratio: &Spread) -> String {
    format!("{:.2}x ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most)
}

/// Three digits and a letter for thousands.
fn short(figure: f64) -> String {
    if figure >= 999_500.0 {
        format!("{:.2} M", figure / 1e6)
    } else if figure >= 99_950.0 {
        format!("{:.0} k", figure / 1e3)
    } else if figure >= 9_995.0 {
        format!("{:.1} k", figure / 1e3)
    } else {
        format!("{figure:.0}")
    }
}

/// As many digits as are worth reading.
fn fine(figure: f64) -> String {
    if figure >= 99.95 { format!("{figure:.0}") } else { format!("{figure:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::MEMORY_SESSIONS;
    use crate::results::tests::series;

    fn results() -> Results {
        let mut results = Results::default();
        results.series.push(series("set-1k-1x64", Who::Colony, &[120_000.0, 100_000.0, 130_000.0]));
        results.series.push(series("set-1k-1x64", Who::Redis, &[40_000.0, 50_000.0, 40_000.0]));
        results
    }

    #[test]
    fn a_rival_has_a_ratio_and_as_many_connections_as_calls() {
        let text = text(&results());
        let line = text.lines().find(|line| line.contains("Redis TLS + WAIT 1") && line.contains("k")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words.contains(&"64") && words.contains(&"3.00x"), "{line}");
    }

    #[test]
    fn what_failed_or_was_not_there_is_named() {
        let mut results = results();
        results.series[1].rounds = vec![None];
        results.series[1].failed = Some("a call failed: gone".into());
        results.absent.push((Who::Nats, "nats-server is not here".into()));
        let text = text(&results);
        assert!(text.contains("FAILED: a call failed: gone"), "{text}");
        assert!(text.contains("NOT MEASURED: JetStream KV R3: nats-server is not here"), "{text}");
    }

    #[test]
    fn every_target_has_a_line_whether_or_not_it_was_measured() {
        let mut results = results();
        results.growth.push(Step { sessions: MEMORY_SESSIONS, bytes_each: 650.0, calls: None });
        let text = text(&results);
        for target in TARGETS {
            assert!(text.contains(target.about), "{}", target.about);
        }
        assert!(text.lines().any(|line| line.contains("memory of a session") && line.ends_with("first")), "{text}");
    }

    #[test]
    fn figures_have_as_many_digits_as_are_worth_reading() {
        assert_eq!(
            [short(999.0), short(12_345.0), short(123_456.0), short(1_234_567.0)],
            ["999", "12.3 k", "123 k", "1.23 M"]
        );
        assert_eq!([fine(1.234), fine(123.4)], ["1.2", "123"]);
    }
}
