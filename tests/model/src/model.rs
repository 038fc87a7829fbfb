//! The model that the checker walks.

use colony_core::colony::Part;
use colony_wire::Reign;
use colony_wire::peer::{PeerBody, PeerMessage};
use stateright::{Model, Property};

use crate::scope::Scope;
use crate::step::Action;
use crate::truth::Rule;
use crate::world::World;

/// One configuration, as the checker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Colony(pub Scope);

/// Begin of the first reign: those after it came by a failover.
const FIRST: Reign = Reign(1);

impl Model for Colony {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.0, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        world.after(&self.0, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn kept(name: &'static str, condition: fn(&Colony, &World) -> bool) -> Property<Colony> {
            Property::always(name, condition)
        }
        let bounds = self.0.bounds;
        let mut properties = vec![
            kept("I1 one writer a reign", |_, world| world.broken != Some(Rule::OneWriter)),
            kept("I2 committed ops are held by all in sync", |_, world| world.broken != Some(Rule::HeldByAll)),
            kept("I3 same position, same bytes", |_, world| world.broken != Some(Rule::SamePosition)),
            kept("I4 nothing acknowledged is lost", |_, world| world.broken != Some(Rule::NothingLost)),
            kept("I5 a primary was in sync", |_, world| world.broken != Some(Rule::Entitled)),
            kept("I9 at most once", |_, world| world.broken != Some(Rule::AtMostOnce)),
            kept("reads are true", |_, world| world.broken != Some(Rule::TrueReads)),
            kept("no panic", |_, world| world.broken != Some(Rule::NoPanic)),
        ];
        if bounds.writes > 0 && bounds.deaths + bounds.crashes > 0 {
            properties.push(Property::sometimes("a write is acknowledged after a failover", |_, world: &World| {
                world.truth.has_acknowledged(|reign| reign > FIRST)
            }));
        }
        if bounds.deaths > 0 {
            properties.push(Property::sometimes("a deposed primary is refused", |_, world: &World| {
                world.net.messages().any(|message| match message.body {
                    PeerBody::Deposed { reign } => world.replicas().any(|(start, replica)| {
                        start == message.to && replica.part() == Part::Primary && replica.reign() < reign
                    }),
                    _ => false,
                })
            }));
        }
        if bounds.joins > 0 {
            properties.push(Property::sometimes("a joined copy is in sync", |model: &Self, world: &World| {
                world.entry().in_sync.iter().any(|start| !model.0.is_founder(*start))
            }));
        }
        if bounds.joins > 0 && bounds.deaths + bounds.crashes > 0 && self.0.copies < crate::world::HOSTS {
            properties.push(Property::sometimes(
                "a joined copy is promoted and serves",
                |model: &Self, world: &World| {
                    world.replicas().any(|(start, replica)| !model.0.is_founder(start) && replica.is_serving())
                },
            ));
        }
        if bounds.joins > 0 && self.0.log_kept < 2 {
            properties.push(Property::sometimes("a joined copy needs a snapshot", |_, world: &World| {
                world.net.messages().any(|message| matches!(message.body, PeerBody::Chunk(_)))
            }));
        }
        if bounds.silences > 0 {
            properties.push(Property::sometimes("a peer that runs is removed for its silence", |_, world: &World| {
                let runs = |start| world.group.is_up(start) && world.host_of(start).is_some();
                world.entry().unaccounted.iter().any(|one| runs(one.start))
            }));
        }
        if bounds.splits > 0 {
            properties.push(Property::sometimes("a peer in sync finds a gap after a split", |_, world: &World| {
                let is_gap = |message: &PeerMessage| {
                    matches!(message.body, PeerBody::Mismatch { .. }) && world.entry().is_in_sync(message.from)
                };
                world.left.splits == 0 && world.net.messages().any(|message| is_gap(message))
            }));
        }
        if bounds.rebirths > 0 {
            properties.push(Property::sometimes("a copy is kept by a process declared dead", |_, world: &World| {
                world.keeps_a_copy()
            }));
        }
        properties
    }
}
