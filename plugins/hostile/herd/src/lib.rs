//! Wants everything on one host, and vetoes the others in every role.

use colony_guest::placement::{Candidate, Placement, Request, Score};

struct Herd;

impl Placement for Herd {
    fn score(&self, _: &Request, host: &Candidate) -> Score {
        if host.name == "h1" { Score::Points(i32::MAX) } else { Score::Veto("not h1".into()) }
    }
}

colony_guest::export_placement!(Herd);
