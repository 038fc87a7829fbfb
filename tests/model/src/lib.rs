//! Every state that one colony on three hosts can be driven into.
//!
//! The simulator draws from all that may happen; this walks the whole of a small world, so that what it finds no
//! fault with has none there. It drives the product's own state machines, `colony_core::colony::Shard` and
//! `colony_core::group::State`, and holds each state to the invariants of `PROTOCOL.md` 2.
//!
//! # What happens
//!
//! Counted by [`Bounds`]: writes and their repetitions, crashes, starts declared dead rightly or wrongly, processes
//! that hear so and go on, joins, primaries that send again or find their peers silent, messages that arrive twice,
//! hosts that are cut off. Not counted, in any number: messages as late as they like; proposals decided in any order,
//! late or lost; table entries heard late or passed over, by each host for itself.
//!
//! **The network** is one of two ([`Order`]).
//! - Any order: a message that is under way need never arrive, so every loss is walked, and a split needs no action
//!   of its own: it is nothing but losses, between any hosts, of any length, as often as one likes. What a split does
//!   besides is to let timers run out and hosts be declared dead; both are counted.
//! - In order: what the product's streams do. On one stream messages arrive as they were sent, one stream goes from
//!   each process to each other for bulk and one for the rest, and none is lost but with its process or by a split. A
//!   split is counted: one host is cut off from both others, in both directions, for as long as it pleases; what is
//!   under way when it begins is lost, and so is all that is sent until it ends. The group is reached late or not at
//!   all as ever, by each host for itself, cut off or not. Left out are splits that cut one pair of hosts or one
//!   direction only, timers that run out after the last split, and that what is sent again while its equal is under
//!   way on the same stream arrives twice.
//!
//! **Time** stands still but for two actions, which move one primary's clock: on to where it sends again, and on to
//! where its peers count as silent. Whatever else time does in the product (expiry, ends of records) does not happen.
//!
//! **The group** is one state that changes at once. What its Raft adds is delay and loss, and those are here.
//!
//! # Why it ends, and what is left out without loss
//!
//! - What can have no effect ever is forgotten (`World::tidy`). In any order, a message that leaves no trace is not
//!   delivered either: all that may happen without it may happen with it under way.
//! - A step that uses up something counted and does nothing else is not taken: nothing can happen after it that
//!   cannot happen without it.
//! - A split is one step, its end: until then its messages are late, and then they are lost.
//! - A process that holds nothing, and is to hold nothing, does not crash: its next one would be the same by another
//!   name.
//! - What a host would make of the next table entry is sometimes nothing: then it has heard it at once
//!   (`World::hear_what_changes_nothing`).
//! - A reply counts as given when it is sent, and is not under way: the promise stands from there on.
//! - A read changes nothing, so it is no action: at every change of a primary what a reader would be told is judged.
//! - Only a primary ticks: a tick of any other peer ages records, and no record is old.
//! - Where all hosts begin with a copy, one heir stands for all: copies that differ by name only.
//! - Requests are sent in the order of their numbers, for they differ in nothing else.
//! - The group's counters of commands are held still: nothing is decided by them.
//! - In any order, one message is under way once. That it may arrive again is counted, as [`Bounds::doubles`].
//!
//! What a shard makes of an event, and the group of a command, is worked out once and remembered (`react`, `group`):
//! both are pure functions, and the states differ mostly in how few shards are put together.
//!
//! States are told apart by 64 bits, as in all checkers of this kind: of ten million states, two are taken for one
//! with a chance of about one in 100,000.

mod check;
mod configurations;
mod group;
mod hashed;
mod model;
mod net;
mod react;
mod rules;
mod scope;
mod step;
mod truth;
mod world;

pub use check::{Outcome, check};
pub use hashed::Hashed;
pub use model::Colony;
pub use scope::{Bounds, Order, Scope};
pub use step::Action;
pub use truth::Rule;
pub use world::World;
