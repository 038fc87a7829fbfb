//! This process in an island, from the moment in which its copies go over until the root has all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use colony_core::colony::Left;
use colony_core::group::{Entry, State};
use colony_core::island::Parting;
use colony_raft::{Group, Timing};
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::{ColonyId, LineageId, StartId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::super::calls::CallFailed;
use super::super::process::task_ended;
use super::super::{Control, RaftDialer, Wants, undead};
use super::settler::Own;
use crate::host::HostError;
use crate::host::realm::Realm;
use crate::host::shard::{Order, Ties};
use crate::host::{PROPOSALS, QUESTIONS};

/// Longest wait for a host's answer whether it is done.
const ASK_WITHIN: Duration = Duration::from_millis(500);

/// A life in an island.
pub(super) struct Life {
    pub(super) control: Arc<Control>,
    /// What its shards are told that the root's group decides for this process; none before the first time.
    attached: Option<bool>,
    tasks: JoinSet<()>,
    /// Who of the island is waited for, once nothing is left here.
    parting: Parting,
    /// Questions to them under way, one to each.
    asked: JoinSet<(StartId, Result<ControlReply, CallFailed>)>,
    /// The way of what ends the process.
    failures: (mpsc::Sender<HostError>, mpsc::Receiver<HostError>),
}

impl Life {
    /// Starts this host's part in the island's group. Nothing goes over yet.
    pub(super) async fn prepare(
        root: &Arc<Control>,
        lineage: LineageId,
        own: Own,
        begins: Arc<State>,
    ) -> Result<Self, HostError> {
        let calls = root.calls.of(Realm::Island(lineage));
        let (view, seen) = watch::channel(begins);
        let dialer = Arc::new(RaftDialer::new(calls.clone(), seen));
        let group = Group::start(own.storage, dialer, Timing::default()).await?;
        let control = Control::new(root.host.clone(), own.member, calls, group, view);
        Ok(Self {
            control,
            attached: None,
            tasks: JoinSet::new(),
            parting: Parting::default(),
            asked: JoinSet::new(),
            failures: mpsc::channel(1),
        })
    }

    /// The copies go over, and this process's part in the island begins.
    pub(super) async fn begin(&mut self, root: &Control) {
        let control = &self.control;
        let state = control.group.state().borrow().clone();
        if state.has_begun() {
            control.view.send_replace(state);
        }
        let (proposals, proposed) = mpsc::channel(PROPOSALS);
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let (start, state) = (control.start(), control.state());
        for shard in root.shards() {
            let ties =
                Ties { view: control.view.subscribe(), proposals: proposals.clone(), questions: questions.clone() };
            let _ = control.ask(shard, |done| Order::Enter { start, ties, done }).await;
        }
        control.begin(&mut self.tasks, Wants { proposals: proposed, questions: asked });
        let (this, failures) = (control.clone(), self.failures.0.clone());
        self.tasks.spawn(async move {
            // Whoever is declared dead in the island comes back there under another start, as in any group.
            if let Err(error) = undead::watch_own_state(&this).await {
                let _ = failures.send(error).await;
            }
            std::future::pending::<()>().await;
        });
        let hosts: Vec<&str> = state.up().map(|member| member.name.as_str()).collect();
        tracing::warn!(lineage = %state.lineage, hosts = %hosts.join(", "), "living in an island");
    }

    /// Goes on for another moment; whether the root has all that the island had, and nothing is left of it on any host.
    pub(super) async fn go_on(&mut self, root: &Control) -> bool {
        let is_attached = root.is_attached();
        if self.attached != Some(is_attached) {
            tracing::info!(is_attached, "whether the root can be reached, seen from the island");
            self.attached = Some(is_attached);
            for shard in self.control.shards() {
                self.control.tell(shard, Order::Attached(is_attached)).await;
            }
        }
        if !is_attached {
            return false;
        }
        let is_over = self.left().await == Some(Left::default());
        if self.control.is_over.swap(is_over, Ordering::Relaxed) != is_over && is_over {
            tracing::info!("nothing is left here of the island: waiting for the others of it");
        }
        is_over && self.is_alone()
    }

    /// What is left here of the island; none if a shard does not say.
    async fn left(&self) -> Option<Left> {
        let mut all = Left::default();
        for shard in self.control.shards() {
            let left = self.control.ask(shard, Order::Left).await?;
            all = Left { open: all.open + left.open, taken_in: all.taken_in + left.taken_in };
        }
        Some(all)
    }

    /// Whether no other host has anything left of the island, as far as they answer. Asks them, and hears them later.
    fn is_alone(&mut self) -> bool {
        let now = self.control.host.clock.now().mono;
        while let Some(Ok((from, answer))) = self.asked.try_join_next() {
            match answer {
                Ok(ControlReply::IsOver { is_over }) => self.parting.heard(now, from, is_over),
                Err(CallFailed::NotHere) => self.parting.heard(now, from, true),
                Ok(_) | Err(_) => {}
            }
        }
        let (me, state) = (self.control.start(), self.control.state());
        let others = state.up().map(|member| member.start).filter(|start| *start != me);
        let awaited = self.parting.waits_for(now, others);
        if self.asked.is_empty() {
            for from in awaited.iter().filter_map(|start| state.members.get(start)) {
                let (calls, address, from) = (self.control.calls.clone(), from.address, from.start);
                self.asked.spawn(async move { (from, calls.call(address, &ControlRequest::IsOver, ASK_WITHIN).await) });
            }
        }
        awaited.is_empty()
    }

    /// Resolves with what ends the process.
    pub(super) async fn failed(&mut self) -> HostError {
        tokio::select! {
            fatal = self.control.group.fatal() => HostError::GroupFailed(fatal.to_string()),
            Some(error) = self.failures.1.recv() => error,
            Some(ended) = self.tasks.join_next() => task_ended(ended),
        }
    }

    /// The process lives there no more.
    pub(super) async fn end(mut self) {
        tracing::warn!(lineage = %self.control.state().lineage, "the island is over here: the root has all that it had");
        for shard in self.control.shards() {
            self.control.tell(shard, Order::Leave).await;
        }
        self.tasks.shutdown().await;
        self.control.group.shutdown().await;
    }
}

/// The colonies that have copies in the island and that the root has not taken in.
pub(in super::super) fn not_taken_in(root: &State, island: &State) -> impl Iterator<Item = ColonyId> {
    let is_left = move |(colony, entry): &(&ColonyId, &Entry)| {
        let staying = root.table.get(colony);
        !entry.in_sync.is_empty() && staying.is_none_or(|staying| staying.absorbed_of(entry.lineage).is_none())
    };
    island.table.iter().filter(is_left).map(|(colony, _)| *colony)
}
