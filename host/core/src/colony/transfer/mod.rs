//! How a state gets from the primary to a peer that is too far behind for the log (`PROTOCOL.md` 6).
//!
//! ```text
//!   primary                                    peer
//!     | -- Offer: the parts, by content ------> |   what does it hold of these already: from a transfer
//!     | <------------------- Wanted: the rest - |   that was cut off, in its own state
//!     | -- Chunk, Chunk, Chunk ---------------> |   a part is kept once its bytes have the offered hash
//!     | <------------------------ ChunkTaken -- |
//!     |                                         |   all parts: exactly the offered state is installed
//! ```
//!
//! ```text
//!   give.rs   a state on its way out       throttle.rs  how many at a time, how many bytes a second
//!   take.rs   a state on its way in        ../snapshot.rs, ../ranges.rs  a state as parts
//! ```

mod give;
mod take;
mod throttle;

pub(super) use give::Transfer;
pub(super) use take::{Assembly, Held, Taken};
pub(super) use throttle::Throttle;
