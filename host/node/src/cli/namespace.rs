//! `colony namespace`: named sets of sessions.

use colony_client::Ttl;
use colony_wire::admin::{AdminReply, AdminRequest, NamespaceStatus, OnConflict, OnPartition, OnPluginFailure, Policy};
use serde_json::{Value, json};

use super::args::{Common, NamespaceCommand};
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::merge;
use super::output::Output;
use super::table::Table;
use super::text::{duration, printable};

pub(super) fn run(command: NamespaceCommand, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        NamespaceCommand::Create {
            name,
            copies,
            min_in_sync,
            buckets,
            ttl,
            on_conflict,
            merge,
            on_partition,
            on_plugin_failure,
        } => {
            let (ttl_ms, on_conflict, on_plugin_failure) = (millis(ttl), on_conflict.into(), on_plugin_failure.into());
            // Who asks for a least number of copies asks for one history.
            let unsaid = if min_in_sync > 1 { OnPartition::Strict } else { OnPartition::Island };
            let on_partition = on_partition.map_or(unsaid, OnPartition::from);
            let policy =
                Policy { copies, min_in_sync, buckets, ttl_ms, on_conflict, merge, on_partition, on_plugin_failure };
            policy.check().map_err(|error| Failure::Usage(error.to_string()))?;
            create(name, policy, common, output)
        }
        NamespaceCommand::List => list(common, output),
    }
}

fn millis(ttl: Ttl) -> Option<u64> {
    match ttl {
        Ttl::After(duration) => Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        Ttl::Never | Ttl::OfNamespace => None,
    }
}

fn create(name: String, policy: Policy, common: &Common, output: Output) -> Result<(), Failure> {
    let request = AdminRequest::CreateNamespace { name: name.clone(), policy };
    let id = with_client(common, async |client| {
        ask(&client, "create the namespace", request, |reply| match reply {
            AdminReply::Created { id } => Some(id),
            _ => None,
        })
        .await
    })?;
    output.answer(|| json!({ "name": name, "id": id.0 }), || format!("created namespace {}\n", printable(&name)))
}

fn list(common: &Common, output: Output) -> Result<(), Failure> {
    let namespaces = with_client(common, async |client| {
        ask(&client, "list the namespaces", AdminRequest::Namespaces, |reply| match reply {
            AdminReply::Namespaces(namespaces) => Some(namespaces),
            _ => None,
        })
        .await
    })?;
    output.list(namespaces.iter().map(to_json), || to_text(&namespaces))
}

fn to_json(namespace: &NamespaceStatus) -> Value {
    let policy = &namespace.policy;
    json!({
        "name": namespace.name,
        "id": namespace.id.0,
        "copies": policy.copies,
        "min_in_sync": policy.min_in_sync,
        "buckets": policy.buckets,
        "ttl_ms": policy.ttl_ms,
        "on_conflict": on_conflict(policy.on_conflict),
        "merge": merge::text(&policy.merge),
        "on_partition": on_partition(policy.on_partition),
        "on_plugin_failure": on_plugin_failure(policy.on_plugin_failure),
    })
}

fn to_text(namespaces: &[NamespaceStatus]) -> String {
    let mut table = Table::new(&[
        "NAME",
        "ID",
        "COPIES",
        "MIN IN SYNC",
        "BUCKETS",
        "TTL",
        "ON CONFLICT",
        "MERGE",
        "ON PARTITION",
        "ON FAILURE",
    ]);
    for NamespaceStatus { id, name, policy } in namespaces {
        table.row([
            printable(name),
            id.0.to_string(),
            policy.copies.to_string(),
            policy.min_in_sync.to_string(),
            policy.buckets.to_string(),
            policy.ttl_ms.map_or_else(|| "never".to_owned(), duration),
            on_conflict(policy.on_conflict).to_owned(),
            printable(&merge::text(&policy.merge)),
            on_partition(policy.on_partition).to_owned(),
            on_plugin_failure(policy.on_plugin_failure).to_owned(),
        ]);
    }
    table.text()
}

fn on_conflict(on_conflict: OnConflict) -> &'static str {
    match on_conflict {
        OnConflict::Merge => "merge",
        OnConflict::Reject => "reject",
        OnConflict::Overwrite => "overwrite",
    }
}

fn on_partition(on_partition: OnPartition) -> &'static str {
    match on_partition {
        OnPartition::Island => "island",
        OnPartition::Strict => "strict",
    }
}

fn on_plugin_failure(on_plugin_failure: OnPluginFailure) -> &'static str {
    match on_plugin_failure {
        OnPluginFailure::BuiltIn => "builtin",
        OnPluginFailure::Refuse => "refuse",
    }
}
