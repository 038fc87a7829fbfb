//! What happens to a cluster, from its founding to the last read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest, Policy};
use colony_client::{Ack, Client, Options, Precondition, Read, Ttl};
use colony_link::memory::MemoryNet;
use colony_link::{LinkConfig, PeerIdentity, Rights, Transport};
use colony_wire::limits::MAX_FRAME;
use colony_wire::{ColonyId, NamespaceId};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ask::Asker;
use crate::chance::Chance;
use crate::ledger::Ledger;
use crate::machine;
use crate::panics;
use crate::plan::{CLIENTS, FAR, Place, Plan, Round, Step};
use crate::report::Report;
use crate::world::{Deed, Deeds, World};
use crate::writers::{Desk, Writer, content, named, read};

/// The namespace that is written to.
const NAMESPACE: &str = "cart";
/// Longest until a cluster to which nothing happens any more is whole. A cut of 20 s leaves connections that are dialed
/// again after their timeouts; a host that was stopped is declared dead, comes back and asks for the fate of each
/// copy.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest that a call may take once the cluster is whole.
const CALL_WITHIN: Duration = Duration::from_secs(20);
/// Readers at once when everything is read back.
const READERS: usize = 8;
/// No run takes longer, in virtual time: what does has stopped somewhere.
const RUN_WITHIN: Duration = Duration::from_secs(3600);
/// The plan counts in hundredths.
const PERCENT: f64 = 100.0;

/// How the applications behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    /// When a change counts as made for them. With [`Ack::Primary`] a change may be lost with its host: a run in
    /// which none is has not looked.
    pub ack: Ack,
}

/// Runs the cluster of a seed through the plan that the seed draws.
#[must_use]
pub fn run(seed: u64, habits: Habits) -> Report {
    run_plan(seed, &Plan::draw(seed), habits)
}

/// Runs the cluster of a seed through a plan.
#[must_use]
pub fn run_plan(seed: u64, plan: &Plan, habits: Habits) -> Report {
    panics::watch();
    drop(panics::take());
    let mut world = World::new(seed, plan.machines);
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    let longest = Rc::new(Cell::new(Duration::ZERO));
    let story = Story {
        plan: plan.clone(),
        seed,
        habits,
        net: world.net.clone(),
        deeds: world.deeds.clone(),
        ledger: ledger.clone(),
        longest: longest.clone(),
    };
    let told = world.hall.spawn(story.tell());
    let mut violation = None;
    while violation.is_none() && !told.is_finished() {
        violation = world.step().err().or_else(panics::take);
        if world.elapsed() > RUN_WITHIN {
            violation = Some(format!("the run is not over after {RUN_WITHIN:?}"));
        }
    }
    let violation = violation.or_else(|| world.hall.take(told).and_then(|told| told).err());
    let ledger = std::mem::take(&mut *ledger.borrow_mut());
    Report {
        seeds: 1,
        ran: world.ran(),
        longest: longest.get(),
        kills: plan.deaths(),
        cuts: plan.count(|step| matches!(step, Step::Cut(..))),
        stops: plan.count(|step| matches!(step, Step::Stop(_))),
        acknowledged: ledger.acknowledged,
        slowest: ledger.slowest,
        lost: ledger.lost,
        phantom: ledger.phantom,
        doubled: ledger.doubled,
        violations: violation.into_iter().collect(),
    }
}

struct Story {
    plan: Plan,
    seed: u64,
    habits: Habits,
    net: MemoryNet,
    deeds: Deeds,
    ledger: Rc<RefCell<Ledger>>,
    /// The longest that it took to become whole after a round.
    longest: Rc<Cell<Duration>>,
}

impl Story {
    /// The whole story; an error is what must not happen, in words.
    async fn tell(self) -> Result<(), String> {
        self.net.set_default_delay(Duration::ZERO..=self.plan.delay);
        self.begin().await;
        let asker = Asker { transport: self.dialer("operator") };
        let client = self.client(&asker).await?;
        let policy = Policy {
            copies: self.plan.copies,
            min_in_sync: self.plan.min_in_sync,
            buckets: self.plan.buckets,
            ttl_ms: None,
            on_partition: self.plan.on_partition,
            ..Policy::default()
        };
        let created = client.admin(AdminRequest::CreateNamespace { name: NAMESPACE.to_owned(), policy }).await;
        let id = match created.map_err(|error| format!("the namespace is not created: {error}"))? {
            AdminReply::Created { id } => id,
            other => return Err(format!("another answer: {other:?}")),
        };
        let far = if self.plan.is_wide { self.connect(FAR).await? } else { client.clone() };
        let desk = Desk { ledger: self.ledger.clone(), stop: Rc::new(Cell::new(false)), is_wide: self.plan.is_wide };
        let writers: Vec<_> = (0..self.plan.writers)
            .map(|number| (number, if number % 2 == 0 { &client } else { &far }))
            .map(|(number, client)| Writer::new(number, client, NAMESPACE, self.habits.ack, desk.clone(), self.seed))
            .map(|writer| spawn_local(writer.run()))
            .collect();
        for (number, round) in self.plan.rounds.iter().enumerate() {
            self.become_whole(&asker, &format!("before round {}", number + 1)).await?;
            self.play(round).await;
        }
        self.become_whole(&asker, "after the last round").await?;
        desk.stop.set(true);
        for writer in writers {
            writer.await.map_err(|error| format!("a writer ended: {error}"))?;
        }
        self.read_all(&client).await?;
        self.use_every_colony(&client, id).await
    }

    /// Starts the hosts: the founder, and the others about the same time.
    async fn begin(&self) {
        let mut chance = Chance::new(self.seed, 3);
        for machine in 0..self.plan.machines {
            self.deeds.borrow_mut().push_back(Deed::Start(machine));
            sleep(Duration::from_millis(chance.pick(&[0, 5, 700]))).await;
        }
    }

    fn dialer(&self, name: &str) -> Arc<dyn Transport> {
        let config = LinkConfig { max_frame: MAX_FRAME, ..LinkConfig::default() };
        let transport = self.net.client(PeerIdentity::client(name, Rights::ALL), config);
        Arc::new(transport.expect("a port is free"))
    }

    async fn client(&self, asker: &Asker) -> Result<Client, String> {
        // The client finds somebody to talk to once the first host is there.
        let mut looked = asker.is_whole(self.plan.machines, 0).await;
        let until = Instant::now() + WHOLE_WITHIN;
        while looked.is_err() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
            looked = asker.is_whole(self.plan.machines, 0).await;
        }
        looked.map_err(|why| format!("the cluster does not come to be: {why}"))?;
        self.connect(CLIENTS).await
    }

    async fn connect(&self, name: &str) -> Result<Client, String> {
        let seeds: Vec<String> = (0..self.plan.machines).map(|at| machine::address(at).to_string()).collect();
        Client::over(self.dialer(name), seeds).await.map_err(|error| format!("the client finds nobody: {error}"))
    }

    /// Waits until the cluster is whole.
    async fn become_whole(&self, asker: &Asker, when: &str) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match asker.is_whole(self.plan.machines, self.plan.copies).await {
                Ok(()) => {
                    self.longest.set(self.longest.get().max(began.elapsed()));
                    return Ok(());
                }
                Err(why) if began.elapsed() >= WHOLE_WITHIN => {
                    return Err(format!("{when}: not whole after {WHOLE_WITHIN:?}: {why}"));
                }
                Err(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn play(&self, round: &Round) {
        let began = Instant::now();
        for (at, step) in &round.steps {
            sleep_until(began + *at).await;
            self.take(step);
        }
    }

    fn take(&self, step: &Step) {
        let deed = match step {
            Step::Kill { machine, is_wiped } => Deed::Kill { machine: *machine, is_wiped: *is_wiped },
            Step::TellToStop(machine) => Deed::TellToStop(*machine),
            Step::Start(machine) => Deed::Start(*machine),
            Step::Stop(machine) => Deed::Stop(*machine),
            Step::Resume(machine) => Deed::Resume(*machine),
            Step::Cut(from, to) => return pairs(from, to, |from, to| self.net.cut_one_way(from, to)),
            Step::Mend(from, to) => return pairs(from, to, |from, to| self.net.mend_one_way(from, to)),
            Step::Rough(loss, delay) => return self.weather(f64::from(*loss) / PERCENT, *delay),
            Step::Calm => return self.weather(0.0, self.plan.delay),
        };
        self.deeds.borrow_mut().push_back(deed);
    }

    /// How packets fare between all.
    fn weather(&self, loss: f64, delay: Duration) {
        let all: Vec<Place> = (0..self.plan.machines).map(Place::Machine).chain([Place::Clients]).collect();
        pairs(&all, &all, |from, to| {
            if from != to {
                self.net.set_loss(from, to, loss);
                self.net.set_delay(from, to, Duration::ZERO..=delay);
            }
        });
    }

    /// Reads every session and compares.
    async fn read_all(&self, client: &Client) -> Result<(), String> {
        let options = Options { deadline: CALL_WITHIN, read: Read::Confirm, ..Options::default() };
        let keys = self.ledger.borrow().keys();
        let mut readers: Vec<JoinHandle<Result<(), String>>> = Vec::new();
        for share in 0..READERS {
            let share: Vec<String> = keys.iter().skip(share).step_by(READERS).cloned().collect();
            let (namespace, ledger) = (client.namespace(NAMESPACE).with(options), self.ledger.clone());
            readers.push(spawn_local(async move {
                for key in share {
                    let held =
                        read(&namespace, &key).await.map_err(|error| format!("{key} cannot be read: {error}"))?;
                    ledger.borrow_mut().show(&key, held);
                }
                Ok(())
            }));
        }
        for reader in readers {
            reader.await.map_err(|error| format!("a reader ended: {error}"))??;
        }
        Ok(())
    }

    /// Writes and reads one new session of each colony.
    async fn use_every_colony(&self, client: &Client, id: NamespaceId) -> Result<(), String> {
        let options = Options { deadline: CALL_WITHIN, ..Options::default() };
        let namespace = client.namespace(NAMESPACE).with(options);
        for bucket in 0..self.plan.buckets {
            let of_bucket = |key: &String| ColonyId::of(id, key.as_bytes(), self.plan.buckets).bucket == bucket;
            let key = (0_u32..).map(|number| format!("last.{number}")).find(of_bucket).ok_or("a bucket has keys")?;
            let put = namespace.put(&named(&key), content(1), Ttl::Never, Precondition::Absent).await;
            put.map_err(|error| format!("colony {bucket} takes no change: {error}"))?;
            let held = read(&namespace, &key).await.map_err(|error| format!("colony {bucket} is not read: {error}"))?;
            if held != Some(1) {
                return Err(format!("colony {bucket} shows {held:?} where 1 was written"));
            }
        }
        Ok(())
    }
}

fn pairs(from: &[Place], to: &[Place], mut with: impl FnMut(&str, &str)) {
    for from in from {
        for to in to {
            with(&from.name(), &to.name());
        }
    }
}
