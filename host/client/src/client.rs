//! The way into a cluster.

use std::sync::Arc;

use colony_link::quic::QuicTransport;
use colony_link::tls::Identity;
use colony_link::{LinkConfig, Transport};
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::plugin::ContentId;

use crate::engine::Engine;
use crate::error::{CallError, ConnectError};
use crate::namespace::Namespace;
use crate::options::Options;

/// A client of one cluster. Cheap to clone: clones share connections, routing table and read tokens.
///
/// It belongs to the tokio runtime it was made on. One to a process is enough; two would each have to learn
/// where things are.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use colony_client::{Client, Identity};
///
/// let client = Client::connect(["127.0.0.1:7400"], Identity::from_dir("certs")?).await?;
/// let carts = client.namespace("cart");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    engine: Arc<Engine>,
    transport: Arc<dyn Transport>,
}

impl Client {
    /// Connects through any of `seeds`, each `host:port` of some host's control port. Hosts that join later
    /// are learned of; the seeds are needed again only if every known host is gone.
    ///
    /// # Errors
    /// [`ConnectError`] if no host answers within [`CONNECT_DEADLINE`](crate::limits::CONNECT_DEADLINE), or
    /// at once if none can be used, for example because their certificates are of another authority.
    pub async fn connect<S: AsRef<str>>(
        seeds: impl IntoIterator<Item = S>,
        identity: Identity,
    ) -> Result<Self, ConnectError> {
        let transport = QuicTransport::client(identity, LinkConfig::default())
            .map_err(|error| ConnectError::Socket(error.to_string()))?;
        Self::over(Arc::new(transport), seeds).await
    }

    /// As [`connect`](Self::connect), over a transport that the caller made.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn over<S: AsRef<str>>(
        transport: Arc<dyn Transport>,
        seeds: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConnectError> {
        let seeds = seeds.into_iter().map(|seed| seed.as_ref().to_owned()).collect();
        let engine = Arc::new(Engine::start(Arc::clone(&transport), seeds).await?);
        Ok(Self { engine, transport })
    }

    /// The sessions of one namespace. Makes no call: whether there is the namespace shows at its first use.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Namespace {
        Namespace::new(Arc::clone(&self.engine), name)
    }

    /// Asks the cluster about itself, or changes it, through any host. Answers that decline are errors.
    ///
    /// ```no_run
    /// # async fn example(client: colony_client::Client) -> Result<(), colony_client::CallError> {
    /// use colony_client::admin::{AdminReply, AdminRequest, Policy};
    ///
    /// let name = "cart".to_owned();
    /// client.admin(AdminRequest::CreateNamespace { name, policy: Policy::default() }).await?;
    /// if let AdminReply::Status(status) = client.admin(AdminRequest::Status).await? {
    ///     println!("{} of {} colonies are served", status.served, status.colonies);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError::Declined`] if the host refuses, [`CallError::Unknown`] if a change went out and no answer
    /// came: ask what there is before asking for it again. Else any [`CallError`].
    pub async fn admin(&self, request: AdminRequest) -> Result<AdminReply, CallError> {
        self.admin_with(request, Options::default()).await
    }

    /// As [`admin`](Self::admin), with options.
    ///
    /// # Errors
    /// As [`admin`](Self::admin).
    pub async fn admin_with(&self, request: AdminRequest, options: Options) -> Result<AdminReply, CallError> {
        self.engine.admin(&request, options).await
    }

    /// Sends a plugin's bytes to a host of the cluster, over a stream of their own, so that the plugin can be installed
    /// with [`AdminRequest::InstallPlugin`]. A host that fails is done without; a piece that is sent twice counts once.
    ///
    /// # Errors
    /// [`CallError::Declined`] if a host refuses, [`CallError::Unreachable`] if none takes them before the deadline.
    /// Nothing is installed in any case.
    pub async fn send_plugin(&self, content: ContentId, bytes: &[u8], options: Options) -> Result<(), CallError> {
        self.engine.send_plugin(content, bytes, options).await
    }

    /// Closes every connection and waits until the hosts know. Calls under way fail, those of other clones
    /// too. A client that is only dropped closes its connections as well, without waiting.
    pub async fn close(self) {
        self.engine.links.close();
        self.transport.close();
        self.transport.drained().await;
    }
}
