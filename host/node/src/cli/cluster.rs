//! `colony status`, `hosts`, `colonies`: who is there, where everything lives, what is degraded and why.

use std::collections::BTreeMap;
use std::fmt::Write;

use colony_wire::admin::{AdminReply, AdminRequest, ClusterStatus, ColonyStatus, HostStatus};
use serde_json::{Value, json};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::table::Table;
use super::text::printable;

pub(super) fn status(common: &Common, output: Output) -> Result<(), Failure> {
    let status = read_status(common)?;
    output.answer(|| status_json(&status), || status_text(&status))
}

pub(super) fn hosts(common: &Common, output: Output) -> Result<(), Failure> {
    let status = read_status(common)?;
    output.list(status.hosts.iter().map(host_json), || hosts_text(&status.hosts))
}

pub(super) fn colonies(common: &Common, of: Option<String>, output: Output) -> Result<(), Failure> {
    let colonies = with_client(common, async |client| {
        ask(&client, "list the colonies", AdminRequest::Colonies { of }, |reply| match reply {
            AdminReply::Colonies(colonies) => Some(colonies),
            _ => None,
        })
        .await
    })?;
    output.list(colonies.iter().map(colony_json), || colonies_text(&colonies))
}

fn read_status(common: &Common) -> Result<ClusterStatus, Failure> {
    let mut status = with_client(common, async |client| {
        ask(&client, "read the cluster's state", AdminRequest::Status, |reply| match reply {
            AdminReply::Status(status) => Some(status),
            _ => None,
        })
        .await
    })?;
    status.hosts.sort_by(|one, other| (&one.name, one.start).cmp(&(&other.name, other.start)));
    Ok(status)
}

fn status_json(status: &ClusterStatus) -> Value {
    json!({
        "cluster": status.cluster.to_string(),
        "lineage": status.lineage.to_string(),
        "revision": status.revision.0,
        "answered_by": status.answered_by,
        "leader": status.leader,
        "colonies": status.colonies,
        "served": status.served,
        "problems": status.problems,
        "hosts": status.hosts.iter().map(host_json).collect::<Vec<_>>(),
    })
}

fn status_text(status: &ClusterStatus) -> String {
    let up = status.hosts.iter().filter(|host| host.state == "up").count();
    let leader = status.leader.as_deref().unwrap_or("none is known");
    let mut text = format!(
        "cluster   {}\nlineage   {}, revision {}\nleader    {leader} (answered by {})\nhosts     {}, {up} up\n\
         colonies  {}, {} served\n",
        status.cluster,
        status.lineage,
        status.revision.0,
        status.answered_by,
        status.hosts.len(),
        status.colonies,
        status.served
    );
    if status.problems.is_empty() {
        text.push_str("problems  none\n");
    }
    for (place, problem) in status.problems.iter().enumerate() {
        let heading = if place == 0 { "problems" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{heading:8}  {}", printable(problem));
    }
    text
}

fn host_json(host: &HostStatus) -> Value {
    json!({
        "name": host.name,
        "state": host.state,
        "address": host.address,
        "labels": host.labels,
        "shards": host.shards,
        "voter": host.voter,
        "primaries": host.primaries,
        "copies": host.copies,
        "start": host.start.to_string(),
    })
}

fn hosts_text(hosts: &[HostStatus]) -> String {
    let mut table = Table::new(&["NAME", "STATE", "ADDRESS", "VOTER", "PRIMARIES", "COPIES", "SHARDS", "LABELS"]);
    for host in hosts {
        table.row([
            printable(&host.name),
            printable(&host.state),
            printable(&host.address),
            if host.voter { "yes" } else { "no" }.to_owned(),
            host.primaries.to_string(),
            host.copies.to_string(),
            host.shards.to_string(),
            labels_text(&host.labels),
        ]);
    }
    table.text()
}

fn labels_text(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| printable(&format!("{key}={value}")));
    pairs.collect::<Vec<_>>().join(",")
}

fn colony_json(colony: &ColonyStatus) -> Value {
    json!({
        "namespace": colony.namespace,
        "bucket": colony.bucket,
        "primary": colony.primary,
        "in_sync": colony.in_sync,
        "want": colony.want,
        "reign": colony.reign.0,
        "cfg": colony.cfg.0,
        "problem": colony.problem,
    })
}

fn colonies_text(colonies: &[ColonyStatus]) -> String {
    let mut table = Table::new(&["NAMESPACE", "BUCKET", "PRIMARY", "IN SYNC", "WANT", "REIGN", "CFG", "PROBLEM"]);
    for colony in colonies {
        table.row([
            printable(&colony.namespace),
            colony.bucket.to_string(),
            colony.primary.as_deref().map_or_else(|| "-".to_owned(), printable),
            names(&colony.in_sync),
            names(&colony.want),
            colony.reign.0.to_string(),
            colony.cfg.0.to_string(),
            colony.problem.as_deref().map(printable).unwrap_or_default(),
        ]);
    }
    table.text()
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        return "-".to_owned();
    }
    names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use colony_wire::{ClusterId, LineageId, Revision, StartId};

    use super::*;

    fn status(problems: &[&str]) -> ClusterStatus {
        ClusterStatus {
            cluster: ClusterId(1),
            lineage: LineageId(u128::MAX),
            revision: Revision(17),
            answered_by: "h2".into(),
            leader: None,
            hosts: vec![HostStatus {
                name: "h1".into(),
                start: StartId(u64::MAX),
                address: "127.0.0.1:7400".into(),
                state: "up".into(),
                labels: [("zone".to_owned(), "a".to_owned())].into(),
                shards: 2,
                voter: true,
                primaries: 16,
                copies: 16,
            }],
            colonies: 16,
            served: 15,
            problems: problems.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn problems_stand_in_words_one_a_line() {
        let text = status_text(&status(&["cart/3 is offline", "one copy only"]));
        assert!(text.contains("leader    none is known (answered by h2)\n"), "{text}");
        assert!(text.ends_with("problems  cart/3 is offline\n          one copy only\n"), "{text}");
        assert!(status_text(&status(&[])).ends_with("problems  none\n"));
    }

    #[test]
    fn ids_are_strings_in_json_since_numbers_there_have_53_bits() {
        let json = status_json(&status(&[]));
        assert_eq!(json["lineage"], "f".repeat(32));
        assert_eq!(json["hosts"][0]["start"], "f".repeat(16));
        assert_eq!(json["hosts"][0]["labels"]["zone"], "a");
    }
}
