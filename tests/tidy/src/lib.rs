//! The never-rules of `ARCHITECTURE.md` and the table of requirements, kept by tests.
//!
//! A rule that is only written down lasts until the first hurry. The tests in `tests/` ask cargo which crates
//! each crate reaches, and read the sources as text. This library holds the means for that; each is itself
//! tested on what it must refuse.
//!
//! Text is not understanding: that no plugin answer is believed unchecked, or that no loop lacks a limit, is
//! for reviewers. What is here can be shown without judgement.

pub mod checkout;
pub mod requirements;
pub mod source;
pub mod tree;
