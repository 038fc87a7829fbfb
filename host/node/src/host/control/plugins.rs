//! This host's part in the plugins that the group keeps (`PROTOCOL.md` 14.1): it fetches the bytes of every version
//! from whoever holds them, compiles them, says how far it is, and does not ask to join before it can run what is
//! active.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use colony_core::group::State;
use colony_link::PeerIdentity;
use colony_wire::admin::AdminReply;
use colony_wire::control::{ControlReply, ControlRequest};
use colony_wire::limits::MAX_PLUGIN_BYTES;
use colony_wire::plugin::{ActivePlugin, ContentId, PluginKind, PluginPart, PluginReport, Readiness};
use colony_wire::{Frame, Message};

use super::{Control, admin};
use crate::host::HostError;
use crate::host::plugins::Taken;

/// Longest wait for one piece of a plugin.
const PIECE_WITHIN: Duration = Duration::from_secs(2);
/// Longest wait for what a host has to say of plugins.
pub(super) const REPORT_WITHIN: Duration = Duration::from_millis(500);
/// Bytes that nobody gave are asked for again after this time.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Keeps what this host holds in step with what the group keeps.
pub(super) async fn keep(control: Arc<Control>) {
    let mut view = control.view.subscribe();
    let mut kept = None;
    loop {
        let state = view.borrow_and_update().clone();
        let is_news = kept.as_ref() != Some(&state.plugins);
        let mut lacks = false;
        if state.has_begun() && is_news {
            lacks = !catch_up(&control, &state).await;
            kept = (!lacks).then(|| state.plugins.clone());
        }
        let changed = view.changed();
        if lacks {
            let _ = tokio::time::timeout(ASK_AGAIN_AFTER, changed).await;
        } else if changed.await.is_err() {
            return;
        }
    }
}

/// Fetches and compiles what the group keeps, and drops the rest; whether nothing is missing.
async fn catch_up(control: &Arc<Control>, state: &Arc<State>) -> bool {
    let mut is_whole = true;
    for (name, version) in state.plugin_versions() {
        is_whole &= control.obtain(state, version.content, &[]).await;
        control.host.plugins.library.begin(version.content, name, false);
    }
    control.host.plugins.forget_all_but(state);
    let (library, state) = (control.host.plugins.library.clone(), state.clone());
    let swept = tokio::task::spawn_blocking(move || library.sweep(&state)).await;
    if let Err(error) = swept {
        std::panic::resume_unwind(error.into_panic());
    }
    is_whole
}

/// Has everything compiled that is active where this host asks to be admitted; whether it has.
///
/// # Errors
/// [`HostError::PluginTwice`] if its own configuration names a plugin that is installed.
pub(super) async fn prepare(control: &Control, door: SocketAddr) -> Result<bool, HostError> {
    let active = if door == control.own().address {
        control.host.plugins.report(&control.state()).active
    } else {
        match control.calls.call(door, &ControlRequest::Plugins, REPORT_WITHIN).await {
            Ok(ControlReply::Plugins(report)) => report.active,
            // Knocking there says the same in plainer words.
            Ok(_) | Err(_) => return Ok(true),
        }
    };
    let state = control.state();
    for ActivePlugin { name, kind, content, .. } in active {
        control.check_configuration(&name, kind)?;
        if !control.obtain(&state, content, &[door]).await {
            tracing::warn!(%name, content = %content.short(), "nobody gives the bytes of an active plugin");
            return Ok(false);
        }
        control.host.plugins.library.begin(content, &name, true);
        if let Readiness::Failed { why } = control.host.plugins.library.settled(content).await {
            tracing::error!(%name, %why, "an active plugin cannot be run here: this host cannot join");
            return Ok(false);
        }
    }
    Ok(true)
}

impl Control {
    fn check_configuration(&self, name: &str, kind: PluginKind) -> Result<(), HostError> {
        let is_twice = match kind {
            PluginKind::Merge => self.host.plugins.is_configured(name),
            PluginKind::Placement => self.host.plugins.places_by_file(),
        };
        if is_twice { Err(HostError::PluginTwice { name: name.to_owned(), kind }) } else { Ok(()) }
    }

    /// What this host has to do with plugins.
    pub(super) fn plugin_report(&self) -> PluginReport {
        self.host.plugins.report(&self.state())
    }

    /// A piece of a plugin, for another host.
    pub(super) fn plugin_piece(&self, content: ContentId, offset: u32) -> ControlReply {
        match self.host.plugins.library.piece(content, offset) {
            Some((size, bytes)) => ControlReply::PluginPart { size, bytes },
            None => ControlReply::NoPlugin,
        }
    }

    /// Holds a plugin for the leader, which is about to have it installed.
    pub(super) async fn hold_plugin(&self, content: ContentId, from: &str) -> ControlReply {
        let from: Vec<SocketAddr> = from.parse().into_iter().collect();
        let state = self.state();
        if self.obtain(&state, content, &from).await {
            ControlReply::Noted
        } else {
            ControlReply::Refused { why: "the bytes cannot be fetched".to_owned(), retryable: true }
        }
    }

    /// Takes a piece of a plugin from a person.
    pub(super) async fn take_plugin_part(&self, peer: &PeerIdentity, part: PluginPart) -> AdminReply {
        if !peer.rights.admin {
            return admin::refused("the certificate does not give the right to admin", false);
        }
        let (content, size) = (part.content, part.size);
        if self.host.plugins.library.holds(content) {
            return AdminReply::PluginHeld { have: size };
        }
        match self.host.plugins.uploads.take(&part) {
            Taken::More(have) => AdminReply::PluginHeld { have },
            Taken::Whole(bytes) => match self.hold(content, bytes).await {
                Ok(()) => AdminReply::PluginHeld { have: size },
                Err(why) => admin::refused(why, false),
            },
        }
    }

    /// Makes sure that the bytes are here: from the disk, from whoever should have them, or from anybody. Whether they
    /// are.
    pub(super) async fn obtain(&self, state: &State, content: ContentId, first: &[SocketAddr]) -> bool {
        if self.host.plugins.library.holds(content) || self.recall(content).await {
            return true;
        }
        let own = self.own().address;
        // One that is not up may hold them all the same, after a restart of all hosts.
        let members = state.up().chain(state.members.values()).map(|member| member.address);
        let mut asked = Vec::new();
        for from in first.iter().copied().chain(self.leader_address()).chain(members) {
            if from == own || asked.contains(&from) {
                continue;
            }
            asked.push(from);
            match self.fetch_plugin(content, from).await {
                Ok(()) => return true,
                Err(why) => tracing::debug!(%from, content = %content.short(), %why, "a plugin was not fetched"),
            }
        }
        false
    }

    async fn recall(&self, content: ContentId) -> bool {
        let library = self.host.plugins.library.clone();
        match tokio::task::spawn_blocking(move || library.recall(content)).await {
            Ok(found) => found,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Fetches a plugin piece by piece, over a stream of its own.
    async fn fetch_plugin(&self, content: ContentId, from: SocketAddr) -> Result<(), String> {
        let opened = tokio::time::timeout(PIECE_WITHIN, self.calls.stream(from)).await;
        let opened = opened.map_err(|_| "no connection in time".to_owned())?;
        let (sender, mut receiver) = opened.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        loop {
            let offset = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
            let request = ControlRequest::PluginPart { content, offset }.to_frame(u64::from(offset) + 1);
            let asked = async {
                sender.send_wait(request.map_err(|error| error.to_string())?).await.map_err(|e| e.to_string())?;
                receiver.recv().await.map_err(|error| error.to_string())?.ok_or_else(|| "the stream ended".to_owned())
            };
            let reply =
                tokio::time::timeout(PIECE_WITHIN, asked).await.map_err(|_| "no answer in time".to_owned())??;
            let reply = Frame::parse(reply)
                .and_then(|frame| frame.decode::<ControlReply>())
                .map_err(|error| error.to_string())?;
            let (size, piece) = match reply {
                ControlReply::PluginPart { size, bytes } => (size as usize, bytes),
                ControlReply::NoPlugin => return Err("it does not hold it".to_owned()),
                _ => return Err("an answer to another question".to_owned()),
            };
            bytes.extend_from_slice(&piece);
            if bytes.len() > size.min(MAX_PLUGIN_BYTES) {
                return Err("more bytes than it said".to_owned());
            }
            if bytes.len() == size {
                return self.hold(content, bytes.into()).await;
            }
            if piece.is_empty() {
                return Err("fewer bytes than it said".to_owned());
            }
        }
    }

    async fn hold(&self, content: ContentId, bytes: Bytes) -> Result<(), String> {
        let library = self.host.plugins.library.clone();
        let held = tokio::task::spawn_blocking(move || library.hold(content, bytes)).await;
        let held = held.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        self.host.plugins.forget_all_but(&self.state());
        held.map_err(|error| error.to_string())
    }
}
