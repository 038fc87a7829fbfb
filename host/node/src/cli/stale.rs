//! `colony accept-stale`: an operator lets a colony that has lost every copy in sync go on from one that may lack
//! acknowledged writes.

use colony_client::Client;
use colony_wire::admin::{AdminReply, AdminRequest, StaleCopies};
use serde_json::{Value, json};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::text::{printable, version};

/// What the operator asks for.
pub(super) struct Wanted {
    pub(super) namespace: String,
    pub(super) bucket: u32,
    /// Whose copy is to be the colony; none only looks.
    pub(super) host: Option<String>,
    /// Whether that host may hold none.
    pub(super) empty: bool,
}

pub(super) fn run(wanted: &Wanted, common: &Common, output: Output) -> Result<(), Failure> {
    let Wanted { namespace, bucket, host, empty } = wanted;
    let title = format!("{}/{bucket}", printable(namespace));
    let look = AdminRequest::StaleCopies { namespace: namespace.clone(), bucket: *bucket };
    let stale = with_client(common, async |client| {
        let stale = copies(&client, "list the stale copies", look).await?;
        let Some(host) = host else { return Ok(stale) };
        if !empty && !stale.copies.iter().any(|copy| copy.host == *host) {
            let up = hosts_up(&client).await?;
            if !up.contains(host) {
                let (host, up) = (printable(host), up.join(", "));
                return Err(Failure::Usage(format!("no host named {host} is up; up are {}", printable(&up))));
            }
            let why = format!("host {} holds no copy of {title}: with --empty it begins empty there", printable(host));
            return Err(Failure::Usage(why));
        }
        let accept = AdminRequest::AcceptStale { namespace: namespace.clone(), bucket: *bucket, host: host.clone() };
        copies(&client, "accept the stale copy", accept).await
    })?;
    output.answer(|| to_json(&stale, host.as_deref()), || to_text(&title, &stale, host.as_deref()))
}

/// Names of the hosts that are up.
async fn hosts_up(client: &Client) -> Result<Vec<String>, Failure> {
    let status = ask(client, "read the cluster's state", AdminRequest::Status, |reply| match reply {
        AdminReply::Status(status) => Some(status),
        _ => None,
    });
    let hosts = status.await?.hosts.into_iter().filter(|host| host.state == "up");
    Ok(hosts.map(|host| host.name).collect())
}

async fn copies(client: &Client, doing: &'static str, request: AdminRequest) -> Result<StaleCopies, Failure> {
    ask(client, doing, request, |reply| match reply {
        AdminReply::StaleCopies(stale) | AdminReply::Accepted(stale) => Some(stale),
        _ => None,
    })
    .await
}

fn to_json(stale: &StaleCopies, accepted: Option<&str>) -> Value {
    let copies = stale
        .copies
        .iter()
        .map(|copy| json!({ "host": copy.host, "position": copy.position.map(version), "sessions": copy.sessions }));
    json!({
        "lost": stale.lost,
        "reign": stale.reign.0,
        "copies": copies.collect::<Vec<_>>(),
        "accepted": accepted,
    })
}

fn to_text(title: &str, stale: &StaleCopies, accepted: Option<&str>) -> String {
    let lost: Vec<String> = stale.lost.iter().map(|host| printable(host)).collect();
    let mut text = format!(
        "{title} has no copy in sync: {} held all that was acknowledged up to reign {}, and no longer run\n",
        lost.join(", "),
        stale.reign
    );
    for copy in &stale.copies {
        let at = copy.position.map_or_else(|| "empty".to_owned(), version);
        text.push_str(&format!("copy on {}: {at}, {} sessions\n", printable(&copy.host), copy.sessions));
    }
    let held = |host: &str| stale.copies.iter().any(|copy| copy.host == host);
    text.push_str(&match accepted {
        Some(host) if held(host) => format!(
            "the copy on {} is the colony from now on; what it lacks is lost, other copies are kept\n",
            printable(host)
        ),
        Some(host) => format!("the colony begins empty on {}: all that it held is lost\n", printable(host)),
        None if stale.copies.is_empty() => {
            "no running host holds a copy, nor does a process that was restarted: --host HOST --empty begins anew\n"
                .to_owned()
        }
        None => "wait if one of those processes only hangs, or repeat this with --host HOST: what that copy lacks is \
                 lost\n"
            .to_owned(),
    });
    text
}
