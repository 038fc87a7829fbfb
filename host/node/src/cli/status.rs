//! `colony status`: what is wrong and why, on one screen.

use std::fmt::Write;

use colony_wire::admin::{ClusterStatus, Problem, Severity};
use serde_json::{Value, json};

use super::args::Common;
use super::cluster::{host_json, read_status};
use super::failure::Failure;
use super::output::Output;
use super::text::{duration, printable};

/// Problems that people are shown; beyond it their number. With the rest it fills a screen.
const SHOWN: usize = 20;
/// Runs of buckets that one line names.
const RUNS: usize = 8;
/// Exit code of `--check` if clients are served with less behind it than there should be.
const DEGRADED: u8 = 3;
/// Exit code of `--check` if clients are refused what they ask for.
const FAILING: u8 = 4;

/// Prints the status. With `check`, what is wrong shows in the exit code too.
pub(super) fn run(common: &Common, check: bool, output: Output) -> Result<(), Failure> {
    let status = read_status(common)?;
    output.answer(|| to_json(&status), || to_text(&status))?;
    match worst(&status) {
        Some(Severity::Failing) if check => Err(Failure::Checked { code: FAILING }),
        Some(Severity::Degraded) if check => Err(Failure::Checked { code: DEGRADED }),
        Some(_) | None => Ok(()),
    }
}

fn worst(status: &ClusterStatus) -> Option<Severity> {
    status.problems.iter().map(|problem| problem.severity).min()
}

fn health(status: &ClusterStatus) -> &'static str {
    match worst(status) {
        None => "healthy",
        Some(Severity::Degraded) => "degraded",
        Some(Severity::Failing) => "failing",
    }
}

fn voters(status: &ClusterStatus) -> Vec<&str> {
    status.hosts.iter().filter(|host| host.voter).map(|host| host.name.as_str()).collect()
}

fn to_json(status: &ClusterStatus) -> Value {
    json!({
        "health": health(status),
        "cluster": status.cluster.to_string(),
        "lineage": status.lineage.to_string(),
        "island_of": status.parent.map(|parent| parent.to_string()),
        "revision": status.revision.0,
        "answered_by": status.answered_by,
        "leader": status.leader,
        "leaderless_ms": status.leaderless_ms,
        "voters": voters(status),
        "colonies": status.colonies,
        "served": status.served,
        "problems": status.problems.iter().flat_map(lines).collect::<Vec<_>>(),
        "under_way": status.under_way,
        "hosts": status.hosts.iter().map(host_json).collect::<Vec<_>>(),
    })
}

/// For programs: one line for each colony.
fn lines(problem: &Problem) -> Vec<String> {
    match &problem.namespace {
        None => vec![problem.text.clone()],
        Some(name) => problem.buckets.iter().map(|bucket| format!("{name}/{bucket}: {}", problem.text)).collect(),
    }
}

fn to_text(status: &ClusterStatus) -> String {
    let answered_by = printable(&status.answered_by);
    let leader = match status.leader.as_deref() {
        Some(leader) => format!("{} (answered by {answered_by})", printable(leader)),
        None if status.leaderless_ms == 0 => format!("none is known to {answered_by}"),
        None => format!(
            "none is known to {answered_by} for {}: all of this may be that old",
            duration(status.leaderless_ms)
        ),
    };
    let voters = voters(status).into_iter().map(printable).collect::<Vec<_>>().join(", ");
    let voters = if voters.is_empty() { format!("not known to {answered_by}") } else { voters };
    let rows = [
        ("health", health(status).to_owned()),
        ("cluster", status.cluster.to_string()),
        ("lineage", lineage(status)),
        ("leader", leader),
        ("voters", voters),
        ("hosts", hosts(status)),
        ("colonies", format!("{}, {} served", status.colonies, status.served)),
    ];
    let mut text = String::new();
    for (heading, words) in rows {
        row(&mut text, heading, &words);
    }
    section(&mut text, "under way", &status.under_way.iter().map(|line| printable(line)).collect::<Vec<_>>());
    section(&mut text, "problems", &status.problems.iter().map(one).collect::<Vec<_>>());
    if status.problems.is_empty() {
        row(&mut text, "problems", "none");
    }
    text
}

fn lineage(status: &ClusterStatus) -> String {
    let island = status.parent.map(|parent| format!(", an island: cut off from {parent}")).unwrap_or_default();
    format!("{}, revision {}{island}", status.lineage, status.revision.0)
}

fn row(text: &mut String, heading: &str, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{heading:9}  {words}");
}

fn section(text: &mut String, heading: &str, lines: &[String]) {
    for (place, line) in lines.iter().take(SHOWN).enumerate() {
        row(text, if place == 0 { heading } else { "" }, line);
    }
    if lines.len() > SHOWN {
        row(text, "", &format!("... and {} more", lines.len() - SHOWN));
    }
}

/// How many hosts there are, and which are not simply up.
fn hosts(status: &ClusterStatus) -> String {
    let (up, others): (Vec<_>, Vec<_>) = status.hosts.iter().partition(|host| host.state == "up");
    let mut words = format!("{}, {} up", status.hosts.len(), up.len());
    for host in others.iter().take(SHOWN) {
        let _ = write!(words, ", {} {}", printable(&host.name), printable(&host.state));
    }
    if others.len() > SHOWN {
        let _ = write!(words, " and {} more", others.len() - SHOWN);
    }
    words
}

/// For people: one line for all colonies it is about.
fn one(problem: &Problem) -> String {
    let text = printable(&problem.text);
    match &problem.namespace {
        None => text,
        Some(name) => format!("{}/{}: {text}", printable(name), ranges(&problem.buckets)),
    }
}

/// Numbers in order, as people write them: `0-3,7`.
fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let mut text = runs.iter().take(RUNS).map(run).collect::<Vec<_>>().join(",");
    let left: u32 = runs.iter().skip(RUNS).map(|(first, last)| last - first + 1).sum();
    if left > 0 {
        let _ = write!(text, " and {left} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use colony_wire::admin::HostStatus;
    use colony_wire::{ClusterId, LineageId, Revision, StartId};

    use super::*;

    fn host(name: &str, state: &str) -> HostStatus {
        HostStatus {
            name: name.into(),
            start: StartId(u64::MAX),
            address: "127.0.0.1:7400".into(),
            state: state.into(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            shards: 2,
            voter: state == "up",
            primaries: 16,
            copies: 16,
        }
    }

    fn status(problems: Vec<Problem>) -> ClusterStatus {
        ClusterStatus {
            cluster: ClusterId(1),
            lineage: LineageId(u128::MAX),
            revision: Revision(17),
            answered_by: "h2".into(),
            leader: Some("h1".into()),
            leaderless_ms: 0,
            hosts: vec![host("h1", "up"), host("h2", "up"), host("h3", "dead")],
            colonies: 16,
            served: 15,
            problems,
            under_way: Vec::new(),
            parent: None,
        }
    }

    fn offline(buckets: &[u32]) -> Problem {
        let (severity, namespace) = (Severity::Failing, Some("cart".to_owned()));
        Problem { severity, namespace, buckets: buckets.into(), text: "offline: h3 held it".into() }
    }

    fn shortage(text: &str) -> Problem {
        Problem { severity: Severity::Degraded, namespace: None, buckets: Vec::new(), text: text.into() }
    }

    #[test]
    fn a_healthy_cluster_takes_a_few_lines() {
        let text = to_text(&status(Vec::new()));
        assert!(text.starts_with("health     healthy\n"), "{text}");
        assert!(text.contains("\nleader     h1 (answered by h2)\nvoters     h1, h2\n"), "{text}");
        assert!(text.ends_with("\ncolonies   16, 15 served\nproblems   none\n"), "{text}");
        assert_eq!(text.lines().count(), 8);
    }

    #[test]
    fn problems_stand_in_words_one_a_line_and_name_their_colonies() {
        let text = to_text(&status(vec![offline(&[0, 1, 2, 7]), shortage("one copy only")]));
        assert!(text.starts_with("health     failing\n"), "{text}");
        assert!(text.contains("\nhosts      3, 2 up, h3 dead\n"), "{text}");
        let end = "problems   cart/0-2,7: offline: h3 held it\n           one copy only\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn many_problems_are_cut_to_a_screen() {
        let text = to_text(&status((0..33).map(|it| shortage(&it.to_string())).collect()));
        assert!(text.ends_with("           19\n           ... and 13 more\n"), "{text}");
    }

    #[test]
    fn without_a_leader_the_answer_says_how_old_it_may_be() {
        let old = ClusterStatus { leader: None, leaderless_ms: 72_000, ..status(Vec::new()) };
        let text = to_text(&old);
        assert!(text.contains("\nleader     none is known to h2 for 1m 12s: all of this may be that old\n"), "{text}");
        assert_eq!(to_json(&old)["leaderless_ms"], 72_000);
    }

    #[test]
    fn programs_get_one_problem_for_each_colony() {
        let json = to_json(&status(vec![offline(&[3, 5]), shortage("one copy only")]));
        let expected = ["cart/3: offline: h3 held it", "cart/5: offline: h3 held it", "one copy only"];
        assert_eq!(json["problems"], json!(expected));
        assert_eq!([&json["health"], &json["voters"]], [&json!("failing"), &json!(["h1", "h2"])]);
    }

    #[test]
    fn ids_are_strings_in_json_since_numbers_there_have_53_bits() {
        let json = to_json(&status(Vec::new()));
        assert_eq!(json["lineage"], "f".repeat(32));
        assert_eq!(json["hosts"][0]["start"], "f".repeat(16));
        assert_eq!(json["hosts"][0]["labels"]["zone"], "a");
    }

    #[test]
    fn runs_of_buckets_are_named_by_their_ends() {
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[0, 1, 2, 4, 6, 7]), "0-2,4,6-7");
        let odd: Vec<u32> = (0..20).map(|it| 2 * it + 1).collect();
        assert_eq!(ranges(&odd), "1,3,5,7,9,11,13,15 and 12 more");
    }
}
