//! Islands: who opens one and with whom, what a cut would do.

mod opening;
mod town;
mod what_if;
