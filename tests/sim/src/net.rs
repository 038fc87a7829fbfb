//! Links between nodes: how long a message takes, whether it arrives, and how often.
//!
//! One [`Link`] a direction, so that a network can be cut one way only. A message that is under way when a
//! link is cut still arrives: cutting keeps messages from leaving.

use crate::clock::Micros;
use crate::rng::Rng;
use crate::swarm::Wire;

/// The links between some nodes.
#[derive(Debug)]
pub struct Net {
    wire: Wire,
    nodes: usize,
    links: Vec<Link>,
    rng: Rng,
}

#[derive(Clone, Debug, Default)]
struct Link {
    /// How many faults hold it cut.
    cuts: u32,
    /// Nothing arrives before this moment.
    held_until: Micros,
    /// When the newest message arrives, if order is kept.
    last: Micros,
}

/// After which spans a message arrives: never, once, or twice.
pub type Arrivals = [Option<Micros>; 2];

impl Net {
    /// Whole links between all of `nodes`.
    #[must_use]
    pub fn new(wire: Wire, nodes: usize, rng: Rng) -> Self {
        Self { wire, nodes, links: vec![Link::default(); nodes * nodes], rng }
    }

    /// Sends one message.
    pub fn send(&mut self, now: Micros, from: usize, to: usize) -> Arrivals {
        if self.link(from, to).cuts > 0 || self.rng.chance(self.wire.loss) {
            return [None; 2];
        }
        let first = self.span(now, from, to);
        let second = self.rng.chance(self.wire.twice);
        [Some(first), second.then(|| self.span(now, from, to))]
    }

    fn span(&mut self, now: Micros, from: usize, to: usize) -> Micros {
        let drawn = self.wire.least + self.rng.around(self.wire.more);
        let ordered = self.wire.ordered;
        let link = self.link(from, to);
        let mut at = (now + drawn).max(link.held_until);
        if ordered {
            at = at.max(link.last);
            link.last = at;
        }
        at - now
    }

    /// Nothing leaves from `from` to `to` until the cut is [mended](Net::mend).
    pub fn cut(&mut self, from: usize, to: usize) {
        self.link(from, to).cuts += 1;
    }

    /// Takes one cut back.
    pub fn mend(&mut self, from: usize, to: usize) {
        let link = self.link(from, to);
        link.cuts = link.cuts.saturating_sub(1);
    }

    /// Nothing that is sent arrives before `until`.
    pub fn hold(&mut self, from: usize, to: usize, until: Micros) {
        self.link(from, to).held_until = until;
    }

    /// Every link is whole and of this kind from now on.
    pub fn heal(&mut self, wire: Wire) {
        self.wire = wire;
        for link in &mut self.links {
            link.cuts = 0;
            link.held_until = 0;
            // What was held up is not waited for.
            link.last = 0;
        }
    }

    /// Whether two nodes reach each other in both directions.
    #[must_use]
    pub fn joins(&self, one: usize, other: usize) -> bool {
        let cuts = |from: usize, to: usize| self.links[from * self.nodes + to].cuts;
        one == other || cuts(one, other) + cuts(other, one) == 0
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(ordered: bool) -> Net {
        let wire = Wire { least: 10, more: 1000, loss: 0, twice: 0, ordered };
        Net::new(wire, 2, Rng::new(1))
    }

    #[test]
    fn an_ordered_link_never_overtakes() {
        let mut net = net(true);
        let spans: Vec<_> = (0..100).filter_map(|_| net.send(0, 0, 1)[0]).collect();
        assert!(spans.is_sorted() && spans.len() == 100);
    }

    #[test]
    fn a_cut_is_one_way_and_counts() {
        let mut net = net(false);
        net.cut(0, 1);
        net.cut(0, 1);
        net.mend(0, 1);
        assert_eq!(net.send(0, 0, 1), [None; 2]);
        assert!(net.send(0, 1, 0)[0].is_some());
        assert!(!net.joins(1, 0));
    }
}
