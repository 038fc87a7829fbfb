//! What the calls of one client share.

use std::sync::Arc;
use std::time::Duration;

use colony_link::Transport;
use colony_wire::StartId;
use tokio::time::{self, Instant};

use crate::budget::RetryBudget;
use crate::entropy::{self, Jitter};
use crate::error::{CallError, ConnectError};
use crate::limits::{BACKOFF_MAX, CONNECT_DEADLINE, NAMESPACE_GRACE};
use crate::links::Links;
use crate::options::Options;
use crate::request_ids::RequestIds;
use crate::router::{RefreshError, Refresher, Router};
use crate::routes::RouteTable;
use crate::tokens::Tokens;

/// One to a client, shared by its clones, namespaces and sessions.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) links: Arc<Links>,
    pub(crate) router: Router,
    pub(crate) ids: Arc<RequestIds>,
    pub(crate) tokens: Tokens,
    pub(crate) jitter: Arc<Jitter>,
    pub(crate) retries: RetryBudget,
}

impl Engine {
    /// Looks for a host that answers, for [`CONNECT_DEADLINE`].
    pub(crate) async fn start(transport: Arc<dyn Transport>, seeds: Vec<String>) -> Result<Self, ConnectError> {
        if seeds.is_empty() {
            return Err(ConnectError::NoSeeds);
        }
        let jitter = Arc::new(Jitter::new()?);
        let ids = RequestIds::new(entropy::client_id()?);
        let links = Arc::new(Links::new(transport));
        let mut refresher = Refresher::new(Arc::clone(&links), Arc::clone(&jitter), seeds);
        let deadline = Instant::now() + CONNECT_DEADLINE;
        let mut last = RefreshError::default();
        let table = loop {
            match time::timeout_at(deadline, refresher.refresh(None)).await {
                Ok(Ok(Some(table))) => break table,
                Ok(Ok(None)) => {}
                Ok(Err(failure)) if failure.is_final => {
                    return Err(ConnectError::Refused { tried: failure.tried });
                }
                Ok(Err(failure)) => last = failure,
                Err(_) => return Err(ConnectError::Unreachable { tried: last.tried }),
            }
            time::sleep(jitter.between(BACKOFF_MAX / 2, BACKOFF_MAX)).await;
        };
        let router = Router::start(refresher, table);
        Ok(Self { links, router, ids, tokens: Tokens::default(), jitter, retries: RetryBudget::default() })
    }

    /// The time to live that a namespace gives its sessions.
    pub(crate) async fn ttl_of(&self, namespace: &str, options: Options) -> Result<Option<u64>, CallError> {
        self.when_named(namespace, options, |table| table.ttl_of(namespace)).await
    }

    /// How many colonies a namespace has.
    pub(crate) async fn buckets_of(&self, namespace: &str, options: Options) -> Result<u32, CallError> {
        self.when_named(namespace, options, |table| table.buckets_of(namespace)).await
    }

    /// What the table says of a namespace, as soon as it names it.
    async fn when_named<T>(
        &self,
        namespace: &str,
        options: Options,
        look: impl Fn(&RouteTable) -> Option<T>,
    ) -> Result<T, CallError> {
        if let Some(known) = look(&self.router.table()) {
            return Ok(known);
        }
        self.router.ask();
        let mut known = None;
        let named = self.router.until(|table| {
            known = look(table);
            known.is_some()
        });
        let _ = time::timeout(self.grace(options), named).await;
        known.ok_or_else(|| CallError::NoNamespace { name: namespace.to_owned() })
    }

    /// How long to wait for a namespace that the table does not name.
    pub(crate) fn grace(&self, options: Options) -> Duration {
        NAMESPACE_GRACE.min(options.deadline())
    }

    /// The name of a process for people; its number if the table does not name it.
    pub(crate) fn name_of(&self, start: StartId) -> String {
        self.router.table().name_of(start).map_or_else(|| start.to_string(), str::to_owned)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.links.close();
    }
}
