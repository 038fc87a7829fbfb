//! What one seed's cluster is like: its size, its load, and which faults of which strength it meets.
//!
//! Faults at one rate for all never reach deep states: rare ones drown, frequent ones keep the cluster too
//! busy dying. So every seed draws its own mix, most faults off in most seeds (swarm testing: Groce and
//! others, ISSTA 2012). The ranges begin from those that TigerBeetle's simulator uses.

use std::collections::BTreeMap;
use std::time::Duration;

use colony_core::colony::{Mutant, Settings};
use colony_wire::admin::{MergeBy, OnConflict, OnPartition, OnPluginFailure, Policy};

use crate::clock::{MS, Micros, SECOND};
use crate::coverage::Strike;
use crate::rng::{PerMille, Rng};

/// Chance that a seed's run is a quiet one: it lasts many times as long as another.
const QUIET: PerMille = 20;
/// Chance that nothing happens in a seed's run but that hosts are drained.
const ONLY_DRAINS: PerMille = 40;
/// Chance that hosts are drained in a seed's run, beside what else it meets.
const DRAINS: PerMille = 400;

/// Everything that differs from seed to seed.
#[derive(Clone, Debug)]
pub struct Mix {
    /// How many hosts there are.
    pub hosts: usize,
    /// Over how many zones they are spread; none if nothing is said of where they stand.
    pub zones: usize,
    /// Shards of each host.
    pub shards: Vec<u16>,
    /// The one namespace's policy.
    pub policy: Policy,
    /// How replicas replicate.
    pub settings: Settings,
    /// How long faults last before everything heals.
    pub faulty_for: Micros,
    /// What clients do.
    pub load: Load,
    /// The network between hosts.
    pub net: Wire,
    /// The network between clients and hosts.
    pub edge: Wire,
    /// The group.
    pub group: Agreement,
    /// What happens to hosts and links.
    pub faults: Faults,
    /// How the merge plugin behaves.
    pub merges: Merges,
    /// Each host's clock: what it is ahead by, and its rate in thousandths.
    pub clocks: Vec<(Micros, u64)>,
    /// Whether the only thing that goes wrong is the group, for minutes.
    pub quiet: Option<Quiet>,
    /// Whether the only thing that happens is that hosts are drained.
    pub only_drains: bool,
}

/// What clients do.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many clients.
    pub clients: usize,
    /// How many session keys all of them share.
    pub keys: usize,
    /// Most calls one client has open.
    pub open: usize,
    /// Mean pause between two calls of one client.
    pub pause: Micros,
    /// A client sends a call again after this time.
    pub retry: Micros,
    /// A client gives a call up after this time.
    pub patience: Micros,
    /// Weights of get, put, save, touch, delete.
    pub weights: [u64; 5],
    /// Bytes that every blob is filled up with, so that snapshots take several chunks.
    pub bulk: usize,
    /// Chance that a client asks whom it took for the primary before.
    pub backward: PerMille,
    /// Chance that a client forgets what it knew and comes back as another.
    pub renew: PerMille,
}

/// One kind of network.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Least one-way delay.
    pub least: Micros,
    /// Mean of what comes on top.
    pub more: Micros,
    /// Chance of loss.
    pub loss: PerMille,
    /// Chance of a second delivery.
    pub twice: PerMille,
    /// Whether messages of one link keep their order, as on a stream.
    pub ordered: bool,
}

/// How the group behaves.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Mean time until a proposal is committed.
    pub commit: Micros,
    /// Chance that a proposal is lost.
    pub loss: PerMille,
    /// Chance that a proposal is carried out a second time, later.
    pub twice: PerMille,
    /// Chance that a proposal is carried out very late.
    pub late: PerMille,
    /// Mean time until a host hears of a commit.
    pub feed: Micros,
    /// Silence after which a host is declared dead.
    pub suspect_after: Micros,
    /// Mean time until a dead host that runs hears of it.
    pub tell: Micros,
    /// Whether the product's planner plans; else copies are only filled up, and only at random moved.
    pub planner: bool,
    /// Chance that a death names another heir than the first in sync, or none.
    pub deviate: PerMille,
}

/// What happens to hosts and links.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Mean time between two faults of a kind, over the whole cluster; kinds that are left out never strike.
    pub means: BTreeMap<Strike, Micros>,
    /// Chance that a fault waits until some step is under way, instead of striking when its time comes.
    pub aimed: PerMille,
    /// Mean time such a state lasts.
    pub lasting: Micros,
    /// Whether crashes spare the last in-sync copy of every colony.
    pub merciful: bool,
    /// Whether the group hears of a killed process at once, as by the closed socket of a sentinel connection
    /// (`PROTOCOL.md` 13).
    pub noticed: bool,
    /// Whether nothing is killed that the group would not hear of at once: a start that is declared dead by
    /// mistake may otherwise leave a colony to one that is dead and not known to be.
    pub careful: bool,
}

/// A run in which the group is gone for minutes and nothing else happens.
#[derive(Clone, Debug)]
pub struct Quiet {
    /// When it goes.
    pub from: Micros,
    /// For how long.
    pub span: Micros,
}

/// How the merge plugin behaves.
#[derive(Clone, Debug)]
pub struct Merges {
    /// Mean time it takes.
    pub delay: Micros,
    /// Chance that it fails.
    pub fails: PerMille,
    /// Chance that it answers nonsense.
    pub nonsense: PerMille,
}

impl Mix {
    /// What this seed draws.
    #[must_use]
    pub fn draw(seed: u64, mutant: Option<Mutant>) -> Self {
        let root = Rng::new(seed);
        let rng = &mut root.fork("mix");
        let hosts = rng.pick(&[3, 3, 4, 4, 5, 5]);
        let merges = Merges {
            delay: rng.pick(&[0, 5 * MS, 100 * MS, 500 * MS]),
            fails: rng.pick(&[0, 0, 0, 300]),
            nonsense: rng.pick(&[0, 0, 0, 200]),
        };
        let mix = Self {
            hosts,
            zones: root.fork("zones").pick(&[0, 2, 3]),
            shards: (0..hosts).map(|_| rng.pick(&[1, 1, 2])).collect(),
            policy: policy(rng, &mut root.fork("minimum"), hosts),
            settings: Settings {
                gather: root.fork("gather").chance(500),
                ..transfers(&mut root.fork("transfers"), settings(rng, mutant))
            },
            faulty_for: rng.between(15, 60) * SECOND,
            load: load(rng),
            net: wire(rng),
            edge: wire(rng),
            group: agreement(rng),
            faults: faults(rng),
            merges,
            clocks: (0..hosts)
                .map(|_| (rng.between(1, 10) * SECOND, rng.pick(&[1000, 1000, 990, 1010, 700, 1500])))
                .collect(),
            quiet: None,
            only_drains: false,
        };
        // Of a source of its own, so that every other draw of a seed stays as it was.
        let drains = &mut root.fork("drains");
        if drains.chance(ONLY_DRAINS) {
            return mix.drained(drains);
        }
        let mix = mix.with_drains(drains);
        if root.fork("quiet").chance(QUIET) { mix.silenced(&mut root.fork("quiet span")) } else { mix }
    }

    /// The same cluster, in which hosts are drained now and then if the planner is there to move what they hold.
    fn with_drains(mut self, rng: &mut Rng) -> Self {
        if self.group.planner && rng.chance(DRAINS) {
            self.faults.means.insert(Strike::Drain, rng.between(3, 10) * SECOND);
        }
        self
    }

    /// The same cluster with whole links, in which hosts are drained and nothing else happens.
    fn drained(self, rng: &mut Rng) -> Self {
        let means = BTreeMap::from([(Strike::Drain, rng.between(2, 5) * SECOND)]);
        let settings = Settings { tick: self.settings.tick, mutant: self.settings.mutant, ..Settings::default() };
        // A table that comes late makes a peer look silent, which is another fault.
        let (commit, feed) = (self.group.commit.min(5 * MS), self.group.feed.min(5 * MS));
        Self {
            settings,
            net: whole(self.net),
            edge: whole(self.edge),
            group: Agreement { commit, feed, loss: 0, twice: 0, late: 0, planner: true, ..self.group },
            faults: Faults { means, aimed: 0, ..self.faults },
            only_drains: true,
            ..self
        }
    }

    /// The same cluster with whole links and without faults, but for the group, which goes away for minutes.
    fn silenced(self, rng: &mut Rng) -> Self {
        let quiet = Quiet { from: rng.between(3, 8) * SECOND, span: rng.between(120, 300) * SECOND };
        let settings = Settings { tick: self.settings.tick, mutant: self.settings.mutant, ..Settings::default() };
        Self {
            settings,
            faulty_for: quiet.from + quiet.span + 2 * SECOND,
            load: Load { pause: self.load.pause.max(60 * MS), backward: 0, ..self.load },
            net: whole(self.net),
            edge: whole(self.edge),
            faults: Faults { means: BTreeMap::new(), ..self.faults },
            quiet: Some(quiet),
            ..self
        }
    }

    /// Whether every save that counts must add exactly its amount: nothing may decide a conflict but the plugin that
    /// adds, or nobody.
    #[must_use]
    pub fn counts_exactly(&self) -> bool {
        let plugin_adds =
            matches!(self.policy.merge, MergeBy::Plugin(_)) && self.merges.fails == 0 && self.merges.nonsense == 0;
        match self.policy.on_conflict {
            OnConflict::Merge => plugin_adds,
            OnConflict::Reject => true,
            OnConflict::Overwrite => false,
        }
    }
}

/// A network that loses nothing and is not slow.
fn whole(wire: Wire) -> Wire {
    Wire { least: wire.least.min(2 * MS), more: MS, loss: 0, ..wire }
}

fn policy(rng: &mut Rng, minimum: &mut Rng, hosts: usize) -> Policy {
    const COPIES: [u8; 10] = [1, 2, 2, 3, 3, 3, 4, 4, 4, 5];
    // As many as there may be hosts; four and more let two failovers in a row leave three different logs.
    let choices = if hosts < 4 { &COPIES[..7] } else { &COPIES };
    let copies = rng.pick(choices);
    // More than there are hosts would never be served.
    let most = u64::from(copies).min(hosts as u64);
    // Of its own source, so that every other draw of a seed stays as it was.
    let min_in_sync = if minimum.chance(500) { minimum.between(1, most) as u8 } else { 1 };
    Policy {
        copies,
        min_in_sync,
        buckets: rng.pick(&[1, 2, 2, 4]),
        ttl_ms: rng.pick(&[None, Some(3_000), Some(60_000)]),
        on_conflict: rng.pick(&[
            OnConflict::Merge,
            OnConflict::Merge,
            OnConflict::Merge,
            OnConflict::Reject,
            OnConflict::Overwrite,
        ]),
        merge: if rng.chance(750) { MergeBy::Plugin("counters".into()) } else { MergeBy::LastWrite },
        on_partition: if min_in_sync > 1 { OnPartition::Strict } else { OnPartition::Island },
        // Of the source of the least number of copies, for the same reason.
        on_plugin_failure: if minimum.chance(300) { OnPluginFailure::Refuse } else { OnPluginFailure::BuiltIn },
    }
}

fn settings(rng: &mut Rng, mutant: Option<Mutant>) -> Settings {
    let tick = Duration::from_millis(rng.pick(&[10, 20, 20, 40]));
    let mut settings = Settings { tick, mutant, ..Settings::default() };
    settings.replica_timeout = Duration::from_millis(rng.pick(&[200, 300, 300, 600]));
    // Well above what a client waits, by the fastest clock.
    settings.record_ttl = Duration::from_secs(rng.pick(&[30, 60]));
    if rng.chance(500) {
        settings.log_kept = rng.pick(&[4, 4, 16, 64]);
        settings.lag_bound = rng.pick(&[1, 4, 64]);
        settings.chunk_window = rng.pick(&[1, 2]);
        settings.max_buffered = rng.pick(&[1, 4, 64]);
        // What is committed and forgotten within one step the oracle would never see.
        settings.max_expiries = settings.log_kept - 2;
        settings.max_parked = settings.log_kept - 2;
        settings.max_revoke = settings.log_kept - 2;
    }
    if rng.chance(200) {
        settings.max_uncommitted = rng.pick(&[2, 8]);
        settings.max_parked = 1;
        settings.max_records = rng.pick(&[1, 4]);
        settings.max_expiries = 1;
    }
    settings
}

/// States that are under way for long, so that much happens meanwhile.
fn transfers(rng: &mut Rng, settings: Settings) -> Settings {
    Settings {
        transfer_bandwidth: rng.pick(&[64 << 20, 1 << 20, 100 << 10]),
        transfer_parallel: rng.pick(&[1, 2, 4]),
        ..settings
    }
}

fn load(rng: &mut Rng) -> Load {
    const MIXES: [[u64; 5]; 4] = [[4, 1, 4, 1, 1], [2, 2, 8, 0, 0], [3, 4, 2, 2, 4], [8, 1, 2, 1, 0]];
    let bulk = rng.pick(&[0, 0, 0, 0, 30_000]);
    Load {
        clients: rng.pick(&[2, 3, 4, 6]),
        keys: if bulk > 0 { 16 } else { rng.pick(&[1, 2, 4, 8, 12]) },
        bulk,
        open: rng.pick(&[1, 1, 2, 4]),
        pause: if bulk > 0 { 150 * MS } else { rng.pick(&[5 * MS, 20 * MS, 60 * MS, 150 * MS]) },
        retry: rng.pick(&[100 * MS, 300 * MS, 800 * MS]),
        patience: rng.pick(&[2, 5, 12]) * SECOND,
        weights: rng.pick(&MIXES),
        backward: rng.pick(&[0, 50, 200]),
        renew: rng.pick(&[0, 0, 5]),
    }
}

fn wire(rng: &mut Rng) -> Wire {
    let fierce = rng.chance(250);
    let rough = rng.chance(400);
    let (least, more, loss, twice) = if fierce {
        (rng.below(31) * MS, 30 * MS, rng.below(301), rng.below(501))
    } else if rough {
        (rng.below(4) * MS, 5 * MS, rng.below(40), rng.below(100))
    } else {
        (MS / 5, MS, 0, 0)
    };
    Wire {
        least,
        more: more + rng.below(more + 1),
        loss: loss as PerMille,
        twice: twice as PerMille,
        ordered: rng.chance(400),
    }
}

fn agreement(rng: &mut Rng) -> Agreement {
    let rough = rng.chance(500);
    let mut rarely = |most: u64| if rough { rng.below(most) as PerMille } else { 0 };
    let (loss, twice, late) = (rarely(200), rarely(300), rarely(100));
    Agreement {
        commit: rng.pick(&[2 * MS, 5 * MS, 30 * MS, 150 * MS]),
        loss,
        twice,
        late,
        feed: rng.pick(&[MS, 5 * MS, 50 * MS, 300 * MS]),
        suspect_after: rng.pick(&[600 * MS, SECOND]),
        tell: rng.pick(&[20 * MS, 200 * MS, 800 * MS]),
        planner: rng.chance(500),
        deviate: rng.pick(&[0, 0, 200]),
    }
}

fn faults(rng: &mut Rng) -> Faults {
    const KINDS: [(Strike, PerMille, u64, u64); 16] = [
        (Strike::Crash, 550, 3, 15),
        (Strike::Massacre, 250, 4, 16),
        (Strike::Pause, 500, 2, 12),
        (Strike::Split, 450, 3, 12),
        (Strike::OneWay, 350, 2, 12),
        (Strike::Clog, 300, 2, 10),
        (Strike::Groupless, 300, 4, 15),
        (Strike::Depose, 400, 1, 6),
        (Strike::Accuse, 400, 3, 15),
        (Strike::Shuffle, 700, 1, 8),
        (Strike::Flap, 350, 1, 4),
        (Strike::CutShort, 550, 1, 8),
        (Strike::Slow, 300, 2, 10),
        (Strike::Rate, 350, 1, 8),
        (Strike::Step, 350, 1, 8),
        (Strike::Jump, 300, 2, 10),
    ];
    let hurried = rng.chance(400);
    let mut means = BTreeMap::new();
    for (strike, chance, least, most) in KINDS {
        if rng.chance(chance) {
            let mean = rng.between(least, most) * SECOND;
            let mean = match strike {
                Strike::Shuffle if hurried => mean / 10,
                Strike::Flap => mean / 2,
                _ => mean,
            };
            means.insert(strike, mean);
        }
    }
    Faults {
        means,
        aimed: rng.pick(&[0, 300, 700, 900]),
        lasting: rng.pick(&[300 * MS, 1500 * MS, 4 * SECOND]),
        merciful: rng.chance(800),
        noticed: rng.chance(300),
        careful: false,
    }
}
