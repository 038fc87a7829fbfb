//! Calls to rivals.

use std::time::Duration;

use colony_peers::nats::{Nats, NatsCaller};
use colony_peers::redis::{Redis, RedisCaller};
use colony_peers::{PeerError, Server};

use crate::drive::Caller;
use crate::failure::Failure;
use crate::load::{Load, Profile};
use crate::sample::Meter;
use crate::workload::{self, Call, DELTA_BYTES, TTL_SECONDS};

/// The processes of a rival.
pub(crate) fn meter(servers: &[Server]) -> Meter {
    Meter { servers: servers.iter().map(Server::process).collect() }
}

/// One connection to Redis to each call in flight.
///
/// # Errors
/// [`Failure::Peer`].
pub(crate) async fn redis(redis: &Redis, load: Load) -> Result<Vec<Redised>, Failure> {
    let mut callers = Vec::new();
    for place in 0..load.in_flight() {
        callers.push(Redised { caller: redis.caller().await?, bytes: load.bytes, own: format!("own.{place}") });
    }
    Ok(callers)
}

/// One connection to NATS to each call in flight.
///
/// # Errors
/// [`Failure::Peer`]; [`Failure::NoSuchCall`] for what a bucket of values cannot do.
pub(crate) async fn nats(nats: &Nats, load: Load) -> Result<Vec<Natsed>, Failure> {
    if matches!(load.profile, Profile::Delta | Profile::Touch) {
        return Err(Failure::NoSuchCall);
    }
    let mut callers = Vec::new();
    for _ in 0..load.in_flight() {
        callers.push(Natsed { caller: nats.caller().await?, bytes: load.bytes });
    }
    Ok(callers)
}

/// A caller of Redis.
pub(crate) struct Redised {
    caller: RedisCaller,
    bytes: usize,
    /// The hash whose fields this caller alone changes.
    own: String,
}

impl Caller for Redised {
    async fn call(&mut self, call: Call, number: u64) -> Result<(), String> {
        let ttl = Duration::from_secs(TTL_SECONDS);
        let key = |session| workload::key(self.bytes, session);
        let done = match call {
            Call::Get { session } => {
                let found = self.caller.get(key(session).as_bytes()).await;
                return length(found, self.bytes);
            }
            Call::Set { session } => {
                self.caller.set(key(session).as_bytes(), &workload::state(self.bytes, number), ttl).await
            }
            Call::Delta { attribute } => {
                let field = format!("attribute-{attribute}");
                let value = workload::state(DELTA_BYTES, number);
                self.caller.set_field(self.own.as_bytes(), field.as_bytes(), &value).await
            }
            Call::Touch { session } => self.caller.touch(key(session).as_bytes(), ttl).await,
        };
        done.map_err(|error| error.to_string())
    }
}

/// A caller of NATS.
pub(crate) struct Natsed {
    caller: NatsCaller,
    bytes: usize,
}

impl Caller for Natsed {
    async fn call(&mut self, call: Call, number: u64) -> Result<(), String> {
        match call {
            Call::Get { session } => {
                let found = self.caller.get(&workload::key(self.bytes, session)).await;
                length(found, self.bytes)
            }
            Call::Set { session } => {
                let key = workload::key(self.bytes, session);
                let put = self.caller.put(&key, &workload::state(self.bytes, number)).await;
                put.map_err(|error| error.to_string())
            }
            Call::Delta { .. } | Call::Touch { .. } => Err(Failure::NoSuchCall.to_string()),
        }
    }
}

fn length(found: Result<usize, PeerError>, wanted: usize) -> Result<(), String> {
    match found {
        Ok(length) if length == wanted => Ok(()),
        Ok(length) => Err(format!("a value of {wanted} bytes has {length}")),
        Err(error) => Err(error.to_string()),
    }
}
