//! Chapter: a host joins, and takes its share while sessions are written.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_wire::admin::{ColonyStatus, HostStatus};
use serde_json::json;
use tokio::time::Instant;

use super::DemoError;
use super::observer::{colonies, eventually, status, unsettled};
use super::story::{BUCKETS, COPIES, Stage};
use super::writers::Writers;

/// Longest until the joiner has its share: it compiles the plugins, is admitted, and copies of colonies move
/// to it.
const JOIN_WITHIN: Duration = Duration::from_secs(30);

/// The fewest copies that each colony was seen with.
struct Lowest(BTreeMap<u32, usize>);

impl Lowest {
    fn note(&mut self, colonies: &[ColonyStatus]) {
        for colony in colonies {
            let lowest = self.0.entry(colony.bucket).or_insert(usize::MAX);
            *lowest = colony.in_sync.len().min(*lowest);
        }
    }

    /// A colony that had fewer copies in between than at the begin.
    fn below(&self, begin: &[ColonyStatus]) -> Option<String> {
        begin.iter().find_map(|colony| {
            let (had, lowest) = (colony.in_sync.len(), self.0.get(&colony.bucket).copied().unwrap_or(0));
            (lowest < had).then(|| format!("colony {} had {had} copies and went down to {lowest}", colony.bucket))
        })
    }
}

/// Starts another host and watches colonies move to it.
pub(super) async fn tell(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let begin = colonies(&stage.client).await?;
    let mut lowest = Lowest(BTreeMap::new());
    lowest.note(&begin);
    let writers = Writers::start(&stage.namespace, stage.namespace_id, BUCKETS, "join")?;
    let begun = Instant::now();
    let name = stage.cluster.start_host()?;
    stage.teller.tell("joining", json!({ "host": name }), &format!("{name} joins while sessions are written"));
    let share = share_of(stage.cluster.len());
    let joiner = eventually("the joiner gets its share of colonies", JOIN_WITHIN, async || {
        stage.cluster.check()?;
        let colonies = colonies(&stage.client).await?;
        lowest.note(&colonies);
        if let Some(why) = unsettled(&colonies, BUCKETS, COPIES) {
            return Ok(Err(why));
        }
        let status = status(&stage.client).await?;
        Ok(has_share(&status.hosts, &name, share))
    })
    .await?;
    let after = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (copies, primaries) = (joiner.copies, joiner.primaries);
    let line = format!("{name} holds {copies} copies, {primaries} of them primaries, {after} ms after its start");
    let fields = json!({ "host": name, "copies": copies, "primaries": primaries, "after_ms": after });
    stage.teller.tell("joined", fields.clone(), &line);
    stage.figure("joined", fields);
    let claim = "no colony ever had fewer copies in sync than before the join";
    let below = lowest.below(&begin);
    stage.teller.claim(claim, below.is_none(), || below.clone().unwrap_or_default())?;

    let report = writers.stop(&mut stage.ledger).await;
    let line = format!("{} writes acknowledged during the join, {} gave up", report.acknowledged, report.failed);
    let fields = json!({ "acknowledged": report.acknowledged, "failed": report.failed });
    stage.teller.tell("writes", fields, &line);
    stage.figure("writes_around_join", json!(report.acknowledged));
    stage.teller.claim("the join made no write fail", report.failed == 0, || {
        format!("{} failed: {}", report.failed, report.failure.clone().unwrap_or_default())
    })?;
    let audit = stage.audit().await?;
    stage.figure("acknowledged", json!(audit.read));
    stage.figure("missing", json!(audit.missing));
    Ok(())
}

/// What a joiner gets at least, in primaries and copies: its fair share less one, the most by which placement
/// lets loads differ (`PROTOCOL.md` 14).
fn share_of(hosts: usize) -> (u32, u32) {
    let hosts = u32::try_from(hosts).unwrap_or(u32::MAX).max(1);
    let fair = |all: u32| (all / hosts).saturating_sub(1).max(1);
    (fair(BUCKETS), fair(BUCKETS * u32::from(COPIES)))
}

fn has_share(hosts: &[HostStatus], name: &str, share: (u32, u32)) -> Result<HostStatus, String> {
    let Some(host) = hosts.iter().find(|host| host.name == name && host.state == "up") else {
        return Err(format!("{name} is not up"));
    };
    let (primaries, copies) = share;
    if host.primaries >= primaries && host.copies >= copies {
        return Ok(host.clone());
    }
    Err(format!(
        "{name} has {} of at least {primaries} primaries, {} of at least {copies} copies",
        host.primaries, host.copies
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_fair_within_one() {
        assert_eq!(share_of(3), (4, 9));
        assert_eq!(share_of(8), (1, 3));
    }
}
