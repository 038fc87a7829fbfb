//! One call: sent where the table says, again where it failed, until it has an outcome or no time is left.
//!
//! ```text
//!            +--------------------------------------------------------------+
//!            v                                                              |
//!   look the key up --> send, wait for the reply --> refused, try elsewhere |--> pause, or until the
//!            |                |         |       --> the stream broke        |    table leads elsewhere
//!        no primary           |         |                                   |
//!            +----------------|---------|-----------------------------------+
//!                             |         +--> NeedBase: again at once, with the base values
//!                             +--> done, found, absent, refused for good
//! ```
//!
//! All attempts carry the same request id, so a host that has done the change answers with what it did.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use colony_wire::client::{self, Done, Read, Refusal, Reply, ReplyBody, Request, RequestBody, Token};
use colony_wire::heal::Overridden;
use colony_wire::limits::MAX_ATTRIBUTES;
use colony_wire::session::{AttributeChange, Content, Key, Mutation, SessionSummary, SessionView};
use colony_wire::tag::Tag;
use colony_wire::watch::WatchEvent;
use colony_wire::{ColonyId, LineageId, Message, NamespaceId, Position, StartId};
use tokio::time::{self, Instant};

use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::error::CallError;
use crate::limits::{BACKOFF_BUSY, BACKOFF_MIN, BASE_ROUNDS_MAX, PATIENCE, PATIENCE_MAX};
use crate::links::Lane;
use crate::options::Options;
use crate::pipe::PipeError;
use crate::request_ids::OpenRequest;
use crate::routes::{Lookup, Place, Route};

/// What a call ended with.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) body: T,
    /// The process that answered.
    pub(crate) served_by: StartId,
}

impl Engine {
    /// Reads one session.
    pub(crate) async fn read(
        &self,
        namespace: &str,
        key: &Key,
        options: Options,
    ) -> Result<Answer<Option<SessionView>>, CallError> {
        let body = RequestBody::Get { key: key.clone(), read: options.read };
        let answer = Call::new(self, namespace, Place::OfKey(key.clone()), body, options).run().await?;
        let body = match answer.body {
            ReplyBody::Found(view) => Some(view),
            ReplyBody::Absent => None,
            other => return Err(unexpected(&other)),
        };
        Ok(Answer { body, served_by: answer.served_by })
    }

    /// Makes one change. `base` is the content at the base of a save, for the primary's question.
    pub(crate) async fn change(
        &self,
        namespace: &str,
        mutation: Mutation,
        base: Option<&Content>,
        options: Options,
    ) -> Result<Answer<Done>, CallError> {
        mutation.check()?;
        let open = self.ids.open();
        let place = Place::OfKey(mutation.key().clone());
        let body = RequestBody::Mutate { stamp: open.stamp(), mutation, ack: options.ack };
        done(Call::new(self, namespace, place, body, options).based_on(base).under(open).run().await?)
    }

    /// Lists the sessions of one colony that carry a tag, up to `limit` of those after a key; and whether there
    /// are more.
    pub(crate) async fn tagged(
        &self,
        namespace: &str,
        bucket: u32,
        (tag, after, limit): (Tag, Option<Key>, u32),
        options: Options,
    ) -> Result<Answer<(Vec<(Key, SessionSummary)>, bool)>, CallError> {
        tag.check()?;
        let body = RequestBody::Tagged { tag, after, limit };
        let answer = Call::new(self, namespace, Place::Bucket(bucket), body, options).run().await?;
        match answer.body {
            ReplyBody::Sessions { found, more } => Ok(Answer { body: (found, more), served_by: answer.served_by }),
            other => Err(unexpected(&other)),
        }
    }

    /// Lists what heals overrode in one colony, up to a limit of those after a position; whether there are more, and how
    /// many are not kept any more.
    pub(crate) async fn overridden(
        &self,
        namespace: &str,
        bucket: u32,
        (after, limit): (Option<Position>, u32),
        options: Options,
    ) -> Result<Answer<(Vec<Overridden>, bool, u64)>, CallError> {
        let body = RequestBody::Overridden { after, limit };
        let answer = Call::new(self, namespace, Place::Bucket(bucket), body, options).run().await?;
        match answer.body {
            ReplyBody::Overridden { found, more, dropped } => {
                Ok(Answer { body: (found, more, dropped), served_by: answer.served_by })
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Ends the sessions of one colony that carry a tag, as many as one request may.
    pub(crate) async fn revoke(
        &self,
        namespace: &str,
        bucket: u32,
        tag: Tag,
        options: Options,
    ) -> Result<Answer<Done>, CallError> {
        tag.check()?;
        let open = self.ids.open();
        let body = RequestBody::Revoke { stamp: open.stamp(), tag };
        done(Call::new(self, namespace, Place::Bucket(bucket), body, options).under(open).run().await?)
    }

    /// Asks what happened to a session after a position; the answer is to come `grace` before the deadline, if
    /// nothing happens until then.
    pub(crate) async fn watch(
        &self,
        namespace: &str,
        key: &Key,
        after: Option<Position>,
        grace: Duration,
        options: Options,
    ) -> Result<Answer<(Vec<WatchEvent>, Position)>, CallError> {
        let body = RequestBody::Watch { key: key.clone(), after };
        let call = Call::new(self, namespace, Place::OfKey(key.clone()), body, options);
        let answer = call.answered_before(grace).run().await?;
        match answer.body {
            ReplyBody::Events { events, cursor } => Ok(Answer { body: (events, cursor), served_by: answer.served_by }),
            other => Err(unexpected(&other)),
        }
    }
}

fn done(answer: Answer<ReplyBody>) -> Result<Answer<Done>, CallError> {
    match answer.body {
        ReplyBody::Done(body) => Ok(Answer { body, served_by: answer.served_by }),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(body: &ReplyBody) -> CallError {
    let what = match body {
        ReplyBody::Found(_) => "a session where something else was asked for",
        ReplyBody::Absent => "an absent session where something else was asked for",
        ReplyBody::Done(_) => "a change where something else was asked for",
        ReplyBody::Sessions { .. } => "a list where something else was asked for",
        ReplyBody::Events { .. } => "events where something else was asked for",
        ReplyBody::Overridden { .. } => "a list of heals where something else was asked for",
        ReplyBody::NeedBase { .. } => "a question where none can be",
        ReplyBody::Refused(_) => "a refusal out of place",
    };
    CallError::Protocol { what: what.to_owned() }
}

/// The state of one call over its attempts.
struct Call<'a> {
    engine: &'a Engine,
    namespace: &'a str,
    place: Place,
    request: Request,
    /// How long before the deadline the host is to answer.
    grace: Duration,
    /// Keeps the request id open until the application has the outcome. None for reads.
    open: Option<OpenRequest>,
    base: Option<&'a Content>,
    /// The attributes whose base values the primary has asked for.
    base_asked: BTreeSet<String>,
    base_rounds: u32,
    started: Instant,
    deadline: Instant,
    options: Options,
    backoff: Backoff,
    attempts: u32,
    /// Whether some attempt went out whose fate is not known (see [`CallError`]).
    maybe_done: bool,
    /// In which line of group state the attempts were sent whose fate is not known.
    first_in: Option<LineageId>,
    /// Whether any attempt was answered or may have been: else nobody was reached.
    reached: bool,
    /// What came of the last attempt.
    last: String,
}

/// What came of one attempt.
enum Attempt {
    Answered(Reply),
    /// No reply.
    Failed(String),
    /// The table leads elsewhere now.
    Moved,
    OutOfTime,
    /// It can never be sent, or its answer not be understood.
    Impossible(CallError),
}

/// What follows on an answer.
enum Next {
    Return(Result<Answer<ReplyBody>, CallError>),
    AtOnce,
    AfterPause,
}

impl<'a> Call<'a> {
    fn new(engine: &'a Engine, namespace: &'a str, place: Place, body: RequestBody, options: Options) -> Self {
        let started = Instant::now();
        let nowhere = ColonyId { namespace: NamespaceId(0), bucket: 0 };
        Self {
            engine,
            namespace,
            place,
            // What differs from attempt to attempt is filled in when it is sent.
            request: Request { colony: nowhere, deadline_ms: 0, token: Token::default(), body, attempt: None },
            grace: Duration::ZERO,
            open: None,
            base: None,
            base_asked: BTreeSet::new(),
            base_rounds: 0,
            started,
            deadline: started + options.deadline(),
            options,
            backoff: Backoff::new(),
            attempts: 0,
            maybe_done: false,
            first_in: None,
            reached: false,
            last: String::new(),
        }
    }

    /// A change: the request id under which it is done once.
    fn under(self, open: OpenRequest) -> Self {
        Self { open: Some(open), ..self }
    }

    /// A save: the content at its base.
    fn based_on(self, base: Option<&'a Content>) -> Self {
        Self { base, ..self }
    }

    fn answered_before(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    async fn run(mut self) -> Result<Answer<ReplyBody>, CallError> {
        self.engine.retries.called();
        loop {
            let lookup = self.engine.router.table().find(self.namespace, &self.place);
            match &lookup {
                Lookup::NoNamespace => {
                    self.last = format!("there is no namespace `{}`", self.namespace);
                    let patient = self.started.elapsed() < self.engine.grace(self.options);
                    if !patient && !self.maybe_done {
                        return Err(CallError::NoNamespace { name: self.namespace.to_owned() });
                    }
                }
                Lookup::NoPrimary => {
                    self.last = Refusal::Offline.to_string();
                    self.reached = true;
                }
                Lookup::Found(route) => match self.attempt(route, &lookup).await? {
                    Next::Return(outcome) => return outcome,
                    Next::AtOnce => continue,
                    Next::AfterPause => {}
                },
            }
            self.pause(&lookup).await?;
        }
    }

    /// One attempt, from looking at the clock to knowing what follows.
    async fn attempt(&mut self, route: &Route, lookup: &Lookup) -> Result<Next, CallError> {
        if Instant::now() >= self.deadline {
            return Err(self.out_of_time());
        }
        self.attempts += 1;
        self.request.colony = route.colony;
        self.request.token = self.engine.tokens.get(route.colony, route.lineage);
        if let (Some(open), Some(stamp)) = (&self.open, self.request.body.stamp_mut()) {
            *stamp = open.stamp();
            let lineage = *self.first_in.get_or_insert(route.lineage);
            self.request.attempt = Some(client::Attempt { lineage, is_first: !self.maybe_done });
        }
        let sent = AtomicBool::new(false);
        // The host counts its time from sending: it is to answer before this call gives up.
        let answer_by = self.deadline.checked_sub(self.grace).unwrap_or(self.deadline);
        let attempt = tokio::select! {
            biased;
            attempt = send(self.engine, route, &mut self.request, answer_by, &sent) => attempt,
            () = moved(self.engine, self.namespace, &self.place, lookup) => Attempt::Moved,
            () = time::sleep_until(self.deadline) => Attempt::OutOfTime,
        };
        if !matches!(attempt, Attempt::Answered(_)) {
            self.note_unknown(sent.into_inner());
        }
        match attempt {
            Attempt::Answered(reply) => Ok(self.judge(route, reply)),
            Attempt::Failed(why) => {
                self.last = why;
                Ok(Next::AfterPause)
            }
            Attempt::Moved => {
                "the colony has moved".clone_into(&mut self.last);
                self.spread().await;
                Ok(Next::AtOnce)
            }
            Attempt::OutOfTime => {
                "no answer in time".clone_into(&mut self.last);
                Err(self.out_of_time())
            }
            Attempt::Impossible(error) if self.maybe_done => Err(CallError::Unknown { why: error.to_string() }),
            Attempt::Impossible(error) => Err(error),
        }
    }

    fn judge(&mut self, route: &Route, reply: Reply) -> Next {
        self.reached = true;
        if let Some(seen) = reply.seen {
            let shown = is_held_to_token(&self.request.body, &reply.body).then_some(&self.request.token);
            self.engine.tokens.saw(route.colony, shown, seen);
        }
        let served_by = reply.served_by;
        let refusal = match reply.body {
            ReplyBody::NeedBase { attributes } => return self.answer_base(attributes),
            ReplyBody::Refused(refusal) => refusal,
            body => return Next::Return(Ok(Answer { body, served_by })),
        };
        self.last = refusal.to_string();
        self.note_unknown(!refusal.leaves_no_trace());
        if !self.maybe_done {
            self.first_in = None;
        }
        let why = || format!("an earlier attempt got no answer, then: {refusal}");
        if matches!(refusal, Refusal::NotPrimary { .. } | Refusal::Deposed | Refusal::OtherLineage { .. }) {
            self.engine.router.ask_of(served_by);
        }
        if refusal == Refusal::LineageLost {
            self.engine.tokens.give_up(route.colony, &self.request.token);
        }
        Next::Return(Err(match refusal {
            _ if self.may_retry(&refusal) => return Next::AfterPause,
            Refusal::Late => self.out_of_time(),
            Refusal::Unknown => CallError::Unknown { why: refusal.to_string() },
            _ if self.maybe_done => CallError::Unknown { why: why() },
            Refusal::Forbidden { right } => CallError::Forbidden { right },
            refusal => CallError::Refused(refusal),
        }))
    }

    /// Whether a refused request is sent again. A host at a limit is spared (F4): see [`RetryBudget`].
    ///
    /// [`RetryBudget`]: crate::budget::RetryBudget
    fn may_retry(&mut self, refusal: &Refusal) -> bool {
        if matches!(refusal, Refusal::Busy { .. }) {
            self.backoff.at_least(BACKOFF_BUSY);
            return self.engine.retries.take();
        }
        refusal.is_retryable()
    }

    /// The primary asks for values at the base: the same request is sent again with them.
    fn answer_base(&mut self, attributes: Vec<String>) -> Next {
        self.base_rounds += 1;
        self.base_asked.extend(attributes);
        let protocol = |what: &str| Next::Return(Err(CallError::Protocol { what: what.to_owned() }));
        if self.base_rounds > BASE_ROUNDS_MAX || self.base_asked.len() > MAX_ATTRIBUTES {
            return protocol("it asks for base values without end");
        }
        match (self.base, &mut self.request.body) {
            (Some(base), RequestBody::Mutate { mutation: Mutation::Save { base_values, .. }, .. }) => {
                let values = self.base_asked.iter().map(|name| value_at_base(base, name));
                *base_values = Some(values.collect());
                Next::AtOnce
            }
            _ => protocol("it asks for base values where nothing was based on any"),
        }
    }

    /// Pauses before the next attempt, shorter if the table leads elsewhere meanwhile.
    async fn pause(&mut self, lookup: &Lookup) -> Result<(), CallError> {
        let pause = self.backoff.pause(&self.engine.jitter);
        let router = &self.engine.router;
        router.ask();
        tokio::select! {
            () = router.leads_elsewhere(self.namespace, &self.place, lookup) => {
                self.spread().await;
            }
            () = time::sleep(pause) => {}
            () = time::sleep_until(self.deadline) => return Err(self.out_of_time()),
        }
        Ok(())
    }

    /// The new table reaches all waiting calls of all clients at once; they do not all go on at once.
    async fn spread(&self) {
        time::sleep(self.engine.jitter.between(Duration::ZERO, BACKOFF_MIN)).await;
    }

    fn note_unknown(&mut self, sent: bool) {
        self.reached |= sent;
        self.maybe_done |= sent && self.open.is_some();
    }

    fn out_of_time(&self) -> CallError {
        let last = if self.last.is_empty() { "no answer in time" } else { &self.last };
        if self.reached {
            CallError::Deadline { attempts: self.attempts, last: last.to_owned(), maybe_done: self.maybe_done }
        } else {
            CallError::Unreachable { last: last.to_owned() }
        }
    }
}

async fn send(engine: &Engine, route: &Route, request: &mut Request, answer_by: Instant, sent: &AtomicBool) -> Attempt {
    let lane = match request.body {
        RequestBody::Watch { .. } => Lane::Watches,
        RequestBody::Get { .. }
        | RequestBody::Mutate { .. }
        | RequestBody::Tagged { .. }
        | RequestBody::Revoke { .. }
        | RequestBody::Overridden { .. } => Lane::Calls,
    };
    let pipe = match engine.links.pipe(&route.shard, lane).await {
        Ok(pipe) => pipe,
        Err(error) => return Attempt::Failed(error.to_string()),
    };
    let encode = |call| {
        // Counted from sending: the time spent waiting for room is not the host's.
        let left = answer_by.saturating_duration_since(Instant::now());
        request.deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        request.to_frame(call)
    };
    match pipe.call(encode, sent).await {
        Ok(frame) => match frame.decode() {
            Ok(reply) => Attempt::Answered(reply),
            Err(error) => Attempt::Impossible(CallError::Protocol { what: error.to_string() }),
        },
        Err(PipeError::Encode(error)) => Attempt::Impossible(error.into()),
        Err(PipeError::Ended(why)) => Attempt::Failed(format!("{}: {why}", route.shard.address)),
    }
}

/// Waits until the table leads elsewhere, asking for a newer one now and then: a host that was killed says
/// nothing, and its connection notices late.
async fn moved(engine: &Engine, namespace: &str, place: &Place, lookup: &Lookup) {
    let mut patience = PATIENCE;
    time::sleep(patience).await;
    let asked = match lookup {
        Lookup::Found(route) => route.shard.host.as_ref().map(|(start, _)| *start),
        Lookup::NoPrimary | Lookup::NoNamespace => None,
    };
    let asking = async {
        loop {
            engine.router.ask_beside(asked);
            patience = (patience * 2).min(PATIENCE_MAX);
            time::sleep(patience).await;
        }
    };
    tokio::select! {
        () = engine.router.leads_elsewhere(namespace, place, lookup) => {}
        () = asking => {}
    }
}

/// A blob is one attribute without a name.
fn value_at_base(base: &Content, name: &str) -> AttributeChange {
    let value: Option<&Bytes> = match base {
        Content::Blob(bytes) => name.is_empty().then_some(bytes),
        Content::Attributes(values) => values.get(name),
    };
    (name.to_owned(), value.cloned())
}

/// Whether such an answer shows that the host covers what the client has seen. Changes are made wherever the colony is
/// served: during a heal that may be where what this client saw on the other side is not taken in yet.
fn is_held_to_token(asked: &RequestBody, answer: &ReplyBody) -> bool {
    let is_held = match asked {
        RequestBody::Get { read, .. } => *read != Read::Any,
        RequestBody::Tagged { .. } | RequestBody::Watch { .. } | RequestBody::Overridden { .. } => true,
        RequestBody::Mutate { .. } | RequestBody::Revoke { .. } => false,
    };
    is_held && !matches!(answer, ReplyBody::Refused(_))
}
