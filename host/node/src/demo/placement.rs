//! Chapter: where the copies live.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::admin::ColonyStatus;
use serde_json::json;

use super::DemoError;
use super::observer::{colonies, status};
use super::story::Stage;

/// Colonies on one line.
const PER_LINE: usize = 4;

/// Tells where each colony's copies are; no two of them in one zone.
pub(super) async fn tell(stage: &Stage<'_>) -> Result<(), DemoError> {
    let status = status(&stage.client).await?;
    let colonies = colonies(&stage.client).await?;
    let zone = |name: &String| status.hosts.iter().find(|host| host.name == *name)?.labels.get("zone").cloned();
    let fields: Vec<_> = colonies
        .iter()
        .map(|colony| json!({ "bucket": colony.bucket, "primary": colony.primary, "in_sync": colony.in_sync }))
        .collect();
    stage.teller.tell("placed", json!({ "colonies": fields }), "where the copies live, primary first:");
    for line in colonies.chunks(PER_LINE) {
        let cells: Vec<_> = line.iter().map(|colony| format!("{:<18}", cell(colony))).collect();
        stage.teller.detail(cells.join("").trim_end());
    }
    let mut by_host: BTreeMap<String, String> = BTreeMap::new();
    for host in &status.hosts {
        let zone = zone(&host.name).unwrap_or_default();
        let (primaries, copies) = (host.primaries, host.copies);
        by_host.insert(host.name.clone(), format!("{zone}, {copies} copies, {primaries} of them primaries"));
    }
    for (host, what) in by_host {
        stage.teller.detail(&format!("{host}: {what}"));
    }
    let shared = colonies.iter().find(|colony| {
        let zones: BTreeSet<_> = colony.in_sync.iter().map(zone).collect();
        zones.len() < colony.in_sync.len()
    });
    stage.teller.claim("no two copies of a colony share a zone", shared.is_none(), || {
        shared.map(|colony| format!("colony {}", cell(colony))).unwrap_or_default()
    })
}

fn cell(colony: &ColonyStatus) -> String {
    let primary = colony.primary.as_deref().unwrap_or("nobody");
    let others = colony.in_sync.iter().filter(|name| Some(name.as_str()) != colony.primary.as_deref());
    let names: Vec<_> = std::iter::once(primary).chain(others.map(String::as_str)).collect();
    format!("{:>2}: {}", colony.bucket, names.join(" "))
}
