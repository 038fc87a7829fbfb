//! Calls to any host's control port: questions about the cluster, and changes of it.

use std::sync::atomic::{AtomicBool, Ordering};

use colony_wire::Message;
use colony_wire::admin::{AdminReply, AdminRequest};
use tokio::time::{self, Instant};

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::error::CallError;
use crate::limits::ADMIN_PATIENCE;
use crate::links::Lane;
use crate::options::Options;
use crate::pipe::PipeError;
use crate::routes::Peer;

/// What came of asking one host.
enum Asked {
    Answered(Box<AdminReply>),
    /// Surely not done there: another host may be asked.
    Another {
        why: String,
        /// Whether the request went out.
        sent: bool,
    },
}

impl Engine {
    /// Asks hosts in random order, again and again, until one has answered.
    ///
    /// A change has no request id: once it went out it is never sent again, and without an answer its
    /// outcome is unknown. A question is put to the next host.
    pub(crate) async fn admin(&self, request: &AdminRequest, options: Options) -> Result<AdminReply, CallError> {
        request.check()?;
        let deadline = Instant::now() + options.deadline();
        let mut backoff = Backoff::new();
        let mut attempts = 0;
        let mut reached = false;
        let mut last = "the routing table names no host".to_owned();
        while Instant::now() < deadline {
            let mut hosts: Vec<_> = self.router.table().control_ports().collect();
            self.jitter.shuffle(&mut hosts);
            for host in hosts {
                attempts += 1;
                match self.admin_at(&host, request, deadline).await? {
                    Asked::Answered(reply) => {
                        if is_change(request) {
                            self.router.ask();
                        }
                        return Ok(*reply);
                    }
                    Asked::Another { why, sent } => {
                        reached |= sent;
                        last = why;
                    }
                }
            }
            self.router.ask();
            let pause = Instant::now() + backoff.pause(&self.jitter);
            time::sleep_until(pause.min(deadline)).await;
        }
        Err(if reached {
            CallError::Deadline { attempts, last, maybe_done: false }
        } else {
            CallError::Unreachable { last }
        })
    }

    /// An error ends the call: asking another host is of no use, or not safe.
    async fn admin_at(&self, host: &Peer, request: &AdminRequest, deadline: Instant) -> Result<Asked, CallError> {
        let sent = AtomicBool::new(false);
        let asking = async {
            let pipe = self.links.pipe(host, Lane::Calls).await;
            let pipe = pipe.map_err(|error| PipeError::Ended(error.to_string().into()))?;
            pipe.call(|call| request.to_frame(call), &sent).await
        };
        let patience = if is_long(request) { deadline } else { deadline.min(Instant::now() + ADMIN_PATIENCE) };
        let asked = time::timeout_at(patience, asking).await;
        let sent = sent.load(Ordering::Relaxed);
        let why = match asked {
            Ok(Ok(frame)) => {
                let reply = frame.decode().map_err(|error| CallError::Protocol { what: error.to_string() })?;
                return match reply {
                    AdminReply::Refused { why, retryable: true } => Ok(Asked::Another { why, sent }),
                    AdminReply::Refused { why, retryable } => Err(CallError::Declined { why, retryable }),
                    reply => Ok(Asked::Answered(Box::new(reply))),
                };
            }
            Ok(Err(PipeError::Encode(error))) => return Err(error.into()),
            Ok(Err(PipeError::Ended(why))) => format!("{}: {why}", host.address),
            Err(_) => format!("{}: no answer in time", host.address),
        };
        if sent && is_change(request) { Err(CallError::Unknown { why }) } else { Ok(Asked::Another { why, sent }) }
    }
}

/// Whether a request may take its time. A plan may be tried with a plugin, which is compiled and asked about every
/// colony first.
fn is_long(request: &AdminRequest) -> bool {
    is_change(request) || matches!(request, AdminRequest::Plan { .. })
}

/// Whether a request changes the cluster.
fn is_change(request: &AdminRequest) -> bool {
    match request {
        AdminRequest::Status
        | AdminRequest::Colonies { .. }
        | AdminRequest::Namespaces
        | AdminRequest::StaleCopies { .. }
        | AdminRequest::Departures { .. }
        | AdminRequest::SafeToStop { .. }
        | AdminRequest::Plugins
        | AdminRequest::WhatIf { .. } => false,
        AdminRequest::CreateNamespace { .. }
        | AdminRequest::AcceptStale { .. }
        | AdminRequest::Drain { .. }
        | AdminRequest::InstallPlugin { .. }
        | AdminRequest::UsePlugin { .. }
        | AdminRequest::RollBackPlugin { .. }
        | AdminRequest::UninstallPlugin { .. }
        | AdminRequest::BeginCanary { .. }
        | AdminRequest::EndCanary { .. } => true,
        AdminRequest::Plan { dry_run, .. } => !dry_run,
    }
}
