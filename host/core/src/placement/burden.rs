//! How much each host is used, and how much of it goes along with a copy or a primary's part.
//!
//! Two resources are looked at, work and memory. What a copy takes of the memory is measured. What it takes of
//! the work is not: the processor time of a host is shared out among its copies by their ops, and a host on
//! which an op costs more than elsewhere is a slower one.

use super::Loads;
use super::draft::Slot;
use super::survey::Survey;

/// A resource of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    /// Processor time, in millionths of a core.
    Work,
    /// Bytes.
    Memory,
}

const RESOURCES: [Resource; 2] = [Resource::Work, Resource::Memory];

/// When a host gives something away for its load. All in thousandths: `share`s of the mean use of all hosts,
/// `floor`s of what the host has. It begins above the larger of `start` and `start_floor`, and ends at the larger of
/// `stop` and `stop_floor`; between the two nothing happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    start: u64,
    start_floor: u64,
    stop: u64,
    stop_floor: u64,
}

/// A quarter above the mean a host exchanges secondaries, until it is a tenth above. A host that works for less
/// than a fifth of the time is not relieved, whatever the others do: it would not be felt.
pub(super) const WORK_OF_SECONDARIES: Marks = Marks { start: 1250, start_floor: 200, stop: 1100, stop_floor: 150 };
/// Half above the mean it gives up primaries as well (C34: less so primary ones).
pub(super) const WORK_OF_PRIMARIES: Marks = Marks { start: 1500, start_floor: 400, stop: 1250, stop_floor: 300 };
/// Memory is of no concern while half of it is free.
pub(super) const MEMORY_OF_SECONDARIES: Marks = Marks { start: 1250, start_floor: 500, stop: 1100, stop_floor: 400 };

/// Of the memory of a host, in thousandths. Above this it is nearly used up: secondaries are given away
/// without getting others in return (C37), until it is at [`SHED_UNTIL`].
pub(super) const DWINDLING: u64 = 850;
/// Above this primaries are given away too.
pub(super) const EXHAUSTED: u64 = 950;
/// A host that sheds copies stops here.
pub(super) const SHED_UNTIL: u64 = 800;
/// A copy is not put where memory would be fuller than this, if it can be helped. Well below [`SHED_UNTIL`]:
/// between the two a host neither sheds nor takes, so what it has shed does not come back.
const TAKE_UNTIL: u64 = 700;
/// If the copies on a host take less than this of its used memory, in thousandths, giving them away does not
/// help: something else fills it, or what was freed is not given back to the system.
const COPIES_FILL: u64 = 125;

/// Work of a primary for an op, if that of a secondary is one: it also reads the request, sends the op to its
/// peers and answers.
const LEAD_WEIGHT: u64 = 2;

/// What a host has of a resource and how much of it is used.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    used: u64,
    /// Zero: not known, and the resource is not looked at for this host.
    capacity: u64,
}

/// What one colony's copies take.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    ops: u64,
    bytes: u64,
}

/// What hosts carry as the draft stands. Hosts and colonies are numbers, as in the draft.
#[derive(Clone, Debug, Default)]
pub(super) struct Burden {
    /// By host; empty if nothing is known.
    work: Vec<Gauge>,
    memory: Vec<Gauge>,
    /// By host: work of so many units of weight is so much. Measured where there is enough to measure.
    rates: Vec<(u64, u64)>,
    /// By slot.
    weights: Vec<Weight>,
    /// Mean use in thousandths, as it was before the draft.
    mean_work: u64,
    mean_memory: u64,
}

impl Burden {
    pub(super) fn of(survey: &Survey<'_>, loads: &Loads) -> Self {
        if loads.is_empty() {
            return Self::default();
        }
        let measured = loads.colonies();
        let weight = |colony| {
            let load = measured.get(colony).copied().unwrap_or_default();
            Weight { ops: load.ops, bytes: load.bytes }
        };
        let mut burden = Self {
            work: vec![Gauge::default(); survey.hosts.len()],
            memory: vec![Gauge::default(); survey.hosts.len()],
            weights: survey.colonies.iter().map(|(colony, _)| weight(colony)).collect(),
            ..Self::default()
        };
        for (number, member) in survey.hosts.iter().enumerate() {
            if let Some(load) = loads.host(member.start) {
                burden.work[number] =
                    Gauge { used: load.cpu.saturating_mul(1000), capacity: load.cores.saturating_mul(1000) };
                burden.memory[number] = Gauge { used: load.memory, capacity: load.memory_limit };
            }
        }
        burden.rates = burden.measured_rates(&survey.slots);
        burden.look_ahead(&survey.slots);
        burden.mean_work = mean(&burden.work);
        burden.mean_memory = mean(&burden.memory);
        burden
    }

    /// What an op costs, by host.
    fn measured_rates(&self, slots: &[Slot]) -> Vec<(u64, u64)> {
        let mut weights = vec![0_u64; self.work.len()];
        for (at, slot) in slots.iter().enumerate() {
            for (rank, host) in slot.held.iter().enumerate() {
                weights[*host] = weights[*host].saturating_add(self.weights[at].work(rank == 0));
            }
        }
        let known = || self.work.iter().zip(&weights).filter(|(gauge, _)| gauge.capacity > 0);
        let sum = |it: &mut dyn Iterator<Item = u64>| it.fold(0_u64, u64::saturating_add);
        let all_work = sum(&mut known().map(|(gauge, _)| gauge.used));
        let all_weight = sum(&mut known().map(|(_, weight)| *weight));
        let hosts = u64::try_from(known().count()).unwrap_or(u64::MAX).max(1);
        let usual = (all_work, all_weight.max(1));
        let rate = |(gauge, weight): (&Gauge, &u64)| {
            // With less than half of the usual weight, what a host does besides would be taken for its copies'.
            let is_telling = gauge.capacity > 0 && *weight > 0 && *weight >= all_weight / hosts / 2;
            if is_telling { (gauge.used, *weight) } else { usual }
        };
        self.work.iter().zip(&weights).map(rate).collect()
    }

    /// Measured was what is held; what counts is what will be held when the moves under way are done.
    fn look_ahead(&mut self, slots: &[Slot]) {
        for (at, slot) in slots.iter().enumerate() {
            if slot.held == slot.want {
                continue;
            }
            for (rank, host) in slot.held.iter().enumerate() {
                self.take_off(at, *host, rank == 0);
            }
            for (rank, host) in slot.want.iter().enumerate() {
                self.put_on(at, *host, rank == 0);
            }
        }
    }

    /// Whether a host should give something away.
    pub(super) fn is_strained(&self) -> bool {
        (0..self.work.len()).any(|host| {
            self.is_over(Resource::Work, host, WORK_OF_SECONDARIES)
                || self.is_over(Resource::Memory, host, MEMORY_OF_SECONDARIES)
                || self.use_of(Resource::Memory, host).is_some_and(|used| used > DWINDLING)
        })
    }

    /// Whether anything is known.
    pub(super) fn is_known(&self) -> bool {
        !self.weights.is_empty()
    }

    /// A copy comes to a host.
    pub(super) fn put_on(&mut self, at: usize, host: usize, leads: bool) {
        for resource in RESOURCES {
            let weight = self.weight(resource, at, host, leads);
            if let Some(gauge) = self.gauges_mut(resource).get_mut(host) {
                gauge.used = gauge.used.saturating_add(weight);
            }
        }
    }

    /// A copy leaves a host.
    pub(super) fn take_off(&mut self, at: usize, host: usize, leads: bool) {
        for resource in RESOURCES {
            let weight = self.weight(resource, at, host, leads);
            if let Some(gauge) = self.gauges_mut(resource).get_mut(host) {
                gauge.used = gauge.used.saturating_sub(weight);
            }
        }
    }

    /// What a copy takes of a host.
    pub(super) fn weight(&self, resource: Resource, at: usize, host: usize, leads: bool) -> u64 {
        let Some(weight) = self.weights.get(at) else { return 0 };
        match resource {
            Resource::Memory => weight.bytes,
            Resource::Work => {
                let (work, of) = self.rates[host];
                let share = u128::from(weight.work(leads)) * u128::from(work) / u128::from(of);
                u64::try_from(share).unwrap_or(u64::MAX)
            }
        }
    }

    /// What the primary's part takes of a host more than a secondary's.
    pub(super) fn lead_weight(&self, at: usize, host: usize) -> u64 {
        self.weight(Resource::Work, at, host, true) - self.weight(Resource::Work, at, host, false)
    }

    /// How much a host is used, in thousandths; none if that is not known.
    pub(super) fn use_of(&self, resource: Resource, host: usize) -> Option<u64> {
        self.gauges(resource).get(host).and_then(Gauge::thousandths)
    }

    /// Whether a host is used less than the mean, so that it may be given something.
    pub(super) fn is_below_mean(&self, resource: Resource, host: usize) -> bool {
        self.use_of(resource, host).is_some_and(|used| used < self.mean(resource))
    }

    /// Whether a host is used so much that it should give something away.
    pub(super) fn is_over(&self, resource: Resource, host: usize, marks: Marks) -> bool {
        let mark = (self.mean(resource).saturating_mul(marks.start) / 1000).max(marks.start_floor);
        self.use_of(resource, host).is_some_and(|used| used > mark)
    }

    /// By how much a host is above the lower mark.
    pub(super) fn excess(&self, resource: Resource, host: usize, marks: Marks) -> u64 {
        let Some(gauge) = self.gauges(resource).get(host) else { return 0 };
        gauge.used.saturating_sub(gauge.at(self.stop(resource, marks)))
    }

    /// How much a host may be given before it is at the lower mark.
    pub(super) fn room(&self, resource: Resource, host: usize, marks: Marks) -> u64 {
        let Some(gauge) = self.gauges(resource).get(host).filter(|gauge| gauge.capacity > 0) else { return u64::MAX };
        gauge.at(self.stop(resource, marks)).saturating_sub(gauge.used)
    }

    fn stop(&self, resource: Resource, marks: Marks) -> u64 {
        (self.mean(resource).saturating_mul(marks.stop) / 1000).max(marks.stop_floor)
    }

    fn mean(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Work => self.mean_work,
            Resource::Memory => self.mean_memory,
        }
    }

    /// Whether a host is below its lower mark after it took a secondary's weight and gave another's away, or at
    /// least no fuller than before.
    pub(super) fn bears(&self, resource: Resource, host: usize, taken: u64, given: u64) -> bool {
        let Some(gauge) = self.gauges(resource).get(host).filter(|gauge| gauge.capacity > 0) else { return true };
        let limit = match resource {
            Resource::Work => self.stop(resource, WORK_OF_SECONDARIES),
            Resource::Memory => self.stop(resource, MEMORY_OF_SECONDARIES).min(TAKE_UNTIL),
        };
        taken <= given || gauge.used.saturating_add(taken - given) <= gauge.at(limit)
    }

    /// Whether a copy may be put on a host without using up its memory.
    pub(super) fn has_memory_for(&self, at: usize, host: usize) -> bool {
        let Some(gauge) = self.memory.get(host).filter(|gauge| gauge.capacity > 0) else { return true };
        gauge.used.saturating_add(self.weight(Resource::Memory, at, host, false)) <= gauge.at(TAKE_UNTIL)
    }

    /// Bytes that are to leave a host whose memory is nearly used up; zero if it is not, or if its copies,
    /// which take `copies` bytes, are not what fills it.
    pub(super) fn memory_to_shed(&self, host: usize, copies: u64) -> u64 {
        let Some(gauge) = self.memory.get(host) else { return 0 };
        let fill = u128::from(copies) * 1000 >= u128::from(gauge.used) * u128::from(COPIES_FILL);
        if fill { gauge.used.saturating_sub(gauge.at(SHED_UNTIL)) } else { 0 }
    }

    /// Whether a host would bear the work of so many primaries more, each as heavy as the mean of all
    /// primaries, without having to give them up again.
    pub(super) fn bears_primaries(&self, host: usize, more: usize, mean_weight: u64) -> bool {
        let more = u64::try_from(more).unwrap_or(u64::MAX).saturating_mul(mean_weight);
        self.room(Resource::Work, host, WORK_OF_PRIMARIES) >= more
    }

    fn gauges(&self, resource: Resource) -> &Vec<Gauge> {
        match resource {
            Resource::Work => &self.work,
            Resource::Memory => &self.memory,
        }
    }

    fn gauges_mut(&mut self, resource: Resource) -> &mut Vec<Gauge> {
        match resource {
            Resource::Work => &mut self.work,
            Resource::Memory => &mut self.memory,
        }
    }
}

impl Weight {
    fn work(self, leads: bool) -> u64 {
        // Reads are not counted as ops, and the primary serves them: one that is never written weighs a little.
        if leads { self.ops.saturating_mul(LEAD_WEIGHT).saturating_add(1) } else { self.ops }
    }
}

impl Gauge {
    fn thousandths(&self) -> Option<u64> {
        (self.capacity > 0)
            .then(|| u64::try_from(u128::from(self.used) * 1000 / u128::from(self.capacity)).unwrap_or(u64::MAX))
    }

    /// So many thousandths of what there is.
    fn at(&self, thousandths: u64) -> u64 {
        u64::try_from(u128::from(self.capacity) * u128::from(thousandths) / 1000).unwrap_or(u64::MAX)
    }
}

/// Mean use of the hosts that are known, in thousandths.
fn mean(gauges: &[Gauge]) -> u64 {
    let known = || gauges.iter().filter(|gauge| gauge.capacity > 0);
    let used: u128 = known().map(|gauge| u128::from(gauge.used)).sum();
    let capacity: u128 = known().map(|gauge| u128::from(gauge.capacity)).sum();
    u64::try_from((used * 1000).checked_div(capacity).unwrap_or_default()).unwrap_or(u64::MAX)
}
