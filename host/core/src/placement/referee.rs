//! The referee: what a placement answers is checked before it is believed.

use super::{Score, Silent};

/// Weights beyond this, either way, are clamped to it.
const MAX_WEIGHT: i32 = 1000;
/// A veto's reason is shown to people; a plugin must not fill their screens.
const MAX_VETO_BYTES: usize = 200;

/// One usable score for each of `hosts` hosts, and what was wrong with the answer, if something was.
///
/// Without an answer, or with one of the wrong length, nobody can tell which score is whose: every host then
/// scores alike, and the complaint says why.
#[must_use]
pub fn judge(answer: Result<Vec<Score>, Silent>, hosts: usize) -> (Vec<Score>, Option<String>) {
    let even = || vec![Score::Weight(0); hosts];
    match answer {
        Err(silent) => (even(), Some(capped(silent.to_string()))),
        Ok(scores) if scores.len() != hosts => {
            let complaint = format!("placement gave {} scores for {hosts} hosts", scores.len());
            (even(), Some(complaint))
        }
        Ok(scores) => (scores.into_iter().map(usable).collect(), None),
    }
}

fn usable(score: Score) -> Score {
    match score {
        Score::Weight(weight) => Score::Weight(weight.clamp(-MAX_WEIGHT, MAX_WEIGHT)),
        Score::Veto(why) => Score::Veto(capped(why)),
    }
}

/// Cuts at a character that ends within the limit.
fn capped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_VETO_BYTES));
    text
}
