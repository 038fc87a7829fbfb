//! What only the real transport does: certificates, ports, restarts.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use colony_link::quic::{BindError, QuicTransport};
use colony_link::tls::{Authority, Identity, Validity};
use colony_link::{ConnectError, Expect, LinkConfig, LinkError, PeerIdentity, Rights, Transport, Whose};
use tempfile::TempDir;

use crate::conformance::exchange;
use crate::world::{connect, soon};

/// An authority and what it has issued.
pub(crate) struct Certs {
    pub(crate) dir: TempDir,
    pub(crate) authority: Authority,
}

impl Certs {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = Authority::create(dir.path()).unwrap();
        Self { dir, authority }
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        let file = |extension: &str| self.dir.path().join(format!("{name}.{extension}"));
        Identity::from_files(self.dir.path().join("ca.pem"), file("pem"), file("key")).unwrap()
    }

    pub(crate) fn host_identity(&self, name: &str) -> Identity {
        self.authority.issue_host(name, &["127.0.0.1".into()], Validity::days(1)).unwrap();
        self.identity(name)
    }

    pub(crate) fn client_identity(&self, name: &str, rights: Rights) -> Identity {
        self.authority.issue_client(name, rights, Validity::days(1)).unwrap();
        self.identity(name)
    }

    pub(crate) fn host(&self, name: &str) -> QuicTransport {
        self.host_with(name, LinkConfig::default())
    }

    pub(crate) fn host_with(&self, name: &str, config: LinkConfig) -> QuicTransport {
        serve(self.host_identity(name), config)
    }

    pub(crate) fn client(&self, name: &str, rights: Rights) -> QuicTransport {
        QuicTransport::client(self.client_identity(name, rights), LinkConfig::default()).unwrap()
    }
}

pub(crate) fn serve(identity: Identity, config: LinkConfig) -> QuicTransport {
    QuicTransport::bind(SocketAddr::from(([127, 0, 0, 1], 0)), identity, config).unwrap()
}

/// A validity that has passed.
fn passed() -> Validity {
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 3600);
    Validity { not_before: now - day * 3, not_after: now - day * 2 }
}

async fn refusal(from: &QuicTransport, to: &QuicTransport) -> ConnectError {
    let error = soon(from.connect(to.local_addr(), Expect::AnyHost)).await.unwrap_err();
    let line = error.to_string();
    assert!(line.starts_with(&to.local_addr().to_string()) && !line.contains('\n'), "{line}");
    error
}

/// Shows that `host` still takes others, and that the failures before were counted and not returned.
async fn still_serves(certs: &Certs, host: &QuicTransport, failed: u64) {
    let other = certs.host("other");
    let (here, there) = connect(&other, host, host.local_addr()).await;
    exchange(&here, &there).await;
    assert_eq!(host.handshakes().failed, failed);
}

#[tokio::test]
async fn a_client_is_known_by_name_and_rights() {
    let certs = Certs::new();
    let host = certs.host("h1");
    let client = certs.client("shop", Rights::READ_WRITE);
    let (here, there) = connect(&client, &host, host.local_addr()).await;
    assert_eq!(*there.peer(), PeerIdentity::client("shop", Rights::READ_WRITE));
    assert_eq!(*here.peer(), PeerIdentity::host("h1"));
    exchange(&here, &there).await;
    assert!(soon(client.accept()).await.is_none(), "a transport that only dials accepts nothing");
}

#[tokio::test]
async fn a_host_of_another_authority_is_named_as_such() {
    let (ours, theirs) = (Certs::new(), Certs::new());
    let stranger = theirs.host("h2");
    let error = refusal(&ours.host("h1"), &stranger).await;
    assert!(matches!(error, ConnectError::WrongAuthority { .. }), "{error}");
    still_serves(&theirs, &stranger, 1).await;
}

#[tokio::test]
async fn a_dialer_of_another_authority_learns_that_it_is_not_accepted() {
    // It trusts the host's authority, and its own certificate is signed by another.
    let (ours, theirs) = (Certs::new(), Certs::new());
    let host = theirs.host("h2");
    let both = ours.dir.path().join("both.pem");
    let pem = |certs: &Certs| std::fs::read_to_string(certs.dir.path().join("ca.pem")).unwrap();
    std::fs::write(&both, pem(&ours) + &pem(&theirs)).unwrap();
    ours.host_identity("h1");
    let file = |name: &str| ours.dir.path().join(name);
    let identity = Identity::from_files(&both, file("h1.pem"), file("h1.key")).unwrap();
    let error = refusal(&serve(identity, LinkConfig::default()), &host).await;
    assert!(matches!(error, ConnectError::NotAccepted { .. }), "{error}");
    assert!(error.to_string().contains("signed by another certificate authority"), "{error}");
    still_serves(&theirs, &host, 1).await;
}

#[tokio::test]
async fn an_expired_host_is_named_as_such() {
    let certs = Certs::new();
    certs.authority.issue_host("old", &[], passed()).unwrap();
    let old = serve(certs.identity("old"), LinkConfig::default());
    let error = refusal(&certs.host("h1"), &old).await;
    assert!(matches!(error, ConnectError::Expired { whose: Whose::Theirs, .. }), "{error}");
    assert!(error.to_string().contains("its certificate is expired, 2 d ago"), "{error}");
}

#[tokio::test]
async fn a_host_of_tomorrow_is_named_as_such() {
    let certs = Certs::new();
    let day = Duration::from_secs(24 * 3600);
    let not_before = SystemTime::now() + day;
    let validity = Validity { not_before, not_after: not_before + day };
    certs.authority.issue_host("early", &[], validity).unwrap();
    let early = serve(certs.identity("early"), LinkConfig::default());
    let error = refusal(&certs.host("h1"), &early).await;
    assert!(error.to_string().contains("its certificate is not valid yet"), "{error}");
}

#[tokio::test]
async fn an_expired_dialer_learns_that_its_own_certificate_has_expired() {
    let certs = Certs::new();
    let host = certs.host("h1");
    certs.authority.issue_client("old", Rights::ALL, passed()).unwrap();
    let old = QuicTransport::client(certs.identity("old"), LinkConfig::default()).unwrap();
    let error = refusal(&old, &host).await;
    assert!(matches!(error, ConnectError::Expired { whose: Whose::Ours, .. }), "{error}");
    assert!(error.to_string().contains("our certificate is expired"), "{error}");
    still_serves(&certs, &host, 1).await;
}

#[tokio::test]
async fn a_client_cannot_serve() {
    let certs = Certs::new();
    let identity = certs.client_identity("shop", Rights::ALL);
    let error = QuicTransport::bind(SocketAddr::from(([127, 0, 0, 1], 0)), identity, LinkConfig::default());
    assert!(matches!(error, Err(BindError::NotAHost { .. })), "{error:?}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let certs = Certs::new();
    let first = certs.host("h1");
    let addr = first.local_addr();
    let second = QuicTransport::bind(addr, certs.identity("h1"), LinkConfig::default());
    let error = second.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    assert_eq!(error.to_string(), format!("{addr} (UDP) is in use by another process"));

    let foreign = SocketAddr::from(([192, 0, 2, 1], 0));
    let error = QuicTransport::bind(foreign, certs.identity("h1"), LinkConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::NotLocal { .. }), "{error}");
}

#[test]
fn a_transport_needs_a_runtime() {
    let certs = Certs::new();
    let identity = certs.host_identity("h1");
    let error = QuicTransport::client(identity, LinkConfig::default()).unwrap_err();
    assert!(matches!(error, BindError::NoRuntime), "{error}");
}

#[tokio::test]
async fn an_address_that_cannot_be_dialed_is_named() {
    let certs = Certs::new();
    let host = certs.host("h1");
    for addr in ["127.0.0.1:0", "[::1]:7400"] {
        let error = soon(host.connect(addr.parse().unwrap(), Expect::AnyHost)).await.unwrap_err();
        assert!(matches!(error, ConnectError::BadAddress { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_full_host_refuses_and_says_so() {
    let certs = Certs::new();
    let host = certs.host_with("h1", LinkConfig { max_connections: 1, ..LinkConfig::default() });
    let (_first, _accepted) = connect(&certs.host("h2"), &host, host.local_addr()).await;
    let error = refusal(&certs.host("h3"), &host).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert_eq!(host.handshakes().refused, 1);
}

#[tokio::test]
async fn a_host_whose_backlog_is_full_refuses_and_says_so() {
    let certs = Certs::new();
    let host = certs.host_with("h1", LinkConfig { accept_backlog: 1, ..LinkConfig::default() });
    let client = certs.host("h2");
    let first = soon(client.connect(host.local_addr(), Expect::AnyHost)).await.unwrap();
    let error = refusal(&client, &host).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("too many connections wait"), "{error}");
    // The one that was welcomed stands.
    let accepted = soon(host.accept()).await.unwrap();
    exchange(&first, &accepted).await;
}

#[tokio::test]
async fn under_load_a_dialer_proves_its_address_first() {
    let certs = Certs::new();
    let host = certs.host_with("h1", LinkConfig { retry_above: 0, ..LinkConfig::default() });
    let (here, there) = connect(&certs.host("h2"), &host, host.local_addr()).await;
    exchange(&here, &there).await;
    assert_eq!(host.handshakes().retried, 1);
    assert_eq!(host.handshakes().failed, 0);
}

#[tokio::test]
async fn a_restarted_host_tells_the_peers_of_its_forerunner() {
    let certs = Certs::new();
    let quick = LinkConfig {
        idle_timeout: Duration::from_secs(30),
        keep_alive: Duration::from_millis(50),
        ..LinkConfig::default()
    };
    let peer = certs.host_with("h2", quick.clone());
    let identity = certs.host_identity("h1");

    // A process that dies without a word: its runtime ends with everything on it.
    let (addr_out, addr_in) = tokio::sync::oneshot::channel();
    let (die_out, die_in) = tokio::sync::oneshot::channel::<()>();
    let doomed = {
        let (identity, quick) = (identity.clone(), quick.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (transport, accepted) = runtime.block_on(async {
                let host = serve(identity, quick);
                addr_out.send(host.local_addr()).unwrap();
                let accepted = host.accept().await.unwrap();
                let _ = die_in.await;
                (host, accepted)
            });
            drop(runtime);
            drop((transport, accepted));
        })
    };
    let addr = soon(addr_in).await.unwrap();
    let connection = soon(peer.connect(addr, Expect::AnyHost)).await.unwrap();
    die_out.send(()).unwrap();
    tokio::task::spawn_blocking(move || doomed.join().unwrap()).await.unwrap();
    assert_eq!(connection.close_reason(), None, "it died without a word");

    let begun = std::time::Instant::now();
    let _restarted = QuicTransport::bind(addr, identity, quick).unwrap();
    assert_eq!(soon(connection.closed()).await, LinkError::Reset);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_dropped_transport_leaves_its_connections_and_takes_no_more() {
    let certs = Certs::new();
    let (host, client) = (certs.host("h1"), certs.host("h2"));
    let addr = host.local_addr();
    let (here, there) = connect(&client, &host, addr).await;
    drop(host);
    exchange(&here, &there).await;
    let error = soon(client.connect(addr, Expect::AnyHost)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. } | ConnectError::Refused { .. }), "{error}");
}

#[test]
fn a_runtime_ends_when_everything_was_dropped() {
    let (done_out, done_in) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let certs = Certs::new();
            let (host, client) = (certs.host("h1"), certs.host("h2"));
            let (here, there) = connect(&client, &host, host.local_addr()).await;
            exchange(&here, &there).await;
            client.close();
            soon(client.drained()).await;
        });
        drop(runtime);
        done_out.send(()).unwrap();
    });
    done_in.recv_timeout(crate::world::PATIENCE).expect("the runtime hangs");
}

#[tokio::test]
async fn one_socket_of_both_families_serves_ipv4() {
    let certs = Certs::new();
    let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
    let Ok(host) = QuicTransport::bind(any, certs.host_identity("h1"), LinkConfig::default()) else {
        return; // This machine has no IPv6.
    };
    let client = certs.client("shop", Rights::ALL);
    let addr = SocketAddr::from(([127, 0, 0, 1], host.local_addr().port()));
    let (here, there) = connect(&client, &host, addr).await;
    exchange(&here, &there).await;
    assert!(there.remote_addr().is_ipv4() && here.remote_addr() == addr);
}
