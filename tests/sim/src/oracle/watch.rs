//! What each replica holds, looked at after every step that touched it.

use colony_core::colony::{Part, Replica};
use colony_core::group::State;
use colony_wire::op::Change;
use colony_wire::session::EndKind;
use colony_wire::{ColonyId, Reign, Seq, StartId};

use super::Oracle;
use crate::host::Host;
use crate::seen::Sight;
use crate::violation::{Rule, Violation, demand};

/// What a replica held when it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Watched {
    process: u64,
    committed: Seq,
    prepared: Seq,
    /// Reign of the op at `prepared`.
    last: Reign,
    reign: Reign,
    serving: bool,
}

impl Oracle {
    /// Looks at what a shard holds of `touched`, or of everything.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn observe(
        &mut self,
        state: &State,
        hosts: &[Host],
        index: usize,
        shard: usize,
        touched: Option<ColonyId>,
    ) -> Result<(), Violation> {
        let host = &hosts[index];
        let Some(process) = &host.process else { return Ok(()) };
        let Some(shard) = process.shards.get(shard) else { return Ok(()) };
        let start = shard.start();
        match touched {
            Some(colony) => match shard.replica(colony) {
                Some(replica) => self.look(state, hosts, index, start, replica)?,
                None => {
                    self.watched.remove(&(index, colony, start));
                }
            },
            None => {
                for replica in shard.replicas() {
                    self.look(state, hosts, index, start, replica)?;
                }
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        state: &State,
        hosts: &[Host],
        index: usize,
        start: StartId,
        replica: &Replica,
    ) -> Result<(), Violation> {
        let colony = replica.colony();
        within_bounds(replica)?;
        let place = (index, colony, start);
        let process = hosts[index].process.as_ref().map_or(0, |process| process.number);
        let prepared = replica.prepared();
        let now = Watched {
            process,
            committed: replica.committed(),
            prepared,
            last: replica.op(prepared).map(|op| op.position.reign).unwrap_or_default(),
            reign: replica.reign(),
            serving: replica.is_serving(),
        };
        let before = self.watched.get(&place).copied().filter(|watched| watched.process == process);
        if before == Some(now) {
            return Ok(());
        }
        let before = before.unwrap_or_default();
        self.watched.insert(place, now);
        let words = |violation: Violation| Violation {
            how: format!("{colony} on host {index} ({start}): {}", violation.how),
            ..violation
        };
        self.look_at_log(replica, before, now).map_err(words)?;
        // Before what it commits is judged by the office it has taken.
        self.look_at_office(replica, before, now).map_err(words)?;
        let grew = self.look_at_state(replica, before, now).map_err(words)?;
        if grew { self.held_by_all(state, hosts, colony) } else { Ok(()) }
    }

    /// Every op held is the one that stands at its position, and there is no gap.
    fn look_at_log(&mut self, replica: &Replica, before: Watched, now: Watched) -> Result<(), Violation> {
        let reign_there = replica.op(before.prepared).map(|op| op.position.reign);
        let went_on =
            now.prepared >= before.prepared && (reign_there == Some(before.last) || before.prepared <= now.committed);
        if !went_on && before.prepared > before.committed {
            self.seen.note(Sight::Truncation);
        }
        let from = if went_on { before.prepared.max(now.committed) } else { now.committed };
        demand(now.prepared >= now.committed, Rule::WholeLog, || {
            format!("prepared {} is below committed {}", now.prepared, now.committed)
        })?;
        let truth = self.truth(replica.colony());
        for place in from.0 + 1..=now.prepared.0 {
            let seq = Seq(place);
            let op = replica.op(seq).filter(|op| op.position.seq == seq);
            let Some(op) = op else {
                return Err(Violation::of(
                    Rule::WholeLog,
                    format!("{seq} of {} prepared ops is missing", now.prepared),
                ));
            };
            demand(op.position.reign <= now.reign, Rule::OneWriter, || {
                format!("{} stands in the log in reign {}", op.position, now.reign)
            })?;
            truth.note_prepared(op)?;
        }
        Ok(())
    }

    /// What it committed is the one committed log. True if that has grown.
    fn look_at_state(&mut self, replica: &Replica, before: Watched, now: Watched) -> Result<bool, Violation> {
        demand(now.committed >= before.committed, Rule::WholeLog, || {
            format!("committed went back from {} to {}", before.committed, now.committed)
        })?;
        if now.committed == before.committed {
            return Ok(false);
        }
        let pad = self.promotion_pad;
        let counted = self.counted;
        let truth = self.truths.entry(replica.colony()).or_default();
        truth.counts(counted);
        let mut grew = false;
        let mut all_in_log = true;
        for place in before.committed.0 + 1..=now.committed.0 {
            let seq = Seq(place);
            let held = replica.op(seq);
            all_in_log &= held.is_some() || place <= before.prepared.0;
            let Some(op) = held.cloned().or_else(|| forgotten(truth, replica, seq)) else {
                demand(seq <= truth.end(), Rule::OracleSees, || format!("{seq} was committed and forgotten at once"))?;
                continue;
            };
            truth.note_prepared(&op)?;
            grew |= truth.note_committed(&op, &self.asked, pad)?;
            match &op.change {
                Change::Forget { .. } if grew => self.seen.note(Sight::Forgotten),
                Change::End { kind: EndKind::Expiry, .. } if grew => self.seen.note(Sight::Expiry),
                _ => {}
            }
        }
        if !all_in_log && before.process == now.process {
            self.seen.note(Sight::Snapshot);
        }
        let position = replica.position();
        demand(position == truth.op(now.committed).map(|op| op.position), Rule::NothingLost, || {
            format!("its state is at {position:?}, the committed log has {:?}", truth.op(now.committed))
        })?;
        truth.note_digest(now.committed, replica.store().digest())?;
        demand(!grew || replica.part() == Part::Primary, Rule::PrimaryFirst, || {
            format!("a {:?} is the first to commit {}", replica.part(), now.committed)
        })?;
        Ok(grew)
    }

    /// Who serves holds all that any earlier reign committed, and its own barrier.
    fn look_at_office(&mut self, replica: &Replica, before: Watched, now: Watched) -> Result<(), Violation> {
        if replica.part() == Part::Primary && before.reign != now.reign {
            self.truth(replica.colony()).takes_office(now.reign, before.committed);
        }
        if !now.serving || (before.serving && before.reign == now.reign) {
            return Ok(());
        }
        let truth = self.truth(replica.colony());
        let due = truth.end_before(now.reign);
        demand(now.committed >= due, Rule::NothingLost, || {
            format!("serves in {} at {}, earlier reigns committed {due}", now.reign, now.committed)
        })?;
        let own = replica.position().is_some_and(|position| position.reign == now.reign);
        demand(own, Rule::NothingLost, || format!("serves in {} before its barrier", now.reign))
    }

    /// I2: every in-sync start whose process runs holds the whole committed log, in the copy it uses or in
    /// one it kept.
    pub(super) fn held_by_all(&self, state: &State, hosts: &[Host], colony: ColonyId) -> Result<(), Violation> {
        let (Some(entry), Some(truth)) = (state.table.get(&colony), self.truths.get(&colony)) else {
            return Ok(());
        };
        let end = truth.end();
        if end == Seq(0) {
            return Ok(());
        }
        for start in &entry.in_sync {
            let has = |host: &&Host| host.process.as_ref().is_some_and(|process| process.starts.contains(start));
            let Some(host) = hosts.iter().find(has) else { continue };
            let holds = |replica: &Replica| {
                replica.prepared() >= end
                    && (replica.committed().0 + 1..=end.0).all(|seq| replica.op(Seq(seq)) == truth.op(Seq(seq)))
            };
            demand(host.copies(colony).any(|(_, replica)| holds(replica)), Rule::HeldByAll, || {
                let copies = host.copies(colony).map(|(under, replica)| {
                    format!(
                        "{under} {:?} committed {} prepared {}",
                        replica.part(),
                        replica.committed(),
                        replica.prepared()
                    )
                });
                format!(
                    "{colony} is committed up to {end}, but {} ({start}), in sync by {entry:?}, holds {:?}",
                    host.name,
                    copies.collect::<Vec<_>>()
                )
            })?;
        }
        Ok(())
    }
}

/// An op that a replica committed and forgot in one step: its history names the position, and it was seen
/// when it was prepared.
fn forgotten(truth: &super::Truth, replica: &Replica, seq: Seq) -> Option<colony_wire::op::Op> {
    let (_, reign, _) = *replica.history().entries().iter().find(|(_, _, last)| *last >= seq)?;
    truth.prepared(reign, seq).cloned()
}

/// I13: everything that may grow is below its bound.
fn within_bounds(replica: &Replica) -> Result<(), Violation> {
    let over = replica.loads().find(|load| load.held > load.bound);
    demand(over.is_none(), Rule::Bounded, || format!("{}: {over:?}", replica.colony()))
}
