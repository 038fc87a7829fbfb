//! The invariants of `PROTOCOL.md` 2, looked at after every step.

use colony_core::colony::{Part, Replica, Shard};
use colony_wire::client::{Reply, ReplyBody};
use colony_wire::{Reign, Seq};

use crate::truth::{Fact, Rule, value};
use crate::world::{COLONY, Process, World};

impl World {
    /// Notes the first rule that was broken.
    pub(crate) fn check(&mut self, judged: Result<(), Rule>) {
        if let Err(rule) = judged {
            self.broken.get_or_insert(rule);
        }
    }

    /// What a host holds after an input, compared to what is true.
    pub(crate) fn look_at(&mut self, host: usize, before: &Shard, read: Option<&Reply>) {
        let Some(process) = self.hosts[host].process.clone() else { return };
        let Some(replica) = process.replica() else { return };
        let place = |replica: &Replica| (replica.part(), replica.reign(), replica.prepared(), replica.committed());
        if before.replica(COLONY).map(place) == Some(place(replica)) {
            // What it stores and what a reader would be told is as it was.
            return;
        }
        let judged = self.follow_commits(replica, before);
        self.check(judged);
        let judged = self.compare_state(replica);
        self.check(judged);
        if replica.part() == Part::Primary
            && let Some(reply) = read
        {
            let judged = self.read_at(reply, replica);
            self.check(judged);
        }
    }

    /// Only a primary is the first to commit an op. It held the op before, or made it just now, when the log still
    /// has it.
    fn follow_commits(&mut self, replica: &Replica, before: &Shard) -> Result<(), Rule> {
        let earlier = before.replica(COLONY);
        for seq in (self.truth.end().0 + 1..=replica.committed().0).map(Seq) {
            let op = earlier.and_then(|replica| replica.op(seq)).or_else(|| replica.op(seq));
            // A secondary that is ahead of every primary believes what nobody told it.
            let op = op.filter(|_| replica.part() == Part::Primary).ok_or(Rule::HeldByAll)?;
            self.truth.extend(Fact::of(op)?)?;
        }
        Ok(())
    }

    /// I3, I12: its committed state is what the committed log makes, its path that of the log.
    fn compare_state(&self, replica: &Replica) -> Result<(), Rule> {
        let committed = replica.committed();
        for (_, reign, last) in replica.history().entries() {
            if self.truth.at(*last).map(|fact| fact.reign) != Some(*reign) {
                return Err(Rule::SamePosition);
            }
        }
        let stored = replica.store().sessions().next().map(|(_, session)| session);
        let made = stored.map(|session| (session.version.seq, session.version.reign, session.stored.content()));
        let true_one = self.truth.last_write(committed).map(|(seq, reign, request)| (seq, reign, value(request)));
        if made == true_one { Ok(()) } else { Err(Rule::SamePosition) }
    }

    /// A read is answered from committed state, all of it, and by a primary in its own reign only.
    fn read_at(&self, reply: &Reply, replica: &Replica) -> Result<(), Rule> {
        let seen = reply.seen.unwrap_or_default();
        let told = match &reply.body {
            ReplyBody::Found(view) => Some((view.version.seq, view.version.reign, view.content.clone())),
            ReplyBody::Absent => None,
            _ => return Ok(()),
        };
        if seen.reign != replica.reign() {
            return Err(Rule::TrueReads);
        }
        let true_one = self.truth.last_write(seen.seq).map(|(seq, reign, request)| (seq, reign, value(request)));
        if told == true_one { Ok(()) } else { Err(Rule::TrueReads) }
    }

    /// What concerns more than one host.
    pub(crate) fn look_at_all(&mut self) {
        let judged = self.one_writer().and_then(|()| self.held_by_all());
        let judged = judged.and_then(|()| self.same_positions()).and_then(|()| self.nothing_lost());
        self.check(judged);
    }

    /// I1: no two processes are primary in one reign.
    fn one_writer(&self) -> Result<(), Rule> {
        let mut reigns: Vec<Reign> = self.primaries().map(Replica::reign).collect();
        let all = reigns.len();
        reigns.sort_unstable();
        reigns.dedup();
        if reigns.len() == all { Ok(()) } else { Err(Rule::OneWriter) }
    }

    /// I2: every start of the set whose process runs holds all that is committed anywhere.
    fn held_by_all(&self) -> Result<(), Rule> {
        let entry = self.entry();
        for process in self.hosts.iter().filter_map(|host| host.process.as_ref()) {
            if !entry.is_in_sync(process.shard.start()) {
                continue;
            }
            let kept = process.shard.kept().next().map(|(_, replica)| replica);
            let holds = match process.replica().or(kept) {
                Some(replica) => self.holds_all(replica),
                None => self.truth.end() == Seq(0),
            };
            if !holds {
                return Err(Rule::HeldByAll);
            }
        }
        Ok(())
    }

    fn holds_all(&self, replica: &Replica) -> bool {
        let beyond = replica.committed().0 + 1..=self.truth.end().0;
        beyond.map(Seq).all(|seq| match (replica.op(seq), self.truth.at(seq)) {
            (Some(op), Some(fact)) => Fact::of(op) == Ok(fact),
            _ => false,
        })
    }

    /// I3: what two logs hold at one position is one op.
    fn same_positions(&self) -> Result<(), Rule> {
        let replicas: Vec<&Replica> = self.replicas().map(|(_, replica)| replica).collect();
        for (index, one) in replicas.iter().enumerate() {
            for other in replicas.iter().skip(index + 1) {
                for seq in (1..=one.prepared().0.min(other.prepared().0)).map(Seq) {
                    let (Some(mine), Some(theirs)) = (one.op(seq), other.op(seq)) else { continue };
                    if mine.position == theirs.position && mine != theirs {
                        return Err(Rule::SamePosition);
                    }
                }
            }
        }
        Ok(())
    }

    /// I4: who serves has all that was acknowledged by its reign and those before it.
    fn nothing_lost(&self) -> Result<(), Rule> {
        let serving = self.primaries().filter(|replica| replica.is_serving());
        let mut serving = serving.map(|replica| replica.committed() >= self.truth.promised(replica.reign()));
        if serving.all(|holds| holds) { Ok(()) } else { Err(Rule::NothingLost) }
    }

    /// The copies that play the primary's part, by what they know.
    pub(crate) fn primaries(&self) -> impl Iterator<Item = &Replica> {
        self.hosts.iter().filter_map(|host| host.process.as_ref()).filter_map(Process::primary)
    }
}
