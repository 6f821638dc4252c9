//! An object: a vector of its members in their order.
//!
//! A member is found by looking through the vector, which for the objects of the API (a dozen members) is faster than
//! hashing; an object of more than [`SEARCHED`] members carries an index beside it, so that none is quadratic.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::iter::FusedIterator;
use std::{fmt, ops, slice, vec};

use crate::{Text, Value};

/// How many members are searched without an index.
const SEARCHED: usize = 24;

/// The members of an object, in order. Two are equal whatever their order.
#[derive(Clone, Default)]
pub struct Map {
    members: Vec<(Text, Value)>,
    /// Where each key is; of large objects only, and then of every key.
    #[expect(clippy::box_collection, reason = "one word: a value stays at 32 bytes")]
    index: Option<Box<HashMap<Text, usize>>>,
}

impl Map {
    /// No members.
    pub const fn new() -> Map {
        Map { members: Vec::new(), index: None }
    }

    /// No members, room for some.
    pub fn with_capacity(capacity: usize) -> Map {
        Map { members: Vec::with_capacity(capacity), index: None }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Drops all members.
    pub fn clear(&mut self) {
        self.members.clear();
        self.index = None;
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).map(|at| &self.members[at].1)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.position(key).map(|at| &mut self.members[at].1)
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Sets the value of a key, in its place or at the end; the value before.
    pub fn insert(&mut self, key: impl Into<Text>, value: Value) -> Option<Value> {
        let key = key.into();
        match self.position(&key) {
            Some(at) => Some(std::mem::replace(&mut self.members[at].1, value)),
            None => {
                self.push(key, value);
                None
            }
        }
    }

    /// Puts a member at a position, wherever it was before; the value before.
    ///
    /// # Panics
    /// For a position beyond the end.
    pub fn shift_insert(&mut self, at: usize, key: impl Into<Text>, value: Value) -> Option<Value> {
        let key = key.into();
        let before = self.position(&key).map(|at| self.members.remove(at).1);
        self.members.insert(at, (key, value));
        self.reindex();
        before
    }

    /// Takes a member out; those after it keep their order.
    pub fn shift_remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key)?;
        let (_, value) = self.members.remove(at);
        if let Some(index) = &mut self.index {
            index.remove(key);
            index.values_mut().filter(|position| **position > at).for_each(|position| *position -= 1);
        }
        Some(value)
    }

    /// Takes a member out and puts the last one into its place, as `serde_json` does under this name.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position(key)?;
        let (_, value) = self.members.swap_remove(at);
        if let Some(index) = &mut self.index {
            index.remove(key);
            if let Some(position) = self.members.get(at).and_then(|(moved, _)| index.get_mut(moved)) {
                *position = at;
            }
        }
        Some(value)
    }

    /// The place of a key, to fill or change.
    pub fn entry(&mut self, key: impl Into<Text>) -> Entry<'_> {
        let key = key.into();
        Entry { position: self.position(&key), key, map: self }
    }

    /// Keeps the members that `keep` wants, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Value) -> bool) {
        self.members.retain_mut(|(key, value)| keep(key, value));
        self.reindex();
    }

    /// Sorts the members by their keys' bytes.
    pub fn sort_keys(&mut self) {
        self.members.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.reindex();
    }

    /// Moves the members of another one in, as [`Map::insert`] does.
    pub fn append(&mut self, other: &mut Map) {
        self.extend(std::mem::take(other));
    }

    /// The members in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.members.iter())
    }

    /// The members in order, their values to change.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        IterMut(self.members.iter_mut())
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Text> + ExactSizeIterator + Clone {
        self.members.iter().map(|(key, _)| key)
    }

    /// The values in order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.members.iter().map(|(_, value)| value)
    }

    /// The values in order, to change.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.members.iter_mut().map(|(_, value)| value)
    }

    /// The values in order, without their keys.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = Value> + ExactSizeIterator {
        self.members.into_iter().map(|(_, value)| value)
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            None => self.members.iter().position(|(own, _)| own == key),
            Some(index) => index.get(key).copied(),
        }
    }

    /// Adds a member whose key is not there.
    fn push(&mut self, key: Text, value: Value) {
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.members.len());
        }
        self.members.push((key, value));
        if self.index.is_none() && self.members.len() > SEARCHED {
            self.reindex();
        }
    }

    /// Makes the index anew after positions changed.
    fn reindex(&mut self) {
        self.index = (self.members.len() > SEARCHED)
            .then(|| Box::new(self.members.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect()));
    }
}

/// The place of one key in a [`Map`].
#[derive(Debug)]
pub struct Entry<'a> {
    map: &'a mut Map,
    key: Text,
    position: Option<usize>,
}

impl<'a> Entry<'a> {
    /// The value there, after `default` was put where none was.
    pub fn or_insert(self, default: Value) -> &'a mut Value {
        self.or_insert_with(|| default)
    }

    /// As [`Entry::or_insert`], with a value that is only made when it is needed.
    pub fn or_insert_with(self, default: impl FnOnce() -> Value) -> &'a mut Value {
        let at = self.position.unwrap_or_else(|| {
            self.map.push(self.key, default());
            self.map.len() - 1
        });
        &mut self.map.members[at].1
    }

    /// Changes the value that is there, if one is.
    pub fn and_modify(self, change: impl FnOnce(&mut Value)) -> Entry<'a> {
        if let Some(at) = self.position {
            change(&mut self.map.members[at].1);
        }
        self
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        // Most are in the same order: only a member that is elsewhere is looked for.
        let same = |(at, (key, value)): (usize, &(Text, Value))| match other.members.get(at) {
            Some((other_key, other_value)) if other_key == key => other_value == value,
            _ => other.get(key) == Some(value),
        };
        self.len() == other.len() && self.members.iter().enumerate().all(same)
    }
}

impl Eq for Map {}

impl Hash for Map {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut members: Vec<&(Text, Value)> = self.members.iter().collect();
        members.sort_by(|left, right| left.0.cmp(&right.0));
        members.hash(state);
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// # Panics
/// Where the key is missing.
impl ops::Index<&str> for Map {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or_else(|| panic!("no member {key:?} in a JSON object"))
    }
}

/// # Panics
/// Where the key is missing.
impl ops::IndexMut<&str> for Map {
    fn index_mut(&mut self, key: &str) -> &mut Value {
        self.get_mut(key).unwrap_or_else(|| panic!("no member {key:?} in a JSON object"))
    }
}

impl<K: Into<Text>> Extend<(K, Value)> for Map {
    fn extend<I: IntoIterator<Item = (K, Value)>>(&mut self, members: I) {
        for (key, value) in members {
            self.insert(key, value);
        }
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(members: I) -> Map {
        let members = members.into_iter();
        let mut map = Map::with_capacity(members.size_hint().0);
        map.extend(members);
        map
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

/// The members of a [`Map`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, (Text, Value)>);

/// The members of a [`Map`], their values to change.
#[derive(Debug)]
pub struct IterMut<'a>(slice::IterMut<'a, (Text, Value)>);

macro_rules! iterate {
    ($map:ty, $iter:ident, $item:ty, $split:expr, $start:ident) => {
        impl<'a> Iterator for $iter<'a> {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                self.0.next().map($split)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl DoubleEndedIterator for $iter<'_> {
            fn next_back(&mut self) -> Option<Self::Item> {
                self.0.next_back().map($split)
            }
        }

        impl ExactSizeIterator for $iter<'_> {}
        impl FusedIterator for $iter<'_> {}

        impl<'a> IntoIterator for $map {
            type Item = $item;
            type IntoIter = $iter<'a>;

            fn into_iter(self) -> $iter<'a> {
                self.$start()
            }
        }
    };
}

iterate!(&'a Map, Iter, (&'a Text, &'a Value), |(key, value)| (key, value), iter);
iterate!(&'a mut Map, IterMut, (&'a Text, &'a mut Value), |(key, value)| (&*key, value), iter_mut);
