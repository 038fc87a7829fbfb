//! Two hosts that can reach each other, over either transport.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_link::memory::MemoryNet;
use colony_link::{Connection, Expect, LinkConfig, PeerIdentity, Transport};

/// Bounds a wait for something that is sure to come; the machine may be slow, not this slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Which transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    #[cfg(feature = "quic")]
    Quic,
    Memory,
}

/// The hosts `h1` and `h2`. Tests dial from the first to the second.
pub(crate) struct World {
    pub(crate) h1: Arc<dyn Transport>,
    pub(crate) h2: Arc<dyn Transport>,
    /// Where `h1` dials `h2`.
    pub(crate) h2_addr: SocketAddr,
    net: Net,
}

/// What lies between them.
enum Net {
    #[cfg(feature = "quic")]
    Quic {
        relay: Option<crate::relay::Relay>,
        _certs: tempfile::TempDir,
    },
    Memory(MemoryNet),
}

impl World {
    pub(crate) async fn new(kind: Kind, config: LinkConfig) -> Self {
        Self::with_configs(kind, config.clone(), config).await
    }

    pub(crate) async fn with_configs(kind: Kind, c1: LinkConfig, c2: LinkConfig) -> Self {
        match kind {
            #[cfg(feature = "quic")]
            Kind::Quic => {
                let certs = crate::quic::Certs::new();
                let h1: Arc<dyn Transport> = Arc::new(certs.host_with("h1", c1));
                let h2: Arc<dyn Transport> = Arc::new(certs.host_with("h2", c2));
                let h2_addr = h2.local_addr();
                Self { h1, h2, h2_addr, net: Net::Quic { relay: None, _certs: certs.dir } }
            }
            Kind::Memory => {
                let net = MemoryNet::new(1);
                let bind = |name: &str, config| {
                    let any = SocketAddr::from(([127, 0, 0, 1], 0));
                    let transport = net.bind_with(any, PeerIdentity::host(name), config);
                    Arc::new(transport.expect("a free port")) as Arc<dyn Transport>
                };
                let (h1, h2) = (bind("h1", c1), bind("h2", c2));
                let h2_addr = h2.local_addr();
                Self { h1, h2, h2_addr, net: Net::Memory(net) }
            }
        }
    }

    /// As `new`, with a way between the hosts that [`cut`](Self::cut) can cut.
    pub(crate) async fn cuttable(kind: Kind, config: LinkConfig) -> Self {
        #[allow(unused_mut, reason = "without quic there is nothing to change")]
        let mut world = Self::new(kind, config).await;
        #[cfg(feature = "quic")]
        if let Net::Quic { relay, .. } = &mut world.net {
            let between = crate::relay::Relay::to(world.h2_addr).await;
            world.h2_addr = between.addr();
            *relay = Some(between);
        }
        world
    }

    /// Lets nothing pass any more.
    pub(crate) fn cut(&self) {
        match &self.net {
            #[cfg(feature = "quic")]
            Net::Quic { relay, .. } => relay.as_ref().expect("made with `cuttable`").cut(),
            Net::Memory(net) => net.cut("h1", "h2"),
        }
    }

    /// Lets everything pass again.
    pub(crate) fn mend(&self) {
        match &self.net {
            #[cfg(feature = "quic")]
            Net::Quic { relay, .. } => relay.as_ref().expect("made with `cuttable`").mend(),
            Net::Memory(net) => net.mend("h1", "h2"),
        }
    }

    /// A connection from `h1` to `h2`: its end there, and its end here.
    pub(crate) async fn connect(&self) -> (Connection, Connection) {
        connect(&*self.h1, &*self.h2, self.h2_addr).await
    }
}

/// A connection between two transports: both its ends.
pub(crate) async fn connect(from: &dyn Transport, to: &dyn Transport, addr: SocketAddr) -> (Connection, Connection) {
    soon(async {
        let (dialed, accepted) = tokio::join!(from.connect(addr, Expect::AnyHost), to.accept());
        (dialed.expect("the peer is there"), accepted.expect("the transport is open"))
    })
    .await
}

/// Awaits something that is sure to come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what the test waits for did not come")
}

/// A frame of `len` bytes that tells its number.
pub(crate) fn frame(number: u32, len: usize) -> Bytes {
    let mut bytes = vec![number as u8; len];
    let head = len.min(4);
    bytes[..head].copy_from_slice(&number.to_le_bytes()[..head]);
    bytes.into()
}
