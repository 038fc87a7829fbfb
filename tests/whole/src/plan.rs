//! The faults that a seed draws.
//!
//! A round begins when the cluster is whole: every host up, every colony with all its copies in sync. What is
//! promised then bounds what a round may do, so that every loss is a violation:
//!
//! * Processes that are killed at once, and nothing else happens: fewer than a colony has copies.
//! * Processes that are killed while hosts are cut off, stopped or slow: fewer than `min_in_sync`, because any other
//!   copy may have left the set by then.
//! * Disks that are wiped: one, so that a quorum of the group's voters keeps its word. A host without its disk is
//!   nobody the group knows.

use std::fmt;
use std::time::Duration;

use colony_wire::admin::OnPartition;

use crate::chance::Chance;
use crate::machine;

/// Least and most machines of a cluster.
const MACHINES: (u64, u64) = (3, 5);
/// Rounds of faults of one run.
const ROUNDS: (u64, u64) = (4, 7);

/// What a seed draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Machines, each with one host.
    pub machines: usize,
    /// Copies of each colony.
    pub copies: u8,
    /// Below so many a colony acknowledges nothing.
    pub min_in_sync: u8,
    /// What colonies do during a split.
    pub on_partition: OnPartition,
    /// Whether half of the applications are elsewhere: at [`Place::Far`].
    pub is_wide: bool,
    /// Colonies.
    pub buckets: u32,
    /// Longest that a packet is on its way when nothing is wrong.
    pub delay: Duration,
    /// Applications that write.
    pub writers: usize,
    /// The faults.
    pub rounds: Vec<Round>,
}

/// What happens between two moments at which the cluster is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// By the time since the round began.
    pub steps: Vec<(Duration, Step)>,
}

/// One thing that goes wrong, or is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A process is killed; its disk is wiped or not.
    Kill {
        /// On which machine.
        machine: usize,
        /// Whether its disk is gone as well.
        is_wiped: bool,
    },
    /// A process is told to stop.
    TellToStop(usize),
    /// A process is started.
    Start(usize),
    /// A process is stopped in whatever it does.
    Stop(usize),
    /// A stopped process goes on.
    Resume(usize),
    /// Nothing passes from any of the first to any of the second.
    Cut(Vec<Place>, Vec<Place>),
    /// It passes again.
    Mend(Vec<Place>, Vec<Place>),
    /// Packets between all are lost, so many in a hundred, and take up to so long.
    Rough(u8, Duration),
    /// The network is as it was.
    Calm,
}

/// One side of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A machine.
    Machine(usize),
    /// The clients.
    Clients,
    /// The clients that are elsewhere.
    Far,
}

/// The name of the clients in the network.
pub(crate) const CLIENTS: &str = "app";
/// The same of those that are elsewhere.
pub(crate) const FAR: &str = "far";

impl Place {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Machine(machine) => machine::name(machine),
            Self::Clients => CLIENTS.to_owned(),
            Self::Far => FAR.to_owned(),
        }
    }
}

/// What a round is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Processes die, and nothing else.
    Deaths,
    /// A host is told to stop, or loses its disk with its process.
    Leaves,
    Stopped,
    /// The machines fall into two parts.
    Split,
    /// One machine hears and is not heard, or the other way round.
    OneWay,
    /// Two machines lose each other; all others see both.
    Pair,
    /// A machine is cut off again and again.
    Flapping,
    Rough,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 2);
        let machines = usize::try_from(chance.between(MACHINES.0, MACHINES.1)).unwrap_or(3);
        let (copies, min_in_sync) = chance.pick(&[(2, 1), (3, 1), (3, 2), (3, 2)]);
        let rounds = chance.between(ROUNDS.0, ROUNDS.1);
        let mut plan = Self {
            machines,
            copies,
            min_in_sync,
            // Its clients go from one side to the other, and would find on each what was done there.
            on_partition: OnPartition::Strict,
            is_wide: false,
            buckets: chance.pick(&[4, 8, 16]),
            delay: Duration::from_millis(chance.pick(&[0, 1, 3, 8])),
            writers: usize::try_from(chance.between(2, 5)).unwrap_or(2),
            rounds: Vec::new(),
        };
        plan.rounds = (0..rounds).map(|_| plan.round(&mut chance)).collect();
        plan
    }

    /// How many processes die or are told to stop.
    #[must_use]
    pub fn deaths(&self) -> u64 {
        self.count(|step| matches!(step, Step::Kill { .. } | Step::TellToStop(_)))
    }

    /// How many of its steps are such.
    pub(crate) fn count(&self, is: fn(&Step) -> bool) -> u64 {
        self.rounds.iter().flat_map(|round| &round.steps).filter(|(_, step)| is(step)).count() as u64
    }

    fn round(&self, chance: &mut Chance) -> Round {
        const KINDS: [Kind; 8] = [
            Kind::Deaths,
            Kind::Leaves,
            Kind::Stopped,
            Kind::Split,
            Kind::OneWay,
            Kind::Pair,
            Kind::Flapping,
            Kind::Rough,
        ];
        let kind = chance.pick(&KINDS);
        let mut steps = Vec::new();
        self.fault(kind, chance, &mut steps);
        let is_alone = matches!(kind, Kind::Deaths | Kind::Leaves);
        if !is_alone && chance.percent(50) {
            let second = chance.pick(&[Kind::Stopped, Kind::Rough, Kind::Pair]);
            if second != kind {
                self.fault(second, chance, &mut steps);
            }
        }
        if !is_alone && self.min_in_sync > 1 && chance.percent(60) {
            self.death(chance.index(self.machines), false, 0, chance, &mut steps);
        }
        steps.sort_by_key(|(at, _)| *at);
        Round { steps }
    }

    fn fault(&self, kind: Kind, chance: &mut Chance, steps: &mut Vec<(Duration, Step)>) {
        let all = self.machines;
        let from = millis(chance.between(0, 1_000));
        let until = from + millis(chance.pick(&[200, 900, 2_000, 4_000, 9_000, 20_000]));
        let one = chance.index(all);
        let rest = |of: &[usize]| -> Vec<Place> {
            (0..all).filter(|machine| !of.contains(machine)).map(Place::Machine).collect()
        };
        let mut cut = |a: Vec<Place>, b: Vec<Place>| {
            steps.push((from, Step::Cut(a.clone(), b.clone())));
            steps.push((until, Step::Mend(a, b)));
        };
        match kind {
            Kind::Deaths => {
                let most = usize::from(self.copies - 1).min(all - 1);
                let count = 1 + chance.index(most);
                for machine in chance.some(count, all) {
                    let later = chance.pick(&[0, 0, 30, 400]);
                    self.death(machine, false, later, chance, steps);
                }
            }
            Kind::Leaves if chance.percent(50) => self.death(one, true, 0, chance, steps),
            Kind::Leaves => {
                steps.push((from, Step::TellToStop(one)));
                steps.push((until, Step::Start(one)));
            }
            Kind::Stopped => {
                steps.push((from, Step::Stop(one)));
                steps.push((until, Step::Resume(one)));
            }
            Kind::Split => {
                let size = 1 + chance.index(all - 1);
                let side = chance.some(size, all);
                let other = rest(&side);
                let mut side: Vec<Place> = side.into_iter().map(Place::Machine).collect();
                if chance.percent(30) {
                    side.push(Place::Clients);
                }
                cut(side.clone(), other.clone());
                cut(other, side);
            }
            Kind::OneWay => {
                let (out, mut others) = (chance.percent(50), rest(&[one]));
                if chance.percent(30) {
                    others.push(Place::Clients);
                }
                let alone = vec![Place::Machine(one)];
                if out { cut(alone, others) } else { cut(others, alone) }
            }
            Kind::Pair => {
                let pair = chance.some(2, all);
                let [a, b] = [vec![Place::Machine(pair[0])], vec![Place::Machine(pair[1])]];
                cut(a.clone(), b.clone());
                cut(b, a);
            }
            Kind::Flapping => {
                let (alone, others) = (vec![Place::Machine(one)], rest(&[one]));
                let mut at = from;
                for _ in 0..chance.between(3, 8) {
                    let (off, on) = (millis(chance.between(50, 1_500)), millis(chance.between(50, 1_500)));
                    for (at, a, b) in [(at, &alone, &others), (at, &others, &alone)] {
                        steps.push((at, Step::Cut(a.clone(), b.clone())));
                        steps.push((at + off, Step::Mend(a.clone(), b.clone())));
                    }
                    at += off + on;
                }
            }
            Kind::Rough => {
                let loss = u8::try_from(chance.between(1, 25)).unwrap_or(1);
                steps.push((from, Step::Rough(loss, millis(chance.between(1, 30)))));
                steps.push((until, Step::Calm));
            }
        }
    }

    /// A process dies `later` than the first of its round, and comes back after a while.
    fn death(
        &self,
        machine: usize,
        is_wiped: bool,
        later: u64,
        chance: &mut Chance,
        steps: &mut Vec<(Duration, Step)>,
    ) {
        let at = millis(if later > 0 { later } else { chance.between(0, 2_000) });
        let down = millis(chance.pick(&[20, 300, 1_000, 3_000, 8_000, 15_000]));
        steps.push((at, Step::Kill { machine, is_wiped }));
        steps.push((at + down, Step::Start(machine)));
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machines, copies, min_in_sync, buckets, delay, writers, rounds, .. } = self;
        write!(
            f,
            "{machines} hosts, {buckets} colonies of {copies} copies, at least {min_in_sync} in sync, packets take up to \
             {delay:?}, {writers} writers"
        )?;
        for (number, round) in rounds.iter().enumerate() {
            write!(f, "\nround {}", number + 1)?;
            for (at, step) in &round.steps {
                write!(f, "\n  {:>6} ms {step:?}", at.as_millis())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_one_plan() {
        assert_eq!(Plan::draw(7), Plan::draw(7));
        assert_ne!(Plan::draw(7), Plan::draw(8));
    }

    /// What the head of this file says.
    #[test]
    fn no_plan_does_more_than_may_be_survived() {
        for seed in 0..2_000 {
            let plan = Plan::draw(seed);
            assert!(plan.machines >= usize::from(plan.copies), "seed {seed}");
            for round in &plan.rounds {
                let kills = round.steps.iter().filter(|(_, step)| matches!(step, Step::Kill { .. })).count();
                let wiped = round.steps.iter().filter(|(_, step)| matches!(step, Step::Kill { is_wiped: true, .. }));
                let is_quiet = round.steps.iter().all(|(_, step)| matches!(step, Step::Kill { .. } | Step::Start(_)));
                let bound = if is_quiet { plan.copies } else { plan.min_in_sync };
                assert!(kills < usize::from(bound), "seed {seed}: {plan}");
                assert!(wiped.count() <= 1 && (kills <= 1 || is_quiet), "seed {seed}: {plan}");
            }
        }
    }

    #[test]
    fn whatever_is_begun_is_ended() {
        for seed in 0..2_000 {
            for round in Plan::draw(seed).rounds {
                let ends = |step: &Step| match step {
                    Step::Kill { machine, .. } | Step::TellToStop(machine) => Some(Step::Start(*machine)),
                    Step::Stop(machine) => Some(Step::Resume(*machine)),
                    Step::Cut(a, b) => Some(Step::Mend(a.clone(), b.clone())),
                    Step::Rough(..) => Some(Step::Calm),
                    _ => None,
                };
                for (at, step) in &round.steps {
                    if let Some(end) = ends(step) {
                        assert!(round.steps.iter().any(|(later, step)| later >= at && *step == end), "seed {seed}");
                    }
                }
            }
        }
    }
}
