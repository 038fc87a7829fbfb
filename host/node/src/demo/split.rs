//! Chapter: the network is cut in two, both sides go on, and what they did becomes one again.
//!
//! It has a cluster of its own, for its links go through this process. Of the chapters before no link does: a host that
//! is killed behind one is noticed later, and every time that is measured would be longer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use colony_client::Ttl;
use colony_wire::{ColonyId, LineageId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::DemoError;
use super::cluster::{Cluster, PORTS};
use super::folder::Folder;
use super::ledger::ATTRIBUTE;
use super::links::Links;
use super::observer::{NAMESPACE, colonies, eventually, status, unsettled};
use super::plugins::{MERGE, PluginFiles};
use super::side::{Held, Side};
use super::story::{self, BUCKETS, COPIES, Stage};
use super::teller::Teller;

/// Hosts: one on one side, the others on the other.
const HOSTS: usize = 3;
/// Carts that both sides change.
const CARTS: usize = 12;
/// Sessions that each side begins while the network is cut.
const BEGUN: usize = 12;
/// Most names tried for them. Two of three colonies have a copy on each side, so that a few dozen are enough.
const NAMES_MAX: usize = 10_000;
/// Longest until the group has made every host a voter, and until all is merged and whole: far beyond every goal, so that
/// a broken promise is told with what was found.
const WITHIN: Duration = Duration::from_secs(30);

/// Attributes of a cart: a quantity that both sides change, and a note of which there can be one only.
const APPLES: &str = "item:apple";
const PEARS: &str = "item:pear";
const PLUMS: &str = "item:plum";
const NOTE: &str = "note";
/// What is in each cart before the cut.
const BEFORE: [(&str, &str); 2] = [(APPLES, "2"), (NOTE, "none")];
/// What the side with the group's majority makes of it first, and the other side after it.
const FIRST: [(&str, &str); 3] = [(APPLES, "3"), (PLUMS, "1"), (NOTE, "ring twice")];
const THEN: [(&str, &str); 3] = [(APPLES, "5"), (PEARS, "4"), (NOTE, "leave it at the door")];
/// What that is together: the apples that both put in, what only one put in, and the later note.
const TOGETHER: [(&str, &str); 4] = [(APPLES, "6"), (PEARS, "4"), (PLUMS, "1"), (NOTE, "leave it at the door")];
/// What the later note overrides.
const OVERRIDDEN: [(&str, &str); 1] = [(NOTE, "ring twice")];

/// A cluster whose network can be cut.
struct Split<'a> {
    stage: Stage<'a>,
    links: Links,
    /// The line of group state that never forks.
    root: LineageId,
    /// The side that keeps the group's majority.
    staying: Side,
    /// The one that is cut off from it.
    apart: Side,
    names: Names,
}

/// Keys, each in a colony that has a copy on both sides.
struct Names {
    carts: Vec<String>,
    /// Logged out on one side while the other touches it: the first on the staying side, the second on the other.
    ended: [String; 2],
    /// To be begun by each side.
    begun: [Vec<String>; 2],
}

/// Cuts a cluster in two, changes the same carts on both sides, mends it, and says what became of them.
pub(super) async fn tell(plugins: PluginFiles, folder: &Folder, teller: &Teller) -> Result<Value, DemoError> {
    let links = Links::start(HOSTS, PORTS).await?;
    let line = format!("a second cluster, of {HOSTS} hosts whose links go through this process, which can cut them");
    teller.tell("linked", json!({ "hosts": HOSTS }), &line);
    let stage = story::begin(Cluster::behind(&links, plugins, folder)?, HOSTS, teller).await?;
    let mut split = Split::prepare(stage, links).await?;
    let served_after_ms = split.go_apart().await?;
    split.end_sessions().await?;
    let healed = split.heal().await?;
    let overridden = split.report().await?;
    let whole_after_ms = split.become_whole(healed).await?;
    let Split { stage, staying, apart, .. } = split;
    let figures = json!({
        "sides": [staying.hosts(), apart.hosts()],
        "served_after_ms": served_after_ms,
        "carts_merged": CARTS,
        "overridden": overridden,
        "whole_after_ms": whole_after_ms,
    });
    staying.close().await;
    apart.close().await;
    stage.client.close().await;
    Ok(figures)
}

impl<'a> Split<'a> {
    /// Deals the hosts to two sides, and begins the carts that both will change.
    async fn prepare(stage: Stage<'a>, links: Links) -> Result<Self, DemoError> {
        let status = eventually("every host votes in the group", WITHIN, async || {
            let status = status(&stage.client).await?;
            let waiting = status.hosts.iter().find(|host| !host.voter).map(|host| host.name.clone());
            Ok(waiting.map_or(Ok(status), |name| Err(format!("{name} does not"))))
        })
        .await?;
        let mut names: Vec<String> = status.hosts.iter().map(|host| host.name.clone()).collect();
        names.sort();
        let alone = names.iter().rposition(|name| Some(name) != status.leader.as_ref());
        let alone = names.remove(alone.unwrap_or_default());
        let staying = Side::of(0, names, &stage.cluster, &links).await?;
        let apart = Side::of(1, vec![alone], &stage.cluster, &links).await?;
        let names = Names::on_both(&stage, &apart).await?;
        let failed = || DemoError::call("begin a cart");
        for name in names.carts.iter().chain(&names.ended) {
            let mut cart = stage.namespace.create_at(name, Ttl::OfNamespace).await.map_err(failed())?;
            for (attribute, value) in BEFORE {
                cart.set_raw(attribute, value).map_err(failed())?;
            }
            cart.save().await.map_err(failed())?;
        }
        let (line, before) = (format!("{CARTS} carts begun, each with {}", listed(&BEFORE)), BTreeMap::from(BEFORE));
        stage.teller.tell("carts", json!({ "carts": CARTS, "held": before }), &line);
        Ok(Self { stage, links, root: status.lineage, staying, apart, names })
    }

    /// Cuts the network; both sides change the carts, and begin sessions. Says how long after the cut each side took its
    /// first change.
    async fn go_apart(&mut self) -> Result<[u64; 2], DemoError> {
        let Self { stage, links, root, staying, apart, names } = self;
        links.cut(stage.cluster.names().map(|name| usize::from(apart.has(name))).collect());
        let cut = Instant::now();
        let line = format!("the network is cut: {staying} on one side, {apart} on the other");
        stage.teller.tell("cut", json!({ "sides": [staying.hosts(), apart.hosts()] }), &line);

        // One after the other, so that it is known which note is the later one.
        let first = staying.change(&names.carts, &FIRST, cut).await?;
        let then = apart.change(&names.carts, &THEN, cut).await?;
        let after = [millis(first), millis(then)];
        let status = apart.status().await?;
        let parent = status.parent.map(|parent| parent.to_string());
        let line = format!(
            "the same carts are changed on both sides: {} ms after the cut at {staying}, {} ms after it at {apart}",
            after[0], after[1]
        );
        let fields = json!({ "served_after_ms": after, "island": status.lineage.to_string(), "parent": parent });
        stage.teller.tell("islands", fields, &line);
        let claim = format!("{apart} says that it is an island, and {staying} that it is none");
        let here = staying.status().await?;
        let is_said = status.parent == Some(*root) && here.parent.is_none() && here.lineage == *root;
        stage.teller.claim(&claim, is_said, || format!("{:?} and {:?}", status.parent, here.parent))?;

        let sides = [(&*staying, "the group", *root, FIRST), (&*apart, "an island", status.lineage, THEN)];
        for (side, is, lineage, wanted) in sides {
            let read = side.read(&names.carts).await?;
            let is_own = |held: &Option<Held>| held.as_ref().is_some_and(|it| it.is(&wanted) && it.lineage == lineage);
            let wrong = read.iter().find(|held| !is_own(held));
            let one = wrong.or(read.first()).unwrap_or(&None);
            let held = one.as_ref().map(|it| &it.attributes);
            let fields =
                json!({ "at": side.hosts(), "carts": read.len(), "held": held, "lineage": lineage.to_string() });
            stage.teller.tell("read", fields, &format!("read at {side}, {is}: {}", shown(one)));
            let claim = format!("every cart read at {side} is what was written there, and in {is}");
            stage.teller.claim(&claim, wrong.is_none(), || shown(one))?;
        }
        self.begin_sessions().await?;
        Ok(after)
    }

    /// Each side begins sessions of its own.
    async fn begin_sessions(&mut self) -> Result<(), DemoError> {
        let failed = || DemoError::call("begin a session on one side of the split");
        for (side, names) in [&self.staying, &self.apart].into_iter().zip(&self.names.begun) {
            for name in names {
                let mut session = side.carts().create_at(name, Ttl::OfNamespace).await.map_err(failed())?;
                session.set_raw(ATTRIBUTE, name.clone()).map_err(failed())?;
                session.save().await.map_err(failed())?;
                self.stage.ledger.acknowledge(name.clone(), name.clone());
            }
        }
        let line = format!("each side begins {BEGUN} sessions of its own");
        self.stage.teller.tell("begun", json!({ "sessions": self.stage.ledger.len() }), &line);
        Ok(())
    }

    /// Two sessions are logged out, each on one side, while the other side touches them.
    async fn end_sessions(&mut self) -> Result<(), DemoError> {
        let Self { stage, staying, apart, names, .. } = self;
        let mut done = Vec::new();
        for (name, (here, there)) in names.ended.iter().zip([(&*staying, &*apart), (&*apart, &*staying)]) {
            done.push(here.carts().delete(name).await.map_err(DemoError::call("log out on one side"))?);
            done.push(
                there.carts().touch(name, Ttl::OfNamespace).await.map_err(DemoError::call("touch on the other"))?,
            );
        }
        let line = "one session is logged out at each side, and touched at the other";
        stage.teller.tell("logged_out", json!({ "sessions": names.ended.len() }), line);
        let claim = "both were there, on both sides";
        stage.teller.claim(claim, done.iter().all(|done| *done), || format!("{done:?}"))
    }

    /// Mends the network and waits until both sides read what both of them did.
    async fn heal(&mut self) -> Result<Instant, DemoError> {
        let Self { stage, links, root, staying, apart, names } = self;
        links.mend();
        let healed = Instant::now();
        stage.teller.tell("mended", json!({}), "the network is whole again");
        let both = eventually("every cart is one again, wherever it is read", WITHIN, async || {
            stage.cluster.check()?;
            let (here, there) = (staying.read(&names.carts).await?, apart.read(&names.carts).await?);
            let is_one = |(here, there): &(&Option<Held>, &Option<Held>)| {
                here == there && here.as_ref().is_some_and(|held| held.lineage == *root)
            };
            let apart = here.iter().zip(&there).find(|both| !is_one(both));
            Ok(match apart {
                Some((one, other)) => Err(format!("one cart is {} and {}", shown(one), shown(other))),
                None => Ok(here),
            })
        })
        .await?;
        let after = millis(healed.elapsed());
        let wrong = both.iter().find(|held| !held.as_ref().is_some_and(|it| it.is(&TOGETHER)));
        let one = wrong.or(both.first()).unwrap_or(&None);
        let held = one.as_ref().map(|it| &it.attributes);
        let line = format!("{after} ms later every cart is one again: {}", shown(one));
        let fields = json!({ "after_ms": after, "carts": both.len(), "held": held, "merge": MERGE });
        stage.teller.tell("united", fields, &line);
        let claim = format!("{MERGE}.wasm added up what both put in, what one put in is there, the later note stays");
        stage.teller.claim(&claim, wrong.is_none(), || shown(one))?;
        let left = [staying.read(&names.ended).await?, apart.read(&names.ended).await?].concat();
        stage.teller.claim(
            "a logout beats a touch: both sessions are gone",
            left.iter().all(Option::is_none),
            || left.iter().map(shown).collect::<Vec<_>>().join("; "),
        )?;
        Ok(healed)
    }

    /// What `colony heal list` and `colony heal show` say of it: how many values were overridden.
    async fn report(&self) -> Result<usize, DemoError> {
        let Self { stage, names, .. } = self;
        let list = stage.cluster.ask(&["heal", "list", "--namespace", NAMESPACE, "--json"]).await?;
        let values: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
        let id = values.first().and_then(|one| one.get("id")?.as_str()).unwrap_or_default().to_owned();
        let line = format!("colony heal list: {} values that were not chosen; colony heal show {id}:", values.len());
        stage.teller.tell("overridden", json!({ "values": values }), &line);
        let show = stage.cluster.ask(&["heal", "show", "--namespace", NAMESPACE, &id]).await?;
        show.lines().for_each(|line| stage.teller.detail(line));
        let overridden = json!(BTreeMap::from(OVERRIDDEN));
        let wanted = values.iter().filter(|one| one.pointer("/overridden/attributes") == Some(&overridden));
        let keys: BTreeSet<&str> = wanted.filter_map(|one| one.get("key")?.as_str()).collect();
        let is_each = values.len() == CARTS && names.carts.iter().map(String::as_str).collect::<BTreeSet<_>>() == keys;
        let claim = "the earlier note of every cart is listed, and nothing else";
        stage.teller.claim(claim, is_each, || format!("of {CARTS} carts {}: {list}", keys.len()))?;
        let is_shown = OVERRIDDEN.iter().all(|(name, value)| show.contains(name) && show.contains(value));
        stage.teller.claim("one of them is shown in full", is_shown, || show.clone())?;
        Ok(values.len())
    }

    /// Waits until every copy is back where it belongs; then everything is read back. Says how long after the links were
    /// mended that was.
    async fn become_whole(&mut self, healed: Instant) -> Result<u64, DemoError> {
        let stage = &mut self.stage;
        eventually("every host is back in the one group, and every copy where it belongs", WITHIN, async || {
            stage.cluster.check()?;
            let status = status(&stage.client).await?;
            let left = status.parent.map(|_| format!("{} lives in an island", status.answered_by));
            let left = left.or_else(|| stage.cluster.missing_in(&status.hosts));
            let left = left.or_else(|| status.under_way.first().cloned());
            let left = left.or(unsettled(&colonies(&stage.client).await?, BUCKETS, COPIES));
            Ok(left.map_or(Ok(()), Err))
        })
        .await?;
        let after = millis(healed.elapsed());
        let line = format!(
            "every host is in one group again and every colony has its {COPIES} copies, {after} ms after the links were mended"
        );
        stage.teller.tell("whole", json!({ "after_ms": after, "copies": COPIES }), &line);
        stage.audit().await?;
        Ok(after)
    }
}

impl Names {
    async fn on_both(stage: &Stage<'_>, apart: &Side) -> Result<Self, DemoError> {
        let colonies = colonies(&stage.client).await?;
        let is_on_both =
            |in_sync: &[String]| in_sync.iter().any(|it| apart.has(it)) && !in_sync.iter().all(|it| apart.has(it));
        let on_both: BTreeSet<u32> =
            colonies.iter().filter(|colony| is_on_both(&colony.in_sync)).map(|colony| colony.bucket).collect();
        let bucket = |name: &String| ColonyId::of(stage.namespace_id, name.as_bytes(), BUCKETS).bucket;
        let fitting = |what: &'static str| {
            (1..=NAMES_MAX).map(move |number| format!("{what}-{number}")).filter(|name| on_both.contains(&bucket(name)))
        };
        let ended: Vec<String> = fitting("logout").take(2).collect();
        let carts: Vec<String> = fitting("cart").take(CARTS).collect();
        let begun = ["staying", "apart"].map(|what| fitting(what).take(BEGUN).collect());
        let none = |_| DemoError::Claim {
            claim: "some colonies have a copy on each side".to_owned(),
            found: format!("of {NAMES_MAX} keys none is in such a colony"),
        };
        Ok(Self { carts, ended: ended.try_into().map_err(none)?, begun })
    }
}

fn listed(attributes: &[(&str, &str)]) -> String {
    attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn shown(held: &Option<Held>) -> String {
    held.as_ref().map_or_else(|| "nothing".to_owned(), Held::to_string)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
