//! One TLS record and one system call for all that a connection has to say at a time.
//!
//! HTTP/2 writes and flushes each frame by itself. Passed on like that, an event for fifty watchers on one connection is fifty
//! records and fifty system calls, most of its cost; so are the answers to requests that came together. [`gathering`] makes of a
//! connection's stream a [`Gathered`] for the HTTP side, which holds small writes back, and a [`Gatherer`], which drives that side
//! and passes on what is held whenever it has nothing more to do. With several streams open it first lets the other tasks that are
//! ready have their turn, since they are likely to have something to say too. Nothing is held while the connection sleeps.
//!
//! Off for connections that may be upgraded: whoever takes those over writes without a driver.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::{Body, BoxError};

/// The most that is held.
const LIMIT: usize = 64 << 10;
/// Writes from this size on gain nothing by being copied.
const LARGE: usize = 8 << 10;

#[derive(Debug)]
struct Held<S> {
    inner: S,
    bytes: Vec<u8>,
    /// How many of them the inner stream has taken.
    passed: usize,
    on: bool,
}

impl<S: AsyncWrite + Unpin> Held<S> {
    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while let Some(rest) = self.bytes.get(self.passed..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.passed += taken,
            }
        }
        self.bytes = Vec::new();
        self.passed = 0;
        Pin::new(&mut self.inner).poll_flush(cx)
    }
}

/// Both ends of a stream; if it is not `on`, it passes on everything at once.
pub(super) fn gathering<S>(stream: S, on: bool) -> (Gathered<S>, Gatherer<S>) {
    let held = Arc::new(Mutex::new(Held { inner: stream, bytes: Vec::new(), passed: 0, on }));
    (Gathered(Arc::clone(&held)), Gatherer { held, on, open: Arc::new(()), waited: false })
}

/// The stream: its flush waits for the [`Gatherer`].
#[derive(Debug)]
pub(super) struct Gathered<S>(Arc<Mutex<Held<S>>>);

/// Drives the user of a [`Gathered`].
#[derive(Debug)]
pub(super) struct Gatherer<S> {
    held: Arc<Mutex<Held<S>>>,
    on: bool,
    /// One more reference for each open request.
    open: Arc<()>,
    /// The other tasks had their turn.
    waited: bool,
}

/// A request of the connection that is not answered to its end.
#[derive(Clone, Debug)]
pub(super) struct Open {
    _counted: Arc<()>,
}

impl<S: AsyncWrite + Unpin> Gatherer<S> {
    /// What each request clones, from its arrival to the end of its answer.
    pub(super) fn open(&self) -> Open {
        Open { _counted: Arc::clone(&self.open) }
    }

    /// Polls `user` once; passes on what it wrote when it has to wait.
    pub(super) fn poll<F: Future>(&mut self, user: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // This one and the original of the clones are no requests.
        if self.on && !self.waited && Arc::strong_count(&self.open) > 3 {
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        let polled = user.poll(cx);
        if polled.is_pending() {
            // A failed stream fails the user's next read or write as well.
            let _ = lock(&self.held).poll_pass_on(cx);
        }
        polled
    }
}

/// A body whose request is open until it is sent or given up.
pub(super) struct Answer {
    body: Body,
    _open: Open,
}

impl Answer {
    pub(super) fn new(body: Body, open: Open) -> Answer {
        Answer { body, _open: open }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        let size = slices.iter().map(|slice| slice.len()).sum();
        let direct = !held.on || size >= LARGE;
        if direct || held.bytes.len() + size > LIMIT {
            ready!(held.poll_pass_on(cx))?;
        }
        if direct {
            return Pin::new(&mut held.inner).poll_write_vectored(cx, slices);
        }
        for slice in slices {
            held.bytes.extend_from_slice(slice);
        }
        Poll::Ready(Ok(size))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        if held.bytes.is_empty() { Pin::new(&mut held.inner).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        ready!(held.poll_pass_on(cx))?;
        Pin::new(&mut held.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).inner).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    /// Remembers each write; takes at most `most` bytes of one.
    struct Recorder {
        writes: Vec<Vec<u8>>,
        most: usize,
    }

    impl AsyncWrite for Recorder {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            let taken = data.len().min(self.most);
            self.writes.push(data[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What reaches a stream that takes `most` bytes at once from a user who writes and flushes `pieces` and then waits.
    async fn written(most: usize, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut stream, mut gatherer) = gathering(Recorder { writes: Vec::new(), most }, true);
        let mut user = std::pin::pin!(async {
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        std::future::poll_fn(|cx| {
            assert!(gatherer.poll(user.as_mut(), cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut held = lock(&gatherer.held);
        assert_eq!(held.bytes.capacity(), 0, "something is still held");
        std::mem::take(&mut held.inner.writes)
    }

    #[tokio::test]
    async fn what_is_written_between_two_waits_is_one_write() {
        assert_eq!(written(usize::MAX, &[b"head", b"body", b"next"]).await, [b"headbodynext"]);
    }

    #[tokio::test]
    async fn large_writes_are_not_copied_and_stay_in_order() {
        let large = vec![b'x'; LARGE];
        assert_eq!(written(usize::MAX, &[b"head", &large, b"tail"]).await, [b"head".to_vec(), large, b"tail".to_vec()]);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_held() {
        let piece = vec![b'x'; LARGE - 1];
        let writes = written(usize::MAX, &vec![&piece[..]; 20]).await;
        assert!(writes.len() > 1 && writes.iter().all(|write| write.len() <= LIMIT), "{}", writes.len());
        assert_eq!(writes.concat().len(), 20 * piece.len());
    }

    #[tokio::test]
    async fn what_is_taken_in_parts_is_passed_on_whole() {
        assert_eq!(written(3, &[b"head", b"body"]).await.concat(), b"headbody");
    }

    #[tokio::test]
    async fn a_user_that_ends_has_passed_on_everything_at_its_shutdown() {
        let (mut stream, gatherer) = gathering(Recorder { writes: Vec::new(), most: usize::MAX }, true);
        stream.write_all(b"last").await.unwrap();
        assert!(lock(&gatherer.held).inner.writes.is_empty());
        stream.shutdown().await.unwrap();
        assert_eq!(lock(&gatherer.held).inner.writes, [b"last"]);
    }

    #[tokio::test]
    async fn a_stream_that_is_off_holds_nothing() {
        let (mut stream, gatherer) = gathering(Recorder { writes: Vec::new(), most: usize::MAX }, false);
        stream.write_all(b"head").await.unwrap();
        assert_eq!(lock(&gatherer.held).inner.writes, [b"head"]);
    }

    #[tokio::test]
    async fn with_several_requests_open_the_others_have_their_turn_first() {
        let (_stream, mut gatherer) = gathering(Recorder { writes: Vec::new(), most: usize::MAX }, true);
        let original = gatherer.open();
        let polls = |gatherer: &mut Gatherer<Recorder>| {
            let mut polled = 0;
            let mut user = std::pin::pin!(std::future::poll_fn(|_| {
                polled += 1;
                Poll::<()>::Pending
            }));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(gatherer.poll(user.as_mut(), &mut cx).is_pending());
            polled
        };
        let _one = original.clone();
        assert_eq!([polls(&mut gatherer), polls(&mut gatherer)], [1, 1]);
        let _two = original.clone();
        assert_eq!([polls(&mut gatherer), polls(&mut gatherer), polls(&mut gatherer)], [0, 1, 0]);
    }
}
