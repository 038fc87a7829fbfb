//! Spreads colonies by load and keeps them out of overloaded zones.
//!
//! A host with the label `primary=never` gets no primaries. Hosts of a zone that is overloaded as a whole
//! come last; among the others the least busy host comes first, and between equally busy ones the one with
//! fewer copies of what is being placed.

use std::collections::BTreeMap;

use colony_guest::placement::{Candidate, Load, Placement, Request, Role, Score};

/// A zone whose hosts are this busy on average is overloaded, in percent. Hosts that would take over from a
/// neighbour need the rest.
pub const OVERLOADED_PERCENT: u32 = 80;

/// Puts every host of an overloaded zone below every other host: the other terms add up to 0 to 908.
const OVERLOADED_PENALTY: i32 = 1_000;

/// The plugin.
pub struct SpreadZones;

impl Placement for SpreadZones {
    fn score(&self, request: &Request, candidate: &Candidate) -> Score {
        Overview::of(request).score(request.role, candidate)
    }

    /// What concerns all hosts is worked out once: of a thousand candidates each would look at the thousand else, and a
    /// call has a bounded amount of work.
    fn rank(&self, request: &Request) -> Vec<Score> {
        let overview = Overview::of(request);
        request.candidates.iter().map(|candidate| overview.score(request.role, candidate)).collect()
    }
}

colony_guest::export_placement!(SpreadZones);

/// What is to be known of all candidates to score one.
struct Overview<'a> {
    /// By zone: its hosts, and how busy they are in sum.
    zones: BTreeMap<&'a str, (u64, u64)>,
    /// Copies, of what is being placed, on the fullest host.
    most: u64,
}

impl<'a> Overview<'a> {
    fn of(request: &'a Request) -> Self {
        let mut zones = BTreeMap::new();
        for host in &request.candidates {
            if let Some(zone) = host.label("zone") {
                let (hosts, busy): &mut (u64, u64) = zones.entry(zone).or_default();
                *hosts += 1;
                *busy += u64::from(busy_percent(&host.load));
            }
        }
        let most = request.candidates.iter().map(|host| copies(request.role, host)).max().unwrap_or(0);
        Self { zones, most }
    }

    fn score(&self, role: Role, candidate: &Candidate) -> Score {
        if role == Role::Primary && candidate.label("primary") == Some("never") {
            return Score::Veto(format!("{} is labelled primary=never", candidate.name));
        }
        let idle = i32::try_from(100 - busy_percent(&candidate.load)).unwrap_or(0);
        let overloaded = self.zone_busy_percent(candidate) >= OVERLOADED_PERCENT;
        let penalty = if overloaded { OVERLOADED_PENALTY } else { 0 };
        Score::Points(9 * idle + self.room(role, candidate) - penalty)
    }

    /// How busy the hosts of the candidate's zone are on average; a host without the label is a zone of its own.
    fn zone_busy_percent(&self, candidate: &Candidate) -> u32 {
        let Some((hosts, busy)) = candidate.label("zone").and_then(|zone| self.zones.get(zone)) else {
            return busy_percent(&candidate.load);
        };
        u32::try_from(busy.checked_div(*hosts).unwrap_or(0)).unwrap_or(100)
    }

    /// How few copies the host has beside the fullest candidate: 0 for the fullest, 8 for an empty one.
    fn room(&self, role: Role, candidate: &Candidate) -> i32 {
        let share = (8 * (self.most - copies(role, candidate).min(self.most))).checked_div(self.most);
        share.and_then(|share| i32::try_from(share).ok()).unwrap_or(0)
    }
}

/// How busy a host is: what is scarcest there counts. A host that measures nothing is taken for idle, so
/// that copies alone decide.
fn busy_percent(load: &Load) -> u32 {
    load.cpu_percent.max(load.memory_percent).unwrap_or(0).min(100)
}

/// Copies of what is being placed.
fn copies(role: Role, host: &Candidate) -> u64 {
    u64::from(match role {
        Role::Primary => host.load.primaries,
        Role::Secondary => host.load.colonies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, zone: &str, cpu_percent: u32, colonies: u32) -> Candidate {
        Candidate::new(name, Load { cpu_percent: Some(cpu_percent), colonies, primaries: colonies, ..Load::default() })
            .labelled("zone", zone)
    }

    /// Names of the candidates, best first, without those that are vetoed.
    fn order(role: Role, candidates: Vec<Candidate>) -> Vec<String> {
        let request = Request::new(role, candidates);
        let scores = SpreadZones.rank(&request);
        assert_eq!(scores.len(), request.candidates.len());
        let mut ranked: Vec<_> = scores
            .into_iter()
            .zip(&request.candidates)
            .filter_map(|(score, host)| match score {
                Score::Points(points) => {
                    assert!((-1000..=1000).contains(&points), "{points} would be clamped");
                    Some((-points, host.name.clone()))
                }
                Score::Veto(_) => None,
            })
            .collect();
        ranked.sort();
        ranked.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn the_least_busy_host_comes_first_then_the_one_with_fewer_copies() {
        let hosts = vec![host("h1", "a", 50, 0), host("h2", "b", 10, 9), host("h3", "c", 10, 4)];
        for role in [Role::Primary, Role::Secondary] {
            assert_eq!(order(role, hosts.clone()), ["h3", "h2", "h1"]);
        }
    }

    #[test]
    fn an_idle_host_in_an_overloaded_zone_comes_after_a_busy_one_elsewhere() {
        let hosts =
            vec![host("h1", "a", 0, 0), host("h2", "a", 100, 0), host("h3", "a", 100, 0), host("h4", "a", 100, 0)];
        let mut with_another_zone = hosts.clone();
        with_another_zone.push(host("h5", "b", 70, 50));
        assert_eq!(order(Role::Secondary, hosts)[0], "h1");
        // Three of four hosts at 100 % make 75 %: busy, not yet overloaded.
        assert_eq!(order(Role::Secondary, with_another_zone.clone())[0], "h1");
        with_another_zone[0].load.cpu_percent = Some(40);
        assert_eq!(order(Role::Secondary, with_another_zone)[0], "h5");
    }

    #[test]
    fn a_host_labelled_never_gets_secondaries_but_no_primaries() {
        let hosts = vec![host("h1", "a", 0, 0).labelled("primary", "never"), host("h2", "b", 90, 9)];
        assert_eq!(order(Role::Primary, hosts.clone()), ["h2"]);
        assert_eq!(order(Role::Secondary, hosts), ["h1", "h2"]);
    }

    #[test]
    fn without_measurements_the_host_with_fewer_copies_comes_first() {
        let mut hosts = vec![host("h1", "a", 0, 6), host("h2", "b", 0, 3)];
        for host in &mut hosts {
            host.load.cpu_percent = None;
        }
        assert_eq!(order(Role::Secondary, hosts), ["h2", "h1"]);
    }

    #[test]
    fn a_load_beyond_a_hundred_percent_is_a_full_host() {
        let mut hosts = vec![host("h1", "a", 0, 0), host("h2", "b", 99, u32::MAX)];
        hosts[0].load.memory_percent = Some(u32::MAX);
        assert_eq!(order(Role::Secondary, hosts), ["h2", "h1"]);
    }

    #[test]
    fn the_spread_keeps_the_laws() {
        colony_laws::assert_lawful_placement(&SpreadZones);
    }
}
