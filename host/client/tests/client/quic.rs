//! Once over the real transport, on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use colony_client::{Client, Identity};
use colony_link::quic::QuicTransport;
use colony_link::tls::{Authority, Validity};
use colony_link::{LinkConfig, Rights, Transport};
use colony_wire::client::{Reply, ReplyBody, RouteHost, RouteNamespace, Routes};
use colony_wire::{ClusterId, Frame, LineageId, Message, NamespaceId, Revision, StartId};

/// Serves a control port and one shard, and answers every request with "absent".
async fn serve(transport: QuicTransport, routes: Option<Routes>) {
    while let Some(connection) = transport.accept().await {
        let Ok((sender, mut receiver)) = connection.accept_stream().await else { continue };
        let routes = routes.clone();
        tokio::spawn(async move {
            while let Ok(Some(bytes)) = receiver.recv().await {
                let call = Frame::parse(bytes).expect("the client speaks the protocol").call;
                let absent = Reply { served_by: StartId(5), seen: None, body: ReplyBody::Absent };
                let reply = routes.as_ref().map_or_else(|| absent.to_frame(call), |routes| routes.to_frame(call));
                sender.send(reply.expect("a small reply")).expect("room for it");
            }
            drop(connection);
        });
    }
}

/// Two ports that follow each other, control and shard.
fn bind_pair(identity: &Identity) -> (QuicTransport, QuicTransport) {
    let bind = |port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        QuicTransport::bind(address, identity.clone(), LinkConfig::default())
    };
    for _ in 0..20 {
        let control = bind(0).expect("a port is free");
        if let Some(Ok(shard)) = control.local_addr().port().checked_add(1).map(bind) {
            return (control, shard);
        }
    }
    panic!("no two free ports in a row");
}

#[tokio::test]
async fn a_client_reads_over_quic_with_certificates_from_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::create(dir.path()).expect("an authority");
    let host = authority.issue_host("h1", &["127.0.0.1".to_owned()], Validity::days(1)).expect("a certificate");
    authority.issue_client("app", Rights::ALL, Validity::days(1)).expect("a certificate");
    let identity = Identity::from_files(dir.path().join("ca.pem"), &host.cert, &host.key).expect("it was just made");
    let (control, shard) = bind_pair(&identity);
    let seed = control.local_addr().to_string();
    let routes = Routes {
        cluster: ClusterId(1),
        lineage: LineageId(1),
        revision: Revision(1),
        hosts: vec![RouteHost {
            start: StartId(5),
            name: "h1".to_owned(),
            address: seed.clone(),
            shards: 1,
            lineage: LineageId(1),
        }],
        namespaces: vec![RouteNamespace {
            id: NamespaceId(1),
            name: "cart".to_owned(),
            ttl: None,
            primaries: vec![Some(0); 8],
        }],
    };
    tokio::spawn(serve(control, Some(routes)));
    tokio::spawn(serve(shard, None));

    let identity = Identity::from_dir(dir.path()).expect("the only client's");
    let client = Client::connect([seed], identity).await.expect("the host answers");
    assert!(client.namespace("cart").load("alice").await.expect("it was answered").is_none());
    client.close().await;
}

/// An impostor's cluster: waiting does not help, so the error comes at once.
#[tokio::test]
async fn a_host_of_another_authority_is_refused_at_once() {
    let [ours, theirs] = [tempfile::tempdir(), tempfile::tempdir()].map(|dir| dir.expect("a folder"));
    let authority = Authority::create(ours.path()).expect("an authority");
    authority.issue_client("app", Rights::ALL, Validity::days(1)).expect("a certificate");
    let other = Authority::create(theirs.path()).expect("an authority");
    let host = other.issue_host("h1", &[], Validity::days(1)).expect("a certificate");
    let identity = Identity::from_files(theirs.path().join("ca.pem"), &host.cert, &host.key).expect("just made");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let transport = Arc::new(QuicTransport::bind(address, identity, LinkConfig::default()).expect("a free port"));
    let seed = transport.local_addr().to_string();

    let identity = Identity::from_dir(ours.path()).expect("the only client's");
    let error = Client::connect([seed], identity).await.expect_err("an impostor");
    assert!(matches!(&error, colony_client::ConnectError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("authority"), "{error}");
}
