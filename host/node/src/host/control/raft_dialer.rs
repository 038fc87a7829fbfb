//! Raft's messages, carried as calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::State;
use colony_raft::{BoxFuture, CallError, Dialer, Peer};
use colony_wire::control::{ControlReply, ControlRequest};
use tokio::sync::watch;

use super::calls::{CallFailed, RealmCalls};

/// Carries Raft's messages to other hosts.
pub(in crate::host) struct RaftDialer {
    calls: RealmCalls,
    view: watch::Receiver<Arc<State>>,
}

impl RaftDialer {
    pub(in crate::host) fn new(calls: RealmCalls, view: watch::Receiver<Arc<State>>) -> Self {
        Self { calls, view }
    }
}

impl Dialer for RaftDialer {
    fn call(&self, to: Peer, message: Bytes, within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async move {
            let lineage = self.view.borrow().lineage;
            let request = ControlRequest::Raft { lineage, to: to.raft, message };
            match self.calls.call(to.address, &request, within).await {
                Ok(ControlReply::Raft { message }) => Ok(message),
                Ok(ControlReply::Refused { why, .. }) => Err(CallError::Refused(why)),
                Ok(_) => Err(CallError::Refused("an answer to another question".into())),
                Err(CallFailed::TimedOut) => Err(CallError::TimedOut),
                Err(error) => Err(CallError::Unreachable(error.to_string())),
            }
        })
    }
}
