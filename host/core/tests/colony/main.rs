//! Stories about one colony: what happens to a write, a copy or a reign when messages are lost, doubled,
//! late or out of order, told over a few shards and a group state whose every step the test decides.

mod calls;
mod oracle;
mod world;

mod apart;
mod catch_up;
mod copies;
mod ends;
mod expiry;
mod handover;
mod heal;
mod in_sync;
mod levels;
mod merges;
mod minimum;
mod once;
mod promotion;
mod reads;
mod rules;
mod slow;
mod soup;
mod stale;
mod standing;
mod tags;
mod transfers;
mod undead;
mod watch;
mod writes;
