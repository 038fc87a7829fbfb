//! The clock, the network and the machines.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use colony_link::memory::MemoryNet;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::lane::Lane;
use crate::machine::{End, Machine};

/// The grain of time. What one process tells another is heard in the next grain at the earliest.
const GRAIN: Duration = Duration::from_millis(1);
/// How far ahead of the machine's clock the common one begins. A runtime's clock can be set forward only, so that the
/// common clock must stay ahead of the real one: a run may not take longer than this in real time.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// A process that ended by itself is started again after this time, as whoever looks after processes does.
const STARTED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What is done to a machine from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Start(usize),
    Kill { machine: usize, is_wiped: bool },
    TellToStop(usize),
    Stop(usize),
    Resume(usize),
}

/// Deeds that are to be done in the next grain.
pub(crate) type Deeds = Rc<RefCell<VecDeque<Deed>>>;

/// The clock, the network and the machines.
pub(crate) struct World {
    now: Instant,
    began: Instant,
    seed: u64,
    pub(crate) net: MemoryNet,
    /// Where the network, the clients and the story are.
    pub(crate) hall: Lane,
    machines: Vec<Machine>,
    pub(crate) deeds: Deeds,
    /// Machines whose process ended by itself, and when it is started again.
    to_start: Vec<(Instant, usize)>,
    /// Sum over all processes of the time that they ran.
    ran: Duration,
}

impl World {
    pub(crate) fn new(seed: u64, machines: usize) -> Self {
        let now = Instant::now() + AHEAD;
        let hall = Lane::at(now);
        let mut chance = Chance::new(seed, 1);
        let machines = (0..machines).map(|index| {
            let zone = format!("z{}", chance.between(1, machines as u64));
            Machine::new(index, u16::try_from(chance.between(1, 2)).unwrap_or(1), zone)
        });
        let machines = machines.collect();
        Self {
            now,
            began: now,
            seed,
            net: MemoryNet::across(seed, hall.handle()),
            hall,
            machines,
            deeds: Deeds::default(),
            to_start: Vec::new(),
            ran: Duration::ZERO,
        }
    }

    /// Virtual time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.began
    }

    /// Sum over all processes of the time that they ran.
    pub(crate) fn ran(&self) -> Duration {
        self.ran
    }

    /// Goes on by one grain.
    ///
    /// # Errors
    /// If a host ended that should have gone on, with why.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.do_deeds();
        self.now += GRAIN;
        crate::trace::show_time(self.elapsed());
        for index in 0..self.machines.len() {
            let machine = &mut self.machines[index];
            if machine.runs() {
                self.ran += GRAIN;
            }
            crate::trace::show_place(Some(index));
            match machine.run_until(self.now) {
                None => {}
                Some(End::AsTold) if machine.is_due() => self.to_start.push((self.now, index)),
                Some(End::AsTold) => {}
                Some(End::ToBeStarted) => self.to_start.push((self.now + STARTED_AGAIN_AFTER, index)),
                Some(End::Failed(why)) => return Err(format!("host {} ended: {why}", machine.name())),
            }
        }
        crate::trace::show_place(None);
        self.hall.run_until(self.now);
        Ok(())
    }

    fn do_deeds(&mut self) {
        let due = self.now;
        let again = self.to_start.extract_if(.., |(at, _)| *at <= due).map(|(_, index)| Deed::Start(index));
        let mut deeds: Vec<Deed> = again.collect();
        deeds.extend(self.deeds.borrow_mut().drain(..));
        let Self { net, machines, hall, now, seed, .. } = self;
        let all = machines.len();
        for deed in deeds {
            match deed {
                Deed::Start(machine) => machines[machine].start(*now, net, all, *seed),
                Deed::Kill { machine, is_wiped } => hall.within(|| machines[machine].kill(net, is_wiped)),
                Deed::TellToStop(machine) => machines[machine].tell_to_stop(),
                Deed::Stop(machine) => hall.within(|| machines[machine].stop(net)),
                Deed::Resume(machine) => hall.within(|| machines[machine].resume(*now, net)),
            }
        }
    }
}
