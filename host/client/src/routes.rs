//! The routing table: which host and shard serves a key.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use colony_wire::client::{RouteNamespace, Routes};
use colony_wire::session::Key;
use colony_wire::{ClusterId, ColonyId, LineageId, Revision, StartId};

/// The table as a host sent it, its addresses parsed.
///
/// Nothing in it is believed to be true: a call goes where the table says, and whoever does not serve the
/// colony any more refuses it.
#[derive(Debug)]
pub(crate) struct RouteTable {
    pub(crate) cluster: ClusterId,
    pub(crate) lineage: LineageId,
    pub(crate) revision: Revision,
    hosts: Vec<Host>,
    namespaces: HashMap<String, RouteNamespace>,
}

/// A host that serves.
#[derive(Clone, Debug)]
struct Host {
    start: StartId,
    name: Arc<str>,
    /// `None` if the address does not parse: its colonies are then out of this client's reach.
    control: Option<SocketAddr>,
    shards: u16,
    lineage: LineageId,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The process and its name; none for a seed, which may be any host.
    pub(crate) host: Option<(StartId, Arc<str>)>,
}

impl Peer {
    /// Where it is and which process: a host that was started anew at the same address is another peer.
    pub(crate) fn key(&self) -> (SocketAddr, Option<StartId>) {
        (self.address, self.host.as_ref().map(|(start, _)| *start))
    }
}

/// Where a key's calls go.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) colony: ColonyId,
    pub(crate) shard: Peer,
    /// The line of group state in which it is served there.
    pub(crate) lineage: LineageId,
}

/// Which colony of a namespace a call is for.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The one that holds this key.
    OfKey(Key),
    /// The one with this number.
    Bucket(u32),
}

/// What the table says of a key.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    /// Its colony has a primary, here.
    Found(Route),
    /// Its colony has none now, or none that this client can reach.
    NoPrimary,
    /// The table does not name the namespace.
    NoNamespace,
}

impl Lookup {
    /// Whether a call would go to the same process.
    pub(crate) fn leads_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Found(one), Self::Found(two)) => one.colony == two.colony && one.shard.key() == two.shard.key(),
            (Self::NoPrimary, Self::NoPrimary) | (Self::NoNamespace, Self::NoNamespace) => true,
            _ => false,
        }
    }
}

impl RouteTable {
    pub(crate) fn new(routes: Routes) -> Self {
        let hosts = routes.hosts.into_iter().map(|host| Host {
            start: host.start,
            name: host.name.into(),
            control: host.address.parse().ok(),
            shards: host.shards,
            lineage: host.lineage,
        });
        let namespaces = routes.namespaces.into_iter().map(|namespace| (namespace.name.clone(), namespace));
        Self {
            cluster: routes.cluster,
            lineage: routes.lineage,
            revision: routes.revision,
            hosts: hosts.collect(),
            namespaces: namespaces.collect(),
        }
    }

    /// Where calls about a key, or about a whole colony, go.
    pub(crate) fn find(&self, namespace: &str, place: &Place) -> Lookup {
        let Some(namespace) = self.namespaces.get(namespace) else {
            return Lookup::NoNamespace;
        };
        let colony = match place {
            Place::OfKey(key) => ColonyId::of(namespace.id, key.as_bytes(), buckets(namespace)),
            Place::Bucket(bucket) => ColonyId { namespace: namespace.id, bucket: *bucket },
        };
        let shard = usize::try_from(colony.bucket)
            .ok()
            .and_then(|bucket| *namespace.primaries.get(bucket)?)
            .and_then(|host| self.hosts.get(usize::from(host)))
            .and_then(|host| Some((host.shard(colony)?, host.lineage)));
        shard.map_or(Lookup::NoPrimary, |(shard, lineage)| Lookup::Found(Route { colony, shard, lineage }))
    }

    /// How many colonies a namespace has, if there is the namespace.
    pub(crate) fn buckets_of(&self, namespace: &str) -> Option<u32> {
        self.namespaces.get(namespace).map(buckets)
    }

    /// The time to live in milliseconds that a namespace gives its sessions, if there is the namespace.
    pub(crate) fn ttl_of(&self, namespace: &str) -> Option<Option<u64>> {
        self.namespaces.get(namespace).map(|namespace| namespace.ttl)
    }

    /// The name of a process, if it serves.
    pub(crate) fn name_of(&self, start: StartId) -> Option<&str> {
        self.hosts.iter().find(|host| host.start == start).map(|host| &*host.name)
    }

    pub(crate) fn serves(&self, start: StartId) -> bool {
        self.name_of(start).is_some()
    }

    /// The control port of a process, if it serves.
    pub(crate) fn control_port_of(&self, start: StartId) -> Option<Peer> {
        let host = self.hosts.iter().find(|host| host.start == start)?;
        Some(host.peer(host.control?))
    }

    /// The control ports of all hosts.
    pub(crate) fn control_ports(&self) -> impl Iterator<Item = Peer> + '_ {
        self.hosts.iter().filter_map(|host| Some(host.peer(host.control?)))
    }
}

fn buckets(namespace: &RouteNamespace) -> u32 {
    u32::try_from(namespace.primaries.len()).unwrap_or(u32::MAX)
}

impl Host {
    fn peer(&self, address: SocketAddr) -> Peer {
        Peer { address, host: Some((self.start, Arc::clone(&self.name))) }
    }

    /// Shard `i` is at the control port + 1 + `i`.
    fn shard(&self, colony: ColonyId) -> Option<Peer> {
        let control = self.control?;
        let port = control.port().checked_add(1)?.checked_add(colony.shard(self.shards))?;
        (self.shards > 0).then(|| self.peer(SocketAddr::new(control.ip(), port)))
    }
}

#[cfg(test)]
mod tests {
    use colony_wire::NamespaceId;
    use colony_wire::client::RouteHost;

    use super::*;

    fn table(primaries: Vec<Option<u16>>, address: &str, shards: u16) -> RouteTable {
        RouteTable::new(Routes {
            cluster: ClusterId(1),
            lineage: LineageId(1),
            revision: Revision(1),
            hosts: vec![RouteHost {
                start: StartId(5),
                name: "h1".to_owned(),
                address: address.to_owned(),
                shards,
                lineage: LineageId(1),
            }],
            namespaces: vec![RouteNamespace {
                id: NamespaceId(3),
                name: "cart".to_owned(),
                ttl: Some(1000),
                primaries,
            }],
        })
    }

    fn alice() -> Place {
        Place::OfKey(Key::new("alice").expect("a short key"))
    }

    #[test]
    fn a_key_leads_to_the_shard_of_its_colonys_primary() {
        let table = table(vec![Some(0); 64], "10.0.0.1:7400", 4);
        assert_eq!(table.buckets_of("cart"), Some(64));
        let Lookup::Found(route) = table.find("cart", &alice()) else { panic!("it has a primary") };
        let bucket = Place::Bucket(route.colony.bucket);
        assert!(table.find("cart", &bucket).leads_where(&Lookup::Found(route.clone())));
        assert_eq!(route.colony, ColonyId::of(NamespaceId(3), b"alice", 64));
        let port = 7401 + route.colony.shard(4);
        assert_eq!(route.shard.address, SocketAddr::from(([10, 0, 0, 1], port)));
        assert_eq!(table.name_of(StartId(5)), Some("h1"));
    }

    /// The table is foreign: whatever it holds, the answer is a route or that there is none.
    #[test]
    fn a_table_that_leads_nowhere_is_no_route() {
        let nowhere = [
            table(vec![None; 64], "10.0.0.1:7400", 4),
            table(vec![Some(1); 64], "10.0.0.1:7400", 4),
            table(vec![], "10.0.0.1:7400", 4),
            table(vec![Some(0); 64], "nonsense", 4),
            table(vec![Some(0); 64], "10.0.0.1:7400", 0),
            table(vec![Some(0); 64], "10.0.0.1:65535", 4),
        ];
        for table in nowhere {
            for place in [alice(), Place::Bucket(63), Place::Bucket(64)] {
                assert!(matches!(table.find("cart", &place), Lookup::NoPrimary), "{table:?}");
                assert!(matches!(table.find("other", &place), Lookup::NoNamespace));
            }
        }
    }
}
