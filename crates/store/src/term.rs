//! What objects can be found by besides their keys.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A word about a value (a label, a field) by which [`Snapshot::find`](crate::Snapshot::find) finds it: the hash of its text, so that
/// it costs eight bytes an object.
///
/// Two words may share a hash: what is found by a term has still to be looked at. What is not found does not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(u64);

impl Term {
    /// The term of a word in parts, as `("label", "app", "web")`.
    pub fn new(parts: (&str, &str, &str)) -> Term {
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        Term(hasher.finish())
    }
}
