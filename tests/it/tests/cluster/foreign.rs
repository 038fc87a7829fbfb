//! Strangers at the ports: other authorities, expired certificates, noise, and frames that are none.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use colony_client::{Client, ConnectError, Identity};
use colony_it::{Certs, Cluster, Host, Shape, until};
use colony_link::quic::QuicTransport;
use colony_link::{Connection, Expect, LinkConfig, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time;

use crate::{attribute, get, put};

/// Longest until a host has made up its mind about what it was sent, or said in its log what keeps it out.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// Longest frame that a host takes.
const FRAME_MAX: usize = 1024 * 1024;
/// A frame begins with these: magic, version, kind (1025, a question about the cluster), flags, call.
const HEADER: [u8; 16] = [0x1a, 0xc0, 1, 0, 1, 4, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];

/// A cluster of two with one session, which must be there and served at the end.
async fn cluster_with_a_session() -> Cluster {
    let cluster = Cluster::start(Shape::of(2)).await;
    cluster.create_namespace("cart", 2, 4, &[]).await;
    put(&cluster.cli(), "cart", "alice", "user=42").await;
    cluster
}

/// Every host process is alive under the start it had, the session is read and changed through each.
async fn assert_unharmed(cluster: &mut Cluster, starts: &[String]) {
    cluster.assert_all_run();
    for (name, start) in cluster.names().iter().zip(starts) {
        assert_eq!(attribute(&get(&cluster.through(name), "cart", "alice").await, "user"), "42");
        assert_eq!(put(&cluster.through(name), "cart", name, "user=7").await["copies"], 2);
        assert_eq!(cluster.start_of(name).await, *start, "{name} was declared dead meanwhile");
    }
    let status = cluster.status().await.expect("a host answers");
    assert_eq!(status["hosts"].as_array().map(Vec::len), Some(cluster.names().len()), "{status}");
}

async fn starts(cluster: &Cluster) -> Vec<String> {
    let mut starts = Vec::new();
    for name in cluster.names() {
        starts.push(cluster.start_of(&name).await);
    }
    starts
}

/// Who has no certificate of the cluster's authority, or one that has expired, is told so and kept out: commands and
/// clients at once, hosts for as long as they try.
#[tokio::test]
async fn neither_another_authority_nor_an_expired_certificate_opens_the_cluster() {
    let mut cluster = cluster_with_a_session().await;
    let starts = starts(&cluster).await;
    let other = Certs::create(cluster.folder().join("other"));
    let expired = cluster.certs().expired_client("late");
    for (certs, why) in [(other.folder(), "certificate authority"), (&expired, "expired")] {
        let refused = cluster.cli().with_certs(certs).run(&["status"]).await;
        refused.refused(1, &["cannot reach the cluster", why]);
        let identity = Identity::from_dir(certs).expect("its files are whole");
        let seeds = [cluster.host("h1").address().to_string()];
        let refused = Client::connect(seeds, identity).await;
        assert!(matches!(refused, Err(ConnectError::Refused { .. })), "{refused:?}");
    }

    other.issue_host("stranger");
    cluster.certs().issue_expired_host("expired");
    let folders = [("stranger", other.folder()), ("expired", cluster.certs().folder())];
    for (name, certs) in folders {
        let seeds = cluster.connect();
        let address = cluster.spare_address();
        let certs: OsString = certs.into();
        let arguments = ["--shards".into(), "1".into(), "--seeds".into(), seeds.into(), "--certs".into(), certs];
        let mut host = Host::start(cluster.folder(), name, address, arguments);
        until("the host is told that it is kept out", ANSWERED_WITHIN, async || {
            let log = host.log();
            let why = if name == "expired" { "expired" } else { "certificate authority" };
            if log.lines().any(|line| line.contains("trying again") && line.contains(why)) { Ok(()) } else { Err(log) }
        })
        .await;
        assert!(host.ended().is_none(), "it goes on trying: {}", host.log());
    }
    assert_unharmed(&mut cluster, &starts).await;
}

/// A second host at a port that is taken says so and ends; the first one does not notice.
#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let mut cluster = cluster_with_a_session().await;
    let starts = starts(&cluster).await;
    cluster.certs().issue_host("second");
    let (first, shard) = (cluster.host("h1").address(), cluster.host("h1").shard_address());
    // Once its own port is taken, once its shard's: h1 takes that one for UDP only.
    for (address, taken) in [(first, first), (SocketAddr::new(first.ip(), first.port() - 1), first), (shard, shard)] {
        let listen = address.to_string();
        let words = ["host", "--name", "second", "--shards", "1", "--listen", &listen, "--seeds", &cluster.connect()];
        cluster.run(&words).await.refused(1, &[&taken.to_string(), "in use"]);
    }
    assert_unharmed(&mut cluster, &starts).await;
}

/// Noise at the UDP and TCP ports is dropped.
#[tokio::test]
async fn noise_at_the_ports_is_dropped() {
    let mut cluster = cluster_with_a_session().await;
    let starts = starts(&cluster).await;
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.expect("a socket can be had");
    for name in cluster.names() {
        let (control, shard) = (cluster.host(&name).address(), cluster.host(&name).shard_address());
        for length in [0, 1, 7, 20, 21, 22, 100, 1199, 1200, 1201, 1452, 9000, 65_000] {
            for first in [0x00, 0x40, 0x7f, 0xc0, 0xff] {
                let noise = noise(length, first);
                for port in [control, shard] {
                    socket.send_to(&noise, port).await.expect("loopback takes a datagram");
                }
            }
        }
        for length in [0, 1, 2, 64, 100_000] {
            let mut stream = TcpStream::connect(control).await.expect("the sentinel's port takes connections");
            // The host may hang up in the middle.
            let _ = stream.write_all(&noise(length, 0xff)).await;
            let _ = stream.shutdown().await;
        }
    }
    assert_unharmed(&mut cluster, &starts).await;
}

/// Bytes without meaning, the same in every run; the first is given.
fn noise(length: usize, first: u8) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32).to_le_bytes()[0]
    };
    (0..length).map(|place| if place == 0 { first } else { next() }).collect()
}

/// A frame that is none ends the connection it came on and nothing else, also if who sends it is known; one that is
/// too long ends its stream.
#[tokio::test]
async fn a_broken_frame_ends_its_connection_and_nothing_else() {
    let mut cluster = cluster_with_a_session().await;
    let starts = starts(&cluster).await;
    // A peer that keeps to other limits than the hosts.
    let link = LinkConfig { max_frame: 4 * FRAME_MAX, ..LinkConfig::default() };
    let transport = QuicTransport::client(cluster.certs().identity(), link).expect("a socket can be had");
    let wrong_version = [&HEADER[..2], &[9, 9], &HEADER[4..]].concat();
    let flags = [&HEADER[..6], &[1, 0], &HEADER[8..]].concat();
    let garbage = [&HEADER[..], &[0xff; 64]].concat();
    for port in [cluster.host("h1").address(), cluster.host("h2").address()] {
        for frame in [noise(64, 0xff), noise(3, 0), wrong_version.clone(), flags.clone(), garbage.clone()] {
            assert_hung_up(&transport, port, frame).await;
        }
    }
    let shards = [cluster.host("h1").shard_address(), cluster.host("h2").shard_address()];
    for port in shards {
        for frame in [noise(64, 0xff), noise(3, 0), wrong_version.clone(), flags.clone()] {
            assert_hung_up(&transport, port, frame).await;
        }
    }
    for port in [cluster.host("h1").address(), shards[0], shards[1]] {
        assert_stream_stopped(&transport, port).await;
    }
    assert_unharmed(&mut cluster, &starts).await;
}

async fn connect(transport: &QuicTransport, port: SocketAddr) -> Connection {
    transport.connect(port, Expect::AnyHost).await.expect("a client with a certificate is let in")
}

async fn assert_hung_up(transport: &QuicTransport, port: SocketAddr, frame: Vec<u8>) {
    let connection = connect(transport, port).await;
    let (sender, _receiver) = connection.open().await.expect("a stream can be opened");
    let shown = format!("{frame:02x?} to {port}");
    sender.send(Bytes::from(frame)).expect("the link takes any frame");
    let hung_up = time::timeout(ANSWERED_WITHIN, connection.closed()).await;
    assert!(hung_up.is_ok(), "the host did not hang up on {shown}");
}

async fn assert_stream_stopped(transport: &QuicTransport, port: SocketAddr) {
    let connection = connect(transport, port).await;
    let (sender, _receiver) = connection.open().await.expect("a stream can be opened");
    sender.send(vec![0_u8; FRAME_MAX + 1].into()).expect("the link takes it by its own limit");
    let stopped = time::timeout(ANSWERED_WITHIN, sender.closed()).await;
    assert!(stopped.is_ok(), "{port} goes on reading a frame that is too long");
}
