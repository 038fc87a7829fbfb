//! What is wrong when the sides of a split have met.
//!
//! | Finding | Ended | Kept | Paired | Counters |
//! |---|---|---|---|---|
//! | lost | - | gone, though it was touched in time on one side | a side's acknowledged change is not there | fewer than were acknowledged |
//! | phantom | - | - | a change that was surely not done, or nobody's | a number that no increments make |
//! | doubled | - | - | - | more than were tried |
//! | stale | - | - | not found, though it is there | - |
//! | resurrected | there, though one side ended it | - | - | - |

use super::book::{COUNTS_MAX, Counter, Ended, Kept, Paired, Record, step};
use crate::book::Fate;
use crate::judge::{Findings, judge as judge_books};

/// Judges one row.
#[must_use]
pub fn judge(record: &Record) -> Findings {
    let mut findings = judge_books(&record.books);
    record.ended.iter().for_each(|(name, ended)| judge_ended(&mut findings, name, ended));
    record.kept.iter().for_each(|(name, kept)| judge_kept(&mut findings, name, kept));
    record.paired.iter().for_each(|(name, paired)| judge_paired(&mut findings, name, paired));
    record.counters.iter().for_each(|(name, counter)| judge_counter(&mut findings, name, counter));
    findings
}

fn judge_ended(findings: &mut Findings, name: &str, ended: &Ended) {
    findings.acked += ended.used + u64::from(ended.end == Some(Fate::Done));
    match ended.last {
        None => findings.unread(name),
        Some(true) if ended.end == Some(Fate::Done) => {
            findings.resurrected += 1;
            let by =
                ended.ended_by.as_ref().map(|(host, after)| format!("by {host} {} ms after the cut", after / 1000));
            let by = by.unwrap_or_default();
            findings.tell(format!("resurrected: {name} was ended {by}, and used {} times on another side", ended.used));
        }
        Some(false) if !ended.is_short && matches!(ended.end, None | Some(Fate::NotDone)) => {
            findings.lost(1, format!("{name} is gone, and nobody ended it"));
        }
        Some(_) => {}
    }
}

fn judge_kept(findings: &mut Findings, name: &str, kept: &Kept) {
    findings.acked += kept.touches.len() as u64;
    match kept.last {
        None => findings.unread(name),
        Some((_, false)) if kept.must_live() => {
            let touches = kept.touches.len();
            findings.lost(1, format!("{name} has expired, though one side touched it {touches} times, all in time"));
        }
        Some(_) => {}
    }
}

fn judge_paired(findings: &mut Findings, name: &str, paired: &Paired) {
    findings.acked += paired.changes.values().filter(|fate| **fate == Fate::Done).count() as u64;
    if paired.vanished > 0 {
        findings.stale += paired.vanished;
        findings.tell(format!("stale: {name} is there, and was not found {} times", paired.vanished));
    }
    let Some(seen) = &paired.last else { return findings.unread(name) };
    for (side, fate) in &paired.changes {
        match fate {
            Fate::Done if !seen.sides.contains(side) => {
                findings.lost(1, format!("{name}: what side {side} changed is not there"));
            }
            Fate::NotDone if seen.sides.contains(side) => {
                findings.phantom(format!("{name}: the change of side {side} was surely not done, and is there"));
            }
            Fate::Done | Fate::NotDone | Fate::Unknown => {}
        }
    }
    let wrote = |side: &usize| matches!(paired.changes.get(side), Some(Fate::Done | Fate::Unknown));
    if seen.is_foreign || seen.sides.iter().chain(&seen.common).any(|side| !paired.changes.contains_key(side)) {
        findings.phantom(format!("{name}: nobody wrote what is there: {seen:?}"));
    } else if seen.common.is_some_and(|side| !wrote(&side)) {
        findings.phantom(format!("{name}: the value that all changed is of a change that was surely not done"));
    } else if seen.common.is_none() && paired.changes.values().any(|fate| *fate == Fate::Done) {
        findings.lost(1, format!("{name}: the value that all changed is that of the beginning"));
    }
}

fn judge_counter(findings: &mut Findings, name: &str, counter: &Counter) {
    findings.acked += counter.sides.values().map(|counts| counts.acked).sum::<u64>();
    let Some(last) = counter.last else { return findings.unread(name) };
    let all = counter.sides.keys().next_back().map_or(0, |last| last + 1);
    if last / step(all) > 0 {
        return findings.phantom(format!("{name}: no increments make {last}"));
    }
    for side in 0..all {
        let there = last / step(side) % COUNTS_MAX;
        let counts = counter.sides.get(&side).copied().unwrap_or_default();
        if there < counts.acked {
            let lost = counts.acked - there;
            findings.lost(lost, format!("{name}: side {side} counted to {}, {there} is there", counts.acked));
        }
        let doubled = there.saturating_sub(counts.acked + counts.unknown);
        if doubled > 0 {
            findings.doubled += doubled;
            findings.tell(format!("doubled: {name}: side {side} tried {counts:?}, {there} is there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::{Counts, PairSeen};
    use super::*;

    fn ended(end: Option<Fate>, last: bool) -> Record {
        let ended = Ended { end, used: 2, last: Some(last), ..Ended::default() };
        Record { ended: [("e".to_owned(), ended)].into(), ..Record::default() }
    }

    fn kept(touches: &[(u64, u64)], last: (u64, bool)) -> Record {
        let kept = Kept { ttl: 100, touches: touches.to_vec(), has_expired: true, last: Some(last) };
        Record { kept: [("k".to_owned(), kept)].into(), ..Record::default() }
    }

    fn paired(changes: &[(usize, Fate)], sides: &[usize], common: Option<usize>) -> Record {
        let last = Some(PairSeen { sides: sides.iter().copied().collect(), common, is_foreign: false });
        let paired = Paired { changes: changes.iter().copied().collect(), vanished: 0, last };
        Record { paired: [("p".to_owned(), paired)].into(), ..Record::default() }
    }

    fn counter(sides: &[(u64, u64)], last: u64) -> Record {
        let counts = |(acked, unknown): &(u64, u64)| Counts { acked: *acked, unknown: *unknown };
        let sides = sides.iter().map(counts).enumerate().collect();
        Record { counters: [("c".to_owned(), Counter { sides, last: Some(last) })].into(), ..Record::default() }
    }

    fn found(record: &Record) -> [u64; 5] {
        let findings = judge(record);
        [findings.lost, findings.phantom, findings.doubled, findings.stale, findings.resurrected]
    }

    #[test]
    fn a_logout_that_came_back_is_resurrected() {
        assert_eq!(found(&ended(Some(Fate::Done), true)), [0, 0, 0, 0, 1]);
        assert_eq!(found(&ended(Some(Fate::Done), false)), [0; 5]);
        assert_eq!(found(&ended(Some(Fate::Unknown), true)), [0; 5]);
    }

    #[test]
    fn a_session_that_nobody_ended_and_is_gone_is_lost() {
        assert_eq!(found(&ended(None, false)), [1, 0, 0, 0, 0]);
        assert_eq!(found(&ended(Some(Fate::NotDone), false)), [1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_session_that_was_touched_in_time_may_not_expire() {
        assert_eq!(found(&kept(&[(0, 5), (90, 95), (150, 160)], (200, false))), [1, 0, 0, 0, 0]);
        assert_eq!(found(&kept(&[(0, 5), (90, 95), (150, 160)], (200, true))), [0; 5]);
        // One touch came too late for the one before, or the read for the last one.
        assert_eq!(found(&kept(&[(0, 5), (90, 101), (150, 160)], (200, false))), [0; 5]);
        assert_eq!(found(&kept(&[(0, 5), (90, 95), (150, 160)], (250, false))), [0; 5]);
    }

    #[test]
    fn a_side_whose_change_is_not_there_has_lost_it() {
        let both = [(0, Fate::Done), (1, Fate::Done)];
        assert_eq!(found(&paired(&both, &[0, 1], Some(1))), [0; 5]);
        assert_eq!(found(&paired(&both, &[0], Some(0))), [1, 0, 0, 0, 0]);
        assert_eq!(found(&paired(&both, &[0, 1], None)), [1, 0, 0, 0, 0]);
        assert_eq!(found(&paired(&[(0, Fate::Done), (1, Fate::Unknown)], &[0], Some(0))), [0; 5]);
    }

    #[test]
    fn what_was_not_done_or_is_nobodys_is_a_phantom() {
        assert_eq!(found(&paired(&[(0, Fate::Done), (1, Fate::NotDone)], &[0, 1], Some(0))), [0, 1, 0, 0, 0]);
        assert_eq!(found(&paired(&[(0, Fate::Done), (1, Fate::NotDone)], &[0], Some(1))), [0, 1, 0, 0, 0]);
        assert_eq!(found(&paired(&[(0, Fate::Done)], &[0, 2], Some(0))), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn a_counter_tells_of_each_side_what_is_lost_and_doubled() {
        assert_eq!(found(&counter(&[(7, 0), (9, 1)], 7 + 9 * COUNTS_MAX)), [0; 5]);
        assert_eq!(found(&counter(&[(7, 0), (9, 1)], 7 + 10 * COUNTS_MAX)), [0; 5]);
        assert_eq!(found(&counter(&[(7, 0), (9, 1)], 5 + 11 * COUNTS_MAX)), [2, 0, 1, 0, 0]);
        assert_eq!(found(&counter(&[(7, 0), (9, 1)], step(2))), [0, 1, 0, 0, 0]);
    }

    #[test]
    fn what_could_not_be_read_is_not_clean() {
        let ended = [("e".to_owned(), Ended::default())].into();
        let findings = judge(&Record { ended, ..Record::default() });
        assert_eq!(findings.unread, 1);
        assert!(!findings.is_clean());
    }
}
