//! Stories about one colony: what happens to a write, a copy or a reign when messages are lost, doubled,
//! late or out of order, told over a few shards and a group state whose every step the test decides.

mod calls;
mod oracle;
mod world;

mod catch_up;
mod copies;
mod expiry;
mod handover;
mod in_sync;
mod merges;
mod once;
mod promotion;
mod reads;
mod soup;
mod tags;
mod undead;
mod watch;
mod writes;
