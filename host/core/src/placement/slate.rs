//! What the placement plugin had to say, in the form the planner uses.

use std::collections::BTreeMap;

use super::referee::judge;
use super::{Candidate, Placement, Request, Role, Score};
use crate::group::Canary;

/// Weights this much below the best are another matter: such a host is used only where the better ones
/// cannot be, whatever balance asks for. Hosts within it of the best are equal, and balance decides between
/// them. A tenth of the range from indifferent to best, so that a plugin says a tenth or nothing.
const TIER_WEIGHT: i32 = 100;
/// After so many useless answers in one piece of work the placement is not asked again in it: a plugin that
/// runs into its time limit for each of thousands of colonies must not hold up a failover.
const MAX_USELESS_ANSWERS: usize = 3;

/// By host: how many tiers it stands below the best for one colony and role; none if it is vetoed.
type Tiers = Vec<Option<u8>>;

/// Opinions of every host for one colony.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slate {
    lead: Tiers,
    hold: Tiers,
}

impl Slate {
    /// How many tiers below the best a host stands in a role; none if it is vetoed.
    pub(super) fn tier(&self, role: Role, host: usize) -> Option<u8> {
        match role {
            Role::Primary => self.lead[host],
            Role::Secondary => self.hold[host],
        }
    }

    /// Whether the host may be the primary.
    pub(super) fn may_lead(&self, host: usize) -> bool {
        self.lead[host].is_some()
    }

    /// Whether the host may hold a copy without being the primary.
    pub(super) fn may_hold(&self, host: usize) -> bool {
        self.hold[host].is_some()
    }

    /// Whether any host may be the primary.
    pub(super) fn has_leader(&self) -> bool {
        self.lead.iter().any(Option::is_some)
    }

    /// Whether roles make no difference to who may.
    pub(super) fn is_one(&self) -> bool {
        self.lead.iter().zip(&self.hold).all(|(lead, hold)| lead.is_some() == hold.is_some())
    }

    /// Whether all hosts are equal but for vetoes.
    pub(super) fn is_flat(&self) -> bool {
        self.lead.iter().chain(&self.hold).flatten().all(|tier| *tier == 0)
    }
}

/// The different slates there are; most colonies have the same one.
#[derive(Default)]
pub(super) struct Slates {
    list: Vec<Slate>,
    known: BTreeMap<Slate, usize>,
}

impl Slates {
    /// The number of a slate.
    pub(super) fn number(&mut self, slate: Slate) -> usize {
        if let Some(number) = self.known.get(&slate) {
            return *number;
        }
        self.list.push(slate.clone());
        self.known.insert(slate, self.list.len() - 1);
        self.list.len() - 1
    }

    /// All of them, by number.
    pub(super) fn all(&self) -> &[Slate] {
        &self.list
    }

    /// The slate of a number.
    pub(super) fn slate(&self, number: usize) -> &Slate {
        &self.list[number]
    }
}

/// Who is asked.
#[derive(Clone, Copy)]
pub(super) struct Advisers<'a> {
    /// For all colonies.
    pub(super) placement: &'a dyn Placement,
    /// Before it for a share of them.
    pub(super) canary: Option<(&'a dyn Placement, &'a Canary)>,
}

/// Asks the placement, and stops asking once it has proved useless. A canary that proves useless is heard no more either,
/// and its colonies are as all others then.
pub(super) struct Asking<'a> {
    advisers: Advisers<'a>,
    hosts: Vec<Candidate>,
    /// By host: whether it is about to leave, so that nothing is placed on it.
    leaving: Vec<bool>,
    /// What was wrong with its answers.
    complaints: Vec<String>,
    /// What was wrong with the canary's. They are counted apart: it does not silence the other one.
    canary_complaints: Vec<String>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(advisers: Advisers<'a>, hosts: Vec<Candidate>) -> Self {
        Self { advisers, hosts, leaving: Vec::new(), complaints: Vec::new(), canary_complaints: Vec::new() }
    }

    /// The same with hosts, by number, that count as vetoed.
    pub(super) fn without(self, leaving: Vec<bool>) -> Self {
        Self { leaving, ..self }
    }

    /// The opinions of all hosts for one colony.
    pub(super) fn slate(&mut self, namespace: &str, bucket: u32) -> Slate {
        let lead = self.scores(namespace, bucket, Role::Primary);
        let hold = self.scores(namespace, bucket, Role::Secondary);
        Slate { lead: tiers(&self.staying(lead)), hold: tiers(&self.staying(hold)) }
    }

    fn staying(&self, mut scores: Vec<Score>) -> Vec<Score> {
        for (score, _) in scores.iter_mut().zip(&self.leaving).filter(|(_, is_leaving)| **is_leaving) {
            *score = Score::Veto("about to leave".to_owned());
        }
        scores
    }

    /// One usable score for each host.
    pub(super) fn scores(&mut self, namespace: &str, bucket: u32, role: Role) -> Vec<Score> {
        if let Some(scores) = self.canary_scores(namespace, bucket, role) {
            return scores;
        }
        if self.complaints.len() >= MAX_USELESS_ANSWERS {
            return vec![Score::Weight(0); self.hosts.len()];
        }
        let answer = self.advisers.placement.rank(&Request { namespace, bucket, role, hosts: &self.hosts });
        let (scores, complaint) = judge(answer, self.hosts.len());
        self.complaints.extend(complaint);
        scores
    }

    /// What the canary says of a colony of its share; none if it says nothing of use, which a veto of every host is too.
    fn canary_scores(&mut self, namespace: &str, bucket: u32, role: Role) -> Option<Vec<Score>> {
        let (canary, _) = self.advisers.canary.filter(|(_, share)| share.has(namespace, bucket))?;
        if self.canary_complaints.len() >= MAX_USELESS_ANSWERS {
            return None;
        }
        let answer = canary.rank(&Request { namespace, bucket, role, hosts: &self.hosts });
        let (scores, complaint) = judge(answer, self.hosts.len());
        let is_veto_of_all = scores.iter().all(|score| matches!(score, Score::Veto(_)));
        let complaint = complaint.or_else(|| is_veto_of_all.then(|| "it vetoes every host".to_owned()));
        match complaint {
            None => Some(scores),
            Some(complaint) => {
                self.canary_complaints.push(format!("canary: {complaint}"));
                None
            }
        }
    }

    /// What was wrong with the answers.
    pub(super) fn complaints(self) -> Vec<String> {
        self.complaints.into_iter().chain(self.canary_complaints).collect()
    }
}

fn tiers(scores: &[Score]) -> Tiers {
    let weight = |score: &Score| match score {
        Score::Weight(weight) => Some(*weight),
        Score::Veto(_) => None,
    };
    let best = scores.iter().filter_map(weight).max().unwrap_or_default();
    // The referee clamps weights, so there are no more tiers than a u8 can number.
    let tier = |weight: i32| u8::try_from((best - weight) / TIER_WEIGHT).unwrap_or(u8::MAX);
    scores.iter().map(|score| weight(score).map(tier)).collect()
}
