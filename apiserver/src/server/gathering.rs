//! Few TLS records and system calls for all that a connection has to say at a time.
//!
//! HTTP/2 writes and flushes each frame by itself. Passed on like that, an event for fifty watchers on one connection is fifty
//! records and fifty system calls, most of its cost; so are the answers to requests that came together, and a long list is a system
//! call every 16 KB. [`gathering`] makes of a connection's stream a [`Gathered`] for the HTTP side, which holds writes back, and a
//! [`Gatherer`], which drives that side and passes on what is held whenever it has nothing more to do. Small writes are copied
//! together; large ones are made records of at once, which are held instead. With several streams open the gatherer first lets the
//! other tasks that are ready have their turn, since they are likely to have something to say too. Nothing is held while the
//! connection sleeps, but for what its peer does not take.
//!
//! Off for connections that may be upgraded: whoever takes those over writes without a driver.

use std::future::Future;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::body::{Body, BoxError};

/// The most that is held, but for one write.
const LIMIT: usize = 64 << 10;
/// Writes from this size on gain nothing by being copied.
const LARGE: usize = 8 << 10;

/// A stream that can take in what it will send when it is flushed.
pub(super) trait Sealing: AsyncWrite + Unpin {
    /// Takes in everything and sends nothing.
    fn seal(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()>;
}

impl Sealing for TlsStream<TcpStream> {
    fn seal(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let session = self.get_mut().1;
        // The bound is ours.
        session.set_buffer_limit(None);
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if session.writer().write_vectored(slices)? == size { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

#[derive(Debug)]
struct Held<S> {
    inner: S,
    /// Small writes.
    bytes: Vec<u8>,
    /// How much the inner stream has taken in since it was last flushed to the end.
    sealed: usize,
    on: bool,
}

impl<S: Sealing> Held<S> {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.sealed == 0
    }

    /// What was copied, and then `slices`.
    fn seal(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let copied = std::mem::take(&mut self.bytes);
        for slices in [&[IoSlice::new(&copied)][..], slices] {
            let size: usize = slices.iter().map(|slice| slice.len()).sum();
            if size > 0 {
                self.inner.seal(slices)?;
                self.sealed += size;
            }
        }
        Ok(())
    }

    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.seal(&[])?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.sealed = 0;
        Poll::Ready(Ok(()))
    }
}

/// Both ends of a stream; if it is not `on`, it passes on everything at once.
pub(super) fn gathering<S>(stream: S, on: bool) -> (Gathered<S>, Gatherer<S>) {
    let held = Arc::new(Mutex::new(Held { inner: stream, bytes: Vec::new(), sealed: 0, on }));
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

impl<S: Sealing> Gatherer<S> {
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

impl<S: Sealing> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = lock(&self.0);
        if !held.on {
            return Pin::new(&mut held.inner).poll_write_vectored(cx, slices);
        }
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if held.bytes.len() + held.sealed + size.min(LARGE) > LIMIT {
            ready!(held.poll_pass_on(cx))?;
        }
        if size >= LARGE {
            held.seal(slices)?;
        } else {
            slices.iter().for_each(|slice| held.bytes.extend_from_slice(slice));
        }
        Poll::Ready(Ok(size))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = lock(&self.0);
        if held.is_empty() { Pin::new(&mut held.inner).poll_flush(cx) } else { Poll::Ready(Ok(())) }
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

    /// Remembers the records of each flush; a write is a record and a flush.
    #[derive(Default)]
    struct Recorder {
        sealed: Vec<Vec<u8>>,
        sent: Vec<Vec<Vec<u8>>>,
        /// The peer takes nothing.
        stuck: bool,
    }

    impl Sealing for Recorder {
        fn seal(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
            self.sealed.push(slices.iter().flat_map(|slice| slice.iter().copied()).collect());
            Ok(())
        }
    }

    impl AsyncWrite for Recorder {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
            self.sent.push(vec![data.to_vec()]);
            Poll::Ready(Ok(data.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.stuck {
                return Poll::Pending;
            }
            let sealed = std::mem::take(&mut self.sealed);
            self.sent.push(sealed);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// The records of each flush when a user writes and flushes `pieces` and then waits.
    async fn sent(pieces: &[&[u8]]) -> Vec<Vec<Vec<u8>>> {
        let (mut stream, mut gatherer) = gathering(Recorder::default(), true);
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
        assert!(held.is_empty() && held.bytes.capacity() == 0, "something is still held");
        std::mem::take(&mut held.inner.sent)
    }

    #[tokio::test]
    async fn what_is_written_between_two_waits_is_one_record() {
        assert_eq!(sent(&[b"head", b"body", b"next"]).await, [[b"headbodynext"]]);
    }

    #[tokio::test]
    async fn large_writes_are_records_of_their_own_in_order_and_flushed_together() {
        let large = vec![b'x'; LARGE];
        let records = [&b"head"[..], &large, &large, b"tail"].map(<[u8]>::to_vec);
        assert_eq!(sent(&[b"head", &large, &large, b"tail"]).await, [records]);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_is_held() {
        for size in [LARGE - 1, LARGE, 2 * LARGE] {
            let piece = vec![b'x'; size];
            let flushes = sent(&[&piece[..]; 40]).await;
            let sizes: Vec<usize> = flushes.iter().map(|records| records.concat().len()).collect();
            assert!(sizes.len() > 1 && sizes.iter().all(|sent| *sent < LIMIT + size), "{sizes:?}");
            assert_eq!(sizes.iter().sum::<usize>(), 40 * size);
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_stops_the_user_at_the_limit() {
        let (mut stream, mut gatherer) = gathering(Recorder { stuck: true, ..Recorder::default() }, true);
        let piece = vec![b'x'; 2 * LARGE];
        let mut written = 0;
        let mut user = std::pin::pin!(async {
            loop {
                stream.write_all(&piece).await.unwrap();
                written += piece.len();
            }
        });
        let mut cx = Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            let polled: Poll<()> = gatherer.poll(user.as_mut(), &mut cx);
            assert!(polled.is_pending());
        }
        assert_eq!(written, LIMIT);
    }

    #[tokio::test]
    async fn a_user_that_ends_has_passed_on_everything_at_its_shutdown() {
        let (mut stream, gatherer) = gathering(Recorder::default(), true);
        stream.write_all(b"last").await.unwrap();
        assert!(lock(&gatherer.held).inner.sent.is_empty());
        stream.shutdown().await.unwrap();
        assert_eq!(lock(&gatherer.held).inner.sent, [[b"last"]]);
    }

    #[tokio::test]
    async fn a_stream_that_is_off_holds_nothing() {
        let (mut stream, gatherer) = gathering(Recorder::default(), false);
        stream.write_all(b"head").await.unwrap();
        assert_eq!(lock(&gatherer.held).inner.sent, [[b"head"]]);
    }

    #[tokio::test]
    async fn with_several_requests_open_the_others_have_their_turn_first() {
        let (_stream, mut gatherer) = gathering(Recorder::default(), true);
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
