//! What crosses the network: ids, messages, frames, limits. No I/O, no async.
//!
//! A *frame* is one [`Frame`]: a 16-byte header written by hand and a postcard body. The transport below
//! delimits frames by length and does not look inside; this crate looks inside and does not know the
//! transport. Every message type names its [`Kind`] and the largest body it accepts.
//!
//! Reading order: [`id`] (the words), [`session`], [`tag`] and [`op`] (what is replicated), [`peer`] (copies of one
//! colony talk), [`heal`] (its two sides after a split), [`client`] (applications talk), [`control`], [`island`] and
//! [`load`] (hosts talk), [`admin`] and [`plan`] (people
//! talk), [`plugin`] (what hosts and people say of plugins).

pub mod admin;
pub mod client;
pub mod control;
pub mod cut;
mod frame;
pub mod heal;
pub mod id;
pub mod island;
pub mod limits;
pub mod load;
pub mod op;
pub mod peer;
pub mod plan;
pub mod plugin;
pub mod session;
pub mod tag;
pub mod watch;

pub use frame::{DecodeError, EncodeError, Frame, HEADER_LEN, Kind, Message};
pub use id::{
    Cfg, ClientId, ClusterId, ColonyId, LineageId, NamespaceId, Position, RaftId, Reign, RequestId, Revision, Seq,
    StartId, View,
};
