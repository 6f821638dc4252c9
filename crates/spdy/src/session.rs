//! A connection with its streams.
//!
//! ```text
//! io --read--> reader task --chunks--> StreamReader   (bounded channel a stream)
//! io <-write-- writer task <--frames-- StreamWriter   (one bounded channel)
//! ```
//! The stream table is behind a lock that is held for look-ups only. When the connection ends every stream ends: readers
//! get the end, writers get [`Error::Closed`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::frame::Frame;
use crate::headers::{Decoder, Encoder};
use crate::{Error, Headers};

/// Chunks that wait in a stream, and frames that wait for the writer.
const QUEUE: usize = 64;
/// Streams the other side may have open.
const MAX_STREAMS: usize = 1000;
/// The largest piece of data in a frame.
const CHUNK: usize = 32 << 10;
/// Refusal of a stream (SPDY's REFUSED_STREAM), and giving one up (CANCEL).
const REFUSED: u32 = 3;
const CANCEL: u32 = 5;

/// One side of a SPDY connection. Cloning shares it; dropping every clone and stream closes the connection.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    frames: mpsc::Sender<Out>,
    streams: Mutex<HashMap<u32, Slot>>,
    /// Odd for the side that connected, even for the other.
    next_id: AtomicU32,
}

/// What the reader task needs of an open stream.
#[derive(Debug)]
struct Slot {
    chunks: mpsc::Sender<Bytes>,
    reply: Option<oneshot::Sender<()>>,
}

/// Work for the writer task, which owns the header compressor.
#[derive(Debug)]
enum Out {
    Open { id: u32, headers: Headers },
    Reply { id: u32 },
    Frame(Frame),
}

impl Session {
    /// The side that connected.
    ///
    /// # Errors
    /// When header compression is not available.
    pub fn client<T: AsyncRead + AsyncWrite + Send + 'static>(io: T) -> Result<Self, Error> {
        Ok(Self::start(io, 1)?.0)
    }

    /// The side that was connected to, and the streams that the other opens.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn server<T: AsyncRead + AsyncWrite + Send + 'static>(io: T) -> Result<(Self, mpsc::Receiver<Stream>), Error> {
        Self::start(io, 2)
    }

    fn start<T: AsyncRead + AsyncWrite + Send + 'static>(
        io: T,
        first_id: u32,
    ) -> Result<(Self, mpsc::Receiver<Stream>), Error> {
        let (read, write) = tokio::io::split(io);
        let (frames, to_write) = mpsc::channel(QUEUE);
        let (accepted, incoming) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared { frames, streams: Mutex::default(), next_id: AtomicU32::new(first_id) });
        let reader = Reader { shared: Arc::downgrade(&shared), decoder: Decoder::new(), accepted };
        let encoder = Encoder::new()?;
        component::spawn("spdy writer", write_frames(write, to_write, encoder));
        component::spawn("spdy reader", reader.run(read));
        Ok((Self { shared }, incoming))
    }

    /// Opens a stream and waits until the other side has taken it.
    ///
    /// # Errors
    /// [`Error::Closed`] when it is refused or the connection ends.
    pub async fn open(&self, headers: Headers) -> Result<Stream, Error> {
        let id = self.shared.next_id.fetch_add(2, Ordering::Relaxed);
        let (reply, taken) = oneshot::channel();
        let stream = self.shared.insert(id, headers.clone(), Some(reply));
        self.shared.frames.send(Out::Open { id, headers }).await.map_err(|_| Error::Closed)?;
        taken.await.map_err(|_| Error::Closed)?;
        Ok(stream)
    }
}

impl Shared {
    fn insert(self: &Arc<Self>, id: u32, headers: Headers, reply: Option<oneshot::Sender<()>>) -> Stream {
        let (chunks, incoming) = mpsc::channel(QUEUE);
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Slot { chunks, reply });
        Stream {
            headers,
            reader: StreamReader { incoming },
            writer: StreamWriter { id, shared: self.clone(), finished: false },
        }
    }

    fn remove(&self, id: u32) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// One stream of a session.
#[derive(Debug)]
pub struct Stream {
    /// The headers it was opened with, names in lower case on the accepting side.
    pub headers: Headers,
    /// What the other side sends.
    pub reader: StreamReader,
    /// What this side sends.
    pub writer: StreamWriter,
}

impl Stream {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct StreamReader {
    incoming: mpsc::Receiver<Bytes>,
}

impl StreamReader {
    /// The next chunk; `None` at the end of the stream, however it came. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.incoming.recv().await
    }
}

/// The sending half of a stream. Dropping it without [`finish`](Self::finish) gives the stream up.
#[derive(Debug)]
pub struct StreamWriter {
    id: u32,
    shared: Arc<Shared>,
    finished: bool,
}

impl StreamWriter {
    /// Sends data.
    ///
    /// # Errors
    /// [`Error::Closed`] when the connection has ended.
    pub async fn write(&self, mut data: Bytes) -> Result<(), Error> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(CHUNK));
            self.send(Frame::Data { id: self.id, fin: false, data: piece }).await?;
        }
        Ok(())
    }

    /// Says that nothing more comes; the other direction stays open.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn finish(&mut self) -> Result<(), Error> {
        self.finished = true;
        self.send(Frame::Data { id: self.id, fin: true, data: Bytes::new() }).await
    }

    async fn send(&self, frame: Frame) -> Result<(), Error> {
        self.shared.frames.send(Out::Frame(frame)).await.map_err(|_| Error::Closed)
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: a full queue means that the connection is stuck and about to end.
            let _ = self.shared.frames.try_send(Out::Frame(Frame::Reset { id: self.id, status: CANCEL }));
        }
    }
}

struct Reader {
    /// Weak, so that the connection ends when nobody holds the session or a stream.
    shared: std::sync::Weak<Shared>,
    decoder: Decoder,
    accepted: mpsc::Sender<Stream>,
}

impl Reader {
    async fn run<T: AsyncRead + Send>(mut self, io: ReadHalf<T>) {
        if let Err(error) = self.read(io).await {
            tracing::debug!(%error, "SPDY connection ended");
        }
        if let Some(shared) = self.shared.upgrade() {
            // Dropping the slots ends every stream's reader.
            shared.streams.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    async fn read<T: AsyncRead + Send>(&mut self, mut io: ReadHalf<T>) -> Result<(), Error> {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        loop {
            while let Some(frame) = Frame::parse(&mut buffer)? {
                let Some(shared) = self.shared.upgrade() else { return Ok(()) };
                self.handle(&shared, frame).await?;
            }
            if io.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn handle(&mut self, shared: &Arc<Shared>, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::SynStream { id, fin, block } => {
                // Every block must pass the decompressor, or the following ones make no sense.
                let headers = self.decoder.decode(&block)?;
                let full = shared.streams.lock().unwrap_or_else(PoisonError::into_inner).len() >= MAX_STREAMS;
                if full || self.accepted.is_closed() {
                    return send(shared, Out::Frame(Frame::Reset { id, status: REFUSED })).await;
                }
                let stream = shared.insert(id, headers, None);
                send(shared, Out::Reply { id }).await?;
                if fin {
                    shared.remove(id);
                }
                self.accepted.send(stream).await.map_err(|_| Error::Closed)
            }
            Frame::SynReply { id, fin, block } => {
                self.decoder.decode(&block)?;
                let reply = {
                    let mut streams = shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
                    streams.get_mut(&id).and_then(|slot| slot.reply.take())
                };
                if let Some(reply) = reply {
                    // The opener may have given up waiting.
                    let _ = reply.send(());
                }
                if fin {
                    shared.remove(id);
                }
                Ok(())
            }
            Frame::Headers { id, fin, block } => {
                self.decoder.decode(&block)?;
                if fin {
                    shared.remove(id);
                }
                Ok(())
            }
            Frame::Data { id, fin, data } => {
                let chunks = {
                    let streams = shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
                    streams.get(&id).map(|slot| slot.chunks.clone())
                };
                // Data for a stream whose reader is gone is dropped.
                if let Some(chunks) = chunks.filter(|_| !data.is_empty()) {
                    let _ = chunks.send(data).await;
                }
                if fin {
                    shared.remove(id);
                }
                Ok(())
            }
            Frame::Reset { id, status: _ } => {
                shared.remove(id);
                Ok(())
            }
            Frame::Ping { id } => send(shared, Out::Frame(Frame::Ping { id })).await,
            Frame::GoAway { .. } | Frame::Other => Ok(()),
        }
    }
}

async fn send(shared: &Arc<Shared>, out: Out) -> Result<(), Error> {
    shared.frames.send(out).await.map_err(|_| Error::Closed)
}

async fn write_frames<T: AsyncWrite + Send>(
    mut io: WriteHalf<T>,
    mut frames: mpsc::Receiver<Out>,
    mut encoder: Encoder,
) {
    let mut buffer = BytesMut::new();
    while let Some(out) = frames.recv().await {
        let frame = match out {
            Out::Frame(frame) => Ok(frame),
            Out::Open { id, headers } => {
                encoder.encode(&headers).map(|block| Frame::SynStream { id, fin: false, block: block.into() })
            }
            Out::Reply { id } => {
                encoder.encode(&Headers::new()).map(|block| Frame::SynReply { id, fin: false, block: block.into() })
            }
        };
        let Ok(frame) = frame else { break };
        buffer.clear();
        frame.put(&mut buffer);
        if io.write_all(&buffer).await.is_err() || (frames.is_empty() && io.flush().await.is_err()) {
            break;
        }
    }
    // The end of the connection may be seen by the other side first.
    let _ = io.shutdown().await;
}

#[cfg(test)]
mod tests;
