//! Islands: who opens one and with whom, what it begins with, what a cut would do.

mod beginning;
mod opening;
mod town;
mod what_if;
