//! Every state that one colony on three hosts can be driven into.
//!
//! The simulator draws from all that may happen; this walks the whole of a small world, so that what it finds no
//! fault with has none there. It drives the product's own state machines, `colony_core::colony::Shard` and
//! `colony_core::group::State`, and holds each state to the invariants of `PROTOCOL.md` 2.
//!
//! # What happens
//!
//! Counted by [`Bounds`]: writes and their repetitions, crashes, starts declared dead rightly or wrongly, processes
//! that hear so and go on, joins, primaries that send again or find their peers silent, messages that arrive twice.
//! Not counted, in any number: messages in any order, late or lost; proposals decided in any order, late or lost;
//! table entries heard late or passed over, by each host for itself.
//!
//! **A split needs no action of its own.** A message that is under way need never arrive, so every loss is walked,
//! and a split is nothing but losses: between any hosts, of any length, as often as one likes. What a split does
//! besides is to let timers run out and hosts be declared dead; both are counted.
//!
//! **Time** stands still but for two actions, which move one primary's clock: on to where it sends again, and on to
//! where its peers count as silent. Whatever else time does in the product (expiry, ends of records) does not happen.
//!
//! **The group** is one state that changes at once. What its Raft adds is delay and loss, and those are here.
//!
//! # Why it ends, and what is left out without loss
//!
//! - What can have no effect ever is forgotten (`World::tidy`), and a message that leaves no trace is not delivered:
//!   all that may happen without it may happen with it under way.
//! - A reply counts as given when it is sent, and is not under way: the promise stands from there on.
//! - A read changes nothing, so it is no action: at every change of a primary what a reader would be told is judged.
//! - Only a primary ticks: a tick of any other peer ages records, and no record is old.
//! - Where all hosts begin with a copy, one heir stands for all: copies that differ by name only.
//! - Requests are sent in the order of their numbers, for they differ in nothing else.
//! - The group's counters of commands are held still: nothing is decided by them.
//! - One message is under way once. That it may arrive again is counted, as [`Bounds::doubles`].
//!
//! States are told apart by 64 bits, as in all checkers of this kind: of ten million states, two are taken for one
//! with a chance of about one in 100,000.

mod check;
mod configurations;
mod hashed;
mod model;
mod net;
mod rules;
mod scope;
mod step;
mod truth;
mod world;

pub use check::{Outcome, check};
pub use hashed::Hashed;
pub use model::Colony;
pub use scope::{Bounds, Scope};
pub use step::Action;
pub use truth::Rule;
pub use world::World;
