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
//!
//! A request may take several seats. It gets all of them at once or waits; once it is its turn its level waits with it, or
//! it would wait for ever. One that is wider than there are seats is served alone. Queues are served by what they were given:
//! one with wide requests has its turn as much more seldom.

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

/// Those whose turn it is now, with their level and the seats they have.
pub(super) type Called<W> = Vec<(Arc<str>, u32, W)>;

/// What a level has and uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) limits: Limits,
    pub(crate) seated: u32,
    pub(crate) waiting: usize,
}

/// What became of the requests of a level so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) dispatched: u64,
    pub(crate) rejected: u64,
    pub(crate) timed_out: u64,
    pub(crate) cancelled: u64,
}

/// Why somebody waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Patience was over.
    TimedOut,
    /// The client went.
    Cancelled,
}

/// A level as it is now; `T` is what is shown of somebody who waits.
#[derive(Debug)]
pub(crate) struct LevelDump<T> {
    pub(crate) name: Arc<str>,
    /// No longer configured: it ends with the last of its requests.
    pub(crate) quiescing: bool,
    pub(crate) executing: u64,
    pub(crate) queues: Vec<Vec<T>>,
    pub(crate) counts: Counts,
}

impl<T> LevelDump<T> {
    pub(crate) fn waiting(&self) -> usize {
        self.queues.iter().map(Vec::len).sum()
    }
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
    queues: Vec<Queue<W>>,
    seated: u32,
    waiting: usize,
    /// What the queue served last had been given by then.
    given: u64,
    /// Requests, whatever their width.
    executing: u64,
    counts: Counts,
    /// Still configured? One that is not lasts until the last of its requests has gone.
    wanted: bool,
}

#[derive(Debug)]
struct Queue<W> {
    waiting: VecDeque<Waiter<W>>,
    /// The seats it was given, ever. One that was empty for a while has saved up nothing.
    given: u64,
}

#[derive(Debug)]
struct Waiter<W> {
    ticket: u64,
    seats: u32,
    call: W,
}

impl<W> Level<W> {
    fn new(limits: Limits, queueing: Option<Queueing>) -> Self {
        let mut level = Self {
            limits,
            queueing,
            queues: Vec::new(),
            seated: 0,
            waiting: 0,
            given: 0,
            executing: 0,
            counts: Counts::default(),
            wanted: true,
        };
        level.make_queues();
        level
    }

    /// Somebody takes seats.
    fn seat(&mut self, seats: u32) {
        self.seated += seats;
        self.executing += 1;
        self.counts.dispatched += 1;
    }

    /// There are never fewer queues than somebody waits in.
    fn make_queues(&mut self) {
        let wanted = self.queueing.map_or(0, |queueing| queueing.queues as usize);
        if self.waiting == 0 {
            self.queues.truncate(wanted);
        }
        while self.queues.len() < wanted {
            self.queues.push(Queue { waiting: VecDeque::new(), given: 0 });
        }
    }

    /// What it has of others when it has so many seats.
    fn borrowed(&self, seated: u32) -> u32 {
        seated.saturating_sub(self.limits.kept)
    }

    /// The queue whose turn it is, and the seats that its first needs.
    fn next(&self) -> Option<(usize, u32)> {
        let first = |(index, queue): (usize, &Queue<W>)| Some((queue.given, index, queue.waiting.front()?.seats));
        self.queues.iter().enumerate().filter_map(first).min().map(|(_, index, seats)| (index, seats))
    }

    fn push(&mut self, queue: usize, waiter: Waiter<W>) {
        let queue = &mut self.queues[queue];
        if queue.waiting.is_empty() {
            queue.given = queue.given.max(self.given);
        }
        queue.waiting.push_back(waiter);
        self.waiting += 1;
    }

    /// Seats the first of a queue.
    fn pop(&mut self, queue: usize) -> Option<Waiter<W>> {
        let queue = &mut self.queues[queue];
        let waiter = queue.waiting.pop_front()?;
        self.given = queue.given;
        queue.given += u64::from(waiter.seats);
        self.seat(waiter.seats);
        self.waiting -= 1;
        Some(waiter)
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
        seats: u32,
        hash: impl FnOnce() -> u64,
        ticket: impl FnOnce() -> (W, R),
    ) -> (Arrival<R>, Called<W>) {
        let free = self.has_free(name, seats);
        let Some(level) = self.levels.get_mut(name) else { return (Arrival::Seated, Vec::new()) };
        if free && level.waiting == 0 {
            level.seat(seats);
            return (Arrival::Seated, Vec::new());
        }
        let Some(queueing) = level.queueing else {
            level.counts.rejected += 1;
            return (Arrival::Rejected(Rejection::ConcurrencyLimit), Vec::new());
        };
        let hand = deal(hash(), queueing.queues, queueing.hand_size);
        let shortest = hand.into_iter().min_by_key(|queue| level.queues[*queue].waiting.len()).unwrap_or_default();
        if level.queues[shortest].waiting.len() >= queueing.queue_length_limit as usize {
            level.counts.rejected += 1;
            return (Arrival::Rejected(Rejection::QueueFull), Vec::new());
        }
        self.tickets += 1;
        let place = Place { queue: shortest, ticket: self.tickets };
        let (call, called) = ticket();
        level.push(shortest, Waiter { ticket: place.ticket, seats, call });
        self.waiting += 1;
        (Arrival::Waiting(place, called), self.call())
    }

    /// Seats are given back.
    pub(super) fn leave(&mut self, name: &str, seats: u32) -> Called<W> {
        let Some(level) = self.levels.get_mut(name) else { return Vec::new() };
        level.seated = level.seated.saturating_sub(seats);
        level.executing = level.executing.saturating_sub(1);
        if !level.wanted && level.seated == 0 && level.waiting == 0 {
            self.levels.remove(name);
        }
        self.call()
    }

    /// Somebody waits no longer, who may have stood in the way of others. None when they were called already: then they have
    /// seats.
    pub(super) fn give_up(&mut self, name: &str, place: Place, why: Gone) -> Option<Called<W>> {
        let level = self.levels.get_mut(name)?;
        let queue = &mut level.queues.get_mut(place.queue)?.waiting;
        let at = queue.iter().position(|waiter| waiter.ticket == place.ticket)?;
        queue.remove(at);
        match why {
            Gone::TimedOut => level.counts.timed_out += 1,
            Gone::Cancelled => level.counts.cancelled += 1,
        }
        level.waiting -= 1;
        self.waiting -= 1;
        Some(self.call())
    }

    pub(super) fn usage(&self) -> Vec<(Arc<str>, Usage)> {
        let usage = |level: &Level<W>| Usage { limits: level.limits, seated: level.seated, waiting: level.waiting };
        self.levels.iter().map(|(name, level)| (name.clone(), usage(level))).collect()
    }

    /// Every level, in no order.
    pub(super) fn dump<T>(&self, show: impl Fn(&W) -> T) -> Vec<LevelDump<T>> {
        let dump = |(name, level): (&Arc<str>, &Level<W>)| {
            let waiting = |queue: &Queue<W>| queue.waiting.iter().map(|waiter| show(&waiter.call)).collect();
            LevelDump {
                name: name.clone(),
                quiescing: !level.wanted,
                executing: level.executing,
                queues: level.queues.iter().map(waiting).collect(),
                counts: level.counts,
            }
        };
        self.levels.iter().map(dump).collect()
    }

    fn has_free(&self, name: &str, seats: u32) -> bool {
        let Some(level) = self.levels.get(name) else { return true };
        let seated = level.seated.saturating_add(seats);
        if level.seated == 0 || seated <= level.limits.kept {
            return true;
        }
        let others = self.levels.iter().filter(|(other, _)| other.as_ref() != name);
        let borrowed =
            others.fold(level.borrowed(seated), |sum, (_, other)| sum.saturating_add(other.borrowed(other.seated)));
        seated <= level.limits.highest && borrowed <= self.lendable
    }

    /// Gives free seats to those who wait, as long as there are both.
    fn call(&mut self) -> Called<W> {
        let mut called = Vec::new();
        while self.waiting > 0 {
            // Who has least of their own is first.
            let least = |level: &Level<W>| u64::from(level.seated) * 1000 / u64::from(level.limits.nominal.max(1));
            let ready = self.levels.iter().filter_map(|(name, level)| {
                let (queue, seats) = level.next()?;
                self.has_free(name, seats).then(|| (least(level), name.clone(), queue))
            });
            let Some((_, name, queue)) = ready.min() else { break };
            let Some(waiter) = self.levels.get_mut(&name).and_then(|level| level.pop(queue)) else { break };
            self.waiting -= 1;
            called.push((name, waiter.seats, waiter.call));
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
