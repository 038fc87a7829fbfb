//! Scores fewer hosts than it was asked about.

use colony_guest::placement::{Candidate, Placement, Request, Score};

struct Miscount;

impl Placement for Miscount {
    fn score(&self, _: &Request, _: &Candidate) -> Score {
        Score::Points(i32::MAX)
    }

    fn rank(&self, request: &Request) -> Vec<Score> {
        let others = request.candidates.iter().skip(1);
        others.map(|host| self.score(request, host)).collect()
    }
}

colony_guest::export_placement!(Miscount);
