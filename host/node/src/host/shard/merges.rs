//! The thread that asks merge plugins, so that a slow one holds up its session and nothing else.
//!
//! A call takes 50 ms at worst, and between two calls another colony has its turn ([`Turns`]). So a batch of conflicts
//! holds up no other colony for longer than one call, and none for longer than [`WAIT_MAX`]: what has waited for so
//! long is not asked.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use colony_core::merge::{Conflict, Resolution, Ticket};
use colony_wasm::LogBudget;
use colony_wire::ColonyId;
use colony_wire::session::Key;
use tokio::sync::mpsc;

use super::turns::Turns;
use crate::host::plugins::{About, Judge};
use crate::host::realm::Realm;

/// Questions on their way to the plugin thread of a shard: what may come while one call runs. Beyond it a question is
/// refused.
const QUESTIONS: usize = 1024;
/// Questions that the thread has taken and not asked yet; no more are taken while there are so many.
const TAKEN: usize = 4096;
/// Longest wait of a question. Clients wait 5 s by default: a save that waited longer would be merged for nobody, and a
/// queue that serves only such ones never gets shorter.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Stack of the thread: what a plugin may use of it (512 KiB), and as much again three times.
const STACK_BYTES: usize = 2 << 20;
/// Questions not asked that are logged at once, and each second thereafter.
const LOGGED_AT_ONCE: u32 = 8;
const LOGGED_PER_SECOND: u32 = 1;

/// A conflict to be decided.
pub(super) struct Question {
    /// The lineage it came up in: two lineages may name their questions alike.
    pub(super) realm: Realm,
    pub(super) ticket: Ticket,
    pub(super) colony: ColonyId,
    pub(super) key: Key,
    /// Who decides it, and no other: settled when the conflict came up.
    pub(super) judge: Judge,
    pub(super) conflict: Conflict,
}

/// An answer on its way back.
pub(super) struct Answer {
    pub(super) realm: Realm,
    pub(super) ticket: Ticket,
    pub(super) answer: Result<Resolution, String>,
}

/// The way to the thread. It ends when this is dropped.
pub(super) struct Merges {
    questions: SyncSender<(Instant, Question)>,
    answers: mpsc::Sender<Answer>,
    refused: LogBudget,
}

impl Merges {
    pub(super) fn start(answers: mpsc::Sender<Answer>) -> Self {
        let (questions, asked) = sync_channel(QUESTIONS);
        let back = answers.clone();
        let body = move || serve(&asked, &back);
        let thread = std::thread::Builder::new().name("merges".into()).stack_size(STACK_BYTES);
        if let Err(error) = thread.spawn(body) {
            // Without the thread every question is refused, and the built-in decides.
            tracing::error!(%error, "the plugin thread does not start");
        }
        Self { questions, answers, refused: LogBudget::new(LOGGED_AT_ONCE, LOGGED_PER_SECOND) }
    }

    /// Asks; the answer comes as a message.
    pub(super) fn ask(&self, question: Question) {
        let (realm, ticket, colony) = (question.realm, question.ticket, question.colony);
        let now = Instant::now();
        if self.questions.try_send((now, question)).is_err() {
            let why = format!("more than {QUESTIONS} merges are waiting on this host");
            tell_unasked(&self.refused, now, colony, &why);
            if self.answers.try_send(Answer { realm, ticket, answer: Err(why) }).is_err() {
                tracing::error!(ticket = ticket.0, "the answer of a merge is lost; its session waits for the deadline");
            }
        }
    }
}

/// Answers questions until nobody asks any more.
fn serve(asked: &Receiver<(Instant, Question)>, back: &mpsc::Sender<Answer>) {
    let mut turns: Turns<(Instant, Question)> = Turns::default();
    let unasked = LogBudget::new(LOGGED_AT_ONCE, LOGGED_PER_SECOND);
    loop {
        if turns.len() == 0 {
            let Ok(question) = asked.recv() else { return };
            turns.push(question.1.colony, question);
        }
        while turns.len() < TAKEN
            && let Ok(question) = asked.try_recv()
        {
            turns.push(question.1.colony, question);
        }
        let Some((colony, (since, question))) = turns.pop() else { continue };
        let began = Instant::now();
        let Question { realm, ticket, key, judge, conflict, .. } = question;
        let is_late = began.saturating_duration_since(since) > WAIT_MAX;
        let answer = match judge {
            Judge::Plugin { plugin, guard } if !is_late => guard.merge(&plugin, About { colony, key: &key }, &conflict),
            judge => {
                let why = match judge {
                    Judge::Nobody(why) => why,
                    Judge::Plugin { .. } => {
                        format!("it waited for more than {} s behind other merges", WAIT_MAX.as_secs())
                    }
                };
                tell_unasked(&unasked, began, colony, &why);
                Err(why)
            }
        };
        turns.spent(colony, began.elapsed());
        if back.blocking_send(Answer { realm, ticket, answer }).is_err() {
            return;
        }
    }
}

fn tell_unasked(budget: &LogBudget, now: Instant, colony: ColonyId, why: &str) {
    if let Some(unlogged) = budget.take(now) {
        tracing::warn!(%colony, why, unlogged, "a merge plugin was not asked");
    }
}
