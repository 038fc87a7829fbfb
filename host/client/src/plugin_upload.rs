//! Plugins on their way to the cluster.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use colony_wire::admin::AdminReply;
use colony_wire::limits::PLUGIN_CHUNK;
use colony_wire::plugin::{ContentId, PluginPart};
use colony_wire::{DecodeError, Message};
use tokio::time::{self, Instant};

use crate::engine::Engine;
use crate::error::CallError;
use crate::links::Lane;
use crate::options::Options;
use crate::routes::Peer;

/// What came of sending to one host.
enum Sent {
    Whole,
    /// It did not take all of it.
    Not(String),
}

impl Engine {
    /// Sends the bytes to one host after the other until one has them all.
    pub(crate) async fn send_plugin(
        &self,
        content: ContentId,
        bytes: &[u8],
        options: Options,
    ) -> Result<(), CallError> {
        let too_many = || DecodeError::Limit { what: "size of a plugin", len: bytes.len(), limit: u32::MAX as usize };
        let size = u32::try_from(bytes.len()).map_err(|_| too_many())?;
        let deadline = Instant::now() + options.deadline();
        let mut hosts: Vec<_> = self.router.table().control_ports().collect();
        self.jitter.shuffle(&mut hosts);
        let mut last = "the routing table names no host".to_owned();
        for host in hosts {
            match time::timeout_at(deadline, self.send_plugin_to(&host, content, size, bytes)).await {
                Ok(Ok(Sent::Whole)) => return Ok(()),
                Ok(Ok(Sent::Not(why))) => last = format!("{}: {why}", host.address),
                Ok(Err(error)) => return Err(error),
                Err(_) => last = format!("{}: no answer in time", host.address),
            }
        }
        Err(CallError::Unreachable { last })
    }

    async fn send_plugin_to(
        &self,
        host: &Peer,
        content: ContentId,
        size: u32,
        bytes: &[u8],
    ) -> Result<Sent, CallError> {
        let pipe = match self.links.pipe(host, Lane::Uploads).await {
            Ok(pipe) => pipe,
            Err(error) => return Ok(Sent::Not(error.to_string())),
        };
        let mut offset = 0;
        loop {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let piece = Bytes::copy_from_slice(rest.get(..PLUGIN_CHUNK).unwrap_or(rest));
            let part = PluginPart { content, size, offset, bytes: piece };
            part.check()?;
            let sent = AtomicBool::new(false);
            let frame = match pipe.call(|call| part.to_frame(call), &sent).await {
                Ok(frame) => frame,
                Err(error) => return Ok(Sent::Not(error.to_string())),
            };
            match frame.decode().map_err(|error| CallError::Protocol { what: error.to_string() })? {
                AdminReply::PluginHeld { have } if have >= size => return Ok(Sent::Whole),
                // Somebody else may be sending the same: it goes on where both are.
                AdminReply::PluginHeld { have } if have > offset || (have < offset && have == 0) => offset = have,
                AdminReply::PluginHeld { .. } => return Ok(Sent::Not("it does not take the bytes".to_owned())),
                AdminReply::Refused { why, retryable: true } => return Ok(Sent::Not(why)),
                AdminReply::Refused { why, retryable } => return Err(CallError::Declined { why, retryable }),
                _ => return Err(CallError::Protocol { what: "it answers another question".to_owned() }),
            }
        }
    }
}
