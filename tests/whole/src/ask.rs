//! What hosts say of the cluster, each asked by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest, ClusterStatus, ColonyStatus};
use colony_client::pipe::Pipe;
use colony_link::{Expect, Transport};
use colony_wire::Message;
use tokio::time::timeout;

use crate::machine;

/// Longest wait for one answer.
const WITHIN: Duration = Duration::from_secs(2);

/// Whoever asks.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) transport: Arc<dyn Transport>,
}

impl Asker {
    async fn ask(&self, machine: usize, request: &AdminRequest) -> Result<AdminReply, String> {
        let name = machine::name(machine);
        let asked = async {
            let expect = Expect::Host(name.clone());
            let connection = self.transport.connect(machine::address(machine), expect).await;
            let pipe = Pipe::open(connection.map_err(|error| error.to_string())?).await;
            let pipe = pipe.map_err(|error| error.to_string())?;
            let frame = pipe.call(|call| request.to_frame(call), &AtomicBool::new(false)).await;
            let frame = frame.map_err(|error| error.to_string())?;
            frame.decode::<AdminReply>().map_err(|error| error.to_string())
        };
        let reply = timeout(WITHIN, asked).await.unwrap_or_else(|_| Err("no answer".to_owned()));
        reply.map_err(|why| format!("{name}: {why}"))
    }

    /// Whether every host says that every host is up, that there is a leader, and that every colony has all its
    /// copies where they are wanted. If not, what is missing.
    pub(crate) async fn is_whole(&self, machines: usize, copies: u8) -> Result<(), String> {
        let names: BTreeSet<String> = (0..machines).map(machine::name).collect();
        for machine in 0..machines {
            match self.ask(machine, &AdminRequest::Status).await? {
                AdminReply::Status(status) => check_status(&status, &names)?,
                other => return Err(format!("another answer: {other:?}")),
            }
            match self.ask(machine, &AdminRequest::Colonies { of: None }).await? {
                AdminReply::Colonies(colonies) => check_colonies(machine, &colonies, copies)?,
                other => return Err(format!("another answer: {other:?}")),
            }
        }
        Ok(())
    }
}

fn check_status(status: &ClusterStatus, names: &BTreeSet<String>) -> Result<(), String> {
    let by = &status.answered_by;
    let up: BTreeSet<String> =
        status.hosts.iter().filter(|host| host.state == "up").map(|host| host.name.clone()).collect();
    if up != *names {
        return Err(format!("{by} says that only {up:?} are up"));
    }
    if status.leader.is_none() {
        return Err(format!("{by} knows no leader"));
    }
    if let Some(way) = status.under_way.iter().find(|way| way.contains("comes back from the island")) {
        return Err(way.clone());
    }
    if status.parent.is_some() {
        return Err(format!("{by} lives in an island"));
    }
    if status.served != status.colonies {
        return Err(format!("{by} says that {} of {} colonies are served", status.served, status.colonies));
    }
    Ok(())
}

fn check_colonies(machine: usize, colonies: &[ColonyStatus], copies: u8) -> Result<(), String> {
    let lacking = colonies.iter().find(|colony| {
        let sets = [&colony.in_sync, &colony.want].map(|names| names.iter().collect::<BTreeSet<_>>());
        sets[0] != sets[1] || sets[0].len() != usize::from(copies) || colony.primary.is_none()
    });
    match lacking {
        Some(colony) => Err(format!("{} says that a colony lacks copies: {colony:?}", machine::name(machine))),
        None => Ok(()),
    }
}
