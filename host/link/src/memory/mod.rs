//! The in-memory twin: the same connections over a network that does what a test tells it.
//!
//! A [`MemoryNet`] is one network. Transports bound in it reach each other; what happens on the way is told by the
//! names of their hosts, for each direction by itself: delay, loss, cuts, the death of a host. All on tokio's clock,
//! so that with `start_paused` minutes pass in no time, and all chance from one seed.
//!
//! ```text
//!  End a -- open, write, close -->  Wire a->b (packets with their time of arrival)  -- pump --> End b
//!        <-- pump --  Wire b->a  <-- open, write, close --
//! ```
//!
//! How it is like QUIC: streams are reliable and in order, each with a window; loss shows as delay; datagrams are
//! lost; closing throws away what is on its way; a side that hears nothing for the idle timeout gives up without a
//! word; a stream that waits in a cut goes on when the cut is mended in time. How it is not: no windows of whole
//! connections, no bandwidth, keep-alives are assumed and not sent, streams do not overtake each other, and tokio's
//! timers round delays up to a millisecond.
//!
//! Beside transports a network has [sentinels](MemoryNet::sentinels), told the same faults by the same names.

mod connection;
mod end;
mod faults;
mod net;
mod pipe;
mod rng;
mod sentinel;
mod transport;
mod wire;

pub(crate) use connection::MemoryConnection;
pub use net::{BindError, MemoryNet};
pub(crate) use pipe::{PipeReader, PipeWriter};
pub use sentinel::MemorySentinels;
pub(crate) use sentinel::{MemorySentinel, SentinelPort};
pub use transport::MemoryTransport;
