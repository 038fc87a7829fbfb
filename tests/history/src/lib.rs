//! Recorded histories of session operations, and whether they are linearizable.
//!
//! A test against real hosts records what its clients asked for, when, and what they were told. This crate
//! tells afterwards whether one store that does one thing at a time could have given these answers: what
//! `PROTOCOL.md` 2 promises of strict sessions read with `confirm` (I8). It knows nothing of the product and
//! depends on nothing, so that a mistake of the product cannot be a mistake of its judge.
//!
//! ```text
//!   text.rs -> history.rs -> check.rs -> plan.rs    what must be placed, what may be, what cannot matter
//!   a file     by session     |          search.rs  an order is searched for, point by point
//!                             |          moves.rs   what the state of a session allows
//!                             `- violation.rs       how far the best order got
//!   simulate.rs  a history of a store that is right     doctor.rs  a lie told in it
//! ```
//!
//! # The model
//!
//! One session is one object: nothing, or one value. Writes have values of their own, so a read tells which write it
//! saw. Every session holds nothing when the history begins. [`Action`] has what a client may ask for, [`Outcome`]
//! what it may be told. There are three kinds of answer (`PROTOCOL.md` 0): done, surely not done, and *unknown*. An
//! unknown operation may take effect at any time after its call, long after its client gave up, or never.
//!
//! Not modelled: expiry (record sessions without a time to live), attributes (a session has one value), merges and
//! islands (their promise is another one), order between sessions (nobody promises one).
//!
//! What a recorder has to do:
//! - take the time before the call is sent and after the answer came, from one monotonic clock; equal times overlap;
//! - record every operation, those that failed too: a write that is missing here and was seen is a violation;
//! - choose a new value for every write to a session, and never the value of one that failed;
//! - record a refusal as [`Outcome::NotDone`], unless the store judged it as it judges a `confirm` read.
//!
//! # The check
//!
//! ```
//! use colony_history::{Verdict, check, text};
//!
//! let lost = "colony-history 1
//! cart-7 0 1000 1900 put 41 done
//! cart-7 0 2000 2900 put 42 done
//! cart-7 1 3000 3500 read found 41
//! ";
//! let history = text::read(lost.as_bytes())?;
//! assert!(matches!(check(&history), Verdict::Violated(_)));
//! # Ok::<(), text::ReadError>(())
//! ```
//!
//! The search is the one of Wing and Gong with the memory of Lowe, session by session. It has a bound,
//! [`VISITED_MAX`](check::VISITED_MAX); a session that would need more is [`Verdict::Undecided`], never passed.
//! How unknown operations are kept from making it exponential, and why that loses nothing, stands in `plan.rs`.
//!
//! # The program
//!
//! ```text
//! colony-history check FILE
//! colony-history doctor FILE --kind KIND --seed S OUT
//! colony-history simulate --operations N --sessions M --seed S OUT
//! ```
//!
//! `check` ends with `operations N sessions M verdict linearizable|violated|undecided` and the exit code 0, 1 or 2; 3 is
//! for everything else that ends badly. `doctor` makes a lie out of a true history, to show that `check` is able to
//! fail; `simulate` makes a true one.

pub mod check;
pub mod doctor;
pub mod history;
mod moves;
pub mod operation;
mod plan;
pub mod rng;
mod search;
pub mod simulate;
pub mod text;
pub mod violation;

pub use check::{Checker, Verdict, check};
pub use history::History;
pub use operation::{Action, Operation, Outcome, Value};
pub use violation::Violation;
