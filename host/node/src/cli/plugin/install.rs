//! `colony plugin install`: a plugin becomes the cluster's.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use colony_client::{Client, Options};
use colony_wasm::{Plugin, content_id};
use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::limits::MAX_PLUGIN_BYTES;
use colony_wire::plugin::{ContentId, PluginKind};
use serde_json::json;
use tokio::time::Instant;

use super::activate::{self, Step, until_done};
use super::check;
use crate::cli::args::Common;
use crate::cli::connect::with_client;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::text::printable;

/// Longest wait until a host has taken the bytes.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// What was asked for.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) kind: Option<PluginKind>,
    pub(super) is_to_decide: bool,
    pub(super) force: bool,
}

/// A component that is a plugin.
struct Component {
    bytes: Vec<u8>,
    content: ContentId,
    kind: PluginKind,
}

pub(super) fn run(wanted: &Wanted, patience: Duration, common: &Common, output: Output) -> Result<(), Failure> {
    // Whatever can be said against a plugin is said here, before a byte of it is sent.
    let component = examine(wanted)?;
    let deadline = Instant::now() + patience;
    let (active, before) = with_client(common, async |client| {
        let options = Options { deadline: SEND_WITHIN, ..Options::default() };
        let sent = client.send_plugin(component.content, &component.bytes, options).await;
        sent.map_err(|source| Failure::Call { doing: "send the plugin", source })?;
        let active = install(&client, wanted, &component, deadline).await?;
        let is_first = component.kind == PluginKind::Merge && active.is_none();
        if !wanted.is_to_decide && !is_first {
            return Ok((active, None));
        }
        let content = Some(component.content.to_string());
        let (content, before) = activate::decide(&client, &wanted.name, content, deadline).await?;
        Ok((Some(content), before))
    })?;
    let Component { bytes, content, kind } = &component;
    let name = printable(&wanted.name);
    let is_active = active == Some(*content);
    output.answer(
        || {
            json!({
                "name": wanted.name,
                "kind": kind,
                "content": content.to_string(),
                "size": bytes.len(),
                "active": is_active,
                "before": before.map(|before| before.to_string()),
                "forced": wanted.force,
            })
        },
        || {
            let what = if is_active { "it decides from now on" } else { "it decides nothing yet" };
            format!("installed {kind} plugin {name}, version {}: {what}\n", content.short())
        },
    )
}

/// Reads a file and makes sure that it is a plugin of the wanted kind.
fn examine(wanted: &Wanted) -> Result<Component, Failure> {
    let bytes = read(&wanted.file)?;
    let refused = |why: String| Failure::Plugin { file: wanted.file.clone(), why };
    let loaded = crate::host::load_plugin(&wanted.name, &bytes).map_err(|error| refused(error.to_string()))?;
    let kind = Plugin::kind(&loaded);
    if let Some(other) = wanted.kind.filter(|other| *other != kind) {
        return Err(refused(format!("it is a {kind} plugin, not a {other} plugin")));
    }
    let broken = if wanted.force { Vec::new() } else { check::broken(&wanted.file)? };
    if !broken.is_empty() {
        let laws = printable(&broken.join("; "));
        return Err(refused(format!("it breaks {laws}; --force installs it all the same, and is remembered")));
    }
    Ok(Component { content: content_id(&bytes), bytes, kind })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PLUGIN_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Has the group take it; the version that decides then, if one does.
async fn install(
    client: &Client,
    wanted: &Wanted,
    component: &Component,
    deadline: Instant,
) -> Result<Option<ContentId>, Failure> {
    let request = AdminRequest::InstallPlugin {
        name: wanted.name.clone(),
        kind: component.kind,
        content: component.content,
        // It was read with a bound far below.
        size: u32::try_from(component.bytes.len()).unwrap_or(u32::MAX),
        forced: wanted.force,
    };
    until_done(client, "install the plugin", &request, deadline, |reply| match reply {
        AdminReply::PluginInstalled { active } => Step::Done(active),
        other => Step::from(other),
    })
    .await
}
