//! The cluster that is measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Client, Content, Key, Namespace, Precondition, Session};
use colony_it::{Certs, Cluster, Shape};

use crate::drive::Caller;
use crate::failure::Failure;
use crate::load::{Load, Profile};
use crate::sample::Meter;
use crate::workload::{self, ATTRIBUTES, Call, DELTA_BYTES, TTL_SECONDS};

/// Hosts, of one shard each.
const HOSTS: usize = 3;
/// Copies of each colony.
const COPIES: usize = 2;
/// Colonies where every host is to serve some.
const SPREAD: usize = 64;

/// Three host processes, and namespaces with two copies.
#[derive(Debug)]
pub(crate) struct Colony {
    cluster: Cluster,
    sessions: AtomicU64,
}

/// Where sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Where {
    /// In one colony: one primary and one copy, as a rival's.
    One,
    /// In colonies of all hosts, as in a cluster that is used.
    Spread,
    /// In colonies of all hosts, of one copy each: what memory is measured by.
    Single,
}

impl Where {
    /// The namespace.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Spread => "spread",
            Self::Single => "single",
        }
    }

    /// Copies of each colony.
    fn copies(self) -> usize {
        match self {
            Self::One | Self::Spread => COPIES,
            Self::Single => 1,
        }
    }

    fn colonies(self) -> usize {
        match self {
            Self::One => 1,
            Self::Spread | Self::Single => SPREAD,
        }
    }
}

impl Colony {
    /// Starts the hosts and makes the namespaces.
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start(Shape::of(HOSTS)).await;
        for place in [Where::One, Where::Spread, Where::Single] {
            cluster.create_namespace(place.namespace(), place.copies(), place.colonies(), &[]).await;
        }
        cluster.until_all_agree().await;
        Self { cluster, sessions: AtomicU64::new(0) }
    }

    /// The certificates of the cluster.
    pub(crate) fn certs(&self) -> &Certs {
        self.cluster.certs()
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its processes.
    pub(crate) fn meter(&self) -> Meter {
        let names = self.cluster.names();
        Meter { servers: names.iter().map(|name| self.cluster.host(name).process()).collect() }
    }

    /// Callers for a load, on clients of their own.
    ///
    /// # Errors
    /// [`Failure::Connect`]; [`Failure::Call`] if a session cannot be begun.
    pub(crate) async fn callers(&self, place: Where, load: Load) -> Result<Vec<ColonyCaller>, Failure> {
        let seeds: Vec<String> = self.cluster.connect().split(',').map(str::to_owned).collect();
        let mut callers = Vec::new();
        for _ in 0..load.connections {
            let client = Client::connect(&seeds, self.certs().identity()).await?;
            let namespace = client.namespace(place.namespace());
            for _ in 0..load.each {
                let own = match load.profile {
                    Profile::Delta => Some(self.own_session(&namespace, load.bytes).await?),
                    _ => None,
                };
                callers.push(ColonyCaller { namespace: namespace.clone(), place, bytes: load.bytes, own });
            }
        }
        Ok(callers)
    }

    /// A session that nobody else changes, of attributes that are as many bytes together.
    async fn own_session(&self, namespace: &Namespace, bytes: usize) -> Result<Session, Failure> {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        let failed = |error: colony_client::CallError| Failure::Call(error.to_string());
        let ttl = Duration::from_secs(TTL_SECONDS);
        let mut session = namespace.create_at(format!("own.{number}"), ttl).await.map_err(failed)?;
        for attribute in 0..ATTRIBUTES {
            let value = workload::state(bytes / ATTRIBUTES, number);
            session.set_raw(&name(attribute), value).map_err(failed)?;
        }
        session.save().await.map_err(failed)?;
        Ok(session)
    }
}

/// One call at a time, through the client library.
#[derive(Debug)]
pub(crate) struct ColonyCaller {
    namespace: Namespace,
    place: Where,
    bytes: usize,
    own: Option<Session>,
}

impl ColonyCaller {
    fn key(&self, session: u64) -> Result<Key, String> {
        Key::new(workload::key(self.bytes, session)).map_err(|error| error.to_string())
    }

    fn content(&self, number: u64) -> Content {
        match self.place {
            Where::One | Where::Spread => Content::Blob(workload::state(self.bytes, number)),
            Where::Single => Content::Attributes(workload::two_attributes(self.bytes, number)),
        }
    }

    async fn set(&mut self, session: u64, number: u64) -> Result<(), String> {
        let ttl = Duration::from_secs(TTL_SECONDS);
        let saved = self.namespace.put(&self.key(session)?, self.content(number), ttl, Precondition::None).await;
        self.copied(saved.map_err(|error| error.to_string())?.copies)
    }

    async fn get(&mut self, session: u64) -> Result<(), String> {
        let found = self.namespace.get(&self.key(session)?).await.map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| format!("there is no session {session}"))?;
        match workload::length(&found.content) {
            length if length == self.bytes => Ok(()),
            length => Err(format!("session {session} of {} bytes has {length}", self.bytes)),
        }
    }

    async fn delta(&mut self, attribute: usize, number: u64) -> Result<(), String> {
        let session = self.own.as_mut().ok_or("a caller without a session of its own")?;
        let value: Bytes = workload::state(DELTA_BYTES, number);
        session.set_raw(&name(attribute), value).map_err(|error| error.to_string())?;
        let saved = session.save().await.map_err(|error| error.to_string())?;
        self.copied(saved.map_or(0, |saved| saved.copies))
    }

    /// A change counts only if every copy has it, as a rival's does.
    fn copied(&self, copies: u8) -> Result<(), String> {
        let is_copied = usize::from(copies) >= self.place.copies();
        if is_copied { Ok(()) } else { Err(format!("only {copies} copies have a change")) }
    }

    async fn touch(&mut self, session: u64) -> Result<(), String> {
        let ttl = Duration::from_secs(TTL_SECONDS);
        let key = workload::key(self.bytes, session);
        match self.namespace.touch(key, ttl).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("there is no session {session}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Caller for ColonyCaller {
    async fn call(&mut self, call: Call, number: u64) -> Result<(), String> {
        match call {
            Call::Get { session } => self.get(session).await,
            Call::Set { session } => self.set(session, number).await,
            Call::Delta { attribute } => self.delta(attribute, number).await,
            Call::Touch { session } => self.touch(session).await,
        }
    }
}

fn name(attribute: usize) -> String {
    format!("attribute-{attribute}")
}
