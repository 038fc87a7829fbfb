//! A rule that was broken.

use std::fmt;

use crate::clock::Micros;

/// The rules that the oracle holds a run to; the numbers are those of `PROTOCOL.md` 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// I1: one writer for each reign.
    OneWriter,
    /// I2: what is committed is held by every in-sync peer that runs.
    HeldByAll,
    /// I3: the same position has the same bytes.
    SamePosition,
    /// I4: what was acknowledged is in every later primary's state.
    NothingLost,
    /// I5: only a start that was in sync becomes primary.
    Entitled,
    /// 3.8: no change brings a set below what its namespace asks for.
    Enough,
    /// While nothing but drains goes wrong, no colony has fewer copies than it had, or than it should have.
    NoFewer,
    /// I6: no two copies of a colony on one host.
    ApartHosts,
    /// I6: copies stand as far apart as they can, or it is said that they do not.
    Spread,
    /// I7: a client never reads backward.
    NeverBackward,
    /// I8.
    Linearizable,
    /// I9: a request takes effect at most once, and its answers are true.
    AtMostOnce,
    /// What is read is what was committed; a life that ended stays ended (I11).
    TrueReads,
    /// I12: replicas at the same position are equal.
    EqualDigests,
    /// A copy that was kept by a process declared dead stays until the group has said what becomes of it.
    Kept,
    /// A log has no gap, and what is committed stays.
    WholeLog,
    /// I2: only a primary commits what nobody committed before.
    PrimaryFirst,
    /// I13: nothing grows beyond its bound.
    Bounded,
    /// What is judged by a condition is carried out only if it holds, and no change is overwritten unseen.
    Conditions,
    /// A session ends by expiry no earlier than its time to live allows, on any clock.
    Lifetime,
    /// The answer to a request is kept for as long as its client may ask again.
    AnswersKept,
    /// Who has heard of a later reign answers no reads.
    Fenced,
    /// A start that was declared dead, and knows it, says nothing more.
    StaysDead,
    /// A reign is handed over once everything is held everywhere.
    Flushed,
    /// A counter holds exactly the increments that were acknowledged.
    Exact,
    /// Hybrid time never goes back.
    HybridTime,
    /// Once everything is healed, every colony that kept an in-sync copy serves and settles.
    Progress,
    /// While only the group is gone, every write is acknowledged.
    Steady,
    /// A colony without an in-sync copy is offline by the table.
    HonestlyOffline,
    /// The core does not panic.
    NoPanic,
    /// What the core sends can be encoded and decoded.
    WireAgrees,
    /// The oracle lost sight of a committed op: a fault of the simulator.
    OracleSees,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneWriter => "I1 one writer a reign",
            Self::HeldByAll => "I2 committed ops are held by all in sync",
            Self::SamePosition => "I3 same position, same bytes",
            Self::NothingLost => "I4 nothing acknowledged is lost",
            Self::Entitled => "I5 a primary was in sync",
            Self::Enough => "3.8 no set below its least",
            Self::NoFewer => "6.5 a move adds before it removes",
            Self::ApartHosts => "I6 copies live apart",
            Self::Spread => "I6 copies are spread or flagged",
            Self::Linearizable => "I8 confirmed reads are linearizable",
            Self::NeverBackward => "I7 no client reads backward",
            Self::AtMostOnce => "I9 at most once",
            Self::TrueReads => "I11 reads are true",
            Self::EqualDigests => "I12 equal digests",
            Self::Kept => "kept copies stay until their fate is known",
            Self::WholeLog => "a log has no gap",
            Self::PrimaryFirst => "I2 the primary commits first",
            Self::Bounded => "I13 everything is below its bound",
            Self::Conditions => "conditions hold",
            Self::Lifetime => "no session ends early",
            Self::AnswersKept => "answers are kept for repetitions",
            Self::Fenced => "no reads after a later reign was heard of",
            Self::StaysDead => "a dead start is silent",
            Self::Flushed => "a reign is handed over flushed",
            Self::Exact => "counters are exact",
            Self::HybridTime => "hybrid time never goes back",
            Self::Progress => "progress after the heal",
            Self::Steady => "writes go on without the group",
            Self::HonestlyOffline => "honestly offline",
            Self::NoPanic => "no panic",
            Self::WireAgrees => "the wire agrees",
            Self::OracleSees => "the oracle sees all",
        })
    }
}

/// A rule that was broken: which, how, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// How.
    pub how: String,
    /// When, in virtual time; filled in by the run.
    pub at: Micros,
}

impl Violation {
    /// A rule broken now.
    #[must_use]
    pub fn of(rule: Rule, how: String) -> Self {
        Self { rule, how, at: 0 }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.at / 1_000_000, self.at % 1_000_000);
        write!(f, "[{}] at {seconds}.{rest:06}s: {}", self.rule, self.how)
    }
}

/// Breaks `rule` unless `holds`.
pub(crate) fn demand(holds: bool, rule: Rule, how: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::of(rule, how())) }
}
