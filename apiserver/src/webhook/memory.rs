//! What others have answered, for as long as they may be taken at their word.
//! Upstream: apimachinery/pkg/util/cache.LRUExpireCache.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Answers by what was asked. When there are too many, those go that were not wanted for longest.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    capacity: usize,
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    answers: HashMap<String, Remembered<T>>,
    /// How often anything was wanted so far.
    uses: u64,
}

#[derive(Debug)]
struct Remembered<T> {
    answer: T,
    until: Instant,
    last_use: u64,
}

impl<T: Clone> Memory<T> {
    /// For so many answers.
    pub(crate) fn of(capacity: usize) -> Memory<T> {
        Memory { capacity, kept: Mutex::new(Kept { answers: HashMap::new(), uses: 0 }) }
    }

    /// The answer, if it is known and its time is not over.
    pub(crate) fn get(&self, asked: &str) -> Option<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let known = kept.answers.get_mut(asked).filter(|known| known.until > Instant::now())?;
        known.last_use = uses;
        Some(known.answer.clone())
    }

    /// Keeps an answer so long.
    pub(crate) fn keep(&self, asked: String, answer: T, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        if kept.answers.len() >= self.capacity && !kept.answers.contains_key(&asked) {
            kept.make_room(now, self.capacity);
        }
        let last_use = kept.uses;
        kept.answers.insert(asked, Remembered { answer, until: now + ttl, last_use });
    }
}

impl<T> Kept<T> {
    /// Drops what is out of date; where that is not enough, the half that was not wanted for longest, so that a full memory is
    /// gone through once in many answers.
    fn make_room(&mut self, now: Instant, capacity: usize) {
        self.answers.retain(|_, known| known.until > now);
        if self.answers.len() < capacity {
            return;
        }
        let mut uses: Vec<u64> = self.answers.values().map(|known| known.last_use).collect();
        let (_, &mut middle, _) = uses.select_nth_unstable(capacity / 2);
        self.answers.retain(|_, known| known.last_use > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_known_until_its_time_is_over() {
        let memory = Memory::of(10);
        memory.keep("a".to_owned(), 1, MINUTE);
        memory.keep("never".to_owned(), 2, Duration::ZERO);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!((memory.get("a"), memory.get("never")), (Some(1), None));
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(memory.get("a"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_wanted_for_longest_goes_first() {
        let memory = Memory::of(4);
        for name in ["a", "b", "c", "d"] {
            memory.keep(name.to_owned(), name, MINUTE);
        }
        assert_eq!(memory.get("a"), Some("a"));
        memory.keep("e".to_owned(), "e", MINUTE);
        assert_eq!(["a", "b", "e"].map(|name| memory.get(name)), [Some("a"), None, Some("e")]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_out_of_date_makes_room() {
        let memory = Memory::of(2);
        memory.keep("old".to_owned(), 1, MINUTE / 2);
        memory.keep("new".to_owned(), 2, MINUTE);
        tokio::time::advance(MINUTE / 2).await;
        memory.keep("newer".to_owned(), 3, MINUTE);
        assert_eq!((memory.get("new"), memory.get("newer")), (Some(2), Some(3)));
    }
}
