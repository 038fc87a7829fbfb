//! A question to one host, answered by that host.
//!
//! Commands and clients ask any host for what every host knows. Whether each does know it shows only so.

use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest, ColonyStatus};
use colony_link::quic::QuicTransport;
use colony_link::{Expect, LinkConfig, Transport};
use colony_wire::{Frame, Message};
use tokio::time;

use crate::Cluster;

/// Longest wait for an answer, the connection included.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Pairs the answer with the question.
const CALL: u64 = 1;

impl Cluster {
    /// Asks this host, and no other in its stead.
    ///
    /// # Errors
    /// With what stood in the way of an answer.
    ///
    /// # Panics
    /// If there was never a host of that name, or no socket can be had.
    pub async fn ask(&self, name: &str, request: AdminRequest) -> Result<AdminReply, String> {
        let transport = QuicTransport::client(self.certs().identity(), LinkConfig::default());
        let transport = transport.expect("a socket can be had");
        let exchange = async {
            let to = self.host(name).address();
            let connection = transport.connect(to, Expect::Host(name.to_owned())).await.map_err(text)?;
            let (sender, mut receiver) = connection.open().await.map_err(text)?;
            sender.send(request.to_frame(CALL).map_err(text)?).map_err(text)?;
            let answer = receiver.recv().await.map_err(text)?.ok_or("the host hung up")?;
            Frame::parse(answer).and_then(|frame| frame.decode()).map_err(text)
        };
        time::timeout(ANSWER_WITHIN, exchange).await.map_err(text)?
    }

    /// Where this host says the colonies live.
    ///
    /// # Errors
    /// With what stood in the way of an answer.
    ///
    /// # Panics
    /// As [`ask`](Self::ask).
    pub async fn table_of(&self, name: &str) -> Result<Vec<ColonyStatus>, String> {
        match self.ask(name, AdminRequest::Colonies { of: None }).await? {
            AdminReply::Colonies(colonies) => Ok(colonies),
            other => Err(format!("{name} answers {other:?}")),
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
