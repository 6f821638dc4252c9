//! HTTP/2 from a client that means no good, before anybody knows who it is: what it can make the server do is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::status::Status;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Cluster;
use super::streams::{connect_speaking, listening};
use crate::authentication::{Authenticator, PeerCertificates, UserInfo};
use crate::server::settings::DEFAULT_STREAMS;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET https://x/` in HPACK's static table, but for the host.
const REQUEST: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'x'];
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts who asks, and keeps them waiting or says that it knows nobody.
#[derive(Default)]
struct Doorkeeper {
    waits: bool,
    asked: AtomicUsize,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
}

/// One who is being asked; gone when the request is.
struct Inside<'a>(&'a Doorkeeper);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Authenticator for Doorkeeper {
    fn authenticate<'a>(
        &'a self,
        _parts: &'a http::request::Parts,
        _peer: &'a PeerCertificates,
    ) -> BoxFuture<'a, Result<Option<UserInfo>, Status>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_inside.fetch_max(inside, Ordering::Relaxed);
            let _inside = Inside(self);
            if self.waits {
                std::future::pending::<()>().await;
            }
            Ok(None)
        })
    }
}

/// A server behind a doorkeeper, and a client that has said hello.
async fn knock(waits: bool) -> (Arc<Doorkeeper>, Client) {
    let doorkeeper = Arc::new(Doorkeeper { waits, ..Doorkeeper::default() });
    let cluster = Cluster::with(Default::default(), doorkeeper.clone()).await;
    let mut stream = connect_speaking(listening(&cluster).await, b"h2").await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("the server is there");
    let mut client = Client(stream);
    client.send(&[frame(SETTINGS, 0, 0, &[])]).await;
    (doorkeeper, client)
}

struct Client(TlsStream<TcpStream>);

/// A frame as it was sent.
#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

impl Client {
    /// Sends frames at once. A server that has closed the connection meanwhile is no failure here.
    async fn send(&mut self, frames: &[Vec<u8>]) -> bool {
        self.0.write_all(&frames.concat()).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// The next frame; None at the end of the connection.
    async fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, _, rest @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, stream: u32::from_be_bytes(rest) & 0x7fff_ffff, payload })
    }

    /// All frames to the end of the connection.
    async fn rest(&mut self) -> Vec<Frame> {
        let reading = async {
            let mut frames = Vec::new();
            while let Some(frame) = self.receive().await {
                frames.push(frame);
            }
            frames
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("the server ends the connection")
    }
}

/// Why the connection was ended, if that was said.
fn reason(frames: &[Frame]) -> Option<u32> {
    let last = frames.iter().rfind(|frame| frame.kind == GOAWAY)?;
    last.payload.get(4..8)?.try_into().map(u32::from_be_bytes).ok()
}

fn stream_ids() -> impl Iterator<Item = u32> {
    (0..).map(|index| 2 * index + 1)
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    let (doorkeeper, mut client) = knock(true).await;
    let mut sent = 0;
    for ids in stream_ids().take(20_000).collect::<Vec<_>>().chunks(500) {
        let pairs = ids.iter().flat_map(|id| {
            [frame(HEADERS, END_STREAM | END_HEADERS, *id, REQUEST), frame(RST_STREAM, 0, *id, &8u32.to_be_bytes())]
        });
        if !client.send(&pairs.collect::<Vec<_>>()).await {
            break;
        }
        sent += ids.len();
    }
    let frames = client.rest().await;
    assert!(reason(&frames).is_none_or(|reason| reason == ENHANCE_YOUR_CALM), "{:?}", reason(&frames));
    assert!(doorkeeper.asked.load(Ordering::Relaxed) < sent.max(1000), "most of them came to nothing");
    assert_eq!(doorkeeper.inside.load(Ordering::Relaxed), 0, "nothing is left of them");
}

#[tokio::test]
async fn headers_without_an_end_end_the_connection() {
    let (doorkeeper, mut client) = knock(true).await;
    client.send(&[frame(HEADERS, END_STREAM, 1, REQUEST)]).await;
    // A header of 1,000 bytes that is to be added to no table.
    let line = [&[0x00, 1, b'a', 0x7f, 0xe9, 0x06][..], &[b'x'; 1000]].concat();
    let piece = frame(CONTINUATION, 0, 1, &line.repeat(16));
    let flooding = async {
        let mut bytes = 0;
        // What fits on the way is sent before the end is noticed; four times what headers may be is an end that came.
        while bytes < 64 << 20 && client.send(std::slice::from_ref(&piece)).await {
            bytes += piece.len();
        }
        bytes
    };
    let bytes = tokio::time::timeout(PATIENCE, flooding).await.expect("the server takes no more of it");
    assert!(bytes < 64 << 20, "{bytes} bytes were taken");
    assert_eq!(doorkeeper.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn no_more_streams_are_open_than_the_server_says() {
    let (doorkeeper, mut client) = knock(true).await;
    let limit = DEFAULT_STREAMS as usize;
    let many = stream_ids().take(limit + 100).map(|id| frame(HEADERS, END_STREAM | END_HEADERS, id, REQUEST));
    client.send(&many.collect::<Vec<_>>()).await;
    let refused = async {
        let mut refused = 0;
        while refused < 100 {
            match client.receive().await {
                Some(frame) if frame.kind == RST_STREAM => refused += 1,
                Some(frame) if frame.kind == GOAWAY => return true,
                Some(_) => {}
                None => return true,
            }
        }
        true
    };
    assert!(tokio::time::timeout(PATIENCE, refused).await.expect("those above the limit are refused"));
    assert!(doorkeeper.most_inside.load(Ordering::Relaxed) <= limit);
}

#[tokio::test]
async fn a_stranger_has_one_request_a_connection() {
    let (doorkeeper, mut client) = knock(false).await;
    client.send(&[frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST)]).await;
    let mut frames = Vec::new();
    let answered = async {
        loop {
            let frame = client.receive().await.expect("an answer");
            let answered = frame.kind == DATA && frame.stream == 1;
            frames.push(frame);
            if answered {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("the request is answered before the connection ends");
    client.send(&[frame(HEADERS, END_STREAM | END_HEADERS, 3, REQUEST)]).await;
    frames.extend(client.rest().await);
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    assert!(doorkeeper.asked.load(Ordering::Relaxed) <= 2);
    assert_eq!(reason(&frames), Some(0), "the connection ends in order");
}
