//! The laws of a Colony plugin, tried on generated questions.
//!
//! For a plugin's own tests, as a dev-dependency:
//!
//! ```
//! # use colony_guest::merge::{Conflict, Merge, Resolution};
//! # struct Notes;
//! # impl Merge for Notes {
//! #     fn attribute(&self, conflict: &Conflict) -> Resolution { Resolution::Keep(conflict.later()) }
//! # }
//! colony_laws::assert_lawful(&Notes);          // panics with the smallest counter-example
//! ```
//!
//! `colony plugin check FILE` tries the same laws on the built component, under the limits of a host.
//!
//! # What is tried
//!
//! [`Law`] says what must hold. Sessions are generated from a seed: attributes and blobs, bases known and unknown,
//! numbers, text, lists, JSON and bytes that are none of them, values removed and values empty, sides that were ended,
//! times apart and equal. Each law is tried on each. What is judged is not the answer but what a host makes of it
//! ([`settle`]): "keep ours" and "these values", which are ours, are the same.
//!
//! A case that breaks a law is made smaller for as long as it still does: fewer attributes, shorter values, no times.
//!
//! A plugin that passes was not proved right: a few hundred cases found nothing. What your sessions really hold, put
//! into samples ([`Case`], or `colony plugin check --samples`).

mod case;
mod effort;
mod generate;
mod law;
pub mod merge;
pub mod placement;
mod report;
mod rng;
mod settle;
mod show;
mod shrink;
mod subject;
mod trial;
mod value;

use colony_guest::merge::Merge;
use colony_guest::placement::Placement;

pub use case::Case;
pub use effort::Effort;
pub use law::Law;
pub use report::{Asked, Counterexample, LawReport, Question, Report, Verdict};
pub use settle::{MAX_ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_SESSION, Settled, settle};
pub use subject::{Reply, Subject};
pub use trial::SLACK_BYTES;

/// Tries the laws of a merge on a plugin as plain Rust, with the default effort.
pub fn check<M: Merge + ?Sized>(plugin: &M) -> Report {
    check_with(plugin, &Effort::DEFAULT, &[])
}

/// Tries the laws of a merge on a plugin as plain Rust, on generated cases and on these.
pub fn check_with<M: Merge + ?Sized>(plugin: &M, effort: &Effort, samples: &[Case]) -> Report {
    merge::check(&mut subject::Native(plugin), &mut subject::Native(plugin), effort, samples)
}

/// Tries the laws of a placement on a plugin as plain Rust, with the default effort.
pub fn check_placement<P: Placement + ?Sized>(plugin: &P) -> Report {
    placement::check(&mut placement::Native(plugin), &mut placement::Native(plugin), &Effort::DEFAULT)
}

/// The generated cases of an effort, for tests that compare two ways to answer them.
pub fn cases(effort: &Effort) -> impl Iterator<Item = Case> {
    let seed = effort.seed;
    (0..effort.cases).map(move |number| generate::case(seed, number))
}

/// The laws of a merge hold for this plugin, as far as [`check`] sees.
///
/// # Panics
/// With the report, if one does not.
#[track_caller]
pub fn assert_lawful<M: Merge + ?Sized>(plugin: &M) {
    let report = check(plugin);
    assert!(report.passed(), "the plugin breaks a law\n{report}");
}

/// The laws of a placement hold for this plugin, as far as [`check_placement`] sees.
///
/// # Panics
/// With the report, if one does not.
#[track_caller]
pub fn assert_lawful_placement<P: Placement + ?Sized>(plugin: &P) {
    let report = check_placement(plugin);
    assert!(report.passed(), "the plugin breaks a law\n{report}");
}
