//! Ranks hosts otherwise with every call.

use std::sync::atomic::{AtomicUsize, Ordering};

use colony_guest::placement::{Candidate, Placement, Request, Score};

struct Flapping;

impl Placement for Flapping {
    fn score(&self, _: &Request, _: &Candidate) -> Score {
        Score::Points(0)
    }

    fn rank(&self, request: &Request) -> Vec<Score> {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let favourite = asked / 2 % request.candidates.len().max(1);
        (0..request.candidates.len()).map(|at| Score::Points(if at == favourite { 1000 } else { -1000 })).collect()
    }
}

colony_guest::export_placement!(Flapping);
