//! Hosts that answer what a test tells them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use colony_client::{Client, Options};
use colony_link::memory::MemoryNet;
use colony_link::{Connection, FrameSender, LinkConfig, PeerIdentity, Rights, Transport};
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::client::{
    Ack, Done, Refusal, Reply, ReplyBody, Request, RequestBody, RouteHost, RouteNamespace, Routes, RoutesRequest,
};
use colony_wire::op::Stamp;
use colony_wire::session::{Content, Mutation, SessionView};
use colony_wire::tag::Tags;
use colony_wire::{ClusterId, Frame, LineageId, Message, NamespaceId, Position, Reign, Revision, Seq, StartId};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Shards of each host.
const SHARDS: u16 = 2;
/// Buckets of the namespace `cart`.
const BUCKETS: usize = 8;
/// Far above what any step of a test takes on the clock that stands still.
const STEP: Duration = Duration::from_secs(60);

/// A cluster of scripted hosts, `h1`, `h2`, ... at 10.0.0.1:7400, 10.0.0.2:7400, ...
pub(crate) struct Cluster {
    pub(crate) net: MemoryNet,
    shared: Arc<Shared>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

struct Shared {
    state: Mutex<State>,
    asked: mpsc::UnboundedSender<Asked>,
}

struct State {
    routes: Routes,
    routes_asked: usize,
    shard_connections: usize,
    /// What control ports answer, the first one first; at the end they close the connection.
    admin: Vec<AdminReply>,
    admin_asked: Vec<AdminRequest>,
}

/// A request that arrived at a shard, to be answered by the test.
pub(crate) struct Asked {
    /// Name of the host.
    pub(crate) host: String,
    pub(crate) request: Request,
    call: u64,
    start: StartId,
    sender: FrameSender,
    connection: Connection,
}

impl Cluster {
    /// `h1` is the primary of everything.
    pub(crate) fn of(hosts: u8) -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        let routes = Routes {
            cluster: ClusterId(1),
            lineage: LineageId(1),
            revision: Revision(1),
            hosts: Vec::new(),
            namespaces: vec![RouteNamespace {
                id: NamespaceId(1),
                name: "cart".to_owned(),
                ttl: Some(60_000),
                primaries: vec![Some(0); BUCKETS],
            }],
        };
        let state = State { routes, routes_asked: 0, shard_connections: 0, admin: Vec::new(), admin_asked: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), asked: sender });
        let cluster = Self { net: MemoryNet::new(7), shared, asked };
        for number in 1..=hosts {
            cluster.start(number, u64::from(number));
        }
        cluster
    }

    /// Starts host `number` as the process `start`, and names it in the table.
    pub(crate) fn start(&self, number: u8, start: u64) {
        let name = format!("h{number}");
        let address = SocketAddr::from(([10, 0, 0, number], 7400));
        let host = RouteHost {
            start: StartId(start),
            name,
            address: address.to_string(),
            shards: SHARDS,
            lineage: LineageId(1),
        };
        self.change_routes(|routes| {
            routes.hosts.retain(|known| known.name != host.name);
            routes.hosts.insert(usize::from(number) - 1, host.clone());
        });
        self.serve(&host, address);
    }

    fn serve(&self, host: &RouteHost, control: SocketAddr) {
        for port in 0..=SHARDS {
            let address = SocketAddr::new(control.ip(), control.port() + port);
            let transport = self.net.bind(address, PeerIdentity::host(&host.name)).expect("the port is free");
            tokio::spawn(serve(Arc::clone(&self.shared), Arc::new(transport), host.clone(), port > 0));
        }
    }

    pub(crate) fn change_routes(&self, change: impl FnOnce(&mut Routes)) {
        let mut state = self.shared.state.lock().unwrap();
        change(&mut state.routes);
        state.routes.revision.0 += 1;
    }

    /// Makes host `number` the primary of everything.
    pub(crate) fn promote(&self, number: u16) {
        self.change_routes(|routes| {
            for namespace in &mut routes.namespaces {
                namespace.primaries.fill(Some(number - 1));
            }
        });
    }

    pub(crate) async fn client(&self) -> Client {
        self.client_with(&["10.0.0.1:7400"]).await
    }

    pub(crate) async fn client_with(&self, seeds: &[&str]) -> Client {
        Client::over(self.client_transport(), seeds).await.expect("a host answers")
    }

    pub(crate) fn client_transport(&self) -> Arc<dyn Transport> {
        let identity = PeerIdentity::client("app", Rights::ALL);
        Arc::new(self.net.client(identity, LinkConfig::default()).expect("a port is free"))
    }

    /// The next request that arrives at any shard.
    pub(crate) async fn asked(&mut self) -> Asked {
        timeout(STEP, self.asked.recv()).await.expect("a request arrives").expect("the cluster lives")
    }

    /// Nothing arrives for a while.
    pub(crate) async fn nothing_asked(&mut self) {
        let asked = timeout(Duration::from_millis(20), self.asked.recv()).await;
        assert!(asked.is_err(), "nothing was to be asked");
    }

    pub(crate) fn routes_asked(&self) -> usize {
        self.shared.state.lock().unwrap().routes_asked
    }

    pub(crate) fn shard_connections(&self) -> usize {
        self.shared.state.lock().unwrap().shard_connections
    }

    /// What the control ports answer to admin requests, in order; at the end they close the connection.
    pub(crate) fn answer_admin(&self, replies: impl IntoIterator<Item = AdminReply>) {
        self.shared.state.lock().unwrap().admin.extend(replies);
    }

    pub(crate) fn admin_asked(&self) -> Vec<AdminRequest> {
        self.shared.state.lock().unwrap().admin_asked.clone()
    }
}

/// Serves one port for ever, or until its host is killed.
pub(crate) async fn serve_port(transport: Arc<dyn Transport>, on_stream: impl Fn(Connection) + Send) {
    while let Some(connection) = transport.accept().await {
        on_stream(connection);
    }
}

async fn serve(shared: Arc<Shared>, transport: Arc<dyn Transport>, host: RouteHost, is_shard: bool) {
    serve_port(transport, |connection| {
        if is_shard {
            shared.state.lock().unwrap().shard_connections += 1;
        }
        tokio::spawn(serve_connection(Arc::clone(&shared), connection, host.clone(), is_shard));
    })
    .await;
}

async fn serve_connection(shared: Arc<Shared>, connection: Connection, host: RouteHost, is_shard: bool) {
    while let Ok((sender, mut receiver)) = connection.accept_stream().await {
        while let Ok(Some(bytes)) = receiver.recv().await {
            let frame = Frame::parse(bytes).expect("the client speaks the protocol");
            if is_shard {
                let asked = Asked {
                    host: host.name.clone(),
                    request: frame.decode().expect("only requests come to shards"),
                    call: frame.call,
                    start: host.start,
                    sender: sender.clone(),
                    connection: connection.clone(),
                };
                let _ = shared.asked.send(asked);
            } else if let Some(reply) = shared.control(&frame) {
                let _ = sender.send(reply);
            } else {
                connection.close(1, "told to");
            }
        }
    }
}

impl Shared {
    fn control(&self, frame: &Frame) -> Option<bytes::Bytes> {
        let mut state = self.state.lock().unwrap();
        if frame.kind == RoutesRequest::KIND {
            let request: RoutesRequest = frame.decode().expect("it is one");
            state.routes_asked += 1;
            let mut routes = state.routes.clone();
            if request.have == routes.revision {
                routes.hosts.clear();
                routes.namespaces.clear();
            }
            return Some(routes.to_frame(frame.call).expect("the table is small"));
        }
        let request = frame.decode().expect("routes or admin");
        state.admin_asked.push(request);
        if state.admin.is_empty() {
            return None;
        }
        Some(state.admin.remove(0).to_frame(frame.call).expect("a small reply"))
    }
}

impl Asked {
    pub(crate) fn reply(&self, body: ReplyBody) {
        self.reply_seen(body, Some(at(1, 1)));
    }

    pub(crate) fn reply_seen(&self, body: ReplyBody, seen: Option<Position>) {
        let reply = Reply { served_by: self.start, seen, body };
        self.raw(reply.to_frame(self.call).expect("a small reply"));
    }

    /// Sends any bytes as an answer.
    pub(crate) fn raw(&self, frame: bytes::Bytes) {
        self.sender.send(frame).expect("the stream is open");
    }

    pub(crate) fn call(&self) -> u64 {
        self.call
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.reply(ReplyBody::Refused(refusal));
    }

    pub(crate) fn done(&self, seq: u64) {
        self.reply(done(seq, false));
    }

    /// The connection breaks before any reply.
    pub(crate) fn break_off(&self) {
        self.connection.close(1, "broken off");
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.request.body.key().expect("it is about one session").as_bytes()
    }

    pub(crate) fn stamp(&self) -> Stamp {
        *self.request.body.stamp().expect("a read has no stamp")
    }

    pub(crate) fn mutation(&self) -> &Mutation {
        match &self.request.body {
            RequestBody::Mutate { mutation, .. } => mutation,
            other => panic!("no change of one session: {other:?}"),
        }
    }
}

pub(crate) fn at(reign: u64, seq: u64) -> Position {
    Position { lineage: LineageId(1), reign: Reign(reign), seq: Seq(seq) }
}

/// Done at a place in reign 1, in the life that began at place 1, on two copies.
pub(crate) fn done(seq: u64, merged: bool) -> ReplyBody {
    ReplyBody::Done(Done {
        version: at(1, seq),
        life: at(1, 1),
        copies: 2,
        merged,
        ack: Ack::InSync,
        ended: 0,
        more: false,
    })
}

/// A session with these attributes, at a place in reign 1.
pub(crate) fn found(seq: u64, attributes: &[(&str, &'static [u8])]) -> ReplyBody {
    let attributes: BTreeMap<_, _> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), bytes::Bytes::from_static(value))).collect();
    found_content(seq, Content::Attributes(attributes))
}

pub(crate) fn found_content(seq: u64, content: Content) -> ReplyBody {
    ReplyBody::Found(SessionView {
        content,
        tags: Tags::new(),
        version: at(1, seq),
        life: at(1, 1),
        expires_in: Some(60_000),
        written_at: 1_700_000_000_000,
    })
}

/// Calls that may take this long.
pub(crate) fn within(deadline: Duration) -> Options {
    Options { deadline, ..Options::default() }
}
