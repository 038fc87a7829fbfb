//! `colony hosts`, `colonies`: who is there, and where everything lives.

use std::collections::BTreeMap;

use colony_wire::admin::{AdminReply, AdminRequest, ClusterStatus, ColonyStatus, HostStatus};
use serde_json::{Value, json};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::table::Table;
use super::text::printable;

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

/// The status, the hosts in the order of their names.
pub(super) fn read_status(common: &Common) -> Result<ClusterStatus, Failure> {
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

pub(super) fn host_json(host: &HostStatus) -> Value {
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
