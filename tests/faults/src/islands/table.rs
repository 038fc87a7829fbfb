//! What came of each split, added up and printed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::row::{IslandRow, MERGED_WITHIN, SERVES_WITHIN};
use crate::judge::Findings;
use crate::table::{columns, in_millis, millis, seconds};
use crate::timing::percentile;

/// What others need, beside the figures of ours.
const RIVALS: &str = "beside the time to merge: Hazelcast looks for another side for the first time after 300 s, JGroups \
                      MERGE2 takes 6 to 11 s only to find out";

/// What came of one run of a row.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the judge found.
    pub findings: Findings,
    /// Operations that did not end as they were meant to: most are of colonies without a copy on that side.
    pub failed: u64,
    /// For each colony with a copy on a side that is cut off: from the cut to the first write acknowledged there.
    pub serves: Vec<Duration>,
    /// Those of them that acknowledged nothing there at all.
    pub unserved: u64,
    /// Sessions that were changed on two sides or more.
    pub changed_apart: usize,
    /// For each colony: from the moment in which the links were back until every session showed what all sides did.
    pub merged: Vec<Duration>,
    /// Colonies that did not come so far.
    pub unmerged: u64,
    /// From then until no host lived in an island and every copy was in sync; none if it was never so.
    pub whole: Option<Duration>,
    /// What else there is to say.
    pub notes: Vec<String>,
}

/// All runs of one row.
#[derive(Clone, Debug, Default)]
struct Sum {
    runs: u64,
    not_whole: u64,
    all: Outcome,
}

/// The table.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<IslandRow, Sum>,
    skipped: BTreeMap<IslandRow, String>,
}

impl Table {
    /// One more run of a row.
    pub fn add(&mut self, row: IslandRow, outcome: Outcome) {
        let sum = self.rows.entry(row).or_default();
        sum.runs += 1;
        sum.not_whole += u64::from(outcome.whole.is_none());
        sum.all.findings.add(&outcome.findings);
        sum.all.failed += outcome.failed;
        sum.all.serves.extend(outcome.serves);
        sum.all.unserved += outcome.unserved;
        sum.all.changed_apart += outcome.changed_apart;
        sum.all.merged.extend(outcome.merged);
        sum.all.unmerged += outcome.unmerged;
        sum.all.whole = sum.all.whole.max(outcome.whole);
        sum.all.notes.extend(outcome.notes);
    }

    /// A row that cannot be run, and why.
    pub fn skip(&mut self, row: IslandRow, why: &str) {
        self.skipped.insert(row, why.to_owned());
    }

    /// What all rows found together.
    #[must_use]
    pub fn findings(&self) -> Findings {
        let mut all = Findings::default();
        for sum in self.rows.values() {
            all.add(&sum.all.findings);
        }
        all
    }

    /// Whether nothing is wrong, every side served what it has and everything came together again. How long that took is
    /// told and fails nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let came_together = |sum: &Sum| sum.not_whole == 0 && sum.all.unserved == 0 && sum.all.unmerged == 0;
        self.findings().is_clean() && self.rows.values().all(came_together)
    }

    /// The table for people.
    #[must_use]
    pub fn text(&self) -> String {
        const HEADING: [&str; 14] = [
            "SPLIT",
            "RUNS",
            "ACKED",
            "LOST",
            "PHANTOM",
            "DOUBLED",
            "STALE",
            "RESURRECTED",
            "FAILED",
            "SERVES AGAIN P50",
            "P99",
            "MERGED P50",
            "P99",
            "WHOLE",
        ];
        let mut lines = vec![HEADING.map(str::to_owned)];
        lines.extend(self.rows.iter().map(|(row, sum)| sum.cells(*row)));
        let mut text = columns(&lines);
        for (row, why) in &self.skipped {
            text.push_str(&format!("{} SKIPPED: {why}\n", row.name()));
        }
        for (row, sum) in &self.rows {
            sum.all.notes.iter().for_each(|note| text.push_str(&format!("{}: {note}\n", row.name())));
        }
        text.push_str(&format!("{RIVALS}\n"));
        for told in self.findings().told {
            text.push_str(&format!("{told}\n"));
        }
        text
    }

    /// The table for programs: one object a row.
    #[must_use]
    pub fn json(&self) -> String {
        let rows = self.rows.iter().map(|(row, sum)| sum.json(*row));
        let skipped = self.skipped.iter().map(|(row, why)| json!({ "split": row.name(), "skipped": why }));
        rows.chain(skipped).map(|line| format!("{line}\n")).collect()
    }

    /// The one line that says it all.
    #[must_use]
    pub fn last_line(&self) -> String {
        let Findings { acked, lost, phantom, doubled, stale, resurrected, .. } = self.findings();
        format!("acked {acked} lost {lost} phantom {phantom} doubled {doubled} stale {stale} resurrected {resurrected}")
    }
}

impl Sum {
    fn cells(&self, row: IslandRow) -> [String; 14] {
        let Findings { acked, lost, phantom, doubled, stale, resurrected, .. } = self.all.findings;
        let serves = (self.all.serves.as_slice(), self.all.unserved);
        let merged = (self.all.merged.as_slice(), self.all.unmerged);
        [
            row.name(),
            self.runs.to_string(),
            acked.to_string(),
            lost.to_string(),
            phantom.to_string(),
            doubled.to_string(),
            stale.to_string(),
            resurrected.to_string(),
            self.all.failed.to_string(),
            timed(serves, 50, None),
            timed(serves, 99, Some(SERVES_WITHIN)),
            timed(merged, 50, None),
            timed(merged, 99, Some(MERGED_WITHIN)),
            match self.all.whole {
                Some(whole) if self.not_whole == 0 => seconds(whole),
                _ => format!("NOT, {} times", self.not_whole),
            },
        ]
    }

    fn json(&self, row: IslandRow) -> Value {
        let Outcome { findings, failed, serves, unserved, changed_apart, merged, unmerged, whole, notes } = &self.all;
        let Findings { acked, lost, phantom, doubled, stale, resurrected, undecided, unread, .. } = findings;
        let at = |times: &[Duration], per_cent| percentile(times, per_cent).map(in_millis);
        json!({
            "split": row.name(), "runs": self.runs, "acked": acked, "lost": lost, "phantom": phantom,
            "doubled": doubled, "stale": stale, "resurrected": resurrected, "undecided": undecided, "unread": unread,
            "failed": failed, "serves": serves.len(), "unserved": unserved, "serves_p50_ms": at(serves, 50),
            "serves_p99_ms": at(serves, 99), "serves_bound_ms": in_millis(SERVES_WITHIN),
            "changed_apart": changed_apart, "merged": merged.len(), "unmerged": unmerged,
            "merged_p50_ms": at(merged, 50), "merged_p99_ms": at(merged, 99), "merged_goal_ms": in_millis(MERGED_WITHIN),
            "not_whole": self.not_whole, "whole_ms": whole.map(in_millis), "notes": notes,
        })
    }
}

/// A percentile of what was measured, or how often nothing came.
fn timed((times, missing): (&[Duration], u64), per_cent: usize, goal: Option<Duration>) -> String {
    let missed = if missing > 0 { format!(", {missing} NEVER") } else { String::new() };
    match (percentile(times, per_cent), goal) {
        (None, _) if missing == 0 => "-".to_owned(),
        (None, _) => format!("{missing} NEVER"),
        (Some(time), None) => millis(time),
        (Some(time), Some(goal)) if time > goal => format!("{} (goal {}: MISSED{missed})", millis(time), millis(goal)),
        (Some(time), Some(goal)) => format!("{} (goal {}{missed})", millis(time), millis(goal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let findings = Findings { acked: 10, ..Findings::default() };
        let times = |ms: [u64; 2]| ms.map(Duration::from_millis).to_vec();
        Outcome {
            findings,
            serves: times([2400, 2900]),
            merged: times([800, 7000]),
            whole: Some(Duration::from_secs(6)),
            ..Outcome::default()
        }
    }

    #[test]
    fn a_clean_table_says_so_in_its_last_line() {
        let mut table = Table::default();
        table.add(IslandRow::TwoThree, outcome());
        assert!(table.is_clean());
        assert_eq!(table.last_line(), "acked 10 lost 0 phantom 0 doubled 0 stale 0 resurrected 0");
    }

    #[test]
    fn what_never_came_together_and_what_came_back_are_not_clean() {
        let resurrected = Findings { resurrected: 1, ..Findings::default() };
        for bad in [
            Outcome { unserved: 1, ..outcome() },
            Outcome { unmerged: 1, ..outcome() },
            Outcome { whole: None, ..outcome() },
            Outcome { findings: resurrected, ..outcome() },
        ] {
            let mut table = Table::default();
            table.add(IslandRow::OneOne, bad);
            assert!(!table.is_clean());
        }
    }

    #[test]
    fn bounds_stand_beside_the_figures_and_are_missed_by_name() {
        let mut table = Table::default();
        table.add(IslandRow::TwoThree, Outcome { unmerged: 2, ..outcome() });
        table.skip(IslandRow::OneOne, "namespaces are not allowed");
        let text = table.text();
        assert!(text.contains("2900 ms (goal 3000 ms)"), "{text}");
        assert!(text.contains("7000 ms (goal 5000 ms: MISSED, 2 NEVER)"), "{text}");
        assert!(text.contains("1/1 SKIPPED: namespaces are not allowed"), "{text}");
    }
}
