//! The network of the twin.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::end::End;
use super::faults::Faults;
use super::sentinel::{MemorySentinels, Post, SentinelPort};
use super::transport::{MemoryTransport, Port};
use crate::sync::lock;
use crate::{ConfigError, LinkConfig, LinkError, PeerIdentity};

/// First port given to transports that did not ask for one, as in the dynamic range of RFC 6335.
const EPHEMERAL_FIRST: u16 = 49_152;

/// Why no transport could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// A living transport of the same network has the address.
    #[error("{addr} is in use in this network")]
    InUse {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The configuration breaks a bound.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A network in memory. Clones are the same network.
///
/// Faults are told by the names of hosts, so that they hold for all transports of a host. Each direction stands for
/// itself. A setting holds from now on, for connections that exist too.
#[derive(Clone)]
pub struct MemoryNet {
    hub: Arc<Hub>,
}

/// What all parts of a network share.
pub(super) struct Hub {
    state: Mutex<HubState>,
    /// Where packets are moved, if not where they are sent.
    runtime: Option<Handle>,
    /// A fault was set, or a transport came or went.
    pub(super) changed: Notify,
}

struct HubState {
    faults: Faults,
    ports: BTreeMap<SocketAddr, Weak<Port>>,
    ends: Vec<Weak<End>>,
    sentinels: BTreeMap<SocketAddr, Weak<SentinelPort>>,
    posts: Vec<Weak<Post>>,
    /// Whose each address is, known from when somebody first listened for sentinels there.
    machines: BTreeMap<IpAddr, String>,
    next_port: u16,
}

impl MemoryNet {
    /// A network without faults. All chance comes from `seed`: with the same seed, on one thread and in paused time,
    /// a test takes the same course.
    pub fn new(seed: u64) -> Self {
        Self::make(seed, None)
    }

    /// As [`new`](Self::new), for hosts with a runtime each: packets are moved on `runtime`, which must outlive the
    /// hosts. So a host that ends with its runtime takes nothing with it that is its peers', and one whose runtime
    /// stands still does not hold up the others. The runtimes must agree on the time.
    pub fn across(seed: u64, runtime: Handle) -> Self {
        Self::make(seed, Some(runtime))
    }

    fn make(seed: u64, runtime: Option<Handle>) -> Self {
        let state = HubState {
            faults: Faults::new(seed),
            ports: BTreeMap::new(),
            ends: Vec::new(),
            sentinels: BTreeMap::new(),
            posts: Vec::new(),
            machines: BTreeMap::new(),
            next_port: EPHEMERAL_FIRST,
        };
        Self { hub: Arc::new(Hub { state: Mutex::new(state), runtime, changed: Notify::new() }) }
    }

    /// A transport at `addr` for the holder of `identity`, with the default limits; port 0 takes any free one.
    ///
    /// # Errors
    ///
    /// [`BindError::InUse`].
    pub fn bind(&self, addr: SocketAddr, identity: PeerIdentity) -> Result<MemoryTransport, BindError> {
        self.bind_with(addr, identity, LinkConfig::default())
    }

    /// As [`bind`](Self::bind), with other limits and times.
    ///
    /// # Errors
    ///
    /// A [`BindError`].
    pub fn bind_with(
        &self,
        addr: SocketAddr,
        identity: PeerIdentity,
        config: LinkConfig,
    ) -> Result<MemoryTransport, BindError> {
        config.check()?;
        MemoryTransport::bind(Arc::clone(&self.hub), addr, identity, Arc::new(config), true)
    }

    /// A transport that only dials. Its `accept` returns `None` at once.
    ///
    /// # Errors
    ///
    /// A [`BindError`].
    pub fn client(&self, identity: PeerIdentity, config: LinkConfig) -> Result<MemoryTransport, BindError> {
        config.check()?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        MemoryTransport::bind(Arc::clone(&self.hub), addr, identity, Arc::new(config), false)
    }

    /// The sentinels of host `name`.
    pub fn sentinels(&self, name: &str) -> MemorySentinels {
        MemorySentinels::new(Arc::clone(&self.hub), name)
    }

    /// Sets how long packets are on their way where no pair was told otherwise. Set it before faults of pairs, which
    /// start from what holds then.
    pub fn set_default_delay(&self, delay: RangeInclusive<Duration>) {
        self.hub.change(|faults| faults.set_default_delay(delay));
    }

    /// Sets how long packets from `from` to `to` are on their way, drawn anew for each.
    pub fn set_delay(&self, from: &str, to: &str, delay: RangeInclusive<Duration>) {
        self.hub.change(|faults| faults.set_delay(from, to, delay));
    }

    /// Sets the part, 0 to 1, of packets from `from` to `to` that is lost. Streams send them again, so that there it
    /// shows as delay.
    pub fn set_loss(&self, from: &str, to: &str, loss: f64) {
        self.hub.change(|faults| faults.set_loss(from, to, loss));
    }

    /// Lets nothing pass from `from` to `to`; the way back is untouched.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.hub.change(|faults| faults.set_cut(from, to, true));
    }

    /// Lets nothing pass between `a` and `b`.
    pub fn cut(&self, a: &str, b: &str) {
        self.split(&[a], &[b]);
    }

    /// Lets nothing pass between any of `side` and any of `other`.
    pub fn split(&self, side: &[&str], other: &[&str]) {
        self.set_cuts(side, other, true);
    }

    /// Ends the cut from `from` to `to`.
    pub fn mend_one_way(&self, from: &str, to: &str) {
        self.hub.change(|faults| faults.set_cut(from, to, false));
    }

    /// Ends all cuts between `a` and `b`.
    pub fn mend(&self, a: &str, b: &str) {
        self.set_cuts(&[a], &[b], false);
    }

    /// Ends all cuts. Delay and loss stay.
    pub fn mend_all(&self) {
        self.hub.change(Faults::mend_all);
    }

    /// Ends the process of host `name`: its transports and connections end at once, and peers that are not cut from
    /// it find [`LinkError::Reset`], as when its machine answers for the dead process. Its addresses are free.
    pub fn kill(&self, name: &str) {
        for port in self.hub.ports() {
            if port.identity.name == name {
                port.close();
            }
        }
        for end in self.hub.ends() {
            if end.name == name {
                end.end_telling(LinkError::Reset);
            }
        }
        for post in self.hub.leave_posts(name) {
            post.leave();
        }
    }

    /// Stops the process of host `name`: nothing passes to or from it. What its machine does for it goes on, so that
    /// sentinel connections stay, and new ones are taken but not greeted. That the process does nothing meanwhile is
    /// up to whoever runs it.
    pub fn stop(&self, name: &str) {
        self.hub.change(|faults| faults.set_stopped(name, true));
    }

    /// Ends the stop of host `name`.
    pub fn resume(&self, name: &str) {
        self.hub.change(|faults| faults.set_stopped(name, false));
    }

    fn set_cuts(&self, side: &[&str], other: &[&str], cut: bool) {
        self.hub.change(|faults| {
            for a in side {
                for b in other {
                    faults.set_cut(a, b, cut);
                    faults.set_cut(b, a, cut);
                }
            }
        });
    }
}

impl fmt::Debug for MemoryNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.hub, f)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<SocketAddr> = lock(&self.state).ports.keys().copied().collect();
        f.debug_struct("MemoryNet").field("ports", &ports).finish_non_exhaustive()
    }
}

impl Hub {
    fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.state).faults);
        for end in self.ends() {
            end.out.wake();
        }
        self.changed.notify_waiters();
    }

    pub(super) fn flight(&self, from: &str, to: &str) -> Duration {
        lock(&self.state).faults.flight(from, to)
    }

    pub(super) fn datagram_flight(&self, from: &str, to: &str) -> Option<Duration> {
        lock(&self.state).faults.datagram_flight(from, to)
    }

    pub(super) fn is_cut(&self, from: &str, to: &str) -> bool {
        lock(&self.state).faults.is_cut(from, to)
    }

    pub(super) fn is_parted(&self, from: &str, to: &str) -> bool {
        lock(&self.state).faults.is_parted(from, to)
    }

    /// Runs a task of the network.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.runtime {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        };
    }

    /// Waits until the network is as `holds` wants it.
    pub(super) async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// Waits as long as a packet takes from one process to another, and for the end of a cut between them.
    pub(super) async fn travel(&self, from: &str, to: &str) {
        self.wait_until(|hub| !hub.is_cut(from, to)).await;
        self.fly(from, to).await;
    }

    /// As [`travel`](Self::travel), from machine to machine.
    pub(super) async fn travel_between_machines(&self, from: &str, to: &str) {
        self.wait_until(|hub| !hub.is_parted(from, to)).await;
        self.fly(from, to).await;
    }

    async fn fly(&self, from: &str, to: &str) {
        let flight = self.flight(from, to);
        if !flight.is_zero() {
            sleep(flight).await;
        }
    }

    /// Enters a port, at the address it asks for or at a free one; `make` gets that address.
    pub(super) fn enter(
        &self,
        mut addr: SocketAddr,
        make: impl FnOnce(SocketAddr) -> Arc<Port>,
    ) -> Result<Arc<Port>, BindError> {
        let mut state = lock(&self.state);
        state.ports.retain(|_, port| port.strong_count() > 0);
        if addr.port() == 0 {
            // A port is used again only after all others, so that a new transport is not taken for an old one.
            for _ in EPHEMERAL_FIRST..=u16::MAX {
                addr.set_port(state.next_port);
                state.next_port = state.next_port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
                if !state.ports.contains_key(&addr) {
                    break;
                }
            }
        }
        if state.ports.contains_key(&addr) {
            return Err(BindError::InUse { addr });
        }
        let port = make(addr);
        state.ports.insert(addr, Arc::downgrade(&port));
        Ok(port)
    }

    /// Frees the address of a port.
    pub(super) fn leave(&self, port: &Port) {
        let mut state = lock(&self.state);
        let is_it = |entry: &Weak<Port>| std::ptr::eq(entry.as_ptr(), port);
        if state.ports.get(&port.addr).is_some_and(is_it) {
            state.ports.remove(&port.addr);
        }
    }

    pub(super) fn port(&self, addr: SocketAddr) -> Option<Arc<Port>> {
        lock(&self.state).ports.get(&addr)?.upgrade()
    }

    fn ports(&self) -> Vec<Arc<Port>> {
        lock(&self.state).ports.values().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn add_end(&self, end: &Arc<End>) {
        let mut state = lock(&self.state);
        state.ends.retain(|end| end.strong_count() > 0);
        state.ends.push(Arc::downgrade(end));
    }

    /// Enters a port for sentinels; says whether its address was free.
    pub(super) fn enter_sentinel(&self, port: &Arc<SentinelPort>) -> bool {
        let mut state = lock(&self.state);
        if state.sentinels.get(&port.addr).is_some_and(|port| port.strong_count() > 0) {
            return false;
        }
        state.machines.insert(port.addr.ip(), port.name.clone());
        state.sentinels.insert(port.addr, Arc::downgrade(port));
        true
    }

    pub(super) fn sentinel(&self, addr: SocketAddr) -> Option<Arc<SentinelPort>> {
        lock(&self.state).sentinels.get(&addr)?.upgrade()
    }

    /// Whose machine has this address, if any.
    pub(super) fn machine(&self, addr: IpAddr) -> Option<String> {
        lock(&self.state).machines.get(&addr).cloned()
    }

    pub(super) fn add_post(&self, post: &Arc<Post>) {
        let mut state = lock(&self.state);
        state.posts.retain(|post| post.strong_count() > 0);
        state.posts.push(Arc::downgrade(post));
    }

    /// Frees the addresses of a host's sentinels, and names its ends of sentinel connections.
    fn leave_posts(&self, name: &str) -> Vec<Arc<Post>> {
        let mut state = lock(&self.state);
        state.sentinels.retain(|_, port| port.upgrade().is_some_and(|port| port.name != name));
        state.posts.iter().filter_map(Weak::upgrade).filter(|post| post.name() == name).collect()
    }

    /// All living ends.
    pub(super) fn ends(&self) -> Vec<Arc<End>> {
        lock(&self.state).ends.iter().filter_map(Weak::upgrade).collect()
    }
}
