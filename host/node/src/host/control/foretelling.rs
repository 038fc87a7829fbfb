//! What a cut would do to each colony, before there is one (`PROTOCOL.md` 8).

use std::collections::BTreeSet;

use colony_core::group::Member;
use colony_core::island::{Outlook, Service, what_if};
use colony_wire::StartId;
use colony_wire::admin::AdminReply;
use colony_wire::cut::{ColonyOutlook, CutReport, SideOutlook};

use super::Control;
use super::admin::refused;

/// What becomes of every colony if the hosts with this label and all others reach each other no more.
pub(super) fn answer(control: &Control, label: &str, value: &str) -> AdminReply {
    let state = control.state();
    let is_meant = |member: &&Member| member.labels.get(label).is_some_and(|of| of == value);
    let (meant, others): (Vec<&Member>, Vec<&Member>) = state.up().partition(is_meant);
    if meant.is_empty() || others.is_empty() {
        let who = if meant.is_empty() { "no host that is up" } else { "every host that is up" };
        return refused(format!("{who} has the label {label}={value}: see `colony hosts`"), false);
    }
    let Some(electorate) = control.attachment().electorate().cloned() else {
        return refused("this host does not know yet who votes", true);
    };
    let cut_off: BTreeSet<StartId> = meant.iter().map(|member| member.start).collect();
    let colonies = what_if(&state, &electorate.voters, &cut_off).into_iter().map(|outlook| {
        let Outlook { colony, cut_off, rest } = outlook;
        let namespace = state.namespaces.get(&colony.namespace).map(|space| space.name.clone()).unwrap_or_default();
        ColonyOutlook { namespace, bucket: colony.bucket, cut_off: side(cut_off), rest: side(rest) }
    });
    let colonies = colonies.collect();
    let names = meant.iter().map(|member| member.name.clone()).collect();
    AdminReply::Cut(CutReport { cut_off: names, others: u32::try_from(others.len()).unwrap_or(u32::MAX), colonies })
}

fn side(service: Service) -> SideOutlook {
    let count = |copies| u8::try_from(copies).unwrap_or(u8::MAX);
    match service {
        Service::Served { copies } => SideOutlook::Served(count(copies)),
        Service::Stopped { copies } => SideOutlook::Stopped(count(copies)),
        Service::Offline => SideOutlook::Offline,
    }
}
