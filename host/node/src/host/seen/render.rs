//! A picture in the form that Prometheus reads (OpenMetrics text).
//!
//! Labels and how many values they have: `kind`, `refusal`, `what`, `part`, `state` a fixed few; `plugin` those that
//! the configuration names; `namespace` and `bucket` together the copies of *this host*, at most 1024 of them. Never a
//! session, a client, a tag or a start.

use std::collections::BTreeMap;
use std::fmt;

use colony_core::colony::{Lag, Part, Standing};
use colony_core::group::MemberState;
use colony_core::merge::Switch;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::histogram::{Counts, seconds};
use super::meters::{Counter, Kind, PluginMeters, Proposed, ShardMeters};
use super::picture::Picture;
use super::ready;
use crate::host::plugins::Guarded;

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What every name begins with.
const PREFIX: &str = "colony";

type Labels = Vec<(&'static str, String)>;

/// The text of a picture.
pub(super) fn text(picture: Picture) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(picture));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut text, &registry);
    text
}

impl Collector for Picture {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.host(&mut page)?;
        self.group(&mut page)?;
        self.requests(&mut page)?;
        self.replication(&mut page)?;
        self.plugins(&mut page)?;
        self.copies(&mut page)
    }
}

impl Picture {
    fn host(&self, page: &mut Page<'_>) -> fmt::Result {
        let info = vec![("host", self.sight.name.clone()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
        page.gauges("host", "This host; always 1", [(info, 1)])?;
        page.gauge("ready", "Whether the host is up and holds all that it should, as /readyz says", self.is_ready)?;
        page.gauge("calls", "Clients' calls without an answer yet", self.sums.calls)
    }

    fn group(&self, page: &mut Page<'_>) -> fmt::Result {
        let (sight, state) = (&self.sight, &self.sight.state);
        // What most clusters have none of is said to be none.
        let mut hosts: BTreeMap<String, u64> =
            [MemberState::Up, MemberState::Dead].map(|state| (ready::word(state), 0)).into();
        for member in state.members.values() {
            *hosts.entry(ready::word(member.state)).or_default() += 1;
        }
        let hosts = hosts.into_iter().map(|(state, count)| (vec![("state", state)], count));
        page.gauges("group_hosts", "Processes the group speaks of, by their state", hosts)?;
        page.gauge("group_colonies", "Colonies of the cluster", state.table.len() as u64)?;
        let unserved = state.table.values().filter(|entry| entry.primary.is_none()).count();
        page.gauge("group_colonies_unserved", "Colonies of the cluster that have no primary", unserved as u64)?;
        page.gauge("group_revision", "Newest revision of the group's state that this host knows", state.revision.0)?;
        page.gauge("group_leads", "Whether this host leads the group, confirmed by a quorum", sight.leads)?;
        page.gauge("group_votes", "Whether this host votes in the group", sight.votes)?;
        let leaderless = sight.leaderless_for.as_secs_f64();
        page.measure(
            "group_leaderless_seconds",
            "For how long this host has known no leader; 0 if it does",
            leaderless,
        )?;
        let journal = &sight.journal;
        page.counter("group_commits", "Decisions of the group, as seen here", &journal.commits)?;
        page.counter("group_table_changes", "Changes of entries of the table, as seen here", &journal.table_changes)?;
        page.counter("group_reigns", "New primaries in all colonies, as seen here", &journal.reigns)?;
        page.counter("group_moves", "Colonies planned to live on another host, as seen here", &journal.moves)?;
        page.counter("group_deaths", "Processes declared dead or replaced, as seen here", &journal.deaths)?;
        page.counter("group_joins", "Processes admitted, as seen here", &journal.joins)?;
        page.counter("watch_probes", "Hosts probed after their sentinel connection broke", &journal.probes)?;
        page.counter("watch_accusations", "Times this host held another for dead, repetitions included", {
            &journal.accusations
        })
    }

    fn requests(&self, page: &mut Page<'_>) -> fmt::Result {
        let requests = self.requests.iter().map(|(kind, count, _)| (vec![("kind", kind.label().to_owned())], *count));
        page.counters("requests", "Clients' requests received, by kind", requests)?;
        let refusals = self.refusals.iter().map(|(name, count)| (vec![("refusal", (*name).to_owned())], *count));
        page.counters("refusals", "Clients' requests refused, by refusal", refusals)?;
        let help = "From a request's arrival to its reply, refusals included, by kind";
        // A watch is answered when something happens: its time says nothing of the host.
        let timed = self.requests.iter().filter(|(kind, ..)| *kind != Kind::Watch);
        let latencies = timed.map(|(kind, _, counts)| (vec![("kind", kind.label().to_owned())], counts));
        page.histograms("request_duration_seconds", help, latencies)
    }

    fn replication(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "From a change's place in the log to its commit, when every in-sync copy holds it";
        page.histograms("commit_duration_seconds", help, [(Vec::new(), &self.commit)])?;
        page.counter_sum(self, "promotions", "Colonies that this host took over from another primary", |of| {
            &of.promotions
        })?;
        page.counter_sum(self, "ops_sent", "Ops sent to peers, counted for each peer", |of| &of.ops_sent)?;
        page.counter_sum(self, "transfers_begun", "States that began to be sent to a peer", |of| &of.transfers_begun)?;
        page.counter_sum(self, "transfers_finished", "States that a peer has whole", |of| &of.transfers_finished)?;
        page.counter_sum(self, "transfer_bytes", "Bytes of states sent to peers", |of| &of.transfer_bytes)?;
        page.counter_sum(
            self,
            "merges",
            "Conflicts that were decided by what is built in, or put to a plugin",
            |of| &of.merges,
        )?;
        page.counter_sum(self, "merge_fallbacks", "Conflicts that the built-in decided in place of a plugin", |of| {
            &of.fallbacks
        })?;
        page.counter_sum(self, "expiries_held", "Sessions that came due and were not ended at once", |of| {
            &of.expiries_held
        })?;
        let meters = &self.sight.meters;
        let proposals = Proposed::ALL.iter().map(|what| {
            let count = meters.iter().map(|meters| meters.proposals(*what)).sum();
            (vec![("what", what.label().to_owned())], count)
        });
        page.counters("proposals", "Proposals of this host's colonies to the group, repetitions included", proposals)
    }

    fn plugins(&self, page: &mut Page<'_>) -> fmt::Result {
        let plugins = self.sight.plugins.guards(&self.sight.state);
        let label = |plugin: &Guarded| vec![("plugin", plugin.name.clone())];
        let one = |count: &dyn Fn(&PluginMeters) -> u64| -> Vec<(Labels, u64)> {
            plugins.iter().map(|plugin| (label(plugin), count(plugin.guard.meters()))).collect()
        };
        page.counters("plugin_calls", "Calls of a merge plugin", one(&|of| of.calls.get()))?;
        let with = |plugin: &Guarded, key: &'static str, value: &str| {
            vec![("plugin", plugin.name.clone()), (key, value.to_owned())]
        };
        let failures = plugins.iter().flat_map(|plugin| {
            plugin.guard.meters().failures().map(move |(kind, count)| (with(plugin, "kind", kind), count))
        });
        page.counters("plugin_failures", "Calls without a usable answer, by kind", failures)?;
        let help = "Questions that were not asked, because the plugin had failed too often";
        page.counters("plugin_skipped", help, one(&|of| of.skipped.get()))?;
        let help = "Questions decided by the built-in instead";
        page.counters("plugin_fallbacks", help, one(&|of| of.fallbacks.get()))?;
        let help = "Saves refused for want of a usable answer";
        page.counters("plugin_saves_refused", help, one(&|of| of.saves_refused.get()))?;
        page.counters("plugin_fuel", "Fuel of all calls", one(&|of| of.fuel.get()))?;
        page.gauges("plugin_fuel_max", "Most fuel of one call", one(&|of| of.fuel_max()))?;
        let instances = plugins.iter().map(|plugin| (label(plugin), plugin.instances() as u64));
        page.gauges("plugin_instances", "Instances of a merge plugin", instances)?;
        let help = "Times that a merge plugin was switched off, for it had failed too often";
        page.counters("plugin_switched_off", help, one(&|of| of.switched_off.get()))?;
        let states = plugins.iter().flat_map(|plugin| {
            let switch = plugin.switch();
            let is = [
                ("on", switch == Switch::On),
                ("off", matches!(switch, Switch::Off(_))),
                ("trial", switch == Switch::Trial),
            ];
            is.map(|(state, is)| (with(plugin, "state", state), u64::from(is)))
        });
        page.gauges("plugin_breaker", "Whether a merge plugin is asked, not, or once more: 1 for what is so", states)?;
        let times: Vec<(Labels, Counts)> = plugins
            .iter()
            .map(|plugin| {
                let mut counts = Counts::default();
                plugin.guard.meters().time.add_to(&mut counts);
                (label(plugin), counts)
            })
            .collect();
        let times = times.iter().map(|(labels, counts)| (labels.clone(), counts));
        page.histograms("plugin_call_duration_seconds", "Time of a call of a merge plugin", times)
    }

    fn copies(&self, page: &mut Page<'_>) -> fmt::Result {
        let sums = &self.sums;
        let parts = [
            ("primary", sums.primaries),
            ("secondary", sums.secondaries),
            ("catching_up", sums.catching_up),
            ("kept", sums.kept),
        ];
        let parts = parts.map(|(part, count)| (vec![("part", part.to_owned())], count));
        page.gauges("copies", "Copies on this host, by the part they play", parts)?;
        page.gauge("copies_serving", "Copies on this host that answer clients", sums.serving)?;
        page.gauge("copies_unlisted", "Copies on this host without series of their own", self.unlisted as u64)?;
        page.gauge("sessions", "Sessions of the colonies this host is primary of", sums.sessions)?;
        page.gauge("session_bytes", "About the bytes that these sessions take in a copy", sums.bytes)?;
        page.gauge("uncommitted_ops", "Ops of those colonies that are not committed", sums.uncommitted)?;
        page.gauge("lag_ops", "Ops that the slowest in-sync peer of any of them is behind", sums.most_ops_behind)?;
        page.gauge("lag_bytes", "Bytes of ops that the slowest in-sync peer is behind", sums.most_bytes_behind)?;

        let each = |of: &dyn Fn(&Standing) -> u64| -> Vec<(Labels, u64)> {
            self.copies.iter().map(|(space, bucket, standing)| (labels(space, *bucket), of(standing))).collect()
        };
        let roles = self.copies.iter().map(|(space, bucket, standing)| {
            let mut labels = labels(space, *bucket);
            labels.push(("part", part(standing.part).to_owned()));
            (labels, 1)
        });
        page.gauges("copy_part", "The part that a copy on this host plays; always 1", roles)?;
        page.gauges("copy_serving", "Whether the copy answers clients", each(&|of| u64::from(of.is_serving)))?;
        page.gauges("copy_reign", "The reign that the copy takes part in", each(&|of| of.reign.0))?;
        page.gauges("copy_sessions", "Sessions in the copy", each(&|of| of.sessions))?;
        page.gauges("copy_uncommitted_ops", "Ops in the copy not known to be committed", each(&|of| of.uncommitted))?;
        let help = "At a primary: ops that the slowest peer is behind, of those in sync or of those catching up";
        page.gauges("copy_lag_ops", help, self.lags(|lag| lag.ops))?;
        let help = "The same in bytes, as far as the log still has them";
        page.gauges("copy_lag_bytes", help, self.lags(|lag| lag.bytes))
    }

    fn lags(&self, of: impl Fn(Lag) -> u64) -> Vec<(Labels, u64)> {
        let mut lags = Vec::new();
        for (space, bucket, standing) in &self.copies {
            for (peers, lag) in [("in_sync", standing.lag), ("catching_up", standing.catching_up)] {
                let Some(lag) = lag else { continue };
                let mut labels = labels(space, *bucket);
                labels.push(("peers", peers.to_owned()));
                lags.push((labels, of(lag)));
            }
        }
        lags
    }
}

fn labels(namespace: &str, bucket: u32) -> Labels {
    vec![("namespace", namespace.to_owned()), ("bucket", bucket.to_string())]
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Primary => "primary",
        Part::Secondary => "secondary",
        Part::CatchingUp => "catching_up",
    }
}

/// Writes families one after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) -> fmt::Result {
        self.gauges(name, help, [(Vec::new(), value.into())])
    }

    fn gauges(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            one(&mut family, &labels, |metric| metric.encode_gauge(&value))?;
        }
        Ok(())
    }

    fn measure(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) -> fmt::Result {
        self.counters(name, help, [(Vec::new(), counter.get())])
    }

    /// The sum of what all shards have counted.
    fn counter_sum(
        &mut self,
        picture: &Picture,
        name: &str,
        help: &str,
        of: impl Fn(&ShardMeters) -> &Counter,
    ) -> fmt::Result {
        let sum = picture.sight.meters.iter().map(|meters| of(meters).get()).sum();
        self.counters(name, help, [(Vec::new(), sum)])
    }

    fn counters(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in series {
            one(&mut family, &labels, |metric| metric.encode_counter::<NoLabelSet, _, u64>(&value, None))?;
        }
        Ok(())
    }

    fn histograms<'c>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (Labels, &'c Counts)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, counts) in series {
            let sum = seconds(counts.sum_micros);
            one(&mut family, &labels, |metric| {
                metric.encode_histogram::<NoLabelSet>(sum, counts.count(), &counts.in_seconds(), None)
            })?;
        }
        Ok(())
    }
}

/// One series of a family; without labels the family is the series.
fn one(
    family: &mut MetricEncoder<'_>,
    labels: &Labels,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        return write(family);
    }
    let labels = Pairs(labels);
    let mut metric = family.encode_family(&labels)?;
    write(&mut metric)
}

/// Labels as the encoder takes them.
#[derive(Debug)]
struct Pairs<'a>(&'a Labels);

impl EncodeLabelSet for Pairs<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> fmt::Result {
        self.0.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use colony_wire::client::Refusal;
    use colony_wire::{Reign, StartId};

    use super::*;
    use crate::host::seen::picture;
    use crate::host::seen::sample::{sight, state};

    async fn shown() -> String {
        let sight = sight(state(2));
        for meters in &sight.meters {
            meters.asked(Kind::Put);
            meters.answered(Kind::Put, Duration::from_millis(2));
            meters.refused(&Refusal::Offline);
            meters.promotions.inc();
        }
        let mut picture = picture::take(sight).await.expect("there is no shard to be waited for");
        let lag = Lag { peer: StartId(2), ops: 3, bytes: 300 };
        let standing = Standing {
            part: Part::Primary,
            is_serving: true,
            reign: Reign(4),
            sessions: 10,
            bytes: 1000,
            uncommitted: 3,
            lag: Some(lag),
            catching_up: None,
        };
        picture.copies = vec![("ca\"rt".to_owned(), 7, standing)];
        text(picture)
    }

    #[tokio::test]
    async fn what_all_shards_counted_is_one_number() {
        let text = shown().await;
        for line in [
            "colony_host{host=\"h1\",version=\"0.1.0\"} 1",
            "colony_ready 1",
            "colony_group_hosts{state=\"up\"} 2",
            "colony_requests_total{kind=\"put\"} 2",
            "colony_requests_total{kind=\"get\"} 0",
            "colony_refusals_total{refusal=\"offline\"} 2",
            "colony_promotions_total 2",
            "colony_request_duration_seconds_count{kind=\"put\"} 2",
            "colony_request_duration_seconds_sum{kind=\"put\"} 0.004",
            "colony_request_duration_seconds_bucket{le=\"0.001\",kind=\"put\"} 0",
            "colony_request_duration_seconds_bucket{le=\"0.0025\",kind=\"put\"} 2",
            "colony_request_duration_seconds_bucket{le=\"+Inf\",kind=\"put\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn a_copy_is_named_by_namespace_and_bucket_and_its_labels_are_escaped() {
        let text = shown().await;
        for line in [
            r#"colony_copy_part{namespace="ca\"rt",bucket="7",part="primary"} 1"#,
            r#"colony_copy_reign{namespace="ca\"rt",bucket="7"} 4"#,
            r#"colony_copy_lag_ops{namespace="ca\"rt",bucket="7",peers="in_sync"} 3"#,
            r#"colony_copy_lag_bytes{namespace="ca\"rt",bucket="7",peers="in_sync"} 300"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("catching_up\"} 0\ncolony_copy_lag"), "{text}");
    }

    #[tokio::test]
    async fn every_family_is_described_once() {
        let text = shown().await;
        let mut described: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        let count = described.len();
        described.sort_unstable();
        described.dedup();
        assert!(count > 30 && described.len() == count, "{described:?}");
    }
}
