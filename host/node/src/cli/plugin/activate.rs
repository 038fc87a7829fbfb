//! `colony plugin use`, `rollback` and `uninstall`: which version decides.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use colony_client::{CallError, Client};
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::plugin::{CanaryStatus, ContentId, PluginStatus};
use serde_json::json;
use tokio::time::{self, Instant};

use super::canary;
use crate::cli::args::Common;
use crate::cli::connect::{ask, with_client};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::text::printable;

/// Time between two questions whether the hosts are ready.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Hosts named of those that are waited for; more are counted.
const NAMED: usize = 4;

/// The version that decides now, and the one that did before.
type Decided = (ContentId, Option<ContentId>);

pub(super) fn use_version(
    name: &str,
    content: Option<String>,
    patience: Duration,
    common: &Common,
    output: Output,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    let decided = with_client(common, async |client| decide(&client, name, content, deadline).await)?;
    tell(name, decided, output)
}

pub(super) fn roll_back(name: &str, patience: Duration, common: &Common, output: Output) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    let back = with_client(common, async |client| {
        let plugins = plugins(&client).await?;
        let plugin = plugins.iter().find(|plugin| plugin.name == name);
        let from = match plugin {
            Some(PluginStatus { canary: Some(tried), .. }) => {
                canary::end(&client, name, tried.content).await?;
                return Ok(Back::Canary(tried.clone()));
            }
            None => return Err(Failure::Plugins(format!("no plugin named {} is installed", printable(name)))),
            Some(PluginStatus { by_file, .. }) if !by_file.is_empty() => {
                let (name, hosts) = (printable(name), named(by_file));
                return Err(Failure::Plugins(format!("plugin {name} is not installed: {hosts} names it by file")));
            }
            Some(PluginStatus { active: Some(active), before: Some(_), .. }) => *active,
            Some(_) => {
                let name = printable(name);
                return Err(Failure::Plugins(format!(
                    "no version of plugin {name} was active before this one; choose one with `colony plugin use`"
                )));
            }
        };
        let request = AdminRequest::RollBackPlugin { name: name.to_owned(), from };
        until_done(&client, "roll the plugin back", &request, deadline, decided).await.map(Back::Version)
    })?;
    match back {
        Back::Version(decided) => tell(name, decided, output),
        Back::Canary(tried) => output.answer(
            || json!({ "name": name, "canary": canary::to_json(&tried) }),
            || {
                let name = printable(name);
                format!(
                    "plugin {name}: version {} is no canary any more, its colonies go back\n",
                    tried.content.short()
                )
            },
        ),
    }
}

/// What a rollback took back.
enum Back {
    /// The active version.
    Version(Decided),
    /// The canary, and nothing else.
    Canary(CanaryStatus),
}

pub(super) fn uninstall(name: &str, common: &Common, output: Output) -> Result<(), Failure> {
    with_client(common, async |client| {
        let request = AdminRequest::UninstallPlugin { name: name.to_owned() };
        ask(&client, "uninstall the plugin", request, |reply| match reply {
            AdminReply::PluginUninstalled => Some(()),
            _ => None,
        })
        .await
    })?;
    output.answer(|| json!({ "name": name }), || format!("uninstalled plugin {}\n", printable(name)))
}

/// Has a version decide, as soon as every host can run it.
pub(super) async fn decide(
    client: &Client,
    name: &str,
    content: Option<String>,
    deadline: Instant,
) -> Result<Decided, Failure> {
    let request = AdminRequest::UsePlugin { name: name.to_owned(), content };
    until_done(client, "use the plugin", &request, deadline, decided).await
}

/// The installed plugins, and those that hosts name by file.
pub(super) async fn plugins(client: &Client) -> Result<Vec<PluginStatus>, Failure> {
    ask(client, "list the plugins", AdminRequest::Plugins, |reply| match reply {
        AdminReply::Plugins(plugins) => Some(plugins),
        _ => None,
    })
    .await
}

/// What one answer means to who waits for an end.
pub(super) enum Step<T> {
    /// That is it.
    Done(T),
    /// These hosts are waited for.
    Wait(Vec<String>),
    /// An answer to something else.
    Foreign,
}

impl<T> From<AdminReply> for Step<T> {
    fn from(reply: AdminReply) -> Self {
        match reply {
            AdminReply::PluginPending { hosts } => Self::Wait(hosts),
            _ => Self::Foreign,
        }
    }
}

fn decided(reply: AdminReply) -> Step<Decided> {
    match reply {
        AdminReply::PluginUsed { content, before } => Step::Done((content, before)),
        other => Step::from(other),
    }
}

/// Asks again and again until it is done or refused, and shows a terminal who is waited for.
pub(super) async fn until_done<T>(
    client: &Client,
    doing: &'static str,
    request: &AdminRequest,
    deadline: Instant,
    step: impl Fn(AdminReply) -> Step<T>,
) -> Result<T, Failure> {
    let mut shown = String::new();
    loop {
        let reply = client.admin(request.clone()).await.map_err(|source| Failure::Call { doing, source })?;
        let hosts = match step(reply) {
            Step::Done(done) => return Ok(done),
            Step::Wait(hosts) => hosts,
            Step::Foreign => {
                let source = CallError::Protocol { what: "it answers another question".to_owned() };
                return Err(Failure::Call { doing, source });
            }
        };
        let waits = format!("waiting for {} to compile it", named(&hosts));
        if Instant::now() >= deadline {
            return Err(Failure::Plugins(format!("cannot {doing}: not done in time, still {waits}; ask again later")));
        }
        let mut err = io::stderr();
        if err.is_terminal() && waits != shown {
            // If it cannot be shown, it is not.
            let _ = writeln!(err, "{waits}");
            shown = waits;
        }
        time::sleep(ASK_EVERY).await;
    }
}

fn named(hosts: &[String]) -> String {
    let more = hosts.len().saturating_sub(NAMED);
    let named = hosts.iter().take(NAMED).map(|host| printable(host)).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn tell(name: &str, (content, before): Decided, output: Output) -> Result<(), Failure> {
    output.answer(
        || {
            let before = before.map(|before| before.to_string());
            json!({ "name": name, "content": content.to_string(), "before": before })
        },
        || format!("plugin {}: version {} decides from now on\n", printable(name), content.short()),
    )
}
