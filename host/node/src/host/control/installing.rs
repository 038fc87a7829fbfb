//! What people ask about plugins, answered by the group's leader (`PROTOCOL.md` 14.1).
//!
//! Nothing here waits for a compiler or a slow host: what is not ready yet is answered with who is waited for, and
//! asked again.

use std::collections::BTreeMap;
use std::sync::Arc;

use colony_core::group::{Command, Member, Outcome, PluginVersion, Refusal, State};
use colony_link::PeerIdentity;
use colony_raft::ProposeError;
use colony_wire::StartId;
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::limits::MAX_PLUGINS_LISTED;
use colony_wire::plugin::{ContentId, PluginKind, PluginReport, PluginStatus, PluginVersionStatus, Readiness};
use tokio::task::JoinSet;

use super::Control;
use super::admin::{pass_on, refused};
use super::planning::canary_status;
use super::plugins::REPORT_WITHIN;
use super::propose::COMMIT_WITHIN;

/// Longest wait until a voter holds a plugin: 4 MiB cross any network that a cluster can live on in that time.
const HOLD_WITHIN: std::time::Duration = std::time::Duration::from_secs(4);
/// The fewest digits by which a version is found: with four versions two rarely share that many.
const DIGITS_MIN: usize = 4;

/// What the hosts that are up have to do with plugins; none where one did not answer.
type Survey = BTreeMap<StartId, (Member, Option<PluginReport>)>;

pub(super) async fn answer(control: &Control, peer: &PeerIdentity, request: AdminRequest) -> AdminReply {
    if !control.group.is_leader() {
        // Rights are judged where the person is known.
        if !peer.rights.admin && request != AdminRequest::Plugins {
            return refused("the certificate does not give the right to admin", false);
        }
        return pass_on(control, request).await;
    }
    if request == AdminRequest::Plugins {
        return list(control).await;
    }
    if !peer.rights.admin {
        return refused("the certificate does not give the right to admin", false);
    }
    match request {
        AdminRequest::InstallPlugin { name, kind, content, size, forced } => {
            install(control, name, kind, PluginVersion { content, size, forced }).await
        }
        AdminRequest::UsePlugin { name, content } => use_version(control, &name, content.as_deref()).await,
        AdminRequest::RollBackPlugin { name, from } => roll_back(control, &name, from).await,
        AdminRequest::BeginCanary { name, content, percent } => {
            begin_canary(control, &name, content.as_deref(), percent).await
        }
        AdminRequest::EndCanary { name, content } => {
            match commit(control, &Command::EndCanary { name, content }).await {
                Ok(()) => AdminReply::CanaryEnded,
                Err(reply) => *reply,
            }
        }
        AdminRequest::UninstallPlugin { name } => match commit(control, &Command::UninstallPlugin { name }).await {
            Ok(()) => AdminReply::PluginUninstalled,
            Err(reply) => *reply,
        },
        _ => refused("not a question about plugins", false),
    }
}

async fn install(control: &Control, name: String, kind: PluginKind, version: PluginVersion) -> AdminReply {
    let command = Command::InstallPlugin { name: name.clone(), kind, version };
    let state = newest(control);
    // What the group would refuse is refused before bytes travel.
    if let Outcome::Refused(why) = State::clone(&state).apply(&command) {
        return refused(why.to_string(), false);
    }
    let survey = survey(control, &state).await;
    if let Err(why) = check_files(&survey, &name) {
        return refused(why, false);
    }
    let content = version.content;
    if !control.obtain(&state, content, &[]).await {
        return refused(format!("no host holds the bytes of {}: send them again", content.short()), false);
    }
    let library = &control.host.plugins.library;
    let held = library.piece(content, 0).map(|(size, _)| size);
    if held != Some(version.size) {
        return refused(format!("the plugin has {} bytes, not {}", held.unwrap_or(0), version.size), false);
    }
    library.begin(content, &name, true);
    match library.readiness(content) {
        Readiness::Ready => {}
        Readiness::Failed { why } => return refused(why, false),
        Readiness::Missing | Readiness::Compiling => {
            return AdminReply::PluginPending { hosts: vec![control.own().name] };
        }
    }
    let found = library.compiled(content).map(|plugin| plugin.kind());
    if let Some(other) = found.filter(|found| *found != kind) {
        return refused(format!("it is a {other} plugin, not a {kind} plugin"), false);
    }
    if let Err(reply) = have_it_held(control, &state, content).await {
        return *reply;
    }
    match commit(control, &command).await {
        Ok(()) => {
            let state = newest(control);
            AdminReply::PluginInstalled { active: state.plugins.get(&name).and_then(|plugin| plugin.active) }
        }
        Err(reply) => *reply,
    }
}

/// Refuses a name that the configuration of a host gives to a file: nobody could tell which one is meant.
fn check_files(survey: &Survey, name: &str) -> Result<(), String> {
    match who(survey, |report| report.configured.iter().any(|configured| configured == name)) {
        Some(host) => Err(format!(
            "the configuration of host {host} names a file for plugin {name}: take it out of every host's \
             configuration first, or choose another name"
        )),
        None => Ok(()),
    }
}

/// Has a quorum of the voters hold the bytes, this host among them: whichever of them leads next can give them out.
async fn have_it_held(control: &Control, state: &State, content: ContentId) -> Result<(), Box<AdminReply>> {
    let voters = control.group.voters();
    let own = control.own();
    let others = state.up().filter(|member| member.raft != own.raft && voters.contains(&member.raft));
    let mut asked = JoinSet::new();
    for member in others {
        let (calls, to, from) = (control.calls.clone(), member.address, own.address.to_string());
        let size = control.host.plugins.library.piece(content, 0).map_or(0, |(size, _)| size);
        asked.spawn(async move {
            let request = ControlRequest::HoldPlugin { content, size, from };
            matches!(calls.call(to, &request, HOLD_WITHIN).await, Ok(ControlReply::Noted))
        });
    }
    let needed = voters.len() / 2 + 1;
    let mut holders = usize::from(voters.contains(&control.group.id()));
    while holders < needed
        && let Some(held) = asked.join_next().await
    {
        holders += usize::from(held.unwrap_or(false));
    }
    if holders >= needed {
        return Ok(());
    }
    Err(not_yet(format!("only {holders} of {} voters hold the bytes, {needed} are needed", voters.len())))
}

async fn use_version(control: &Control, name: &str, digits: Option<&str>) -> AdminReply {
    let state = newest(control);
    let content = match pick(&state, name, digits) {
        Ok(content) => content,
        Err(why) => return refused(why, false),
    };
    let before = state.plugins.get(name).and_then(|plugin| plugin.active).filter(|before| *before != content);
    let compiled = match who_can_run(control, &state, name, content).await {
        Ok(compiled) => compiled,
        Err(reply) => return *reply,
    };
    let command = Command::UsePlugin { name: name.to_owned(), content, compiled };
    match commit(control, &command).await {
        Ok(()) => AdminReply::PluginUsed { content, before },
        Err(reply) => *reply,
    }
}

async fn begin_canary(control: &Control, name: &str, digits: Option<&str>, percent: u8) -> AdminReply {
    let state = newest(control);
    let content = match pick(&state, name, digits) {
        Ok(content) => content,
        Err(why) => return refused(why, false),
    };
    let begin = |compiled| Command::BeginCanary { name: name.to_owned(), content, percent, compiled };
    // What the group would refuse whoever has compiled it is refused before anybody is asked.
    let everybody = state.up().map(|member| member.start).collect();
    if let Outcome::Refused(why) = State::clone(&state).apply(&begin(everybody)) {
        return refused(why.to_string(), false);
    }
    let compiled = match who_can_run(control, &state, name, content).await {
        Ok(compiled) => compiled,
        Err(reply) => return *reply,
    };
    if let Err(reply) = commit(control, &begin(compiled)).await {
        return *reply;
    }
    match canary_status(&newest(control)) {
        Some(canary) => AdminReply::CanaryBegun(canary),
        None => *not_yet("somebody took it back at once"),
    }
}

async fn roll_back(control: &Control, name: &str, from: ContentId) -> AdminReply {
    let state = newest(control);
    let Some(plugin) = state.plugins.get(name) else {
        return refused(Refusal::NoPlugin { name: name.to_owned() }.to_string(), false);
    };
    let Some(to) = plugin.before.last().copied().filter(|_| plugin.active == Some(from)) else {
        return refused(Refusal::PluginChanged { name: name.to_owned() }.to_string(), false);
    };
    let compiled = match who_can_run(control, &state, name, to).await {
        Ok(compiled) => compiled,
        Err(reply) => return *reply,
    };
    match commit(control, &Command::RollBackPlugin { name: name.to_owned(), from, to, compiled }).await {
        Ok(()) => AdminReply::PluginUsed { content: to, before: Some(from) },
        Err(reply) => *reply,
    }
}

/// The version that a person means.
fn pick(state: &State, name: &str, digits: Option<&str>) -> Result<ContentId, String> {
    let plugin = state.plugins.get(name).ok_or_else(|| Refusal::NoPlugin { name: name.to_owned() }.to_string())?;
    let Some(digits) = digits else {
        // What is tried is what is meant.
        if let Some(canary) = state.canary.as_ref().filter(|canary| canary.plugin == name) {
            return Ok(canary.content);
        }
        return plugin.versions.last().map(|newest| newest.content).ok_or_else(|| "it has no version".to_owned());
    };
    if digits.len() < DIGITS_MIN {
        return Err(format!("{digits} is too short for a content id: {DIGITS_MIN} digits are needed"));
    }
    let digits = digits.to_ascii_lowercase();
    let meant = plugin.versions.iter().map(|version| version.content);
    let mut meant = meant.filter(|content| content.to_string().starts_with(&digits));
    match (meant.next(), meant.next()) {
        (Some(content), None) => Ok(content),
        (Some(_), Some(_)) => Err(format!("more than one version of plugin {name} begins with {digits}")),
        (None, _) => {
            let known: Vec<String> = plugin.versions.iter().map(|version| version.content.short()).collect();
            Err(format!("plugin {name} has no version {digits}: there are {}", known.join(", ")))
        }
    }
}

/// The starts that can run a version: all that are up, or why not yet or not at all.
async fn who_can_run(
    control: &Control,
    state: &State,
    name: &str,
    content: ContentId,
) -> Result<Vec<StartId>, Box<AdminReply>> {
    let survey = survey(control, state).await;
    let kind = state.plugins.get(name).map(|plugin| plugin.kind);
    check_files(&survey, name).map_err(declined)?;
    if kind == Some(PluginKind::Placement)
        && let Some(host) = who(&survey, |report| report.placement.is_some())
    {
        let why = format!(
            "the configuration of host {host} names a file for the placement plugin: take it out of every host's \
             configuration first"
        );
        return Err(declined(why));
    }
    let (mut compiled, mut waits_for) = (Vec::new(), Vec::new());
    for (start, (member, report)) in &survey {
        match report.as_ref().map(|report| readiness_in(report, content)) {
            Some(Readiness::Ready) => compiled.push(*start),
            Some(Readiness::Failed { why }) => {
                let why = format!("host {} cannot run {} of plugin {name}: {why}", member.name, content.short());
                return Err(declined(why));
            }
            Some(Readiness::Missing | Readiness::Compiling) | None => waits_for.push(member.name.clone()),
        }
    }
    if waits_for.is_empty() { Ok(compiled) } else { Err(Box::new(AdminReply::PluginPending { hosts: waits_for })) }
}

async fn list(control: &Control) -> AdminReply {
    let state = newest(control);
    let survey = survey(control, &state).await;
    let mut hosts: Vec<_> = survey.values().collect();
    hosts.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let version = |version: &PluginVersion| {
        let PluginVersion { content, size, forced } = *version;
        let mut status =
            PluginVersionStatus { content, size, forced, ready: Vec::new(), waiting: Vec::new(), failed: Vec::new() };
        for (member, report) in &hosts {
            let name = member.name.clone();
            match report.as_ref().map(|report| readiness_in(report, content)) {
                Some(Readiness::Ready) => status.ready.push(name),
                Some(Readiness::Failed { why }) => status.failed.push((name, why)),
                Some(Readiness::Missing | Readiness::Compiling) | None => status.waiting.push(name),
            }
        }
        status
    };
    let installed = state.plugins.iter().map(|(name, plugin)| PluginStatus {
        name: name.clone(),
        kind: plugin.kind,
        active: plugin.active,
        before: plugin.before.last().copied().filter(|_| plugin.active.is_some()),
        versions: plugin.versions.iter().map(version).collect(),
        by_file: Vec::new(),
        canary: canary_status(&state).filter(|canary| canary.plugin == *name),
    });
    let is_installed = |kind, name: &str| state.plugins.get(name).is_some_and(|plugin| plugin.kind == kind);
    let by_file = by_file(&hosts).into_iter().filter(|((kind, name), _)| !is_installed(*kind, name));
    let by_file = by_file.map(|((kind, name), by_file)| PluginStatus {
        name: name.to_owned(),
        kind,
        active: None,
        before: None,
        versions: Vec::new(),
        by_file,
        canary: None,
    });
    AdminReply::Plugins(installed.chain(by_file).take(MAX_PLUGINS_LISTED).collect())
}

/// The plugins that hosts' own configurations name by file, each with those hosts.
fn by_file<'a>(hosts: &[&'a (Member, Option<PluginReport>)]) -> BTreeMap<(PluginKind, &'a str), Vec<String>> {
    let mut found: BTreeMap<(PluginKind, &str), Vec<String>> = BTreeMap::new();
    for (member, report) in hosts {
        let Some(report) = report else { continue };
        let merge = report.configured.iter().map(|name| (PluginKind::Merge, name.as_str()));
        let placement = report.placement.iter().map(|name| (PluginKind::Placement, name.as_str()));
        for plugin in merge.chain(placement) {
            found.entry(plugin).or_default().push(member.name.clone());
        }
    }
    found
}

fn readiness_in(report: &PluginReport, content: ContentId) -> Readiness {
    let found = report.versions.iter().find(|(known, _)| *known == content);
    found.map_or(Readiness::Missing, |(_, readiness)| readiness.clone())
}

/// A host whose report is so.
fn who(survey: &Survey, is_so: impl Fn(&PluginReport) -> bool) -> Option<&str> {
    let mut found = survey.values().filter(|(_, report)| report.as_ref().is_some_and(&is_so));
    found.next().map(|(member, _)| member.name.as_str())
}

/// Asks every host that is up, all at once.
async fn survey(control: &Control, state: &State) -> Survey {
    let own = control.start();
    let mut asked = JoinSet::new();
    let mut survey = Survey::new();
    for member in state.up() {
        if member.start == own {
            survey.insert(own, (member.clone(), Some(control.plugin_report())));
            continue;
        }
        survey.insert(member.start, (member.clone(), None));
        let (calls, start, to) = (control.calls.clone(), member.start, member.address);
        asked.spawn(async move { (start, calls.call(to, &ControlRequest::Plugins, REPORT_WITHIN).await) });
    }
    while let Some(answered) = asked.join_next().await {
        if let Ok((start, Ok(ControlReply::Plugins(report)))) = answered
            && let Some((_, place)) = survey.get_mut(&start)
        {
            *place = Some(report);
        }
    }
    survey
}

/// An answer that ends a question.
fn declined(why: impl Into<String>) -> Box<AdminReply> {
    Box::new(refused(why, false))
}

/// An answer after which asking again may help.
fn not_yet(why: impl Into<String>) -> Box<AdminReply> {
    Box::new(refused(why, true))
}

fn newest(control: &Control) -> Arc<State> {
    control.group.state().borrow().clone()
}

async fn commit(control: &Control, command: &Command) -> Result<(), Box<AdminReply>> {
    match control.group.propose(command, COMMIT_WITHIN).await {
        Ok(Outcome::Applied) => Ok(()),
        // Somebody was admitted meanwhile.
        Ok(Outcome::Refused(Refusal::NotCompiled { start, .. })) => {
            let state = newest(control);
            let name = state.members.get(&start).map_or_else(|| start.to_string(), |member| member.name.clone());
            Err(Box::new(AdminReply::PluginPending { hosts: vec![name] }))
        }
        Ok(Outcome::Refused(why)) => Err(declined(why.to_string())),
        Ok(Outcome::Created(_)) => Err(not_yet("the group answered another question")),
        Err(ProposeError::NotLeader { .. }) => Err(not_yet("the group's leader changed: try again")),
        Err(error) => Err(not_yet(error.to_string())),
    }
}
