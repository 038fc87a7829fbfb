//! Who is dead (`PROTOCOL.md` 13): every host watches every other, the group's leader judges.
//!
//! ```text
//!   beacons heard, closed sockets,             beacons and probes to send,
//!   answers of probes, ticks        -> Watch ->  accusations            (one on every host)
//!
//!   accusations of all hosts        -> Jury  ->  verdicts               (one at the leader)
//! ```
//!
//! There are two ways to be accused. *Silence*: the host answered nobody for longer than is ordinary for it. *A
//! closed socket*: the idle TCP connection that every pair of hosts keeps as a sentinel broke, and a probe finds
//! that a new one is refused and that nobody answers. A killed process shows in milliseconds that way, while a
//! broken connection alone proves nothing: its host may have closed it, or a middlebox.
//!
//! Before it accuses for silence, an observer asks others whether they reach the silent one, and doubts itself:
//!
//! ```text
//!   steadiness of a host's answers (gaps)        --+--> how much silence is suspicious:
//!   lateness of this host's own timers (health)  --+    from suspect_after to suspect_max
//!
//!   silence, not quite suspicious -> ask three others -> one reaches it: the link is broken, nobody is dead
//!                                                     -> none does: accused once it is suspicious
//! ```
//!
//! Only an answer is a sign of life: what merely comes in shows one direction of a link.
//!
//! An accusation holds until its host is heard again, and is repeated while it holds, because the leader that
//! took it may be gone. Two observers must agree, or one if there is no second. A verdict is a proposal,
//! no more: a host is dead when the group has committed it, and a wrong verdict costs a moment of
//! availability, never an acknowledged write (`PROTOCOL.md` 5).
//!
//! A host whose own timers run late was asleep itself: it accuses nobody for what it did not hear meanwhile.
//! Whoever dies again and again waits longer each time before it is admitted ([`Flapping`]).

mod config;
mod flapping;
mod gaps;
mod health;
mod jury;
mod observer;
mod peer;

pub use config::Config;
pub use flapping::Flapping;
pub use jury::Jury;
pub use observer::{Input, Output, Watch};
