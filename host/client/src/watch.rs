//! What happens to a session, as it happens.

use std::collections::VecDeque;

use colony_wire::Position;
use colony_wire::session::{EndKind, Key};
use colony_wire::tag::TagChange;
use colony_wire::watch::{WatchEvent, WatchedChange};

use crate::error::CallError;
use crate::limits::{DEADLINE_MAX, WATCH_HOLD};
use crate::namespace::{Namespace, named};
use crate::options::Options;
use crate::outcome::Found;

/// What happened to a watched session.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The session as it is, `None` if there is none: the first event of a watch, and the next one after each
    /// [`Gap`](Self::Gap).
    Current(Option<Found>),
    /// It was begun or changed. A touch is no event.
    Changed {
        /// Its version from then on.
        version: Position,
        /// Time of the change by the clock of the primary, in milliseconds of the Unix epoch. For people.
        written_at: u64,
        /// What was written: the whole content, or the parts that changed.
        change: WatchedChange,
        /// Tags that were set or removed.
        tags: Vec<TagChange>,
    },
    /// It ended.
    Ended {
        /// By a logout, by its time to live, or by a [`revoke`](Namespace::revoke).
        kind: EndKind,
        /// Position of the end.
        at: Position,
    },
    /// Things may have happened that cannot be told any more: the hosts keep the newest changes only. What they
    /// came to follows.
    Gap,
}

/// A watch of one session. It goes on where it was over promotions, drains and broken streams: every committed
/// change is told, in order, or a [`Event::Gap`] says that some were not.
///
/// ```no_run
/// # async fn example(carts: colony_client::Namespace) -> Result<(), colony_client::CallError> {
/// use colony_client::Event;
///
/// let mut watch = carts.watch("alice").await?;
/// loop {
///     match watch.next().await? {
///         Event::Current(Some(found)) => println!("it is at version {}", found.version),
///         Event::Changed { version, .. } => println!("it is at version {version} now"),
///         Event::Current(None) | Event::Ended { .. } => break,
///         Event::Gap => println!("some changes were missed"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Watch {
    namespace: Namespace,
    key: Key,
    /// Told by a host and not yet by [`next`](Self::next). At most one answer.
    events: VecDeque<Event>,
    /// Everything up to here has been told by a host.
    cursor: Position,
}

impl Namespace {
    /// Begins to watch a session, whether it exists or not. Everything that happens to it after this returns is
    /// told.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn watch(&self, key: impl AsRef<str>) -> Result<Watch, CallError> {
        let (_, key) = named(key)?;
        let answer = self.engine.watch(self.name(), &key, None, std::time::Duration::ZERO, self.options).await?;
        let (events, cursor) = answer.body;
        let served_by = self.engine.name_of(answer.served_by);
        let events = events.into_iter().map(|event| told(event, &served_by)).collect();
        Ok(Watch { namespace: self.clone(), key, events, cursor })
    }
}

impl Watch {
    /// The next event; waits until there is one. Cancel safe.
    ///
    /// # Errors
    /// [`CallError`], if no host that serves the session answered for as long as the namespace's deadline. The
    /// watch can be used again and misses nothing.
    pub async fn next(&mut self) -> Result<Event, CallError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let Namespace { engine, options, .. } = &self.namespace;
            // A host holds its answer back, and takes as long as any other call on top of it.
            let grace = options.deadline().min(DEADLINE_MAX - WATCH_HOLD);
            let mut options: Options = *options;
            options.deadline = WATCH_HOLD + grace;
            let answer = engine.watch(self.namespace.name(), &self.key, Some(self.cursor), grace, options).await?;
            let (events, cursor) = answer.body;
            let served_by = engine.name_of(answer.served_by);
            self.events.extend(events.into_iter().map(|event| told(event, &served_by)));
            self.cursor = cursor;
        }
    }
}

fn told(event: WatchEvent, served_by: &str) -> Event {
    match event {
        WatchEvent::Current(view) => Event::Current(view.map(|view| Found::new(view, served_by.to_owned()))),
        WatchEvent::Changed { version, written_at, change, tags } => {
            Event::Changed { version, written_at, change, tags }
        }
        WatchEvent::Ended { kind, at } => Event::Ended { kind, at },
        WatchEvent::Gap => Event::Gap,
    }
}
