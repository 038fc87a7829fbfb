//! Breaks the law `deterministic` of placements: every host in turn is the best one.

use std::sync::atomic::{AtomicI32, Ordering};

use colony_guest::placement::{Candidate, Placement, Request, Score};

struct Moods;

impl Placement for Moods {
    fn score(&self, _: &Request, _: &Candidate) -> Score {
        static ASKED: AtomicI32 = AtomicI32::new(0);
        Score::Points(ASKED.fetch_add(1, Ordering::Relaxed) % 3)
    }
}

colony_guest::export_placement!(Moods);
