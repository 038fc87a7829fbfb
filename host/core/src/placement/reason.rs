//! Why a plan was made, in words for people.

use std::collections::{BTreeMap, BTreeSet};

use colony_wire::StartId;

use crate::group::State;

/// Longest reason, in bytes: it stands in the group's log with every plan.
const MAX_REASON: usize = 200;

/// The hosts that were up when somebody last looked, and those that drained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    up: BTreeMap<StartId, String>,
    draining: BTreeSet<StartId>,
    has_left: BTreeSet<StartId>,
}

impl Seen {
    /// The hosts that are up now.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self {
            up: state.up().map(|member| (member.start, member.name.clone())).collect(),
            draining: state.up().map(|member| member.start).filter(|start| state.is_draining(*start)).collect(),
            has_left: state.left.iter().map(|(start, _)| *start).collect(),
        }
    }

    /// What has happened to hosts since: `h4 joined`, `h2 died`, `h3 restarted`, `h1 drains`, `h1 left`.
    #[must_use]
    pub fn changes_until(&self, now: &Self) -> Vec<String> {
        let is_new = |start: &StartId| now.up.contains_key(start) && !self.up.contains_key(start);
        let is_gone = |start: &StartId| self.up.contains_key(start) && !now.up.contains_key(start);
        let arrived = || now.up.iter().filter(|(start, _)| is_new(start)).map(|(_, name)| name);
        let gone = || self.up.iter().filter(|(start, _)| is_gone(start));
        let stays = |start: &StartId| now.up.get(start).filter(|_| self.up.contains_key(start));
        let turned = |from: &Self, to: &Self, verb: &str| {
            let starts = to.draining.difference(&from.draining).filter_map(stays);
            starts.map(|name| format!("{name} {verb}")).collect::<Vec<_>>()
        };
        let mut changes: Vec<String> = gone()
            .filter(|(_, name)| !arrived().any(|other| other == *name))
            .map(|(start, name)| format!("{name} {}", if now.has_left.contains(start) { "left" } else { "died" }))
            .chain(arrived().map(|name| {
                let verb = if gone().any(|(_, other)| other == name) { "restarted" } else { "joined" };
                format!("{name} {verb}")
            }))
            .chain(turned(self, now, "drains"))
            .chain(turned(now, self, "stays after all"))
            .collect();
        changes.sort();
        changes
    }
}

/// The causes in one line, shortened if they are many.
#[must_use]
pub fn reason(causes: &[String]) -> String {
    let mut text = String::new();
    for (at, cause) in causes.iter().enumerate() {
        let rest = format!(" and {} more", causes.len() - at);
        let comma = if at == 0 { "" } else { ", " };
        let is_last = at + 1 == causes.len();
        let needed = text.len() + comma.len() + cause.len() + if is_last { 0 } else { rest.len() };
        if at > 0 && needed > MAX_REASON {
            text.push_str(&rest);
            break;
        }
        text.push_str(comma);
        text.push_str(cause);
    }
    text.truncate(text.floor_char_boundary(MAX_REASON));
    text
}
