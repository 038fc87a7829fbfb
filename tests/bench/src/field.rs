//! Everybody who is measured, all running at the same time, one at work.

use std::collections::BTreeSet;
use std::time::Duration;

use colony_it::free_ports;
use colony_peers::nats::{Nats, SERVERS};
use colony_peers::redis::Redis;
use colony_peers::{PeerError, find};
use tempfile::TempDir;
use tokio::time;

use crate::ceiling::Ceiling;
use crate::colony::{Colony, Where};
use crate::drive;
use crate::failure::Failure;
use crate::load::{Load, Pace, Profile, Window};
use crate::rivals;
use crate::row::Who;
use crate::sample::Sample;
use crate::workload::SESSIONS;

/// Longest that a measurement takes beyond its window: connections, sessions that must be there, the last answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Calls in flight when sessions are made that a load needs.
const FILLERS: usize = 64;

/// Everybody who is measured. Those who are not at work wait, and cost next to nothing.
#[derive(Debug)]
pub(crate) struct Field {
    colony: Colony,
    ceiling: Ceiling,
    redis: Option<Redis>,
    redis_plain: Option<Redis>,
    nats: Option<Nats>,
    filled: BTreeSet<(Who, usize)>,
    absent: Vec<(Who, String)>,
    folder: TempDir,
}

impl Field {
    /// Starts Colony, the ceiling, and those rivals that are asked for and can be had.
    ///
    /// # Errors
    /// [`Failure`] if the ceiling does not come up. Rivals that do not are [absent](Self::absent).
    pub(crate) async fn start(colony: Colony, wanted: &BTreeSet<Who>, may_install: bool) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::io("make a folder"))?;
        let ceiling = Ceiling::start(colony.certs()).await?;
        let mut field = Self {
            colony,
            ceiling,
            redis: None,
            redis_plain: None,
            nats: None,
            filled: BTreeSet::new(),
            absent: Vec::new(),
            folder,
        };
        for who in wanted {
            let started = match who {
                Who::Redis => field.start_redis(may_install).await,
                Who::RedisPlain => field.start_redis_plain(may_install).await,
                Who::Nats => field.start_nats(may_install).await,
                Who::Colony | Who::Spread | Who::Echo | Who::Relay | Who::RedisCluster => Ok(()),
            };
            if let Err(failure) = started {
                eprintln!("bench: {who} IS NOT MEASURED: {failure}");
                field.absent.push((*who, failure.to_string()));
            }
        }
        Ok(field)
    }

    /// Rivals that were asked for and cannot be had, and why.
    pub(crate) fn absent(&self) -> &[(Who, String)] {
        &self.absent
    }

    async fn start_redis(&mut self, may_install: bool) -> Result<(), PeerError> {
        let program = find("redis-server", may_install)?;
        let ports = free_ports(2, 1);
        let redis = Redis::replicated(&program.path, self.folder.path(), [ports[0], ports[1]]).await?;
        self.redis = Some(redis);
        Ok(())
    }

    async fn start_redis_plain(&mut self, may_install: bool) -> Result<(), PeerError> {
        let program = find("redis-server", may_install)?;
        self.redis_plain = Some(Redis::plain(&program.path, self.folder.path(), free_ports(1, 1)[0]).await?);
        Ok(())
    }

    async fn start_nats(&mut self, may_install: bool) -> Result<(), PeerError> {
        let program = find("nats-server", may_install)?;
        let ports = free_ports(2 * SERVERS, 1);
        let [clients, routes] = [0, SERVERS].map(|first| std::array::from_fn(|place| ports[first + place]));
        self.nats = Some(Nats::start(&program.path, self.folder.path(), clients, routes).await?);
        Ok(())
    }

    /// Measures one contestant once; none if it is absent.
    ///
    /// # Errors
    /// [`Failure`] why there is no figure.
    pub(crate) async fn measure(
        &mut self,
        who: Who,
        load: Load,
        pace: Pace,
        window: Window,
    ) -> Option<Result<Sample, Failure>> {
        if self.absent.iter().any(|(absent, _)| *absent == who) {
            return None;
        }
        let within = window.warm + window.measure + PATIENCE;
        let measured = time::timeout(within, self.measure_now(who, load, pace, window)).await;
        Some(measured.unwrap_or_else(|_| Err(Failure::Call(format!("it did not end within {within:?}")))))
    }

    async fn measure_now(&mut self, who: Who, load: Load, pace: Pace, window: Window) -> Result<Sample, Failure> {
        if load.profile.needs_sessions() && self.filled.insert((who, load.bytes)) {
            self.fill(who, load.bytes).await?;
        }
        match who {
            Who::Colony => self.measure_colony(Where::One, load, pace, window).await,
            Who::Spread => self.measure_colony(Where::Spread, load, pace, window).await,
            Who::Echo | Who::Relay => match pace {
                Pace::Closed => self.ceiling.measure(load, window).await,
                Pace::Open { .. } => Err(Failure::NoSuchCall),
            },
            Who::Redis => self.measure_redis(self.redis.as_ref(), load, pace, window).await,
            Who::RedisPlain => self.measure_redis(self.redis_plain.as_ref(), load, pace, window).await,
            // It is killed, not loaded: `failover` has it.
            Who::RedisCluster => Err(Failure::NoSuchCall),
            Who::Nats => {
                let nats = self.nats.as_ref().ok_or(Failure::NoSuchCall)?;
                let callers = rivals::nats(nats, load).await?;
                drive::run(callers, load, pace, window, &rivals::meter(nats.servers())).await
            }
        }
    }

    async fn measure_colony(&self, whither: Where, load: Load, pace: Pace, window: Window) -> Result<Sample, Failure> {
        let callers = self.colony.callers(whither, load).await?;
        drive::run(callers, load, pace, window, &self.colony.meter()).await
    }

    async fn measure_redis(
        &self,
        redis: Option<&Redis>,
        load: Load,
        pace: Pace,
        window: Window,
    ) -> Result<Sample, Failure> {
        let redis = redis.ok_or(Failure::NoSuchCall)?;
        let callers = rivals::redis(redis, load).await?;
        drive::run(callers, load, pace, window, &rivals::meter(redis.servers())).await
    }

    /// Makes the sessions of this size that calls choose from.
    async fn fill(&self, who: Who, bytes: usize) -> Result<(), Failure> {
        let load = Load { profile: Profile::Set, bytes, connections: 1, each: FILLERS, sessions: SESSIONS };
        match who {
            Who::Colony => drive::fill(self.colony.callers(Where::One, load).await?, 0..SESSIONS).await,
            Who::Spread => drive::fill(self.colony.callers(Where::Spread, load).await?, 0..SESSIONS).await,
            Who::Echo | Who::Relay | Who::RedisCluster => Ok(()),
            Who::Redis | Who::RedisPlain => {
                let redis = if who == Who::Redis { &self.redis } else { &self.redis_plain };
                let redis = redis.as_ref().ok_or(Failure::NoSuchCall)?;
                drive::fill(rivals::redis(redis, load).await?, 0..SESSIONS).await
            }
            Who::Nats => {
                let nats = self.nats.as_ref().ok_or(Failure::NoSuchCall)?;
                drive::fill(rivals::nats(nats, load).await?, 0..SESSIONS).await
            }
        }
    }
}

/// Those of the rows who have to be started.
pub(crate) fn wanted<'a>(who: impl IntoIterator<Item = &'a Who>) -> BTreeSet<Who> {
    who.into_iter().copied().collect()
}
