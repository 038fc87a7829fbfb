//! How quickly one peer acknowledges: slow is not dead, and one slow copy slows every write (`PROTOCOL.md` 3.10).

use colony_wire::Seq;

use crate::Time;
use crate::colony::settings::Settings;

/// The doublings of a slow peer's time out of the set: 4 times `slow_pause` at most, for it costs a copy.
const DOUBLINGS: u32 = 2;

/// What was seen of a peer's acknowledgements in this reign. One op at a time is timed: that is enough to tell a
/// peer that is late throughout from one that was late once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    /// The op that is timed, and when it was sent first.
    timed: Option<(Seq, Time)>,
    /// Since when no acknowledgement came in time.
    late_since: Option<Time>,
    /// When one was late last.
    late_at: Time,
    /// How often it was moved out of the set for being slow.
    moved_out: u32,
}

impl Pace {
    /// Ops up to `last` were sent.
    pub(super) fn sent(&mut self, last: Seq, now: Time) {
        self.timed.get_or_insert((last, now));
    }

    /// It holds everything up to `matched`.
    pub(super) fn acknowledged(&mut self, matched: Seq, now: Time, settings: &Settings) {
        let Some((_, since)) = self.timed.take_if(|(timed, _)| *timed <= matched) else { return };
        if now.since(since) > settings.slow_after {
            self.late(since, now);
        } else {
            self.late_since = None;
        }
    }

    /// What is not acknowledged in time is late already.
    pub(super) fn tick(&mut self, now: Time, settings: &Settings) {
        if let Some((_, since)) = self.timed
            && now.since(since) > settings.slow_after
        {
            self.late(since, now);
        }
    }

    fn late(&mut self, since: Time, now: Time) {
        self.late_since.get_or_insert(since);
        self.late_at = now;
    }

    /// Late for so long that it is no accident.
    pub(super) fn is_slow(&self, now: Time, settings: &Settings) -> bool {
        self.late_since.is_some_and(|since| now.since(since) > settings.slow_for)
    }

    /// Out of the set for being slow, and not in time for long enough since; longer each time.
    pub(super) fn is_kept_out(&self, now: Time, settings: &Settings) -> bool {
        let Some(before) = self.moved_out.checked_sub(1) else { return false };
        now.since(self.late_at) < settings.slow_pause * 2_u32.pow(before.min(DOUBLINGS))
    }

    /// Outside the set nobody waits for it: it is not slow before it was late in the set.
    pub(super) fn begins_anew(&mut self) {
        self.late_since = None;
    }

    /// The group is asked to move it out.
    pub(super) fn moves_out(&mut self) {
        self.moved_out = self.moved_out.saturating_add(1);
    }

    /// This host slept: what was late may have been late here.
    pub(super) fn forgive(&mut self) {
        self.timed = None;
        self.late_since = None;
    }
}
