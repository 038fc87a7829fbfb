//! What strangers, and those who hold a certificate they should not, can and cannot do to a host.

use std::fs;
use std::time::Duration;

use colony_link::quic::{HandshakeCounts, QuicTransport};
use colony_link::tls::Identity;
use colony_link::{Expect, LinkConfig, Transport};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, PKCS_ED25519};
use tokio::net::UdpSocket;

use crate::conformance::exchange;
use crate::quic::Certs;
use crate::relay::Relay;
use crate::world::{connect, frame, soon};

/// Noise that looks like nothing, like a long header, like a short header, and like an initial packet.
fn noise() -> Vec<Vec<u8>> {
    let mut state = 7_u32;
    let mut random = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    };
    let mut packets = vec![vec![0], vec![0xff; 3]];
    for len in [1, 20, 50, 600, 1200, 1400] {
        for first in [0x00, 0x40, 0x80, 0xc0, 0xd0, 0xe0, 0xf0, 0xff] {
            let mut packet = random(len);
            packet[0] = first;
            packets.push(packet.clone());
            if len > 5 {
                // QUIC version 1, so that the rest is looked at.
                packet[1..5].copy_from_slice(&[0, 0, 0, 1]);
                packets.push(packet);
            }
        }
    }
    packets
}

#[tokio::test]
async fn noise_at_the_port_disturbs_nobody() {
    let certs = Certs::new();
    let (host, peer) = (certs.host("h1"), certs.host("h2"));
    let (here, there) = connect(&peer, &host, host.local_addr()).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for packet in noise() {
        stranger.send_to(&packet, host.local_addr()).await.unwrap();
    }
    exchange(&here, &there).await;
    // And the accept loop goes on.
    let (here, there) = connect(&certs.host("h3"), &host, host.local_addr()).await;
    exchange(&here, &there).await;
}

#[tokio::test]
async fn noise_among_the_packets_of_a_connection_disturbs_nothing() {
    let certs = Certs::new();
    let (host, peer) = (certs.host("h1"), certs.host("h2"));
    let relay = Relay::to(host.local_addr()).await;
    let (here, there) = connect(&peer, &host, relay.addr()).await;
    let (sender, _back) = here.open().await.unwrap();
    let (_back, mut receiver) = soon(there.accept_stream()).await.unwrap();
    for (number, packet) in noise().into_iter().enumerate() {
        let number = u32::try_from(number).unwrap();
        relay.inject(&packet).await;
        sender.send(frame(number, 3000)).unwrap();
        assert_eq!(soon(receiver.recv()).await, Ok(Some(frame(number, 3000))));
    }
    exchange(&here, &there).await;
    assert_eq!(here.close_reason(), None);
}

/// A certificate of the right authority whose names are `names`.
fn certificate_with(certs: &Certs, file: &str, names: &[&str]) {
    let dir = certs.dir.path();
    let authority = KeyPair::from_pem(&fs::read_to_string(dir.join("ca.key")).unwrap()).unwrap();
    let id: String = authority.public_key_raw().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    issuer.distinguished_name.push(DnType::CommonName, format!("colony authority {id}"));
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let cert = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(issuer, authority)).unwrap();
    fs::write(dir.join(format!("{file}.pem")), cert.pem()).unwrap();
    fs::write(dir.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_not_accepted() {
    let certs = Certs::new();
    for (file, names) in [
        ("none", &["www.example"][..]),
        ("two", &["a.client.colony.internal", "b.client.colony.internal"]),
        ("both", &["a.client.colony.internal", "a.host.colony.internal"]),
        ("odd", &["a.client.colony.internal", "fly.right.colony.internal"]),
        ("bare", &["any.host.colony.internal"]),
        ("upper", &["A.client.colony.internal"]),
    ] {
        certificate_with(&certs, file, names);
        let dir = certs.dir.path();
        let file = |extension: &str| dir.join(format!("{file}.{extension}"));
        let error = Identity::from_files(dir.join("ca.pem"), file("pem"), file("key")).unwrap_err();
        assert!(error.to_string().contains(&file("pem").display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_host_does_not_accept_a_certificate_that_names_nobody() {
    // Our own loading refuses such a certificate, so that the dialer here is bare quinn.
    let certs = Certs::new();
    let host = certs.host("h1");
    certificate_with(&certs, "none", &["www.example"]);
    let closed = soon(bare::dial(&certs, "none", host.local_addr())).await;
    assert!(closed.contains("names neither a host nor a client"), "{closed}");
    assert_eq!(host.handshakes().failed, 1);
    let (here, there) = connect(&certs.host("h2"), &host, host.local_addr()).await;
    exchange(&here, &there).await;
}

#[tokio::test]
async fn a_dialer_that_shows_no_certificate_is_not_accepted() {
    let certs = Certs::new();
    let host = certs.host("h1");
    let closed = soon(bare::dial_unnamed(&certs, host.local_addr())).await;
    assert!(closed.contains("error 116"), "certificate_required is alert 116: {closed}");
    assert_eq!(host.handshakes().failed, 1);
}

/// The first packet of a dial, which its dialer will never follow up.
async fn first_packet(dialer: &QuicTransport) -> Vec<u8> {
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut packet = vec![0; 2000];
    let len = tokio::select! {
        len = nobody.recv(&mut packet) => len.unwrap(),
        dialed = dialer.connect(nobody.local_addr().unwrap(), Expect::AnyHost) => panic!("{dialed:?}"),
    };
    packet.truncate(len);
    packet
}

#[tokio::test]
async fn half_open_handshakes_are_bounded_and_end_at_their_deadline() {
    let certs = Certs::new();
    let config =
        LinkConfig { handshake_timeout: Duration::from_millis(500), max_half_open: 2, ..LinkConfig::default() };
    let (host, peer) = (certs.host_with("h1", config), certs.host("h2"));
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..5 {
        stranger.send_to(&first_packet(&peer).await, host.local_addr()).await.unwrap();
    }
    soon(async {
        while host.handshakes().refused < 3 || host.handshakes().failed < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(host.handshakes(), HandshakeCounts { refused: 3, failed: 2, ..HandshakeCounts::default() });
    let (here, there) = connect(&peer, &host, host.local_addr()).await;
    exchange(&here, &there).await;
}

/// Dialers that do not use this crate.
mod bare {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use quinn::crypto::rustls::QuicClientConfig;
    use rustls::RootCertStore;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use crate::quic::Certs;

    pub(crate) async fn dial(certs: &Certs, file: &str, to: SocketAddr) -> String {
        let dir = certs.dir.path();
        let cert = CertificateDer::from_pem_file(dir.join(format!("{file}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(dir.join(format!("{file}.key"))).unwrap();
        connect(builder(certs).with_client_auth_cert(vec![cert], key).unwrap(), to).await
    }

    pub(crate) async fn dial_unnamed(certs: &Certs, to: SocketAddr) -> String {
        connect(builder(certs).with_no_client_auth(), to).await
    }

    fn builder(certs: &Certs) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certs.dir.path().join("ca.pem")).unwrap()).unwrap();
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
    }

    /// Dials and says, in words, how the host ended it.
    async fn connect(mut tls: rustls::ClientConfig, to: SocketAddr) -> String {
        tls.alpn_protocols = vec![b"colony-link/1".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        match endpoint.connect_with(config, to, "h1.host.colony.internal").unwrap().await {
            Ok(connection) => connection.closed().await.to_string(),
            Err(error) => error.to_string(),
        }
    }
}
