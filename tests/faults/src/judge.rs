//! What is wrong with what clients were told.
//!
//! | Finding | Contended sessions | Own sessions | Tallies |
//! |---|---|---|---|
//! | lost | no order explains what is there at the end | the end is before the last acknowledged write | an acknowledged change has left no mark; the number is below what the marks add |
//! | phantom | a value that nobody wrote, or whose write was surely not done | the same | the same of marks |
//! | doubled | - | - | the number is above what the marks add |
//! | stale | no order explains what was read with `confirm` | a read misses the reader's own write | - |

use colony_history::{Action, Checker, History, Operation, Outcome, Verdict};

use crate::book::{Book, Contended, Fate, Own, OwnRead, Tally, TallySeen, weight};

/// Findings that are told in words.
const TOLD_MAX: usize = 12;

/// What is wrong, in numbers and in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Changes that were acknowledged.
    pub acked: u64,
    /// Of those, how many are not there.
    pub lost: u64,
    /// What is there and nobody wrote.
    pub phantom: u64,
    /// Changes that took effect more than once.
    pub doubled: u64,
    /// Reads that missed what was acknowledged before them.
    pub stale: u64,
    /// Sessions that were ended on one side of a split and are there when the sides have met.
    pub resurrected: u64,
    /// Sessions whose histories nobody could decide about.
    pub undecided: u64,
    /// Sessions that could not be read back.
    pub unread: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong, and all could be judged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost + self.phantom + self.doubled + self.stale + self.resurrected + self.undecided + self.unread == 0
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.lost += other.lost;
        self.phantom += other.phantom;
        self.doubled += other.doubled;
        self.stale += other.stale;
        self.resurrected += other.resurrected;
        self.undecided += other.undecided;
        self.unread += other.unread;
        for told in &other.told {
            self.tell(told.clone());
        }
    }

    pub(crate) fn tell(&mut self, what: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    pub(crate) fn lost(&mut self, count: u64, what: String) {
        self.lost += count;
        self.tell(format!("lost: {what}"));
    }

    pub(crate) fn phantom(&mut self, what: String) {
        self.phantom += 1;
        self.tell(format!("phantom: {what}"));
    }

    pub(crate) fn stale(&mut self, what: String) {
        self.stale += 1;
        self.tell(format!("stale: {what}"));
    }

    pub(crate) fn unread(&mut self, name: &str) {
        self.unread += 1;
        self.tell(format!("not read back: {name}"));
    }
}

/// Judges one row.
#[must_use]
pub fn judge(books: &[Book]) -> Findings {
    let mut findings = Findings::default();
    for book in books {
        for (name, own) in &book.own {
            judge_own(&mut findings, name, own);
        }
        for (name, tally) in &book.tallies {
            judge_tally(&mut findings, name, tally);
        }
    }
    judge_contended(&mut findings, books);
    findings
}

fn judge_own(findings: &mut Findings, name: &str, own: &Own) {
    findings.acked += own.acks();
    let is_known = |found: u64| (1..=own.tried).contains(&found) && !own.refused.contains(&found);
    for OwnRead { least, found } in &own.reads {
        match *found {
            Some(found) if !is_known(found) => findings.phantom(format!("{name} held {found}: {own:?}")),
            found if found.unwrap_or(0) < *least => {
                findings.stale(format!("{name}: {least} was acknowledged, then {found:?} was read"));
            }
            _ => {}
        }
    }
    match own.last {
        None => findings.unread(name),
        Some(OwnRead { found: Some(found), .. }) if !is_known(found) => {
            findings.phantom(format!("{name} holds {found}: {own:?}"));
        }
        Some(OwnRead { found, .. }) => {
            let found = found.unwrap_or(0);
            if found < own.acked {
                let refused = own.refused.range(found + 1..=own.acked).count() as u64;
                findings
                    .lost(own.acked - found - refused, format!("{name}: {} acknowledged, {found} is there", own.acked));
            }
        }
    }
}

fn judge_tally(findings: &mut Findings, name: &str, tally: &Tally) {
    findings.acked += tally.acked();
    if tally.vanished > 0 {
        findings.stale += tally.vanished;
        findings.tell(format!("stale: {name} was begun, then not found {} times", tally.vanished));
    }
    let Some(TallySeen { count, marks }) = &tally.last else {
        return findings.unread(name);
    };
    for (mark, _) in tally.marks.iter().filter(|(mark, fate)| **fate == Fate::Done && !marks.contains(*mark)) {
        findings.lost(1, format!("{name}: the acknowledged change {mark} has left no mark"));
    }
    for mark in marks {
        match tally.marks.get(mark) {
            None => findings.phantom(format!("{name}: nobody made the mark {mark}")),
            Some(Fate::NotDone) => findings.phantom(format!("{name}: {mark} was surely not done, and is there")),
            Some(Fate::Done | Fate::Unknown) => {}
        }
    }
    let sum: u64 = marks.iter().copied().map(weight).sum();
    let doubled = count.saturating_sub(sum).count_ones();
    if doubled > 0 {
        findings.doubled += u64::from(doubled);
        findings.tell(format!("doubled: {name} counts {count:b}, its marks make {sum:b}"));
    }
    let overwritten = sum.saturating_sub(*count).count_ones();
    if overwritten > 0 {
        findings.lost(u64::from(overwritten), format!("{name} counts {count:b}, its marks make {sum:b}"));
    }
}

fn judge_contended(findings: &mut Findings, books: &[Book]) {
    let sessions: Vec<(&String, &Contended)> = books.iter().flat_map(|book| &book.contended).collect();
    let (mut whole, mut under_load) = (History::new(), History::new());
    for (name, session) in sessions {
        findings.acked += session.acked();
        for operation in &session.operations {
            if is_credible(findings, name, session, operation) {
                push(&mut whole, name, *operation);
                push(&mut under_load, name, *operation);
            }
        }
        match &session.last {
            None => findings.unread(name),
            Some(last) if is_credible(findings, name, session, last) => push(&mut whole, name, *last),
            Some(_) => {}
        }
    }
    match Checker::default().check(&whole) {
        Verdict::Linearizable => {}
        Verdict::Undecided(names) => {
            findings.undecided += names.len() as u64;
            findings.tell(format!("undecided: {}", names.join(" ")));
        }
        Verdict::Violated(violations) => {
            // What no order explains even without the last read was stale; else the last read misses something.
            let stale = match Checker::default().check(&under_load) {
                Verdict::Violated(violations) => violations.into_iter().map(|one| one.session).collect(),
                Verdict::Linearizable | Verdict::Undecided(_) => Vec::new(),
            };
            for violation in violations {
                if stale.contains(&violation.session) {
                    findings.stale(violation.to_string());
                } else {
                    findings.lost(1, violation.to_string());
                }
            }
        }
    }
}

/// Whether what a read found was written by somebody; if not, that is found here and the rest is judged without it.
fn is_credible(findings: &mut Findings, name: &str, session: &Contended, operation: &Operation) -> bool {
    let Outcome::Found(value) = operation.outcome else { return true };
    match session.fate_of(value) {
        Some(Fate::Done | Fate::Unknown) => true,
        Some(Fate::NotDone) => {
            findings.phantom(format!("{name}: the write of {value} was surely not done, and was read"));
            false
        }
        None => {
            findings.phantom(format!("{name}: nobody wrote {value}, and it was read"));
            false
        }
    }
}

/// # Panics
/// If the load recorded what no history can hold: that is a mistake of the load.
fn push(history: &mut History, name: &str, operation: Operation) {
    let is_read_in_vain = operation.action == Action::Read && operation.outcome == Outcome::NotDone;
    if !is_read_in_vain {
        history.push(name, operation).unwrap_or_else(|fault| panic!("{name}: {fault}: {operation}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use colony_history::Value;

    use super::*;

    fn operation(invoked: u64, returned: u64, action: Action, outcome: Outcome) -> Operation {
        let returned = (outcome != Outcome::Unknown).then_some(returned);
        Operation { client: 0, invoked, returned, action, outcome }
    }

    fn put(at: u64, value: u64, outcome: Outcome) -> Operation {
        operation(at, at + 5, Action::Put(Value(value)), outcome)
    }

    fn read(at: u64, value: u64) -> Operation {
        operation(at, at + 5, Action::Read, Outcome::Found(Value(value)))
    }

    /// A history that is true: two writes, one of unknown fate, reads of both.
    fn contended() -> Contended {
        let operations = vec![
            put(0, 1, Outcome::Done),
            read(10, 1),
            put(20, 2, Outcome::Done),
            put(22, 3, Outcome::Unknown),
            read(40, 2),
        ];
        Contended { operations, last: Some(read(100, 3)) }
    }

    fn own() -> Own {
        let reads = vec![OwnRead { least: 0, found: None }, OwnRead { least: 3, found: Some(3) }];
        let last = Some(OwnRead { least: 4, found: Some(5) });
        Own { tried: 5, acked: 4, refused: BTreeSet::from([2]), reads, last }
    }

    fn tally() -> Tally {
        let marks = [(1, Fate::Done), (2, Fate::Unknown), (3, Fate::Unknown), (4, Fate::NotDone)].into();
        Tally { marks, vanished: 0, last: Some(seen(0b11, &[1, 2])) }
    }

    fn seen(count: u64, marks: &[u32]) -> TallySeen {
        TallySeen { count, marks: marks.iter().copied().collect() }
    }

    fn judged(contended: Contended, own: Own, tally: Tally) -> Findings {
        let name = || "session".to_owned();
        let (contended, own, tallies) =
            ([(name(), contended)].into(), [(name(), own)].into(), [(name(), tally)].into());
        judge(&[Book { contended, own, tallies, ..Book::default() }])
    }

    fn found(findings: &Findings) -> [u64; 4] {
        [findings.lost, findings.phantom, findings.doubled, findings.stale]
    }

    #[test]
    fn a_true_history_is_clean_and_counted() {
        let findings = judged(contended(), own(), tally());
        assert!(findings.is_clean(), "{findings:?}");
        assert_eq!(findings.acked, 2 + 3 + 1);
    }

    #[test]
    fn a_lost_write_of_a_contended_session_is_found() {
        let lie = Contended { last: Some(read(100, 1)), ..contended() };
        assert_eq!(found(&judged(lie, own(), tally())), [1, 0, 0, 0]);
    }

    #[test]
    fn a_stale_confirm_read_is_found() {
        let mut lie = contended();
        lie.operations.push(read(60, 1));
        assert_eq!(found(&judged(lie, own(), tally())), [0, 0, 0, 1]);
    }

    #[test]
    fn a_value_that_nobody_wrote_is_a_phantom() {
        let mut lie = contended();
        lie.operations.push(read(60, 77));
        assert_eq!(found(&judged(lie, own(), tally())), [0, 1, 0, 0]);
    }

    #[test]
    fn a_write_that_was_surely_not_done_and_is_read_is_a_phantom() {
        let mut lie = contended();
        lie.operations.push(put(50, 9, Outcome::NotDone));
        lie.operations.push(read(60, 9));
        assert_eq!(found(&judged(lie, own(), tally())), [0, 1, 0, 0]);
    }

    #[test]
    fn a_lost_write_of_an_own_session_is_found() {
        // 3 and 4 are lost; 2 never was.
        let lie = Own { last: Some(OwnRead { least: 4, found: Some(1) }), ..own() };
        assert_eq!(found(&judged(contended(), lie, tally())), [2, 0, 0, 0]);
    }

    #[test]
    fn a_token_read_that_misses_its_own_write_is_stale() {
        let mut lie = own();
        lie.reads.push(OwnRead { least: 4, found: Some(3) });
        lie.reads.push(OwnRead { least: 4, found: None });
        assert_eq!(found(&judged(contended(), lie, tally())), [0, 0, 0, 2]);
    }

    #[test]
    fn a_refused_number_is_a_phantom_when_it_is_read() {
        let mut lie = own();
        lie.reads.push(OwnRead { least: 1, found: Some(2) });
        lie.last = Some(OwnRead { least: 4, found: Some(6) });
        assert_eq!(found(&judged(contended(), lie, tally())), [0, 2, 0, 0]);
    }

    #[test]
    fn a_lost_change_of_a_tally_is_found() {
        let lie = Tally { last: Some(seen(0b10, &[2])), ..tally() };
        assert_eq!(found(&judged(contended(), own(), lie)), [1, 0, 0, 0]);
    }

    #[test]
    fn a_count_that_was_overwritten_is_lost() {
        let lie = Tally { last: Some(seen(0b10, &[1, 2])), ..tally() };
        assert_eq!(found(&judged(contended(), own(), lie)), [1, 0, 0, 0]);
    }

    #[test]
    fn an_increment_that_was_done_twice_is_doubled() {
        let lie = Tally { last: Some(seen(0b100, &[1, 2])), ..tally() };
        assert_eq!(found(&judged(contended(), own(), lie)), [0, 0, 1, 0]);
    }

    #[test]
    fn a_mark_of_nobody_and_one_surely_not_made_are_phantoms() {
        let lie = Tally { last: Some(seen(0b1011, &[1, 2, 4, 77])), ..tally() };
        assert_eq!(found(&judged(contended(), own(), lie)), [0, 2, 0, 0]);
    }

    #[test]
    fn what_could_not_be_read_back_is_not_clean() {
        let unread = Contended { last: None, ..contended() };
        let findings = judged(unread, Own { last: None, ..own() }, Tally { last: None, ..tally() });
        assert_eq!(findings.unread, 3);
        assert!(!findings.is_clean());
    }
}
