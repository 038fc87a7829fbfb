//! Chapter: a host is killed in the middle of writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use colony_wire::admin::ColonyStatus;
use serde_json::json;

use super::DemoError;
use super::observer::{colonies, eventually, status};
use super::story::{BUCKETS, COPIES, Stage, settled};
use super::writers::Writers;

/// A colony whose primary is killed takes writes again within this, if the group need not elect a leader.
const WRITABLE_WITHIN: Duration = Duration::from_secs(1);
/// The same if the killed host led the group: an election comes first.
const WRITABLE_WITHIN_ELECTION: Duration = Duration::from_millis(2500);
/// Longest wait for the numbers, so that a broken promise is told with its number.
const LOOK_FOR: Duration = Duration::from_secs(15);
/// Writes in every colony before the kill, and after it.
const WRITES_AROUND: usize = 20;

/// The host to kill.
struct Victim {
    name: String,
    leads_group: bool,
    /// Colonies it is the primary of.
    buckets: Vec<u32>,
}

/// Kills the host with the most primaries, and measures how long its colonies took no writes.
pub(super) async fn tell(stage: &mut Stage<'_>) -> Result<(), DemoError> {
    let writers = Writers::start(&stage.namespace, stage.namespace_id, BUCKETS, "kill")?;
    wait_for_writes(&writers, WRITES_AROUND).await?;
    let victim = choose(stage).await?;
    let killed = stage.cluster.kill(&victim.name)?;
    let role = if victim.leads_group { "which led the group" } else { "which did not lead the group" };
    let line = format!(
        "killed {} (SIGKILL), {role} and was the primary of {} colonies, in the middle of writes",
        victim.name,
        victim.buckets.len()
    );
    let fields = json!({ "host": victim.name, "led_group": victim.leads_group, "primaries": victim.buckets.len() });
    stage.teller.tell("killed", fields, &line);

    let outages = outages(&writers, &victim, killed).await?;
    let so_far = writers.fewest(BUCKETS);
    wait_for_writes(&writers, so_far + WRITES_AROUND).await?;
    let report = writers.stop(&mut stage.ledger).await;
    tell_outages(stage, &victim, &outages)?;
    let line = format!("{} writes acknowledged around the kill, {} gave up", report.acknowledged, report.failed);
    let fields = json!({ "acknowledged": report.acknowledged, "failed": report.failed, "failure": report.failure });
    stage.teller.tell("writes", fields, &line);
    stage.figure("writes_around_kill", json!(report.acknowledged));
    stage.figure("writes_failed_around_kill", json!(report.failed));
    stage.audit().await?;
    copies_again(stage, killed).await
}

async fn wait_for_writes(writers: &Writers, count: usize) -> Result<(), DemoError> {
    eventually("every colony takes writes", LOOK_FOR, async || {
        let fewest = writers.fewest(BUCKETS);
        Ok(if fewest >= count { Ok(()) } else { Err(format!("one took {fewest} of {count}")) })
    })
    .await
}

/// The host with the most primaries that does not lead the group, if there is one.
async fn choose(stage: &Stage<'_>) -> Result<Victim, DemoError> {
    let leader = status(&stage.client).await?.leader;
    let mut led: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for ColonyStatus { primary, bucket, .. } in colonies(&stage.client).await? {
        led.entry(primary.unwrap_or_default()).or_default().push(bucket);
    }
    let most = led.into_iter().max_by_key(|(name, buckets)| (Some(name) != leader.as_ref(), buckets.len()));
    let Some((name, buckets)) = most else {
        return Err(DemoError::Claim { claim: "some host is a primary".into(), found: "none".into() });
    };
    Ok(Victim { leads_group: Some(&name) == leader.as_ref(), name, buckets })
}

/// From the kill to the first write that another host acknowledged, for each colony that the victim led.
async fn outages(writers: &Writers, victim: &Victim, killed: Instant) -> Result<Vec<Duration>, DemoError> {
    let look = async || {
        let first = |bucket: &u32| writers.first_after(*bucket, killed, &victim.name).ok_or(*bucket);
        let firsts: Result<Vec<_>, _> = victim.buckets.iter().map(first).collect();
        Ok(firsts.map_err(|bucket| format!("colony {bucket} has taken none")))
    };
    let firsts = eventually("every colony of the killed host takes writes again", LOOK_FOR, look).await?;
    let mut outages: Vec<_> = firsts.into_iter().map(|first| first.duration_since(killed)).collect();
    outages.sort();
    Ok(outages)
}

fn tell_outages(stage: &mut Stage<'_>, victim: &Victim, outages: &[Duration]) -> Result<(), DemoError> {
    let (Some(min), Some(max)) = (outages.first().copied(), outages.last().copied()) else {
        return Err(DemoError::Claim { claim: "the killed host led colonies".into(), found: "none".into() });
    };
    let median = outages.get(outages.len() / 2).copied().unwrap_or(max);
    let [min_ms, median_ms, max_ms] = [min, median, max].map(millis);
    let line = format!(
        "from the kill to the first new acknowledged write, over its {} colonies: \
         min {min_ms} ms, median {median_ms} ms, max {max_ms} ms",
        outages.len()
    );
    let fields = json!({ "colonies": outages.len(), "min_ms": min_ms, "median_ms": median_ms, "max_ms": max_ms });
    stage.teller.tell("writable", fields.clone(), &line);
    stage.figure("killed", json!({ "host": victim.name, "led_group": victim.leads_group }));
    stage.figure("writable_again", fields);
    let bound = if victim.leads_group { WRITABLE_WITHIN_ELECTION } else { WRITABLE_WITHIN };
    let claim = format!("all of them took writes again within {} ms", bound.as_millis());
    stage.teller.claim(&claim, max < bound, || format!("{max_ms} ms"))
}

/// The hosts that are left make up for the copies that are lost.
async fn copies_again(stage: &mut Stage<'_>, killed: Instant) -> Result<(), DemoError> {
    settled(&stage.client).await?;
    let after = millis(killed.elapsed());
    let line = format!("every colony has {COPIES} copies again, {after} ms after the kill");
    stage.teller.tell("restored", json!({ "copies": COPIES, "after_ms": after }), &line);
    stage.figure("copies_again_ms", json!(after));
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
