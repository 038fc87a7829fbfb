//! What a cut would do, before there is one (`PROTOCOL.md` 8).

use std::collections::BTreeSet;

use colony_core::island::{Outlook, Service, what_if};
use colony_wire::admin::OnPartition;
use colony_wire::{ColonyId, NamespaceId, RaftId};

use crate::town::{create, group, start};

/// Hosts 0 to 2 vote; 3 and 4 are to be cut off.
fn outlook(on_partition: OnPartition, least: u8, copies: &[usize]) -> Outlook {
    let mut state = group(5, OnPartition::Island, &[&[0]]);
    create(&mut state, "bank", on_partition, least, &[copies]);
    let voters: Vec<RaftId> = (0..3).map(|host| RaftId(start(host).0)).collect();
    let all = what_if(&state, &voters, &BTreeSet::from([start(3), start(4)]));
    assert_eq!(all.len(), 2);
    assert!(all[0].is_whole());
    assert_eq!(all[1].colony, ColonyId { namespace: NamespaceId(2), bucket: 0 });
    all[1]
}

#[test]
fn an_island_colony_goes_on_wherever_a_copy_is() {
    let both = outlook(OnPartition::Island, 1, &[0, 1, 3]);
    assert_eq!((both.rest, both.cut_off), (Service::Served { copies: 2 }, Service::Served { copies: 1 }));
    assert!(both.is_forked() && !both.is_whole() && !both.is_lost());
    let one = outlook(OnPartition::Island, 1, &[3, 4]);
    assert_eq!((one.rest, one.cut_off), (Service::Offline, Service::Served { copies: 2 }));
    assert!(one.is_whole() && !one.is_forked());
}

#[test]
fn a_strict_colony_goes_on_where_the_group_decides() {
    let rest = outlook(OnPartition::Strict, 1, &[3, 1]);
    assert_eq!((rest.rest, rest.cut_off), (Service::Served { copies: 1 }, Service::Stopped { copies: 1 }));
    assert!(!rest.is_forked() && !rest.is_whole() && !rest.is_lost());
    let too_few = outlook(OnPartition::Strict, 2, &[0, 3, 4]);
    assert_eq!((too_few.rest, too_few.cut_off), (Service::Stopped { copies: 1 }, Service::Stopped { copies: 2 }));
    assert!(too_few.is_lost());
}

/// All its copies are on the side that decides nothing: nobody else can have been promoted.
#[test]
fn a_strict_colony_whose_copies_stay_together_goes_on() {
    let whole = outlook(OnPartition::Strict, 2, &[3, 4]);
    assert_eq!((whole.rest, whole.cut_off), (Service::Offline, Service::Served { copies: 2 }));
    assert!(whole.is_whole());
}
