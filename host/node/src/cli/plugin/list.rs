//! `colony plugin list`.

use colony_wire::plugin::{CanaryStatus, PluginStatus, PluginVersionStatus};
use serde_json::{Value, json};

use super::{activate, canary};
use crate::cli::args::Common;
use crate::cli::connect::with_client;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::table::Table;
use crate::cli::text::printable;

pub(super) fn run(common: &Common, output: Output) -> Result<(), Failure> {
    let plugins = with_client(common, async |client| activate::plugins(&client).await)?;
    output.list(plugins.iter().map(to_json), || to_text(&plugins))
}

fn to_json(plugin: &PluginStatus) -> Value {
    let version = |version: &PluginVersionStatus| {
        let failed = version.failed.iter().map(|(host, why)| json!({ "host": host, "why": why }));
        json!({
            "content": version.content.to_string(),
            "size": version.size,
            "active": plugin.active == Some(version.content),
            "canary": canary_of(plugin, version).map(|canary| canary.percent),
            "forced": version.forced,
            "ready": version.ready,
            "waiting": version.waiting,
            "failed": failed.collect::<Vec<_>>(),
        })
    };
    json!({
        "name": plugin.name,
        "kind": plugin.kind,
        "active": plugin.active.map(|active| active.to_string()),
        "before": plugin.before.map(|before| before.to_string()),
        "by_file": plugin.by_file,
        "canary": plugin.canary.as_ref().map(canary::to_json),
        "versions": plugin.versions.iter().map(version).collect::<Vec<_>>(),
    })
}

fn to_text(plugins: &[PluginStatus]) -> String {
    let mut table = Table::new(&["NAME", "KIND", "VERSION", "SIZE", "ACTIVE", "FORCED", "COMPILED ON", "NOT ON"]);
    for plugin in plugins {
        if !plugin.by_file.is_empty() {
            let mut row = ["-"; 8].map(str::to_owned);
            row[0] = printable(&plugin.name);
            row[1] = plugin.kind.to_string();
            row[2] = "by file".to_owned();
            row[6] = list(plugin.by_file.iter().map(|host| printable(host)));
            table.row(row);
        }
        for version in plugin.versions.iter().rev() {
            let failed = version.failed.iter().map(|(host, why)| format!("{} ({})", printable(host), printable(why)));
            let waiting = version.waiting.iter().map(|host| printable(host));
            table.row([
                printable(&plugin.name),
                plugin.kind.to_string(),
                version.content.short(),
                version.size.to_string(),
                stands(plugin, version),
                if version.forced { "yes" } else { "no" }.to_owned(),
                list(version.ready.iter().map(|host| printable(host))),
                list(waiting.chain(failed)),
            ]);
        }
    }
    table.text()
}

/// What a version is to its plugin.
fn stands(plugin: &PluginStatus, version: &PluginVersionStatus) -> String {
    if let Some(canary) = canary_of(plugin, version) {
        return format!("for {}", canary::share(canary));
    }
    let stands = match Some(version.content) {
        content if content == plugin.active => "yes",
        content if content == plugin.before => "before",
        _ => "no",
    };
    stands.to_owned()
}

/// What is known of a version that is tried.
fn canary_of<'a>(plugin: &'a PluginStatus, version: &PluginVersionStatus) -> Option<&'a CanaryStatus> {
    plugin.canary.as_ref().filter(|canary| canary.content == version.content)
}

fn list(hosts: impl Iterator<Item = String>) -> String {
    let hosts: Vec<String> = hosts.collect();
    if hosts.is_empty() { "-".to_owned() } else { hosts.join(",") }
}
