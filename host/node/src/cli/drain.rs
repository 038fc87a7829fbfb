//! `colony drain` and `colony safe-to-stop`: hosts leave by will (`PROTOCOL.md` 7).

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use colony_client::Client;
use colony_wire::admin::{AdminReply, AdminRequest, Departure, DepartureStage};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::text::printable;

/// Time between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What cannot be moved for so long is said to be stuck: a plan may be on its way.
const STUCK_AFTER: Duration = Duration::from_secs(2);
/// Reasons shown; more are counted.
const REASONS: usize = 4;

pub(super) fn run(
    hosts: &[String],
    cancel: bool,
    timeout: Duration,
    common: &Common,
    output: Output,
) -> Result<(), Failure> {
    let departures = with_client(common, async |client| {
        let request = AdminRequest::Drain { hosts: hosts.to_vec(), cancel };
        let told = departures(&client, "drain the hosts", request).await?;
        if cancel { Ok(told) } else { wait(&client, told, timeout).await }
    })?;
    let text = || departures.iter().map(|one| format!("{}\n", line(one))).collect();
    output.list(departures.iter().map(to_json), text)
}

/// Waits until all have left, and shows a terminal how far they are.
async fn wait(client: &Client, told: Vec<Departure>, timeout: Duration) -> Result<Vec<Departure>, Failure> {
    let deadline = Instant::now() + timeout;
    let starts: Vec<_> = told.iter().map(|one| one.start).collect();
    let mut now = told;
    let mut moved = (now.clone(), Instant::now());
    let mut shown = String::new();
    loop {
        if let Some(other) = now.iter().find(|one| matches!(one.stage, DepartureStage::Dead | DepartureStage::Staying))
        {
            return Err(Failure::NotLeft(match other.stage {
                DepartureStage::Dead => format!("{} was declared dead before it had left", printable(&other.host)),
                _ => format!("somebody took the drain of {} back", printable(&other.host)),
            }));
        }
        if now.iter().all(|one| one.stage == DepartureStage::Left) {
            return Ok(now);
        }
        if moved.0 != now {
            moved = (now.clone(), Instant::now());
        }
        let rest = || now.iter().filter(|one| one.stage == DepartureStage::Draining);
        let is_stuck = rest().all(|one| one.stuck.len() == one.colonies as usize && one.colonies > 0);
        if is_stuck && moved.1.elapsed() >= STUCK_AFTER {
            let reasons: Vec<String> = rest().flat_map(|one| one.stuck.iter().map(|why| printable(why))).collect();
            let more = reasons.len().saturating_sub(REASONS);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let shown = reasons.into_iter().take(REASONS).collect::<Vec<_>>().join("; ");
            return Err(Failure::NotLeft(format!(
                "{shown}{more}; let another host join, or take it back with `colony drain --cancel`"
            )));
        }
        show(&now, &mut shown);
        if Instant::now() >= deadline {
            let rest: Vec<String> = rest().map(line).collect();
            return Err(Failure::NotLeft(format!("not done in time, and going on: {}", rest.join("; "))));
        }
        time::sleep(LOOK_EVERY).await;
        now = departures(client, "see how far the hosts are", AdminRequest::Departures { starts: starts.clone() })
            .await?;
    }
}

async fn departures(client: &Client, doing: &'static str, request: AdminRequest) -> Result<Vec<Departure>, Failure> {
    ask(client, doing, request, |reply| match reply {
        AdminReply::Departures(departures) => Some(departures),
        _ => None,
    })
    .await
}

/// Progress is for people who look on: nothing is said where nobody does.
fn show(now: &[Departure], shown: &mut String) {
    let text = now.iter().map(line).collect::<Vec<_>>().join("; ");
    let mut err = io::stderr();
    if err.is_terminal() && text != *shown {
        // If it cannot be shown, it is not.
        let _ = writeln!(err, "{text}");
        *shown = text;
    }
}

fn line(one: &Departure) -> String {
    let host = printable(&one.host);
    match one.stage {
        DepartureStage::Left => format!("{host} has left"),
        DepartureStage::Dead => format!("{host} is dead"),
        DepartureStage::Staying => format!("{host} stays"),
        DepartureStage::Draining => {
            let vote = if one.votes { ", it votes" } else { "" };
            format!("{host} drains: {} colonies to go, {} as primary{vote}", one.colonies, one.primaries)
        }
    }
}

fn to_json(one: &Departure) -> Value {
    let stage = match one.stage {
        DepartureStage::Left => "left",
        DepartureStage::Dead => "dead",
        DepartureStage::Staying => "up",
        DepartureStage::Draining => "draining",
    };
    json!({
        "name": one.host,
        "start": one.start.to_string(),
        "state": stage,
        "colonies": one.colonies,
        "primaries": one.primaries,
        "stuck": one.stuck,
    })
}

/// Yes is exit code 0, no is 1 with the reasons.
pub(super) fn safe_to_stop(host: &str, common: &Common, output: Output) -> Result<(), Failure> {
    let why_not = with_client(common, async |client| {
        let request = AdminRequest::SafeToStop { host: host.to_owned() };
        ask(&client, "see whether the host can be stopped", request, |reply| match reply {
            AdminReply::SafeToStop { why_not } => Some(why_not),
            _ => None,
        })
        .await
    })?;
    if why_not.is_empty() {
        let name = host.to_owned();
        return output
            .answer(|| json!({ "name": name, "safe": true }), || format!("{} can be stopped\n", printable(host)));
    }
    let more = why_not.len().saturating_sub(REASONS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let shown = why_not.iter().take(REASONS).map(|why| printable(why)).collect::<Vec<_>>().join("; ");
    let advice = format!("move them away first with `colony drain {}`", printable(host));
    Err(Failure::NotLeft(format!("{} cannot be stopped: {shown}{more}; {advice}", printable(host))))
}
