//! Whether somebody still decides for the group.

use std::time::Duration;

use colony_wire::RaftId;
use colony_wire::control::Electorate;

use crate::{Now, Time};

/// How long ago a leader of the group had a majority of the voters behind it, and who votes, as far as this host knows.
///
/// A leader knows by itself, everyone else by hearsay: each answer to a beacon says how old its sender's knowledge is.
/// Only answers count, and their age is taken from the moment the *question* was sent. So what is believed is never
/// younger than the truth, however slow the links are: else two hosts that are cut off together would tell each other
/// the same news for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    island_after: Duration,
    /// At that moment it was so old.
    newest: Option<(Time, Duration)>,
    electorate: Option<Electorate>,
}

impl Attachment {
    /// Of a host that has heard nothing yet. Beyond `island_after` what was heard counts no more
    /// ([`Config::island_after`](super::Config::island_after)).
    #[must_use]
    pub fn new(island_after: Duration) -> Self {
        Self { island_after, newest: None, electorate: None }
    }

    /// A majority stood behind a leader `age` before `asked`: when the beacon was sent whose answer says so or, at the
    /// leader itself, now.
    pub fn heard(&mut self, asked: Time, age: Duration) {
        let is_newer = |(at, known): (Time, Duration)| age + at.since(asked) < known + asked.since(at);
        if self.newest.is_none_or(is_newer) {
            self.newest = Some((asked, age));
        }
    }

    /// These vote, as this host's own log says, or a beacon. The newest of all that was heard holds.
    pub fn heard_voters(&mut self, electorate: &Electorate) {
        if self.electorate.as_ref().is_none_or(|known| known.at < electorate.at) {
            self.electorate = Some(electorate.clone());
        }
    }

    /// Who votes, for a beacon; none if this host never heard of it.
    #[must_use]
    pub fn electorate(&self) -> Option<&Electorate> {
        self.electorate.as_ref()
    }

    /// Who votes; nobody if this host never heard of it.
    #[must_use]
    pub fn voters(&self) -> &[RaftId] {
        self.electorate.as_ref().map_or(&[], |known| &known.voters)
    }

    /// How long ago it was; none if this host never heard of it.
    #[must_use]
    pub fn age(&self, now: Now) -> Option<Duration> {
        self.newest.map(|(at, age)| age.saturating_add(now.mono.since(at)))
    }

    /// The same in milliseconds, rounded up, for a beacon.
    #[must_use]
    pub fn age_ms(&self, now: Now) -> Option<u32> {
        self.age(now).map(|age| u32::try_from(age.as_micros().div_ceil(1000)).unwrap_or(u32::MAX))
    }

    /// Whether it is short enough ago that the group still decides for this host.
    #[must_use]
    pub fn is_attached(&self, now: Now) -> bool {
        self.age(now).is_some_and(|age| age < self.island_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now { mono: Time(ms * 1000), wall_ms: 0 }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_newest_that_was_heard_counts() {
        let mut attachment = Attachment::new(ms(2000));
        assert!(!attachment.is_attached(at(0)) && attachment.age(at(0)).is_none());
        attachment.heard(at(1000).mono, ms(500));
        assert_eq!(attachment.age(at(1200)), Some(ms(700)));
        attachment.heard(at(1200).mono, ms(900));
        assert_eq!(attachment.age(at(1200)), Some(ms(700)), "older news change nothing");
        attachment.heard(at(1200).mono, ms(100));
        assert_eq!(attachment.age_ms(at(1300)), Some(200));
        assert!(attachment.is_attached(at(3099)) && !attachment.is_attached(at(3100)));
    }

    #[test]
    fn the_newest_membership_counts() {
        let mut attachment = Attachment::new(ms(2000));
        assert_eq!(attachment.voters(), []);
        for (at, voter) in [(7, 1), (9, 2), (8, 3), (9, 4)] {
            attachment.heard_voters(&Electorate { at, voters: vec![RaftId(voter)] });
        }
        assert_eq!(attachment.voters(), [RaftId(2)]);
        assert_eq!(attachment.electorate().map(|known| known.at), Some(9));
    }

    /// Older than this process is no reason to take it for younger.
    #[test]
    fn news_from_before_this_process_keep_their_age() {
        let mut attachment = Attachment::new(ms(2000));
        attachment.heard(at(100).mono, ms(5000));
        assert_eq!(attachment.age(at(200)), Some(ms(5100)));
        assert!(!attachment.is_attached(at(200)));
    }

    /// Two hosts that are cut off together tell each other what they know, over links slower than their beacons.
    #[test]
    fn hearsay_does_not_keep_itself_young() {
        let (mut one, mut other) = (Attachment::new(ms(2000)), Attachment::new(ms(2000)));
        one.heard(at(0).mono, ms(0));
        let (link, mut sent) = (400, 0);
        while sent < 6000 {
            let (answered, taken) = (at(sent + link), at(sent + 2 * link));
            if let Some(age) = one.age(answered) {
                other.heard(at(sent).mono, age);
            }
            assert!(other.age(taken).is_some_and(|age| age >= taken.mono.since(Time(0))), "younger than the truth");
            std::mem::swap(&mut one, &mut other);
            sent += 2 * link;
        }
        assert!(!one.is_attached(at(6000)) && !other.is_attached(at(6000)));
    }
}
