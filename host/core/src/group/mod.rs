//! What the hosts of one lineage agree on: members, namespaces and, per colony, who is primary and who is
//! in sync (`PROTOCOL.md` 1, 5, 7).
//!
//! [`State::apply`] is the whole of it: a committed [`Command`] goes in, an [`Outcome`] comes out, and every
//! host that applies the same commands holds the same state. Commands carry decisions, not questions: what
//! placement and plugins had to say was asked by the leader before it proposed.
//!
//! Every change of a colony's [`Entry`] is compare-and-set on its `cfg`, so a command that was decided on an
//! older entry changes nothing, and one that is applied twice is refused the second time.

mod absorb;
mod canary;
mod command;
mod copies;
mod entry;
mod fate;
mod island;
mod leave;
mod member;
mod plugins;
mod state;

pub use absorb::{Absorbed, Adoption};
pub use canary::Canary;
pub use command::{CodecError, Command, Deviation, MAX_DROPPED, Move, Outcome, Refusal};
pub use entry::{Entry, Unaccounted};
pub use island::{Parent, Settler};
pub use leave::Holding;
pub use member::{Member, MemberState};
pub use plugins::{Plugin, PluginVersion};
pub use state::{Namespace, State};
