//! Hosts that are about to leave: in which order what stands on them goes (`PROTOCOL.md` 7).
//!
//! The draft places nothing on such a host, as if it were vetoed in every role. What is left to decide is what a
//! plan may take away from it already:
//!
//! 1. If it is the primary and a copy in sync stands elsewhere, only the primary's part goes: a role swap copies
//!    nothing, and a host that dies while it drains is then no primary any more. Not while the set holds a copy that
//!    does not run: nothing commits then, so no reign can be handed over, and what mends the set comes first.
//! 2. Its copy goes with the plan that puts another in its place, which adds before it removes.
//! 3. Where no other host can take the copy, it stays.

use super::draft::{Draft, Freedom, Slot};
use super::survey::Survey;

/// Corrects a draft that was worked out.
pub(super) fn vacate(draft: &mut Draft<'_>, survey: &Survey<'_>) {
    for at in 0..draft.slots.len() {
        let (slot, slate) = (&draft.slots[at], draft.slate(at));
        let Some(first) = slot.before.first().copied().filter(|_| slot.freedom != Freedom::None) else { continue };
        let leaves = |host: &usize| survey.leaving[*host];
        let leads = survey.colonies.get(at).and_then(|(_, entry)| {
            let primary = entry.primary?;
            survey.hosts.iter().position(|member| member.start == primary)
        });
        if !slot.before.iter().chain(&slot.held).chain(&leads).any(leaves) {
            continue;
        }
        let runs_whole = survey.colonies.get(at).is_none_or(|(_, entry)| entry.in_sync.len() == slot.held.len());
        let may_swap = runs_whole && slot.before.iter().all(|host| slot.held.contains(host));
        let may_inherit = |host: &&usize| !leaves(host) && slot.held.contains(host) && slate.may_lead(**host);
        let want = if leads.as_ref().is_some_and(leaves) && may_swap && may_inherit(&&first) {
            // The swap is under way: what else there is to do waits for it.
            slot.before.clone()
        } else if let Some(heir) = slot.want.iter().find(may_inherit).copied().filter(|_| leaves(&first) && may_swap) {
            [heir].into_iter().chain(slot.before.iter().copied().filter(|host| *host != heir)).collect()
        } else {
            with_what_stays(slot, leaves, |host| slate.may_lead(host))
        };
        draft.set(at, want);
    }
}

/// The draft's set, filled up with the copies that leave if nobody takes their place.
fn with_what_stays(slot: &Slot, leaves: impl Fn(&usize) -> bool, may_lead: impl Fn(usize) -> bool) -> Vec<usize> {
    let (mut want, going): (Vec<usize>, Vec<usize>) = slot.want.iter().copied().partition(|host| !leaves(host));
    if !want.first().is_some_and(|lead| may_lead(*lead)) {
        return slot.before.clone();
    }
    let room = slot.copies.saturating_sub(want.len());
    let mut standing: Vec<usize> = Vec::new();
    for host in slot.held.iter().chain(&going).chain(&slot.before).copied().filter(leaves) {
        if !standing.contains(&host) {
            standing.push(host);
        }
    }
    want.extend(standing.into_iter().take(room));
    want
}
