//! Who has a seat and who waits for one: a state machine without clock, task or lock of its own.
//!
//! ```text
//! arrive --free seat--> seated --leave--> the next one waiting is called
//!        --queue-----> waiting --give_up--> gone
//!        --full------> rejected
//! ```
//! A level may always use the seats it keeps. What levels lend is one pool: a level takes from it up to its own highest
//! number, and a seat given back goes first to who has least of what is nominally theirs. Upstream reckons the same
//! borrowing anew every ten seconds; here it holds at each arrival.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Rejection;
use super::shares::Limits;

/// `limitResponse.queuing`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queueing {
    pub(super) queues: u32,
    pub(super) hand_size: u32,
    pub(super) queue_length_limit: u32,
}

/// What becomes of a request that arrives. `R` is how it learns that it is called.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<R> {
    Seated,
    Waiting(Place, R),
    Rejected(Rejection),
}

/// Where somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    queue: usize,
    ticket: u64,
}

/// Those whose turn it is now, with their level.
pub(super) type Called<W> = Vec<(Arc<str>, W)>;

/// What a level has and uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) limits: Limits,
    pub(crate) seated: u32,
    pub(crate) waiting: usize,
}

/// See the module header. `W` is how somebody who waits is called.
#[derive(Debug)]
pub(super) struct Dispatcher<W> {
    levels: HashMap<Arc<str>, Level<W>>,
    /// What all levels lend.
    lendable: u32,
    waiting: usize,
    tickets: u64,
}

impl<W> Default for Dispatcher<W> {
    fn default() -> Self {
        Self { levels: HashMap::new(), lendable: 0, waiting: 0, tickets: 0 }
    }
}

#[derive(Debug)]
struct Level<W> {
    limits: Limits,
    queueing: Option<Queueing>,
    queues: Vec<VecDeque<(u64, W)>>,
    seated: u32,
    waiting: usize,
    /// The queue that is served next: each gets its turn.
    turn: usize,
    /// Still configured? One that is not lasts until the last of its requests has gone.
    wanted: bool,
}

impl<W> Level<W> {
    fn new(limits: Limits, queueing: Option<Queueing>) -> Self {
        let mut level = Self { limits, queueing, queues: Vec::new(), seated: 0, waiting: 0, turn: 0, wanted: true };
        level.make_queues();
        level
    }

    /// There are never fewer queues than somebody waits in.
    fn make_queues(&mut self) {
        let wanted = self.queueing.map_or(0, |queueing| queueing.queues as usize);
        if self.waiting == 0 {
            self.queues.truncate(wanted);
        }
        while self.queues.len() < wanted {
            self.queues.push(VecDeque::new());
        }
    }

    fn borrowed(&self) -> u32 {
        self.seated.saturating_sub(self.limits.kept)
    }

    /// The first of the queue whose turn it is.
    fn next(&mut self) -> Option<W> {
        let count = self.queues.len();
        for step in 0..count {
            let queue = (self.turn + step) % count;
            if let Some((_, waiter)) = self.queues[queue].pop_front() {
                self.turn = queue + 1;
                self.waiting -= 1;
                return Some(waiter);
            }
        }
        None
    }
}

impl<W> Dispatcher<W> {
    /// Takes another configuration; answers whose turn it is under it.
    pub(super) fn configure(&mut self, levels: Vec<(Arc<str>, Limits, Option<Queueing>)>) -> Called<W> {
        for level in self.levels.values_mut() {
            level.wanted = false;
        }
        self.lendable = levels.iter().map(|(_, limits, _)| limits.nominal - limits.kept).sum();
        for (name, limits, queueing) in levels {
            let level = self.levels.entry(name).or_insert_with(|| Level::new(limits, queueing));
            (level.limits, level.queueing, level.wanted) = (limits, queueing, true);
            level.make_queues();
        }
        self.levels.retain(|_, level| level.wanted || level.seated > 0 || level.waiting > 0);
        self.call()
    }

    /// Somebody of a flow, whose `hash` is asked for only when they must queue. `ticket` makes both ends of a call.
    pub(super) fn arrive<R>(
        &mut self,
        name: &Arc<str>,
        hash: impl FnOnce() -> u64,
        ticket: impl FnOnce() -> (W, R),
    ) -> (Arrival<R>, Called<W>) {
        let free = self.has_free_seat(name);
        let Some(level) = self.levels.get_mut(name) else { return (Arrival::Seated, Vec::new()) };
        if free && level.waiting == 0 {
            level.seated += 1;
            return (Arrival::Seated, Vec::new());
        }
        let Some(queueing) = level.queueing else {
            return (Arrival::Rejected(Rejection::ConcurrencyLimit), Vec::new());
        };
        let hand = deal(hash(), queueing.queues, queueing.hand_size);
        let shortest = hand.into_iter().min_by_key(|queue| level.queues[*queue].len()).unwrap_or_default();
        if level.queues[shortest].len() >= queueing.queue_length_limit as usize {
            return (Arrival::Rejected(Rejection::QueueFull), Vec::new());
        }
        self.tickets += 1;
        let place = Place { queue: shortest, ticket: self.tickets };
        let (waiter, called) = ticket();
        level.queues[shortest].push_back((place.ticket, waiter));
        level.waiting += 1;
        self.waiting += 1;
        (Arrival::Waiting(place, called), self.call())
    }

    /// A seat is given back.
    pub(super) fn leave(&mut self, name: &str) -> Called<W> {
        let Some(level) = self.levels.get_mut(name) else { return Vec::new() };
        level.seated = level.seated.saturating_sub(1);
        if !level.wanted && level.seated == 0 && level.waiting == 0 {
            self.levels.remove(name);
        }
        self.call()
    }

    /// Somebody waits no longer. False when they were called already: then they have a seat.
    pub(super) fn give_up(&mut self, name: &str, place: Place) -> bool {
        let Some(level) = self.levels.get_mut(name) else { return false };
        let Some(queue) = level.queues.get_mut(place.queue) else { return false };
        let Some(at) = queue.iter().position(|(ticket, _)| *ticket == place.ticket) else { return false };
        queue.remove(at);
        level.waiting -= 1;
        self.waiting -= 1;
        true
    }

    pub(super) fn usage(&self) -> Vec<(Arc<str>, Usage)> {
        let usage = |level: &Level<W>| Usage { limits: level.limits, seated: level.seated, waiting: level.waiting };
        self.levels.iter().map(|(name, level)| (name.clone(), usage(level))).collect()
    }

    fn has_free_seat(&self, name: &str) -> bool {
        let Some(level) = self.levels.get(name) else { return true };
        if level.seated < level.limits.kept {
            return true;
        }
        let borrowed: u32 = self.levels.values().map(Level::borrowed).sum();
        level.seated < level.limits.highest && borrowed < self.lendable
    }

    /// Gives free seats to those who wait, as long as there are both.
    fn call(&mut self) -> Called<W> {
        let mut called = Vec::new();
        while self.waiting > 0 {
            let needs = |(name, level): &(&Arc<str>, &Level<W>)| level.waiting > 0 && self.has_free_seat(name);
            // Who has least of their own is first.
            let least = |level: &Level<W>| u64::from(level.seated) * 1000 / u64::from(level.limits.nominal.max(1));
            let first = self.levels.iter().filter(needs).min_by_key(|(name, level)| (least(level), (*name).clone()));
            let Some(name) = first.map(|(name, _)| name.clone()) else { break };
            let Some(level) = self.levels.get_mut(&name) else { break };
            let Some(waiter) = level.next() else { break };
            level.seated += 1;
            self.waiting -= 1;
            called.push((name, waiter));
        }
        called
    }
}

/// The queues of a flow: `hand` different ones of `deck`, by the hash. Two flows share all of them only by rare chance.
/// Upstream: shufflesharding.Dealer.
pub(super) fn deal(mut hash: u64, deck: u32, hand: u32) -> Vec<usize> {
    let mut cards: Vec<u64> = Vec::with_capacity(hand as usize);
    for dealt in 0..u64::from(hand.min(deck)) {
        let left = u64::from(deck) - dealt;
        let mut card = hash % left;
        hash /= left;
        // The number counts only cards that are still in the deck.
        let mut gone = cards.clone();
        gone.sort_unstable();
        for other in gone {
            if other <= card {
                card += 1;
            }
        }
        cards.push(card);
    }
    cards.into_iter().map(|card| card as usize).collect()
}
