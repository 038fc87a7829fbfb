//! The thread that asks merge plugins, so that a slow one holds up its session and nothing else.

use std::sync::mpsc::{SyncSender, sync_channel};

use colony_core::merge::{Conflict, Resolution, Ticket};
use tokio::sync::mpsc;

use crate::host::plugins::Judge;

/// Questions waiting for the plugin thread of a shard. Beyond it the built-in decides, and the log says so.
const QUESTIONS: usize = 4096;

/// A conflict to be decided.
pub(super) struct Question {
    pub(super) ticket: Ticket,
    /// Who decides it, and no other: settled when the conflict came up.
    pub(super) judge: Judge,
    pub(super) conflict: Conflict,
}

/// An answer on its way back.
type Answer = (Ticket, Result<Resolution, String>);

/// The way to the thread. It ends when this is dropped.
pub(super) struct Merges {
    questions: SyncSender<Question>,
    answers: mpsc::Sender<Answer>,
}

impl Merges {
    pub(super) fn start(answers: mpsc::Sender<Answer>) -> Self {
        let (questions, asked) = sync_channel::<Question>(QUESTIONS);
        let back = answers.clone();
        let body = move || {
            for Question { ticket, judge, conflict } in asked {
                let answer = judge.merge(&conflict);
                if back.blocking_send((ticket, answer)).is_err() {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("merges".into()).spawn(body) {
            // Without the thread every question is refused, and the built-in decides.
            tracing::error!(%error, "the plugin thread does not start");
        }
        Self { questions, answers }
    }

    /// Asks; the answer comes as a message.
    pub(super) fn ask(&self, question: Question) {
        let ticket = question.ticket;
        if self.questions.try_send(question).is_err() {
            let refused = (ticket, Err("too many merges are waiting on this host".to_owned()));
            if self.answers.try_send(refused).is_err() {
                tracing::error!(ticket = ticket.0, "the answer of a merge is lost; its session waits for the deadline");
            }
        }
    }
}
