//! What is not as it should be, in words for people.

use colony_wire::ColonyId;

use super::draft::Slot;
use super::levels::LEVELS;
use super::slate::Asking;
use super::survey::Survey;
use super::{Role, Score};
use crate::group::{Entry, State};

/// How bad it is, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    NotServed,
    NobodyMayServe,
    RefusesChanges,
    Degraded,
}

/// The colony's name as people write it: `cart/3`.
pub(super) fn name(state: &State, colony: ColonyId) -> String {
    let namespace = state.namespaces.get(&colony.namespace);
    namespace.map_or_else(|| colony.to_string(), |namespace| format!("{}/{}", namespace.name, colony.bucket))
}

/// The problems of all colonies, worst first. `slots` say what is held and wanted.
pub(super) fn of(
    state: &State,
    survey: &Survey<'_>,
    slots: &[Slot],
    asking: &mut Asking<'_>,
) -> Vec<(ColonyId, String)> {
    let mut found = Vec::new();
    for ((colony, entry), slot) in survey.colonies.iter().zip(slots) {
        if slot.held.is_empty() {
            found.push((Severity::NotServed, *colony, offline(state, entry)));
            continue;
        }
        let slate = survey.slates.slate(slot.slate);
        if !slate.has_leader() || (entry.primary.is_none() && !slot.held.iter().any(|host| slate.may_lead(*host))) {
            found.push((Severity::NobodyMayServe, *colony, no_eligible_primary(state, survey, *colony, slot, asking)));
        } else if entry.primary.is_none() {
            found.push((Severity::NotServed, *colony, "offline: its next primary is not committed yet".into()));
        }
        let least = state.least_in_sync(*colony);
        if slot.held.len() < least {
            let have = slot.held.len();
            let runs = if have == 1 { "runs" } else { "run" };
            let why = shortage(survey, slot);
            let text = format!("refuses changes: {have} of at least {least} copies {runs}: {why}");
            found.push((Severity::RefusesChanges, *colony, text));
        } else if let Some(text) = degraded(survey, slot) {
            found.push((Severity::Degraded, *colony, text));
        }
    }
    found.sort_by_key(|(severity, colony, _)| (*severity, *colony));
    found.into_iter().map(|(_, colony, text)| (colony, text)).collect()
}

fn offline(state: &State, entry: &Entry) -> String {
    let name = |start| state.members.get(start).map_or_else(|| format!("start {start}"), |member| member.name.clone());
    if entry.in_sync.is_empty() {
        // In an island: its copies go on without it.
        let ahead = entry.unaccounted.iter().filter(|one| one.ahead).map(|one| name(&one.start));
        let away: Vec<String> = ahead.collect();
        return format!("offline: no in-sync copy is in this island; last on {}", away.join(", "));
    }
    let last: Vec<String> = entry.in_sync.iter().map(name).collect();
    format!("offline: no in-sync copy is running; last on {}", last.join(", "))
}

fn no_eligible_primary(
    state: &State,
    survey: &Survey<'_>,
    colony: ColonyId,
    slot: &Slot,
    asking: &mut Asking<'_>,
) -> String {
    let namespace = state.namespaces.get(&colony.namespace).map_or("", |namespace| namespace.name.as_str());
    let scores = asking.scores(namespace, colony.bucket, Role::Primary);
    let why = |host: &usize| match scores.get(*host) {
        Some(Score::Veto(why)) => Some(format!("{}: {why}", survey.hosts[*host].name)),
        _ => None,
    };
    let vetoes: Vec<String> = slot.held.iter().filter_map(why).collect();
    format!("no_eligible_primary: no host with a copy may be primary ({})", vetoes.join("; "))
}

fn degraded(survey: &Survey<'_>, slot: &Slot) -> Option<String> {
    let host = |number: usize| survey.hosts[number].name.as_str();
    if slot.held.len() < slot.copies {
        let why = shortage(survey, slot);
        return Some(format!("degraded: want {} copies, have {}: {why}", slot.copies, slot.held.len()));
    }
    let (level, one, two) = survey.levels.shared(&slot.want)?;
    let label = LEVELS[level];
    let value = survey.hosts[one].labels.get(label).map_or("", String::as_str);
    Some(format!("degraded: {} and {} share {label} {value}", host(one), host(two)))
}

fn shortage(survey: &Survey<'_>, slot: &Slot) -> String {
    let host = |number: &usize| survey.hosts[*number].name.as_str();
    let coming: Vec<&str> = slot.want.iter().filter(|wanted| !slot.held.contains(wanted)).map(host).collect();
    let are = |count: usize| if count == 1 { "host is" } else { "hosts are" };
    let slate = survey.slates.slate(slot.slate);
    let up = survey.leaving.iter().filter(|is_leaving| !**is_leaving).count();
    let and_stay = if up < survey.hosts.len() { " and will stay" } else { "" };
    let allowed = (0..survey.hosts.len()).filter(|host| slate.may_hold(*host) || slate.may_lead(*host)).count();
    if !coming.is_empty() {
        let verb = if coming.len() == 1 { "is" } else { "are" };
        format!("{} {verb} catching up", coming.join(", "))
    } else if up < slot.copies {
        format!("only {up} {} up{and_stay}", are(up))
    } else if allowed < slot.copies {
        format!("only {allowed} {} allowed by placement", are(allowed))
    } else {
        "no plan for more is committed yet".into()
    }
}
