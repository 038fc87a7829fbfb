//! Clients at work: when they act, whom they ask, what comes back.

use bytes::Bytes;
use colony_core::colony::Caller;
use colony_wire::client::{Read, Reply, Request, RequestBody};
use colony_wire::{ClientId, Message, Position};

use crate::client::{Client, Next};
use crate::clock::MS;
use crate::event::{Event, What};
use crate::phase::Phase;
use crate::shell::decode;
use crate::violation::Violation;
use crate::world::World;

/// One attempt at a call.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Whose it is.
    pub(crate) client: usize,
    /// The client's call.
    pub(crate) call: u64,
    /// Who the client was then.
    by: ClientId,
    pub(crate) request: Request,
    /// What the client had been shown of the colony.
    floor: Option<Position>,
}

impl World {
    /// A client begins something new if it has room for it.
    pub(crate) fn wake(&mut self, client: usize) -> Result<(), Violation> {
        if self.phase == Phase::Settling {
            return Ok(());
        }
        let pause = self.dice.clients.around(self.mix.load.pause);
        self.clock.after(MS + pause, Event::Wake { client });
        if self.tally.is_some() {
            let has_room = self.clients[client].calls.len() < self.mix.load.open;
            return if has_room { self.increment(client) } else { Ok(()) };
        }
        if self.recorder.is_some() {
            let has_room = self.clients[client].calls.len() < self.mix.load.open;
            return if has_room { self.ask_on_record(client) } else { Ok(()) };
        }
        let now = self.clock.now();
        let load = &self.mix.load;
        if self.dice.clients.chance(load.renew) {
            let id = ClientId(u128::from(self.dice.clients.draw()));
            self.clients[client] = Client::new(id, self.mix.policy.buckets);
        }
        if self.clients[client].calls.len() >= load.open {
            return Ok(());
        }
        self.calls += 1;
        let number = self.calls;
        self.clients[client].begin(&mut self.dice.clients, load, number, now);
        self.attempt(client, number)
    }

    /// Sends a call to the primary that the client knows, and looks again later.
    pub(crate) fn attempt(&mut self, client: usize, call: u64) -> Result<(), Violation> {
        let now = self.clock.now();
        self.refresh_routes(client, call);
        let Some(request) = self.clients[client].request(call, now) else { return Ok(()) };
        let attempt = self.clients[client].calls.get(&call).map_or(0, |call| call.attempt);
        let known = &self.clients[client];
        let routes = if self.dice.clients.chance(self.mix.load.backward) { &known.earlier } else { &known.routes };
        let to = routes.get(&request.colony).copied();
        self.clock.after(self.mix.load.retry, Event::Retry { client, call, attempt });
        let Some(host) = to.and_then(|start| self.homes.get(&start).copied()) else { return Ok(()) };
        let from = Caller(self.asked.len() as u64);
        if let RequestBody::Mutate { stamp, mutation, .. } = &request.body {
            self.oracle.asks(*stamp, mutation);
        }
        if let RequestBody::Revoke { stamp, tag } = &request.body {
            self.oracle.asks_to_revoke(request.colony, *stamp, tag);
        }
        let frame = request
            .to_frame(from.0)
            .map_err(|error| Violation::of(crate::violation::Rule::WireAgrees, error.to_string()))?;
        let floor = match &request.body {
            RequestBody::Get { read: Read::Confirm, .. } => self.oracle.newest(request.colony),
            _ => self.oracle.shown(self.clients[client].id, request.colony),
        };
        self.asked.push(Asked { client, call, by: self.clients[client].id, request, floor });
        let node = self.hosts.len() + client;
        for span in self.edge.send(now, node, host).into_iter().flatten() {
            let what = What::Call { from, frame: frame.clone() };
            self.clock.after(span, Event::Host { host, process: None, what });
        }
        Ok(())
    }

    /// Looks a primary up if none is known, and now and then although one is: tables of clients are stale.
    fn refresh_routes(&mut self, client: usize, call: u64) {
        let Some(call) = self.clients[client].calls.get(&call) else { return };
        let colony = call.colony;
        let is_known = self.clients[client].routes.contains_key(&colony);
        if is_known && call.attempt == 0 && !self.dice.clients.chance(100) {
            return;
        }
        if let Some(primary) = self.group.state.table.get(&colony).and_then(|entry| entry.primary) {
            let before = self.clients[client].routes.insert(colony, primary);
            if let Some(before) = before.filter(|before| *before != primary) {
                self.clients[client].earlier.insert(colony, before);
            }
        }
    }

    /// An attempt was not answered in time.
    pub(crate) fn retry(&mut self, client: usize, call: u64, attempt: u32) -> Result<(), Violation> {
        let now = self.clock.now();
        let Some(open) = self.clients[client].calls.get(&call) else { return Ok(()) };
        if open.attempt != attempt {
            return Ok(());
        }
        if now >= open.ends {
            self.clients[client].calls.remove(&call);
            return self.probe();
        }
        self.attempt(client, call)
    }

    /// What was asked under this caller.
    pub(crate) fn asked(&self, caller: Caller) -> Option<&Asked> {
        self.asked.get(usize::try_from(caller.0).ok()?)
    }

    /// The oracle judges an answer at the moment a host gives it.
    pub(crate) fn judge_reply(&mut self, host: usize, to: Caller, reply: &Reply) -> Result<(), Violation> {
        let Some(asked) = self.asked.get(usize::try_from(to.0).unwrap_or(usize::MAX)) else {
            return Ok(());
        };
        self.oracle.replied(&self.hosts[host], &asked.request, asked.floor, reply)
    }

    /// An answer reaches its client.
    pub(crate) fn answer(&mut self, caller: Caller, frame: Bytes) -> Result<(), Violation> {
        let reply: Reply = decode(frame)?;
        let Some(Asked { client, call, by, request, .. }) = self.asked(caller) else { return Ok(()) };
        let (client, call, by, colony) = (*client, *call, *by, request.colony);
        if let Some(seen) = reply.seen
            && self.clients[client].id == by
        {
            self.oracle.shows(by, colony, seen);
        }
        let adds = self.clients[client].calls.get(&call).filter(|call| call.adds);
        let adds = adds.and_then(|call| call.body.key()).cloned();
        let next = self.clients[client].take(call, &reply, &mut self.dice.clients);
        if let Some(key) = adds.filter(|_| next == Next::Over) {
            self.incremented(key, &reply.body)?;
        }
        if next == Next::Over {
            self.note_answer(call, &reply.body);
        }
        match next {
            Next::Again => self.attempt(client, call),
            // The retry that the attempt has set asks again, of whom the table names then.
            Next::Later => Ok(()),
            Next::Over => self.probed(client, &reply),
        }
    }
}
