//! What came of each row, added up and printed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::judge::Findings;
use crate::row::{Goal, Row};
use crate::timing::percentile;

/// What came of one run of a row.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the judge found.
    pub findings: Findings,
    /// Operations that did not end as they were meant to.
    pub failed: u64,
    /// Hosts that were declared dead and whose process nobody had ended.
    pub died: u64,
    /// The longest time in which a colony acknowledged nothing.
    pub stall: Duration,
    /// For each colony whose primary was hit, the time to its first acknowledged write; of a drain, what its slowest
    /// write took meanwhile.
    pub times: Vec<Duration>,
    /// Until the cluster was whole again; none if it was not.
    pub whole: Option<Duration>,
}

/// All runs of one row.
#[derive(Clone, Debug, Default)]
struct Sum {
    runs: u64,
    not_whole: u64,
    failed: u64,
    died: u64,
    stall: Duration,
    whole: Duration,
    findings: Findings,
    times: Vec<Duration>,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<Row, Sum>,
    skipped: BTreeMap<Row, String>,
}

impl Table {
    /// One more run of a row.
    pub fn add(&mut self, row: Row, outcome: &Outcome) {
        let sum = self.rows.entry(row).or_default();
        sum.runs += 1;
        sum.not_whole += u64::from(outcome.whole.is_none());
        sum.failed += outcome.failed;
        sum.died += outcome.died;
        sum.stall = sum.stall.max(outcome.stall);
        sum.whole = sum.whole.max(outcome.whole.unwrap_or_default());
        sum.findings.add(&outcome.findings);
        sum.times.extend(&outcome.times);
    }

    /// A row that cannot be run, and why.
    pub fn skip(&mut self, row: Row, why: &str) {
        self.skipped.insert(row, why.to_owned());
    }

    /// What all rows found together.
    #[must_use]
    pub fn findings(&self) -> Findings {
        let mut all = Findings::default();
        for sum in self.rows.values() {
            all.add(&sum.findings);
        }
        all
    }

    /// Whether nothing is wrong. Times are told and fail nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings().is_clean() && self.rows.values().all(|sum| sum.not_whole == 0)
    }

    /// The table for people.
    #[must_use]
    pub fn text(&self) -> String {
        const HEADING: [&str; 13] = [
            "FAULT",
            "RUNS",
            "ACKED",
            "LOST",
            "PHANTOM",
            "DOUBLED",
            "STALE",
            "FAILED",
            "FALSE DEATHS",
            "STALL",
            "WHOLE",
            "FIRST ACK / SLOWEST P50",
            "P99",
        ];
        let mut lines = vec![HEADING.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|(row, sum)| sum.cells(*row)));
        let mut text = columns(&lines);
        for (row, why) in &self.skipped {
            text.push_str(&format!("{} SKIPPED: {why}\n", row.name()));
        }
        for told in self.findings().told {
            text.push_str(&format!("{told}\n"));
        }
        text
    }

    /// The table for programs: one object a row.
    #[must_use]
    pub fn json(&self) -> String {
        let rows = self.rows.iter().map(|(row, sum)| sum.json(*row));
        let skipped = self.skipped.iter().map(|(row, why)| json!({ "fault": row.name(), "skipped": why }));
        rows.chain(skipped).map(|line| format!("{line}\n")).collect()
    }

    /// The one line that says it all.
    #[must_use]
    pub fn last_line(&self) -> String {
        let Findings { acked, lost, phantom, doubled, stale, .. } = self.findings();
        format!("acked {acked} lost {lost} phantom {phantom} doubled {doubled} stale {stale}")
    }
}

impl Sum {
    fn cells(&self, row: Row) -> [String; 13] {
        let Findings { acked, lost, phantom, doubled, stale, .. } = self.findings;
        let goal = row.goal();
        let failed = match (row.fails_nothing(), self.failed) {
            (false, failed) => failed.to_string(),
            (true, 0) => "0 (goal 0)".to_owned(),
            (true, failed) => format!("{failed} (goal 0: MISSED)"),
        };
        let whole = if self.not_whole > 0 { format!("NOT, {} times", self.not_whole) } else { seconds(self.whole) };
        [
            row.name(),
            self.runs.to_string(),
            acked.to_string(),
            lost.to_string(),
            phantom.to_string(),
            doubled.to_string(),
            stale.to_string(),
            failed,
            self.died.to_string(),
            millis(self.stall),
            whole,
            self.timed(50, goal.map(|Goal { p50, .. }| p50)),
            self.timed(99, goal.map(|Goal { p99, .. }| p99)),
        ]
    }

    fn timed(&self, per_cent: usize, goal: Option<Duration>) -> String {
        match (percentile(&self.times, per_cent), goal) {
            (None, _) => "-".to_owned(),
            (Some(time), None) => millis(time),
            (Some(time), Some(goal)) if time > goal => format!("{} (goal {}: MISSED)", millis(time), millis(goal)),
            (Some(time), Some(goal)) => format!("{} (goal {})", millis(time), millis(goal)),
        }
    }

    fn json(&self, row: Row) -> Value {
        let Findings { acked, lost, phantom, doubled, stale, undecided, unread, .. } = self.findings;
        let at = |per_cent| percentile(&self.times, per_cent).map(in_millis);
        json!({
            "fault": row.name(), "runs": self.runs, "acked": acked, "lost": lost, "phantom": phantom, "doubled": doubled,
            "stale": stale, "undecided": undecided, "unread": unread, "failed": self.failed, "false_deaths": self.died,
            "stall_ms": in_millis(self.stall), "not_whole": self.not_whole, "whole_ms": in_millis(self.whole),
            "measured": self.times.len(), "measures": row.measures(), "p50_ms": at(50), "p99_ms": at(99),
            "goal_p50_ms": row.goal().map(|goal| in_millis(goal.p50)),
            "goal_p99_ms": row.goal().map(|goal| in_millis(goal.p99)),
        })
    }
}

/// These lines with their cells below each other.
pub(crate) fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lost: u64, whole: Option<Duration>) -> Outcome {
        let findings = Findings { acked: 10, lost, ..Findings::default() };
        let times = vec![Duration::from_millis(120), Duration::from_millis(700)];
        Outcome { findings, whole, times, ..Outcome::default() }
    }

    #[test]
    fn a_clean_table_says_so_in_its_last_line() {
        let mut table = Table::default();
        table.add(Row::Kill, &outcome(0, Some(Duration::ZERO)));
        table.add(Row::Kill, &outcome(0, Some(Duration::ZERO)));
        assert!(table.is_clean());
        assert_eq!(table.last_line(), "acked 20 lost 0 phantom 0 doubled 0 stale 0");
    }

    #[test]
    fn a_loss_and_a_cluster_that_stays_broken_are_not_clean() {
        let mut table = Table::default();
        table.add(Row::Kill, &outcome(1, Some(Duration::ZERO)));
        assert!(!table.is_clean());
        let mut table = Table::default();
        table.add(Row::Kill, &outcome(0, None));
        assert!(!table.is_clean());
    }

    #[test]
    fn a_goal_stands_beside_its_figure_and_is_missed_by_name() {
        let mut table = Table::default();
        table.add(Row::Kill, &outcome(0, Some(Duration::ZERO)));
        table.skip(Row::Split, "namespaces are not allowed");
        let text = table.text();
        let kill = text.lines().find(|line| line.starts_with("kill")).expect("the row is there");
        assert!(kill.contains("120 ms (goal 150 ms)") && kill.ends_with("700 ms (goal 500 ms: MISSED)"), "{text}");
        assert!(text.contains("split SKIPPED: namespaces are not allowed"), "{text}");
    }
}
