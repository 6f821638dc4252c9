//! One answer for all who ask the same at the same time: who comes while a question is under way waits for its answer.
//!
//! A question goes on when those who asked it are gone. Upstream: golang.org/x/sync/singleflight.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// Questions that are under way.
pub(super) struct Flights<K: Hash + Eq, V>(Arc<Mutex<UnderWay<K, V>>>);

type UnderWay<K, V> = HashMap<K, Shared<BoxFuture<'static, Option<V>>>>;

impl<K: Hash + Eq, V> Default for Flights<K, V> {
    fn default() -> Self {
        Flights(Arc::default())
    }
}

impl<K: Hash + Eq, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl<K, V> Flights<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer; None where the question made the one who worked on it panic.
    pub(super) async fn join<F>(&self, key: K, name: &'static str, ask: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = {
            let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(flight) = under_way.get(&key) {
                flight.clone()
            } else {
                let (landing, asking) = (Landing(Arc::clone(&self.0), key.clone()), ask());
                let task = component::spawn(name, async move {
                    let _landing = landing;
                    asking.await
                });
                let flight = async move { task.await.ok().flatten() }.boxed().shared();
                under_way.insert(key, flight.clone());
                flight
            }
        };
        flight.await
    }
}

/// Ends a flight, however it ends.
struct Landing<K: Hash + Eq, V>(Arc<Mutex<UnderWay<K, V>>>, K);

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn who_asks_at_the_same_time_gets_the_same_answer() {
        let (flights, asked) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            flights.join((), "test", move || async move {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::Relaxed)
            })
        };
        assert_eq!(futures::join!(ask(), ask(), ask()), (Some(0), Some(0), Some(0)));
        assert_eq!(ask().await, Some(1));
    }

    #[tokio::test]
    async fn a_question_that_panics_is_asked_again() {
        let flights = Flights::default();
        assert_eq!(flights.join((), "test", || async { panic!("on purpose") }).await, None::<()>);
        assert_eq!(flights.join((), "test", || async {}).await, Some(()));
    }
}
