//! Watches and juries of a whole cluster on virtual time: who is declared dead, by whom, how soon, and who is not
//! (`PROTOCOL.md` 13).

mod flapping;
mod graphs;
mod heals;
mod pauses;
mod world;
