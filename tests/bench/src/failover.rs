//! How long nobody can write after a process is killed.
//!
//! For each kill, a write is sent to every colony that had a copy on the killed host, at once, by a client that knew
//! the cluster before. What counts is the time from the kill until each is acknowledged. In turn with it, a primary of
//! a Redis Cluster is killed and its replica asked until it takes a write.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use colony_client::admin::ColonyStatus;
use colony_client::{Client, Content, Key, Namespace, Options, Precondition, Ttl};
use colony_it::{Cluster, Shape, free_ports};
use colony_peers::find;
use colony_peers::redis::{NODES, RedisCluster};
use colony_wire::{ColonyId, NamespaceId};
use hdrhistogram::Histogram;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::results::{Failover, Gaps};
use crate::row::Who;

/// Hosts.
const HOSTS: usize = 3;
/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies; a power of two.
const COLONIES: u32 = 1024;
/// The namespace.
const NAMESPACE: &str = "gaps";
/// Kills of one cluster. A host that dies again and again waits longer each time before it is admitted, and a cluster
/// that is begun anew sooner or later costs less.
const KILLS_OF_A_CLUSTER: u32 = 6;
/// After what silence Redis's nodes hold each other for failed: the shortest that is used.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);
/// Deadline of a write: above any gap that is not a failure.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a session.
const BYTES: usize = 256;

/// Kills so many hosts, and as many Redis primaries where there are any.
///
/// # Errors
/// [`Failure`] if Colony does not come up, or a write is not acknowledged at all.
pub(crate) async fn measure(kills: u32, may_install: bool) -> Result<Failover, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::io("make a folder"))?;
    let mut failover = Failover::default();
    let mut redis = match start_redis(&folder, may_install).await {
        Ok(redis) => Some(redis),
        Err(failure) => {
            eprintln!("bench: REDIS CLUSTER IS NOT MEASURED: {failure}");
            failover.absent.push((Who::RedisCluster, failure.to_string()));
            None
        }
    };
    let mut done = 0;
    while done < kills {
        let mut town = Town::start().await?;
        for turn in 0..KILLS_OF_A_CLUSTER.min(kills - done) {
            let victim = format!("h{}", 1 + turn as usize % HOSTS);
            let (primaries, copies) = town.kill(&victim).await?;
            eprintln!("bench: kill {} of {kills}: {victim}, {} lost their primary", done + turn + 1, primaries.len());
            failover.primaries.note(&primaries);
            failover.copies.note(&copies);
            if let Some(redis) = &mut redis {
                match redis.kill_a_primary().await {
                    Ok(gap) => failover.redis.note(&[gap]),
                    Err(failure) => {
                        eprintln!("bench: REDIS CLUSTER IS NOT MEASURED FURTHER: {failure}");
                        failover.absent.push((Who::RedisCluster, failure.to_string()));
                    }
                }
            }
            if !failover.absent.is_empty() {
                redis = None;
            }
            town.restart(&victim).await;
        }
        done += KILLS_OF_A_CLUSTER.min(kills - done);
    }
    Ok(failover)
}

async fn start_redis(folder: &TempDir, may_install: bool) -> Result<RedisCluster, Failure> {
    let program = find("redis-server", may_install)?;
    let found = free_ports(NODES, 2);
    let addresses = std::array::from_fn(|place| found[place]);
    Ok(RedisCluster::start(&program.path, folder.path(), addresses, NODE_TIMEOUT).await?)
}

/// A cluster with a session in each colony.
struct Town {
    cluster: Cluster,
    namespace: Namespace,
    keys: Vec<Key>,
}

impl Town {
    async fn start() -> Result<Self, Failure> {
        let cluster = Cluster::start(Shape { keeps_log: true, ..Shape::of(HOSTS) }).await;
        cluster.create_namespace(NAMESPACE, COPIES, COLONIES as usize, &[]).await;
        cluster.until_all_agree().await;
        let seeds: Vec<String> = cluster.connect().split(',').map(str::to_owned).collect();
        let client = Client::connect(&seeds, cluster.certs().identity()).await?;
        let namespace = client.namespace(NAMESPACE).with(Options { deadline: DEADLINE, ..Options::default() });
        Ok(Self { cluster, namespace, keys: keys(COLONIES).map_err(Failure::Call)? })
    }

    /// Kills a host, and says of each colony that had a copy there how long it took until a write was acknowledged:
    /// those whose primary it was, and the others.
    async fn kill(&mut self, victim: &str) -> Result<(Vec<Duration>, Vec<Duration>), Failure> {
        let (led, held) = self.of(victim).await?;
        let all: Vec<u32> = led.iter().chain(&held).copied().collect();
        // So that the client knows where everything is, and each session is there.
        self.write(&all, Instant::now()).await?;
        let begun = Instant::now();
        self.cluster.kill(victim);
        let gaps = self.write(&all, begun).await?;
        let (led, held): (Vec<_>, Vec<_>) = gaps.into_iter().partition(|(bucket, _)| led.contains(bucket));
        let times = |of: Vec<(u32, Duration)>| of.into_iter().map(|(_, gap)| gap).collect();
        Ok((times(led), times(held)))
    }

    /// The colonies that a host is the primary of, and those that it has another copy of.
    async fn of(&self, host: &str) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Failure> {
        let ours = self.cluster.table_of(host).await.map_err(Failure::Call)?;
        let ours: Vec<ColonyStatus> = ours.into_iter().filter(|colony| colony.namespace == NAMESPACE).collect();
        let of = |is: &dyn Fn(&ColonyStatus) -> bool| {
            ours.iter().filter(|colony| is(colony)).map(|colony| colony.bucket).collect::<BTreeSet<_>>()
        };
        let led = of(&|colony| colony.primary.as_deref() == Some(host));
        let held = of(&|colony| colony.in_sync.iter().any(|name| name == host));
        let held = held.difference(&led).copied().collect();
        Ok((led, held))
    }

    /// Writes to these colonies at once; for each, the time from `begun` until it was acknowledged.
    async fn write(&self, buckets: &[u32], begun: Instant) -> Result<Vec<(u32, Duration)>, Failure> {
        let mut tasks = JoinSet::new();
        for bucket in buckets {
            let (namespace, bucket) = (self.namespace.clone(), *bucket);
            let key = self.keys[bucket as usize].clone();
            tasks.spawn(async move {
                let content = Content::Blob(Bytes::from(vec![0x5A; BYTES]));
                let put = namespace.put(&key, content, Ttl::Never, Precondition::None).await;
                put.map(|_| (bucket, begun.elapsed())).map_err(|error| Failure::Call(error.to_string()))
            });
        }
        tasks.join_all().await.into_iter().collect()
    }

    /// Starts a killed host again and waits until everything has its copies.
    async fn restart(&mut self, victim: &str) {
        self.cluster.restart(victim);
        self.cluster.until_up().await;
        self.cluster.until_in_sync(NAMESPACE, COPIES).await;
        self.cluster.until_all_agree().await;
    }
}

/// A key of each colony, by its number.
fn keys(colonies: u32) -> Result<Vec<Key>, String> {
    // More than are ever looked through: a hundred times as many as there are colonies.
    let most = colonies * 100;
    let mut found: Vec<Option<Key>> = vec![None; colonies as usize];
    let mut missing = found.len();
    for number in 0..most {
        let text = format!("gap-{number}");
        let bucket = ColonyId::of(NamespaceId(0), text.as_bytes(), colonies).bucket;
        if let Some(place @ None) = found.get_mut(bucket as usize) {
            *place = Some(Key::new(text).map_err(|error| error.to_string())?);
            missing -= 1;
        }
        if missing == 0 {
            break;
        }
    }
    found.into_iter().collect::<Option<_>>().ok_or_else(|| "not every colony has a key".to_owned())
}

impl Gaps {
    /// Adds some gaps.
    fn note(&mut self, gaps: &[Duration]) {
        for gap in gaps {
            let micros = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
            self.histogram.get_or_insert_with(histogram).saturating_record(micros);
        }
    }
}

fn histogram() -> Histogram<u64> {
    let most = u64::try_from(DEADLINE.as_micros()).unwrap_or(u64::MAX);
    Histogram::new_with_max(most, 3).expect("these bounds are bounds of a histogram")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colony_has_a_key_of_its_own() {
        let keys = keys(64).unwrap();
        for (bucket, key) in keys.iter().enumerate() {
            assert_eq!(ColonyId::of(NamespaceId(7), key.as_bytes(), 64).bucket as usize, bucket);
        }
    }

    #[test]
    fn gaps_are_kept_within_a_thousandth() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.quantile_ms(0.5), None);
        gaps.note(&[Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(400)]);
        assert_eq!(gaps.count(), 3);
        let middle = gaps.quantile_ms(0.5).unwrap();
        assert!((middle - 20.0).abs() < 0.1, "{middle}");
    }
}
