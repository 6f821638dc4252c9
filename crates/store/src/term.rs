//! What objects can be found by besides their keys.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// Of this process, so that nobody can look for words that share a hash.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// A word about a value (a label, a field) by which [`Snapshot::find`](crate::Snapshot::find) finds it: a keyed hash of its text, so that
/// it costs sixteen bytes an object.
///
/// Two words have different terms: of a thousand million words, that any two share one has a chance of one to 10^20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term([u64; 2]);

impl Term {
    /// The term of a word in parts, as `("label", "app", "web")`.
    pub fn new(parts: (&str, &str, &str)) -> Term {
        Term(KEYS.each_ref().map(|key| key.hash_one(parts)))
    }
}
