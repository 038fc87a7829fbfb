//! Hosts that are slow, paused or busy, and not dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use colony_it::{Cluster, Shape, Writers};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

/// Threads that do nothing but burn processor time: as many as a small machine has processors.
const BURNERS: usize = 2;
/// Applications that write meanwhile.
const WRITERS: usize = 4;
/// How long hosts are paused at random.
const TROUBLE: Duration = Duration::from_secs(20);
/// One pause.
const PAUSE: Duration = Duration::from_millis(300);
/// Applications that write large sessions without a pause.
const BULK_WRITERS: u64 = 24;
/// What each of them writes at a time, in bytes.
const BULK: usize = 200 * 1024;
/// How long they do.
const SATURATED: Duration = Duration::from_secs(8);
/// What a host logs when it holds another for dead for its silence.
const ACCUSED: &str = "silent for too long";

/// Threads that burn processor time until this is dropped.
struct Burners(Arc<AtomicBool>);

impl Burners {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..BURNERS {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The names of all hosts and the processes that run under them.
async fn starts(cluster: &Cluster) -> Vec<(String, String)> {
    let mut starts = Vec::new();
    for name in cluster.names() {
        let start = cluster.start_of(&name).await;
        starts.push((name, start));
    }
    starts
}

/// E1: on a machine at full load hosts stand still for 300 ms, one after another, for twenty seconds, under writes.
/// Nobody is declared dead, and nothing that was acknowledged is missing.
#[tokio::test]
async fn pauses_under_full_load_kill_nobody() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("cart", 2, 8, &[]).await;
    let before = starts(&cluster).await;
    let client = cluster.client().await;
    let writers = Writers::start(&client, "cart", WRITERS);

    let burners = Burners::start();
    let begun = Instant::now();
    let mut chance = 0x9E37_79B9_u64;
    while begun.elapsed() < TROUBLE {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (name, _) = &before[usize::try_from(chance >> 33).expect("31 bits") % before.len()];
        cluster.host(name).pause();
        time::sleep(PAUSE).await;
        cluster.host(name).resume();
        time::sleep(Duration::from_millis((chance >> 40) % 500)).await;
    }
    drop(burners);

    let ledger = writers.stop().await;
    assert_eq!(starts(&cluster).await, before);
    ledger.audit(&client.namespace("cart")).await;
    cluster.assert_all_run();
}

/// E2: applications write large sessions as fast as they are taken, and a host joins and is filled with them. Signs of
/// life go their own way: nobody is silent for as long as `suspect_after`.
#[tokio::test]
async fn signs_of_life_do_not_wait_behind_bulk() {
    let mut cluster = Cluster::start(Shape::of(3)).await;
    cluster.create_namespace("bulk", 2, 8, &[]).await;
    let client = cluster.client().await;
    let before = starts(&cluster).await;

    let end = Instant::now() + SATURATED;
    let mut tasks = JoinSet::new();
    for writer in 0..BULK_WRITERS {
        let namespace = client.namespace("bulk");
        tasks.spawn(async move {
            let mut written = 0_usize;
            while Instant::now() < end {
                let key = format!("bulk-{writer}-{}", written % 8);
                let Ok(mut session) = namespace.at(key).await else { continue };
                let filler = u8::try_from(written % 251).expect("below 256");
                session.set_raw("bulk", vec![filler; BULK]).expect("it fits a session");
                written += usize::from(session.save().await.is_ok());
            }
            written
        });
    }
    time::sleep(SATURATED / 4).await;
    let newcomer = cluster.start_host();
    let written: usize = tasks.join_all().await.into_iter().sum();
    cluster.until_up().await;
    cluster.until_in_sync("bulk", 2).await;

    assert!(written > 100, "{written} large writes are no load");
    for name in cluster.names() {
        let log = cluster.host(&name).log();
        assert!(!log.contains(ACCUSED), "{name} held a host for dead under load (newcomer: {newcomer}):\n{log}");
    }
    let after = starts(&cluster).await;
    assert!(before.iter().all(|one| after.contains(one)), "{before:?} became {after:?}");
    cluster.assert_all_run();
}
