//! What each row does to the cluster, and how it is undone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use colony_history::rng::Rng;
use tokio::time::{self, Instant};

use crate::book::Micros;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::lab::{self, HOSTS};
use crate::load::{Load, burst};
use crate::net::Net;
use crate::row::Row;
use crate::timing::Struck;

/// Of a thousand packets, how many are lost in [`Row::Loss`].
const LOST_PER_MILLE: u32 = 50;

/// How long a host stands still in [`Row::Pauses`].
const PAUSE: Duration = Duration::from_millis(300);
/// Longest time between two pauses of one host; the mean is half of it.
const GAP_MAX_MS: u64 = 2000;

/// Threads that do nothing as fast as they can, one for each processor, until it is dropped.
struct Burners {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Burners {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let burn = |_| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..thread::available_parallelism().map_or(1, usize::from)).map(burn).collect();
        Self { is_over, threads }
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Inflicted {
    /// When, and who was hit. Nobody, where no primary has to be replaced.
    pub struck: Option<Struck>,
    /// Hosts whose process was ended.
    pub ended: BTreeSet<String>,
    /// Until when every write of the colonies that were hit is measured, and not the first one only: nobody was gone.
    pub handed_over_until: Option<Micros>,
    /// In words.
    pub what: String,
}

impl Inflicted {
    /// Whether it is right that this host was declared dead: its process was ended, or it was silent for longer than
    /// anybody waits.
    #[must_use]
    pub fn may_die(&self, row: Row, name: &str) -> bool {
        let is_hit = self.struck.as_ref().is_some_and(|struck| struck.hosts.contains(name));
        self.ended.contains(name) || (is_hit && row.goal().is_some())
    }

    fn harmless(what: String) -> Self {
        Self { struck: None, ended: BTreeSet::new(), handed_over_until: None, what }
    }

    fn hit(struck: Struck, what: String) -> Self {
        Self { struck: Some(struck), ended: BTreeSet::new(), handed_over_until: None, what }
    }
}

/// A fault to be inflicted on a cluster under load.
pub struct Fault<'a> {
    /// Which.
    pub row: Row,
    /// For how long.
    pub lasts: Duration,
    /// On whom.
    pub cluster: &'a mut Cluster,
    /// Under which load.
    pub load: &'a Load,
    /// What keys of the first colony may begin with that nobody else uses.
    pub prefix: String,
    /// The clock of the load.
    pub clock: Clock,
}

impl Fault<'_> {
    /// Does it, for as long as it lasts, and undoes it.
    ///
    /// # Errors
    /// If a host or the system did not do what was asked.
    pub async fn inflict(mut self, rng: &mut Rng) -> Result<Inflicted, Failure> {
        let any = below(rng, HOSTS);
        match self.row {
            Row::Kill => self.kill(any).await,
            Row::KillLeader => {
                let leader = self.leader().await?;
                self.kill(leader).await
            }
            Row::Drain => self.drain(any).await,
            Row::StopShort | Row::Stop | Row::StopLong => self.stop(any).await,
            Row::Pauses => self.pauses(rng).await,
            Row::Split => self.split(rng).await,
            Row::OneWay => self.one_way(any, rng.chance(500)).await,
            Row::Partial => self.partial(any, rng).await,
            Row::Loss => self.loss().await,
            Row::Reset => self.reset().await,
            Row::FullQueue => self.full_queue().await,
            Row::NoLeader => self.no_leader().await,
            Row::KillAllButOne => self.kill_all_but(any).await,
            Row::Broken => self.kill_unreplicated(any).await,
        }
    }

    async fn leader(&self) -> Result<usize, Failure> {
        let leader = self.cluster.status().await?.leader;
        Ok((0..HOSTS).find(|place| leader.as_deref() == Some(&lab::host(*place))).unwrap_or(0))
    }

    /// Who will be hit, as of now. The time is the moment of this call's end.
    async fn strike(&self, hosts: BTreeSet<String>) -> Result<Struck, Failure> {
        let buckets = self.cluster.led_by(&hosts).await?;
        Ok(Struck { at: self.clock.now(), hosts, buckets })
    }

    async fn kill(&mut self, place: usize) -> Result<Inflicted, Failure> {
        let name = lab::host(place);
        let struck = self.strike([name.clone()].into()).await?;
        self.cluster.kill(&name);
        time::sleep(self.lasts).await;
        self.cluster.restart(place);
        let what = format!("{name} killed, primary of {} colonies", struck.buckets.len());
        Ok(Inflicted { ended: [name].into(), ..Inflicted::hit(struck, what) })
    }

    /// Everything moves away, the process ends by itself, and after a while it is started again.
    async fn drain(&mut self, place: usize) -> Result<Inflicted, Failure> {
        let name = lab::host(place);
        let struck = self.strike([name.clone()].into()).await?;
        let took = self.cluster.drain(&name).await?;
        let handed_over_until = Some(self.clock.now());
        time::sleep(self.lasts).await;
        self.cluster.restart(place);
        let what = format!("{name} drained in {took:.1?}, was primary of {} colonies", struck.buckets.len());
        Ok(Inflicted { ended: [name].into(), handed_over_until, ..Inflicted::hit(struck, what) })
    }

    async fn stop(&mut self, place: usize) -> Result<Inflicted, Failure> {
        let name = lab::host(place);
        let struck = self.strike([name.clone()].into()).await?;
        self.cluster.pause(&name);
        time::sleep(self.lasts).await;
        self.cluster.resume(&name);
        let what = format!("{name} stopped for {:?}, primary of {} colonies", self.lasts, struck.buckets.len());
        Ok(Inflicted::hit(struck, what))
    }

    /// Nobody is dead, and everybody is late.
    async fn pauses(&mut self, rng: &mut Rng) -> Result<Inflicted, Failure> {
        let burners = Burners::start();
        let ends = Instant::now() + self.lasts;
        let mut pauses = 0;
        // By host: when it is stopped, or goes on, next.
        let mut turns: Vec<(Instant, bool)> = (0..HOSTS).map(|_| (Instant::now() + gap(rng), false)).collect();
        while let Some((place, (at, is_stopped))) = turns.iter().copied().enumerate().min_by_key(|(_, turn)| *turn)
            && (at < ends || turns.iter().any(|(_, is_stopped)| *is_stopped))
        {
            time::sleep_until(at).await;
            let name = lab::host(place);
            turns[place] = if is_stopped {
                self.cluster.resume(&name);
                (Instant::now() + gap(rng), false)
            } else if at < ends {
                self.cluster.pause(&name);
                pauses += 1;
                (Instant::now() + PAUSE, true)
            } else {
                (ends + self.lasts, false)
            };
        }
        drop(burners);
        Ok(Inflicted::harmless(format!("{pauses} pauses of {PAUSE:?} in {:?}, all processors busy", self.lasts)))
    }

    /// Two hosts, of which one votes at most, are cut from the others: those can decide, and every colony has a copy
    /// among them.
    async fn split(&mut self, rng: &mut Rng) -> Result<Inflicted, Failure> {
        let status = self.cluster.status().await?;
        let votes = |place: &usize| {
            let name = lab::host(*place);
            status.hosts.iter().any(|host| host.name == name && host.state == "up" && host.voter)
        };
        let mut all: Vec<usize> = (0..HOSTS).collect();
        shuffle(&mut all, rng);
        let (mut some, mut voters) = (Vec::new(), 0);
        for place in all.iter().copied() {
            let is_voter = votes(&place);
            if some.len() < 2 && !(is_voter && voters > 0) {
                voters += usize::from(is_voter);
                some.push(place);
            }
        }
        let others: Vec<usize> = all.into_iter().filter(|place| !some.contains(place)).collect();
        let struck = self.strike(some.iter().map(|place| lab::host(*place)).collect()).await?;
        let net = self.net();
        net.silence(&[(&some, &others), (&others, &some)]).await?;
        time::sleep(self.lasts).await;
        net.heal().await?;
        let what = format!("{} cut from the others, primaries of {} colonies", names(&some), struck.buckets.len());
        Ok(Inflicted::hit(struck, what))
    }

    async fn one_way(&mut self, place: usize, is_deaf: bool) -> Result<Inflicted, Failure> {
        let others: Vec<usize> = (0..HOSTS).filter(|other| *other != place).collect();
        let struck = self.strike([lab::host(place)].into()).await?;
        let (from, to): (&[usize], &[usize]) = if is_deaf { (&others, &[place]) } else { (&[place], &others) };
        let net = self.net();
        net.silence(&[(from, to)]).await?;
        time::sleep(self.lasts).await;
        net.heal().await?;
        let how = if is_deaf { "hears nobody and is heard" } else { "is heard by nobody and hears" };
        let what = format!("{} {how}, primary of {} colonies", lab::host(place), struck.buckets.len());
        Ok(Inflicted::hit(struck, what))
    }

    async fn partial(&mut self, one: usize, rng: &mut Rng) -> Result<Inflicted, Failure> {
        let other = (one + 1 + below(rng, HOSTS - 1)) % HOSTS;
        let net = self.net();
        net.silence(&[(&[one], &[other]), (&[other], &[one])]).await?;
        time::sleep(self.lasts).await;
        net.heal().await?;
        Ok(Inflicted::harmless(format!("{} do not hear each other", names(&[one, other]))))
    }

    async fn loss(&mut self) -> Result<Inflicted, Failure> {
        let net = self.net();
        net.lose(LOST_PER_MILLE).await?;
        time::sleep(self.lasts).await;
        net.heal().await?;
        Ok(Inflicted::harmless(format!("{} % of all packets lost", LOST_PER_MILLE / 10)))
    }

    async fn reset(&mut self) -> Result<Inflicted, Failure> {
        let net = self.net();
        net.reset().await?;
        time::sleep(self.lasts).await;
        net.accept().await?;
        Ok(Inflicted::harmless("every sentinel connection reset, every new one refused".to_owned()))
    }

    async fn full_queue(&mut self) -> Result<Inflicted, Failure> {
        let (seeds, identity) = (self.cluster.seeds(), self.cluster.identity());
        Ok(Inflicted::harmless(burst(self.load, &seeds, &identity, &self.prefix).await?))
    }

    async fn no_leader(&mut self) -> Result<Inflicted, Failure> {
        let net = self.net();
        net.silence_control().await?;
        time::sleep(self.lasts).await;
        net.heal().await?;
        Ok(Inflicted::harmless(format!("no control port hears another for {:?}", self.lasts)))
    }

    async fn kill_all_but(&mut self, survivor: usize) -> Result<Inflicted, Failure> {
        let others: Vec<usize> = (0..HOSTS).filter(|place| *place != survivor).collect();
        for place in &others {
            self.cluster.kill(&lab::host(*place));
        }
        time::sleep(self.lasts).await;
        for place in &others {
            self.cluster.restart(*place);
        }
        let ended = others.iter().map(|place| lab::host(*place)).collect();
        let what = format!("{} survives, the others killed and started again", lab::host(survivor));
        Ok(Inflicted { ended, ..Inflicted::harmless(what) })
    }

    /// While the others stand still nothing is replicated; what this host acknowledges by itself dies with it.
    async fn kill_unreplicated(&mut self, place: usize) -> Result<Inflicted, Failure> {
        let name = lab::host(place);
        let struck = self.strike([name.clone()].into()).await?;
        let others: Vec<String> = (0..HOSTS).filter(|other| *other != place).map(lab::host).collect();
        for other in &others {
            self.cluster.pause(other);
        }
        time::sleep(self.lasts).await;
        self.cluster.kill(&name);
        for other in &others {
            self.cluster.resume(other);
        }
        time::sleep(Duration::from_secs(2)).await;
        self.cluster.restart(place);
        let what = format!("{name} killed before anybody had what it acknowledged");
        Ok(Inflicted { ended: [name].into(), ..Inflicted::hit(struck, what) })
    }

    /// # Panics
    /// On loopback, where no row that needs a network is run.
    fn net(&self) -> Net {
        self.cluster.net().expect("a row that needs a network has one").clone()
    }
}

fn gap(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.below(GAP_MAX_MS))
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or_default()
}

fn shuffle(places: &mut [usize], rng: &mut Rng) {
    for last in (1..places.len()).rev() {
        places.swap(last, below(rng, last + 1));
    }
}

fn names(places: &[usize]) -> String {
    let mut names: Vec<String> = places.iter().map(|place| lab::host(*place)).collect();
    names.sort();
    names.join(" and ")
}
