//! One side of a split: its hosts, and a client that reaches no others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use colony_client::{Client, ConnectError, Namespace, Options, Read, Session};
use colony_link::quic::QuicTransport;
use colony_link::{LinkConfig, Transport};
use colony_wire::LineageId;
use colony_wire::admin::{AdminReply, AdminRequest, ClusterStatus};
use tokio::time::Instant;

use super::DemoError;
use super::cluster::Cluster;
use super::links::Links;
use super::observer::{NAMESPACE, eventually, foreign_answer};

/// Longest until a side serves that lost sight of the other: it looks for the others for 2 s, and may be busy.
const SERVED_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for one host's answer about itself. Half of the hosts that are asked cannot be reached.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);

/// One side.
#[derive(Debug)]
pub(super) struct Side {
    hosts: Vec<String>,
    client: Client,
    carts: Namespace,
}

impl Side {
    /// The side of this number, and a client that stays there.
    pub(super) async fn of(
        number: usize,
        hosts: Vec<String>,
        cluster: &Cluster<'_>,
        links: &Links,
    ) -> Result<Self, DemoError> {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let transport = QuicTransport::client_at(local, cluster.identity(), LinkConfig::default());
        let transport = transport.map_err(|error| ConnectError::Socket(error.to_string()))?;
        links.stays(transport.local_addr().port(), number);
        let client = Client::over(Arc::new(transport), cluster.seeds()).await?;
        Ok(Self { hosts, carts: client.namespace(NAMESPACE), client })
    }

    /// Names of its hosts.
    pub(super) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Whether this host is on it.
    pub(super) fn has(&self, host: &String) -> bool {
        self.hosts.contains(host)
    }

    /// The namespace, as this side has it.
    pub(super) fn carts(&self) -> &Namespace {
        &self.carts
    }

    /// Changes these carts, the first as soon as it is served here. Says how long after `since` that was.
    pub(super) async fn change(
        &self,
        names: &[String],
        changes: &[(&str, &str)],
        since: Instant,
    ) -> Result<Duration, DemoError> {
        // A linearizable read: what answers it is not just a copy that remembers. Whoever sees an answer here sends its
        // save to where the colony is served by now, and no save is under way when that changes.
        let served = self.carts.with(Options { read: Read::Confirm, deadline: SERVED_WITHIN, ..Options::default() });
        let failed = || DemoError::call("change a cart on one side of the split");
        let mut first = None;
        for name in names {
            let found = served.load(name).await.map_err(failed())?;
            let mut cart = found.ok_or_else(|| DemoError::Claim {
                claim: format!("{self} has what was there before the cut"),
                found: "a cart is missing".to_owned(),
            })?;
            for (attribute, value) in changes {
                cart.set_raw(attribute, (*value).to_owned()).map_err(failed())?;
            }
            cart.save().await.map_err(failed())?;
            first.get_or_insert_with(|| since.elapsed());
        }
        Ok(first.unwrap_or_default())
    }

    /// Reads these sessions here.
    pub(super) async fn read(&self, names: &[String]) -> Result<Vec<Option<Held>>, DemoError> {
        let mut all = Vec::new();
        for name in names {
            let found = self.carts.load(name).await.map_err(DemoError::call("read on one side of the split"))?;
            all.push(found.as_ref().map(Held::of));
        }
        Ok(all)
    }

    /// What its hosts say of themselves.
    pub(super) async fn status(&self) -> Result<ClusterStatus, DemoError> {
        let options = Options { deadline: ANSWER_WITHIN, ..Options::default() };
        eventually(&format!("{self} answers for itself"), SERVED_WITHIN, async || {
            match self.client.admin_with(AdminRequest::Status, options).await {
                Ok(AdminReply::Status(status)) if self.has(&status.answered_by) => Ok(Ok(status)),
                Ok(AdminReply::Status(status)) => Ok(Err(format!("{} answers", status.answered_by))),
                Ok(_) => Err(foreign_answer()),
                Err(error) => Ok(Err(error.to_string())),
            }
        })
        .await
    }

    pub(super) async fn close(self) {
        self.client.close().await;
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hosts.join(" and "))
    }
}

/// What a session holds, and in which line of group state that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) lineage: LineageId,
}

impl Held {
    fn of(session: &Session) -> Self {
        let text = |name: &str| session.get_raw(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let attributes = session.names().into_iter().filter_map(|name| Some((name.to_owned(), text(name)?)));
        Self { attributes: attributes.collect(), lineage: session.version().lineage }
    }

    /// Whether it holds exactly these.
    pub(super) fn is(&self, attributes: &[(&str, &str)]) -> bool {
        let held = self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        held.eq(BTreeMap::from_iter(attributes.iter().copied()))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_is_held_to_all_that_it_holds() {
        let attributes = [("b", "2"), ("a", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let held = Held { attributes: attributes.into(), lineage: LineageId::default() };
        assert!(held.is(&[("b", "2"), ("a", "1")]));
        assert!(!held.is(&[("a", "1")]), "one more is there");
        assert!(!held.is(&[("a", "1"), ("b", "3")]));
        assert_eq!(held.to_string(), "a=1, b=2");
    }
}
