//! A log over a WebSocket, for clients that read it frame by frame.
//!
//! Other streams are joined with the kubelet's own; a kubelet sends a log as a plain body, so that here the API server speaks
//! the protocol itself. What the client says is read and dropped.
//! Upstream: k8s.io/apimachinery/pkg/util/httpstream/wsstream.Reader.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::Upgrade;
use crate::server::body::Body;

/// How bytes become frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Binary,
    Base64,
}

const PROTOCOLS: [(&str, Framing); 2] = [("binary.k8s.io", Framing::Binary), ("base64.binary.k8s.io", Framing::Base64)];

impl Framing {
    fn message(self, bytes: Bytes) -> Message {
        match self {
            Framing::Binary => Message::Binary(bytes),
            Framing::Base64 => Message::Text(STANDARD.encode(bytes).into()),
        }
    }
}

/// A client's wish for a WebSocket.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
    /// The subprotocol agreed on. A client that named only others finds none in the answer, and hangs up.
    protocol: Option<&'static str>,
    framing: Framing,
}

impl Handshake {
    /// What a request's headers ask for; None when it is no WebSocket.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Handshake> {
        let upgrade = headers.get(header::UPGRADE)?.to_str().ok()?;
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return None;
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
        let asked = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let agreed = asked
            .flat_map(|names| names.split(','))
            .find_map(|name| PROTOCOLS.into_iter().find(|(known, _)| *known == name.trim()));
        Some(Handshake {
            accept,
            protocol: agreed.map(|(name, _)| name),
            framing: agreed.map_or(Framing::Binary, |(_, framing)| framing),
        })
    }

    /// Answers the client and carries the log to it, until either ends.
    pub(crate) fn answer(self, upgrade: Upgrade, log: Body, shutdown: &CancellationToken) -> Response<Body> {
        let (shutdown, framing) = (shutdown.clone(), self.framing);
        component::spawn("apiserver log socket", async move {
            let Upgrade { client, ongoing: _ongoing } = upgrade;
            let client = match client.await {
                Ok(client) => client,
                Err(error) => {
                    tracing::debug!(%error, "an upgrade did not come about");
                    return;
                }
            };
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(client), Role::Server, None).await;
            tokio::select! {
                result = carry(socket, log, framing) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a log's socket ended");
                    }
                }
                () = shutdown.cancelled() => {}
            }
        });
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        answer
    }
}

/// One empty frame, so that the client sees it is connected; then a frame a chunk; then the end.
async fn carry(
    socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    log: Body,
    framing: Framing,
) -> Result<(), tungstenite::Error> {
    let (mut frames, mut client) = socket.split();
    let send = async {
        frames.send(framing.message(Bytes::new())).await?;
        let mut log = std::pin::pin!(BodyStream::new(log));
        while let Some(Ok(frame)) = log.next().await {
            if let Ok(chunk) = frame.into_data() {
                frames.send(framing.message(chunk)).await?;
            }
        }
        frames.close().await
    };
    let client_ends = async { while client.next().await.is_some_and(|message| message.is_ok()) {} };
    tokio::select! {
        result = send => result,
        () = client_ends => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(protocols: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        if let Some(protocols) = protocols {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocols));
        }
        headers
    }

    #[test]
    fn the_first_known_protocol_is_agreed_on() {
        let agreed = |protocols| Handshake::of(&headers(protocols)).map(|one| (one.protocol, one.framing));
        assert_eq!(agreed(None), Some((None, Framing::Binary)));
        assert_eq!(agreed(Some("binary.k8s.io")), Some((Some("binary.k8s.io"), Framing::Binary)));
        let both = agreed(Some("other, base64.binary.k8s.io"));
        assert_eq!(both, Some((Some("base64.binary.k8s.io"), Framing::Base64)));
        assert_eq!(agreed(Some("other")), Some((None, Framing::Binary)));
        assert!(Handshake::of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        assert_eq!(Handshake::of(&headers(None)).unwrap().accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn a_log_is_sent_in_frames_and_ended() {
        for (framing, expected) in [(Framing::Binary, "alive\n"), (Framing::Base64, "YWxpdmUK")] {
            let (server, client) = tokio::io::duplex(1024);
            let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
            let log = Body::stream(futures::stream::iter([Ok(Bytes::from_static(b"alive\n"))]));
            let sent = tokio::spawn(carry(server, log, framing));
            let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
            let mut text = Vec::new();
            while let Some(Ok(message)) = client.next().await {
                if !message.is_close() {
                    text.extend(message.into_data());
                }
            }
            assert_eq!(String::from_utf8(text).unwrap(), expected);
            sent.await.unwrap().unwrap();
        }
    }
}
