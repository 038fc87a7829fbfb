//! The control runtime of a process, from its first task to its last.

use std::sync::Arc;

use colony_link::sentinel::SentinelListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Control, Realms, Wants, apart, leaving, plugins, serve, watching};
use crate::host::HostError;
use crate::host::seen::{self, AdminListener};
use crate::host::shard::ShardThread;

/// Runs until the process has left, or a failure.
pub(in crate::host) async fn run(
    root: Arc<Control>,
    sentinel: SentinelListener,
    admin: Option<AdminListener>,
    wants: Wants,
    shards: Vec<ShardThread>,
) -> Result<(), HostError> {
    let (opening, opened) = mpsc::channel(apart::EVENTS);
    let realms = Realms::new(root.clone(), opening);
    let mut tasks = JoinSet::new();
    root.begin(&mut tasks, wants);
    tasks.spawn(serve::accept(realms.clone()));
    tasks.spawn(watching::take_sentinels(realms.clone(), sentinel));
    tasks.spawn(plugins::keep(root.clone()));
    let (journal, view) = (root.host.journal.clone(), root.view.subscribe());
    tasks.spawn(async move { journal.keep(view).await });
    if let Some(admin) = admin {
        tasks.spawn(seen::serve(root.clone(), admin));
    }
    let outcome = tokio::select! {
        outcome = root.clone().belong() => outcome,
        fatal = root.group.fatal() => Err(HostError::GroupFailed(fatal.to_string())),
        failed = first_failure(shards) => Err(failed),
        Some(ended) = tasks.join_next() => Err(task_ended(ended)),
        failed = apart::run(realms.clone(), opened) => Err(failed),
        left = leaving::run(realms.clone()) => left,
    };
    tracing::info!("host stops");
    tasks.shutdown().await;
    if let Some(island) = realms.island() {
        realms.live_in(None);
        island.group.shutdown().await;
    }
    root.group.shutdown().await;
    root.host.transport.close();
    root.host.transport.drained().await;
    outcome
}

/// Tasks of the control runtime run for as long as it does.
pub(super) fn task_ended(ended: Result<(), tokio::task::JoinError>) -> HostError {
    match ended {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => HostError::GroupFailed("a task of the control runtime ended".into()),
    }
}

async fn first_failure(shards: Vec<ShardThread>) -> HostError {
    let mut ends = JoinSet::new();
    for ShardThread { index, ended, .. } in shards {
        ends.spawn(async move { (index, reason(ended).await) });
    }
    match ends.join_next().await {
        Some(Ok((index, why))) => HostError::Shard { index, why },
        Some(Err(_)) | None => std::future::pending().await,
    }
}

async fn reason(ended: oneshot::Receiver<String>) -> String {
    ended.await.unwrap_or_else(|_| "its thread is gone".to_owned())
}
