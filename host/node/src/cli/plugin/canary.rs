//! `colony plugin use --canary`: a placement plugin places a share of the colonies.

use std::time::Duration;

use colony_client::Client;
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::plugin::{CanaryStatus, ContentId};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::activate::{Step, until_done};
use crate::cli::args::Common;
use crate::cli::connect::{ask, with_client};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::text::printable;

pub(super) fn begin(
    name: &str,
    content: Option<String>,
    percent: u8,
    patience: Duration,
    common: &Common,
    output: Output,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    let canary = with_client(common, async |client| {
        let request = AdminRequest::BeginCanary { name: name.to_owned(), content, percent };
        until_done(&client, "try the plugin on a share of the colonies", &request, deadline, |reply| match reply {
            AdminReply::CanaryBegun(canary) => Step::Done(canary),
            other => Step::from(other),
        })
        .await
    })?;
    output.answer(
        || json!({ "name": name, "content": canary.content.to_string(), "canary": to_json(&canary) }),
        || {
            let name = printable(name);
            format!(
                "plugin {name}: version {} places {} from now on, all others stay where they are; `colony plugin use \
                 {name}` has it place for all, `colony plugin rollback {name}` takes it back\n",
                canary.content.short(),
                share(&canary)
            )
        },
    )
}

/// Takes a canary back.
pub(super) async fn end(client: &Client, name: &str, content: ContentId) -> Result<(), Failure> {
    let request = AdminRequest::EndCanary { name: name.to_owned(), content };
    ask(client, "take the canary back", request, |reply| match reply {
        AdminReply::CanaryEnded => Some(()),
        _ => None,
    })
    .await
}

/// Its share in words.
pub(in crate::cli) fn share(canary: &CanaryStatus) -> String {
    format!("{} of {} colonies ({}%)", canary.colonies, canary.of, canary.percent)
}

pub(in crate::cli) fn to_json(canary: &CanaryStatus) -> Value {
    json!({
        "plugin": canary.plugin,
        "content": canary.content.to_string(),
        "percent": canary.percent,
        "colonies": canary.colonies,
        "of": canary.of,
    })
}
