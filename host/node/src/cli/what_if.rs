//! `colony what-if`: what a cut of the network would do.

use std::collections::BTreeMap;
use std::fmt::Write;

use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::cut::{ColonyOutlook, CutReport, SideOutlook};
use serde_json::{Value, json};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::table::Table;
use super::text::printable;

/// So many colonies that nobody would serve are named; the others are counted.
const NAMED: usize = 20;

pub(super) fn run((label, value): (String, String), common: &Common, output: Output) -> Result<(), Failure> {
    let report = with_client(common, async |client| {
        ask(&client, "foretell a cut", AdminRequest::WhatIf { label, value }, |reply| match reply {
            AdminReply::Cut(report) => Some(report),
            _ => None,
        })
        .await
    })?;
    output.answer(|| to_json(&report), || to_text(&report))
}

/// What becomes of a colony, in a word.
fn fate(one: &ColonyOutlook) -> &'static str {
    match (one.cut_off, one.rest) {
        (SideOutlook::Served(_), SideOutlook::Served(_)) => "both",
        (SideOutlook::Served(_), SideOutlook::Offline) | (SideOutlook::Offline, SideOutlook::Served(_)) => "whole",
        (SideOutlook::Served(_), SideOutlook::Stopped(_)) | (SideOutlook::Stopped(_), SideOutlook::Served(_)) => "one",
        _ => "none",
    }
}

fn to_json(report: &CutReport) -> Value {
    let colony = |one: &ColonyOutlook| {
        json!({
            "namespace": one.namespace,
            "bucket": one.bucket,
            "cut_off": one.cut_off,
            "rest": one.rest,
            "served": fate(one),
        })
    };
    json!({
        "cut_off": report.cut_off,
        "others": report.others,
        "colonies": report.colonies.iter().map(colony).collect::<Vec<_>>(),
    })
}

fn to_text(report: &CutReport) -> String {
    let hosts: Vec<String> = report.cut_off.iter().map(|name| printable(name)).collect();
    let others = if report.others == 1 { "host" } else { "hosts" };
    let mut text = format!("cut off   {} (and {} {others} on the other side)\n", hosts.join(", "), report.others);
    let mut spaces: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for one in &report.colonies {
        *spaces.entry(&one.namespace).or_default().entry(fate(one)).or_default() += 1;
    }
    let mut table = Table::new(&["NAMESPACE", "AS NOW", "ON BOTH SIDES", "ON ONE, THE OTHER STOPS", "NOWHERE"]);
    for (namespace, fates) in &spaces {
        let count = |fate| fates.get(fate).copied().unwrap_or_default().to_string();
        table.row([printable(namespace), count("whole"), count("both"), count("one"), count("none")]);
    }
    text.push_str(&table.text());
    let lost: Vec<&ColonyOutlook> = report.colonies.iter().filter(|one| fate(one) == "none").collect();
    for one in lost.iter().take(NAMED) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "nowhere   {}/{}", printable(&one.namespace), one.bucket);
    }
    if lost.len() > NAMED {
        let _ = writeln!(text, "and {} more", lost.len() - NAMED);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bucket: u32, cut_off: SideOutlook, rest: SideOutlook) -> ColonyOutlook {
        ColonyOutlook { namespace: "cart".into(), bucket, cut_off, rest }
    }

    #[test]
    fn colonies_are_counted_by_where_they_would_be_served() {
        use SideOutlook::{Offline, Served, Stopped};
        let colonies = vec![
            one(0, Served(1), Served(2)),
            one(1, Offline, Served(3)),
            one(2, Served(2), Offline),
            one(3, Stopped(1), Served(2)),
            one(4, Stopped(1), Stopped(1)),
        ];
        let report = CutReport { cut_off: vec!["h1".into()], others: 2, colonies };
        let text = to_text(&report);
        assert!(text.starts_with("cut off   h1 (and 2 hosts on the other side)\n"), "{text}");
        let row: Vec<&str> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row, ["cart", "2", "1", "1", "1"], "{text}");
        assert!(text.ends_with("nowhere   cart/4\n"), "{text}");
        assert_eq!(to_json(&report)["colonies"][0]["served"], "both");
    }
}
