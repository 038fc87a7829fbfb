//! Walking a configuration to its end.

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::model::Colony;
use crate::scope::Scope;

/// What came of a walk.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Steps taken.
    pub states: usize,
    /// States that differ.
    pub unique: usize,
    /// Longest path from the beginning.
    pub depth: usize,
    /// Rules that were broken, each with the actions that lead there.
    pub violations: Vec<(&'static str, Vec<String>)>,
    /// What should be possible and never happened.
    pub unseen: Vec<&'static str>,
}

impl Outcome {
    /// The figures in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { states, unique, depth, violations, .. } = self;
        format!("states {states} unique {unique} depth {depth} violations {}", violations.len())
    }

    /// Adds what another walk came to.
    pub fn add(&mut self, other: Self) {
        self.states += other.states;
        self.unique += other.unique;
        self.depth = self.depth.max(other.depth);
        self.violations.extend(other.violations);
        self.unseen.extend(other.unseen);
    }
}

/// Visits every state of a configuration, or as many as it takes to break a rule.
#[must_use]
pub fn check(scope: Scope, threads: usize) -> Outcome {
    let model = Colony(scope);
    let properties = model.properties();
    let checker = model.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found = checker.discoveries();
    let mut outcome = Outcome {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        ..Outcome::default()
    };
    for property in properties {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => outcome.unseen.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => {
                let actions = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
                outcome.violations.push((property.name, actions));
            }
        }
    }
    outcome
}
