//! Who is dead (`PROTOCOL.md` 13): every host watches every other, the group's leader judges.
//!
//! ```text
//!   beacons heard, closed sockets,             beacons and probes to send,
//!   answers of probes, ticks        -> Watch ->  accusations            (one on every host)
//!
//!   accusations of all hosts        -> Jury  ->  verdicts               (one at the leader)
//! ```
//!
//! There are two ways to be accused. *Silence*: nothing was heard of a host for `suspect_after`. *A closed
//! socket*: the idle TCP connection that every pair of hosts keeps as a sentinel broke, and a probe finds that
//! a new one is refused and that nobody answers. A killed process shows in milliseconds that way, while a
//! broken connection alone proves nothing: its host may have closed it, or a middlebox.
//!
//! An accusation holds until its host is heard again, and is repeated while it holds, because the leader that
//! took it may be gone. Two observers must agree, or one if there is no second. A verdict is a proposal,
//! no more: a host is dead when the group has committed it, and a wrong verdict costs a moment of
//! availability, never an acknowledged write (`PROTOCOL.md` 5).
//!
//! A host whose own timers run late was asleep itself: it accuses nobody for what it did not hear meanwhile.

mod config;
mod jury;
mod observer;

pub use config::Config;
pub use jury::Jury;
pub use observer::{Input, Output, Watch};
