//! Whether this host holds all that it should, in words where it does not.

use std::time::Duration;

use colony_core::group::{Entry, MemberState, State};
use colony_wire::ColonyId;

use super::picture;
use crate::host::control::Sight;

/// Without a leader for so long, what a host knows may be old. An election takes a second or two.
const LEADERLESS_FOR: Duration = Duration::from_secs(5);
/// A host that has just come up waits so long for the plan that gives it the copies others lack. Later the plan is
/// not asked for: a placement may forbid more copies for good.
const PLANNED_WITHIN: Duration = Duration::from_secs(5);
/// Colonies that are named one by one.
const NAMED: usize = 5;

/// Why this host is not ready; empty if it is.
pub(super) async fn asked(sight: &Sight) -> Vec<String> {
    match picture::pulse(sight).await {
        Ok(kept) => reasons(sight, kept),
        Err(why) => vec![why],
    }
}

/// The same, with the number of kept copies known.
pub(super) fn reasons(sight: &Sight, kept: usize) -> Vec<String> {
    let state = &*sight.state;
    if !state.has_begun() {
        return vec!["it has not joined a cluster yet".to_owned()];
    }
    match state.members.get(&sight.start).map(|own| own.state) {
        Some(MemberState::Up) => {}
        Some(state) => return vec![format!("the group holds this process for {}", word(state))],
        None => return vec!["the group has not admitted it yet".to_owned()],
    }
    let mut reasons = Vec::new();
    if sight.leaderless_for > LEADERLESS_FOR {
        reasons.push(format!(
            "no leader of the group has been known for {} s: what this host knows may be old",
            sight.leaderless_for.as_secs()
        ));
    }
    let lacks = |entry: &Entry| entry.is_wanted(sight.start) && !entry.is_in_sync(sight.start);
    let catching_up: Vec<ColonyId> =
        state.table.iter().filter(|(_, entry)| lacks(entry)).map(|(colony, _)| *colony).collect();
    if !catching_up.is_empty() {
        reasons.push(format!("catching up: {}", named(state, &catching_up)));
    }
    if kept > 0 {
        let copies = if kept == 1 { "copy" } else { "copies" };
        reasons.push(format!("{kept} {copies} kept from before it was declared dead wait for the group's answer"));
    }
    if sight.up_for < PLANNED_WITHIN {
        let unplanned: Vec<ColonyId> =
            state.table.iter().filter(|(id, entry)| lacks_a_plan(state, **id, entry)).map(|(id, _)| *id).collect();
        if !unplanned.is_empty() {
            reasons.push(format!("no plan yet for the copies that are missing of: {}", named(state, &unplanned)));
        }
    }
    reasons
}

/// A state in one word.
pub(super) fn word(state: MemberState) -> String {
    format!("{state:?}").to_lowercase()
}

/// Whether the colony is planned to live on fewer hosts than it could.
fn lacks_a_plan(state: &State, colony: ColonyId, entry: &Entry) -> bool {
    let copies = state.policy(colony).map_or(0, |policy| usize::from(policy.copies));
    // A colony that no running host holds is given to nobody: there is nothing to copy.
    let is_held = entry.in_sync.iter().any(|start| state.is_up(*start));
    is_held && entry.want.len() < copies.min(state.up().count())
}

fn named(state: &State, colonies: &[ColonyId]) -> String {
    let name = |colony: &ColonyId| {
        let namespace = state.namespaces.get(&colony.namespace).map_or("?", |namespace| namespace.name.as_str());
        format!("{namespace}/{}", colony.bucket)
    };
    let mut words: Vec<String> = colonies.iter().take(NAMED).map(name).collect();
    let more = colonies.len().saturating_sub(NAMED);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use colony_core::group::{Command, Move};
    use colony_wire::StartId;

    use super::*;
    use crate::host::seen::sample::{ME, colony, sight, state};

    #[test]
    fn a_host_that_holds_all_it_should_is_ready() {
        assert_eq!(reasons(&sight(state(2)), 0), [""; 0]);
    }

    #[test]
    fn a_host_without_a_cluster_or_a_place_in_it_is_not_ready() {
        assert_eq!(reasons(&sight(State::default()), 0), ["it has not joined a cluster yet"]);
        let stranger = Sight { start: StartId(9), ..sight(state(2)) };
        assert_eq!(reasons(&stranger, 0), ["the group has not admitted it yet"]);
        let mut dead = state(2);
        dead.apply(&Command::Dead { start: ME, deviations: Vec::new() });
        assert_eq!(reasons(&sight(dead), 0), ["the group holds this process for dead"]);
    }

    /// A14.
    #[test]
    fn a_copy_that_is_not_in_sync_is_named() {
        let mut group = state(3);
        for bucket in 0..2 {
            let cfg = group.table[&colony(bucket)].cfg;
            let moves = vec![Move { colony: colony(bucket), cfg, want: vec![StartId(3), StartId(2)] }];
            group.apply(&Command::Plan { moves, reason: String::new(), inputs: 0 });
        }
        let newcomer = Sight { start: StartId(3), ..sight(group.clone()) };
        assert_eq!(reasons(&newcomer, 0), ["catching up: cart/0, cart/1"]);
        assert_eq!(reasons(&sight(group), 0), [""; 0], "it holds more than it should, and nothing less");
    }

    #[test]
    fn a_newcomer_waits_for_the_plan_that_gives_it_the_copies_others_lack() {
        let mut group = state(2);
        group.apply(&Command::Dead { start: StartId(2), deviations: Vec::new() });
        assert_eq!(reasons(&sight(group.clone()), 0), [""; 0], "there is nobody to plan for");
        let join =
            Command::Join { member: crate::host::seen::sample::member(3), deviations: Vec::new(), plugins: Vec::new() };
        group.apply(&join);
        let newcomer = Sight { start: StartId(3), up_for: Duration::from_secs(1), ..sight(group) };
        let why = "no plan yet for the copies that are missing of: cart/0, cart/1";
        assert_eq!(reasons(&newcomer, 0), [why]);
        let later = Sight { up_for: PLANNED_WITHIN, ..newcomer };
        assert_eq!(reasons(&later, 0), [""; 0], "a placement may forbid it for good");
    }

    #[test]
    fn an_old_view_and_copies_that_wait_are_reasons_too() {
        let old = Sight { leaderless_for: Duration::from_secs(7), ..sight(state(2)) };
        let reasons = reasons(&old, 2);
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].contains("for 7 s") && reasons[1].starts_with("2 copies kept"), "{reasons:?}");
    }
}
