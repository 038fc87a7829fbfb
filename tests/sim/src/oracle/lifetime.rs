//! How long a session lives at least (`PROTOCOL.md` 11).
//!
//! Every copy counts a session's time by its own host's clock, from when it took the op in, or goes on with
//! what another copy said remains. No clock runs faster than the fastest one at every moment, so no copy can
//! have counted more than that one did since the op was committed first.

use std::collections::BTreeMap;

use colony_wire::op::{Change, Op};
use colony_wire::session::{EndKind, Key};
use colony_wire::{Reign, Seq};

use super::model::Kept;
use crate::clock::{MS, Micros};
use crate::violation::{Rule, Violation, demand};

/// What rounding may take off: a snapshot's remaining times are whole milliseconds, and a state may go through
/// many of them.
const ROUNDING: Micros = 50 * MS;

/// When each session's time began, and who counts it.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    /// By session: when its time to live began anew, on the fastest clock, and by which op.
    begun: BTreeMap<Key, (Micros, Seq)>,
    /// When an end by expiry was first seen to be prepared.
    ended: BTreeMap<(Reign, Seq), Micros>,
    /// What each reign's primary had committed when it took office: the deadlines it padded.
    offices: BTreeMap<Reign, Seq>,
}

impl Lifetimes {
    /// An op is prepared somewhere for the first time.
    pub(super) fn prepared(&mut self, op: &Op, counted: Micros) {
        if matches!(op.change, Change::End { kind: EndKind::Expiry, .. }) {
            self.ended.insert((op.position.reign, op.position.seq), counted);
        }
    }

    /// A primary takes office with this committed.
    pub(super) fn takes_office(&mut self, reign: Reign, committed: Seq) {
        self.offices.entry(reign).or_insert(committed);
    }

    /// An op is committed for the first time; `before` is the session it met.
    pub(super) fn committed(
        &mut self,
        op: &Op,
        before: Option<&Kept>,
        counted: Micros,
        pad: Micros,
    ) -> Result<(), Violation> {
        let position = op.position;
        match &op.change {
            Change::Put { key, .. } | Change::Update { key, .. } | Change::Touch { key, .. } => {
                self.begun.insert(key.clone(), (counted, position.seq));
                Ok(())
            }
            Change::End { key, kind: EndKind::Expiry } => {
                let ttl = before.and_then(|kept| kept.ttl);
                let (begun, since) = self.begun.get(key).copied().unwrap_or_default();
                let ended = self.ended.get(&(position.reign, position.seq)).copied().unwrap_or(counted);
                let is_padded = self.offices.get(&position.reign).is_some_and(|base| *base >= since);
                let due = ttl.map(|ttl| ttl * MS + if is_padded { pad } else { 0 });
                let lived = ended.saturating_sub(begun);
                demand(due.is_some_and(|due| lived + ROUNDING >= due), Rule::Lifetime, || {
                    format!("{key:?} ends at {position} after {lived} us on the fastest clock, due are {due:?}")
                })
            }
            Change::Barrier
            | Change::End { .. }
            | Change::Forget { .. }
            | Change::Revoked { .. }
            | Change::Open { .. }
            | Change::Freeze
            | Change::Unfreeze
            | Change::Absorb { .. }
            | Change::Absorbed { .. }
            | Change::Recall { .. } => Ok(()),
        }
    }
}
