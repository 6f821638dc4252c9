//! Numbers by place, kept from one cycle to the next.
//!
//! Spreading and pod affinity ask how many pods of some kind are in each place (a value of a node label). Counting
//! anew costs all nodes and pods for each pod to schedule; pods made from one template ask the same thing, and between
//! two of them one node changes. So a [`Tally`] remembers what each node gave and asks only nodes that changed since
//! (by generation). A simulation works on a [`Counts`]: the shared tally and its own differences.
//!
//! Worked example, key `zone`: nodes a and b in zone 1 give 2 and 1, c in zone 2 gives 0, so zone 1 holds 3 from two
//! nodes and zone 2 holds 0 from one. A pod lands on c: only c is asked again, gives 1, and zone 2 holds 1.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{NodeInfo, Snapshot};
use crate::objects::Node;

/// Tallies kept by one plugin; the one not used for longest goes first.
const KEPT: usize = 16;

/// Takes what a node gives: label, its value, and an amount (which may be 0: the place then exists).
pub(crate) type Give<'a> = &'a mut dyn FnMut(&str, &str, i64);

/// The places of one label, by its values.
type Values = HashMap<Box<str>, u32>;

#[derive(Clone, Debug)]
struct Place {
    sum: i64,
    /// How many nodes give something here; a place without is none.
    nodes: u32,
}

/// Sums by place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// The order of nodes it was made for.
    order: u64,
    /// Nodes up to this generation are accounted for.
    seen: u64,
    /// What each node gives, by its index in the snapshot: place and amount.
    given: Vec<Vec<(u32, i64)>>,
    keys: Vec<(Box<str>, Values)>,
    places: Vec<Place>,
}

impl Tally {
    fn update(&mut self, snapshot: &Snapshot, mut ask: impl FnMut(&NodeInfo, Give<'_>)) {
        let anew = self.order != snapshot.order();
        if anew {
            let given = vec![Vec::new(); snapshot.nodes.len()];
            *self = Self { order: snapshot.order(), given, ..Self::default() };
        }
        for (index, generation) in snapshot.generations().iter().enumerate() {
            if !anew && *generation <= self.seen {
                continue;
            }
            let mut given = std::mem::take(&mut self.given[index]);
            for (place, amount) in given.drain(..) {
                let place = &mut self.places[place as usize];
                place.sum -= amount;
                place.nodes -= 1;
            }
            ask(&snapshot.nodes[index], &mut |key, value, amount| {
                let at = self.place(key, value);
                let place = &mut self.places[at as usize];
                place.sum += amount;
                place.nodes += 1;
                given.push((at, amount));
            });
            self.given[index] = given;
        }
        self.seen = snapshot.generation();
    }

    fn place(&mut self, key: &str, value: &str) -> u32 {
        let at = match self.keys.iter().position(|(have, _)| **have == *key) {
            Some(at) => at,
            None => {
                self.keys.push((key.into(), HashMap::new()));
                self.keys.len() - 1
            }
        };
        let values = &mut self.keys[at].1;
        if let Some(place) = values.get(value) {
            return *place;
        }
        let place = u32::try_from(self.places.len()).expect("fewer places than nodes times keys");
        values.insert(value.into(), place);
        self.places.push(Place { sum: 0, nodes: 0 });
        place
    }

    fn values(&self, key: &str) -> Option<&Values> {
        self.keys.iter().find(|(have, _)| **have == *key).map(|(_, values)| values)
    }

    /// What a place holds; 0 where there is none.
    pub(crate) fn get(&self, key: &str, value: &str) -> i64 {
        let place = self.values(key).and_then(|values| values.get(value));
        place.map_or(0, |place| self.places[*place as usize].sum)
    }

    /// The sums at a node's places, one for each key.
    pub(crate) fn at<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = i64> + 'a {
        self.keys.iter().filter_map(|(key, values)| {
            let place = values.get(node.label(key)?)?;
            Some(self.places[*place as usize].sum)
        })
    }

    /// True when every place holds 0.
    pub(crate) fn is_zero(&self) -> bool {
        self.places.iter().all(|place| place.sum == 0)
    }
}

/// A tally with the differences of a simulation. Cloning shares the tally.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    tally: Arc<Tally>,
    changes: Vec<(Box<str>, Box<str>, i64)>,
}

impl Counts {
    /// The counts of a tally.
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        Self { tally, changes: Vec::new() }
    }

    /// Adds at the place of a node, if it has one.
    pub(crate) fn change(&mut self, key: &str, node: &Node, amount: i64) {
        let Some(value) = node.label(key) else { return };
        match self.changes.iter_mut().find(|(of, at, _)| **of == *key && **at == *value) {
            Some((.., change)) => *change += amount,
            None => self.changes.push((key.into(), value.into(), amount)),
        }
    }

    fn changed(&self, key: &str, value: &str) -> i64 {
        let change = self.changes.iter().find(|(of, at, _)| **of == *key && **at == *value);
        change.map_or(0, |(.., amount)| *amount)
    }

    /// What a place holds.
    pub(crate) fn get(&self, key: &str, value: &str) -> i64 {
        self.tally.get(key, value) + self.changed(key, value)
    }

    /// True when a place of the node holds more than 0.
    pub(crate) fn any_at(&self, node: &Node) -> bool {
        if self.changes.is_empty() {
            return self.tally.at(node).any(|sum| sum > 0);
        }
        let keys = self.tally.keys.iter().map(|(key, _)| key).chain(self.changes.iter().map(|(key, ..)| key));
        keys.into_iter().any(|key| node.label(key).is_some_and(|value| self.get(key, value) > 0))
    }

    /// True when every place holds 0.
    pub(crate) fn is_zero(&self) -> bool {
        if self.changes.is_empty() {
            return self.tally.is_zero();
        }
        let places = self.tally.keys.iter().flat_map(|(key, values)| values.keys().map(move |value| (key, value)));
        let changed = self.changes.iter().map(|(key, value, _)| (key, value));
        places.chain(changed).all(|(key, value)| self.get(key, value) == 0)
    }

    /// How many places of a key there are, and the least any of them holds.
    pub(crate) fn least(&self, key: &str) -> (usize, Option<i64>) {
        let places = self.tally.values(key).into_iter().flatten();
        let present = places.filter(|(_, place)| self.tally.places[**place as usize].nodes > 0);
        let mut count = 0;
        let mut least = None;
        for (value, place) in present {
            count += 1;
            let change = if self.changes.is_empty() { 0 } else { self.changed(key, value) };
            let sum = self.tally.places[*place as usize].sum + change;
            least = Some(least.map_or(sum, |least: i64| least.min(sum)));
        }
        (count, least)
    }
}

/// The tallies of a plugin, by what they count.
#[derive(Debug)]
pub(crate) struct Tallies<K> {
    /// Used last, first.
    kept: Mutex<Vec<(K, Arc<Tally>)>>,
}

impl<K> Default for Tallies<K> {
    fn default() -> Self {
        Self { kept: Mutex::new(Vec::new()) }
    }
}

impl<K: PartialEq> Tallies<K> {
    /// The tally of `key`, up to date; `ask` says what a node gives and must depend on the node and `key` only.
    pub(crate) fn of(&self, key: K, snapshot: &Snapshot, ask: impl FnMut(&NodeInfo, Give<'_>)) -> Arc<Tally> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, mut tally) = match kept.iter().position(|(have, _)| *have == key) {
            Some(at) => kept.remove(at),
            None => (key, Arc::default()),
        };
        Arc::make_mut(&mut tally).update(snapshot, ask);
        kept.truncate(KEPT - 1);
        kept.insert(0, (key, tally.clone()));
        tally
    }
}
