//! The way from a command to a cluster.

use std::future::Future;

use colony_client::{CallError, Client, Identity};
use colony_wire::admin::{AdminReply, AdminRequest};

use super::args::Common;
use super::failure::Failure;

/// Runs one conversation with the cluster that the arguments name.
pub(super) fn with_client<T, F>(common: &Common, conversation: impl FnOnce(Client) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let certs = common.certs();
    let identity = Identity::from_dir(&certs).map_err(Failure::Certificate)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let seeds = common.seeds();
        let client = Client::connect(&seeds, identity)
            .await
            .map_err(|source| Failure::Connect { seeds: seeds.join(","), source })?;
        let outcome = conversation(client.clone()).await;
        client.close().await;
        outcome
    })
}

/// Asks the cluster about itself, and takes the part of the answer that belongs to the question.
pub(super) async fn ask<T>(
    client: &Client,
    doing: &'static str,
    request: AdminRequest,
    answer: impl FnOnce(AdminReply) -> Option<T>,
) -> Result<T, Failure> {
    let reply = client.admin(request).await.map_err(|source| Failure::Call { doing, source })?;
    let foreign = || CallError::Protocol { what: "it answers another question".to_owned() };
    answer(reply).ok_or_else(|| Failure::Call { doing, source: foreign() })
}
