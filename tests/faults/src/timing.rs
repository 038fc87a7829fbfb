//! How long clients waited.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::book::{Book, Micros};

/// A fault, as far as times depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struck {
    /// When.
    pub at: Micros,
    /// The hosts that were hit.
    pub hosts: BTreeSet<String>,
    /// The colonies whose primary was on one of them.
    pub buckets: BTreeSet<u32>,
}

/// The longest time in which a colony acknowledged no write while it was written, over all colonies.
#[must_use]
pub fn longest_stall(books: &[Book], begun: Micros, ended: Micros) -> Duration {
    let stalls = books.iter().map(|book| {
        let mut times: Vec<Micros> =
            book.acks.iter().map(|ack| ack.at).filter(|at| (begun..ended).contains(at)).collect();
        times.push(ended);
        times.sort_unstable();
        let mut before = begun;
        let gaps = times.into_iter().map(|at| at - std::mem::replace(&mut before, at));
        gaps.max().unwrap_or_default()
    });
    Duration::from_micros(stalls.max().unwrap_or_default())
}

/// For each colony that was hit, the time from the fault to the first acknowledged write that can only be of after it:
/// called after it, or answered by a host that was not hit.
#[must_use]
pub fn first_acks(books: &[Book], struck: &Struck) -> Vec<Duration> {
    let hit = books.iter().zip(0..).filter(|(_, bucket)| struck.buckets.contains(bucket));
    let first = |book: &Book| {
        let after = book.acks.iter().filter(|ack| ack.at > struck.at);
        let after = after.filter(|ack| ack.invoked >= struck.at || !struck.hosts.contains(&ack.served_by));
        after.map(|ack| ack.at - struck.at).min()
    };
    hit.filter_map(|(book, _)| first(book)).map(Duration::from_micros).collect()
}

/// For each colony that was hit, how long its slowest acknowledged write took of those under way from the fault until
/// then.
#[must_use]
pub fn slowest_writes(books: &[Book], struck: &Struck, until: Micros) -> Vec<Duration> {
    let hit = books.iter().zip(0..).filter(|(_, bucket)| struck.buckets.contains(bucket));
    let slowest = |book: &Book| {
        let meanwhile = book.acks.iter().filter(|ack| ack.at > struck.at && ack.invoked < until);
        meanwhile.map(|ack| ack.at - ack.invoked).max()
    };
    hit.filter_map(|(book, _)| slowest(book)).map(Duration::from_micros).collect()
}

/// The smallest of these that `per_cent` of them do not exceed.
#[must_use]
pub fn percentile(times: &[Duration], per_cent: usize) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * per_cent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Ack;

    fn book(acks: &[(Micros, Micros, &str)]) -> Book {
        let ack = |&(invoked, at, host): &(Micros, Micros, &str)| Ack { invoked, at, served_by: host.to_owned() };
        Book { acks: acks.iter().map(ack).collect(), ..Book::default() }
    }

    #[test]
    fn the_longest_stall_is_over_all_colonies_and_up_to_both_ends() {
        let steady = book(&[(0, 10, "a"), (10, 20, "a"), (20, 30, "a")]);
        assert_eq!(longest_stall(std::slice::from_ref(&steady), 0, 40), Duration::from_micros(10));
        assert_eq!(longest_stall(&[steady.clone(), book(&[(0, 25, "a")])], 0, 40), Duration::from_micros(25));
        assert_eq!(longest_stall(&[steady, book(&[])], 0, 40), Duration::from_micros(40));
    }

    #[test]
    fn an_answer_of_the_dead_host_that_was_under_way_is_not_the_first_of_after() {
        let struck = Struck { at: 100, hosts: ["a".to_owned()].into(), buckets: [0, 1].into() };
        let one = book(&[(90, 101, "a"), (95, 180, "b"), (110, 190, "b")]);
        let other = book(&[(90, 101, "a"), (105, 160, "a")]);
        let third = book(&[(90, 101, "c")]);
        let micros = Duration::from_micros;
        assert_eq!(first_acks(&[one, other, third], &struck), [micros(80), micros(60)]);
    }

    #[test]
    fn the_slowest_write_of_a_handover_is_of_its_time() {
        let struck = Struck { at: 100, hosts: ["a".to_owned()].into(), buckets: [0, 1].into() };
        let one = book(&[(10, 99, "a"), (90, 110, "a"), (115, 150, "b"), (201, 300, "b")]);
        let other = book(&[(10, 50, "a")]);
        let third = book(&[(110, 190, "c")]);
        assert_eq!(slowest_writes(&[one, other, third], &struck, 200), [Duration::from_micros(35)]);
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 50), None);
    }
}
