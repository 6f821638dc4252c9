//! Answers over a WebSocket, message by message: logs and watches, for browsers that read no endless body.
//!
//! Other streams are joined with the kubelet's own; these two the API server frames itself. What the client says is read
//! and dropped. A log's bytes go as they come, a watch's are cut into its events by whoever makes the messages.
//! Upstream: k8s.io/streaming/pkg/httpstream/wsstream.Reader (logs), golang.org/x/net/websocket.Handler (watches).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt, stream};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, Uri};
use http_body_util::BodyStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::Upgrade;
use crate::server::body::Body;

/// How bytes of a log become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Binary,
    Base64,
}

const LOG_PROTOCOLS: [(&str, Framing); 2] =
    [("binary.k8s.io", Framing::Binary), ("base64.binary.k8s.io", Framing::Base64)];

impl Framing {
    fn message(self, bytes: Bytes) -> Message {
        match self {
            Framing::Binary => Message::Binary(bytes),
            Framing::Base64 => Message::Text(STANDARD.encode(bytes).into()),
        }
    }

    /// One empty message, so that the client sees it is connected; then one a chunk.
    pub(crate) fn messages(self, log: Body) -> impl Stream<Item = Message> + Send {
        let chunks = BodyStream::new(log).filter_map(|frame| async move { frame.ok()?.into_data().ok() });
        stream::once(std::future::ready(Bytes::new())).chain(chunks).map(move |chunk| self.message(chunk))
    }
}

/// A client's wish for a WebSocket, and what it is told.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
    /// The subprotocol agreed on. A client that named only others finds none in the answer, and hangs up.
    protocol: Option<HeaderValue>,
}

/// A wish that is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("")]
    Origin,
    #[error("missing or bad WebSocket-Version")]
    Version,
    #[error("mismatch challenge/response")]
    Key,
    #[error("")]
    Protocol,
}

impl Refused {
    /// The plain answer that upstream's library gives.
    pub(crate) fn answer(self) -> Response<Body> {
        let mut answer = Response::new(Body::from(self.to_string()));
        *answer.status_mut() = if self == Refused::Origin { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        if self == Refused::Version {
            answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        answer
    }
}

impl Handshake {
    /// What the headers of a request for a log ask for; None when it is no WebSocket.
    pub(crate) fn for_log(headers: &HeaderMap) -> Option<(Handshake, Framing)> {
        is_asked(headers).then_some(())?;
        let accept = accept(headers)?;
        let agreed = protocols(headers).find_map(|name| LOG_PROTOCOLS.into_iter().find(|(known, _)| *known == name));
        let protocol = agreed.map(|(name, _)| HeaderValue::from_static(name));
        Some((Handshake { accept, protocol }, agreed.map_or(Framing::Binary, |(_, framing)| framing)))
    }

    /// As [`Handshake::for_log`], for a watch: it comes from somewhere, and of one subprotocol, whichever it names.
    pub(crate) fn for_watch(headers: &HeaderMap) -> Result<Option<Handshake>, Refused> {
        if !is_asked(headers) {
            return Ok(None);
        }
        if !text(headers, header::SEC_WEBSOCKET_VERSION).eq("13") {
            return Err(Refused::Version);
        }
        let accept = accept(headers).ok_or(Refused::Key)?;
        let origin = text(headers, header::ORIGIN).parse::<Uri>();
        if !origin.is_ok_and(|origin| origin.scheme().is_some() || origin.path().starts_with('/')) {
            return Err(Refused::Origin);
        }
        let mut asked = protocols(headers);
        let protocol = asked.next().map(HeaderValue::from_str).transpose().map_err(|_| Refused::Protocol)?;
        if asked.next().is_some() {
            return Err(Refused::Protocol);
        }
        Ok(Some(Handshake { accept, protocol }))
    }

    /// Answers the client and carries the messages to it, until either ends.
    pub(crate) fn answer(
        self,
        upgrade: Upgrade,
        messages: impl Stream<Item = Message> + Send + 'static,
        shutdown: &CancellationToken,
    ) -> Response<Body> {
        let shutdown = shutdown.clone();
        component::spawn("apiserver socket", async move {
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
                result = carry(socket, messages) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a socket ended");
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
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        answer
    }
}

fn is_asked(headers: &HeaderMap) -> bool {
    text(headers, header::UPGRADE).eq_ignore_ascii_case("websocket")
}

fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty())?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let asked = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    asked.flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The messages, and then the end as one that was meant.
async fn carry(
    socket: WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    messages: impl Stream<Item = Message>,
) -> Result<(), tungstenite::Error> {
    let (mut frames, mut client) = socket.split();
    let send = async {
        let mut messages = std::pin::pin!(messages);
        while let Some(message) = messages.next().await {
            frames.send(message).await?;
        }
        frames.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await
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

    fn headers(more: &[(HeaderName, &'static str)]) -> HeaderMap {
        let own = [
            (header::UPGRADE, "WebSocket"),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
            (header::SEC_WEBSOCKET_VERSION, "13"),
        ];
        let all = own.into_iter().chain(more.iter().cloned());
        let mut headers = HeaderMap::new();
        all.for_each(|(name, value)| {
            headers.insert(name, HeaderValue::from_static(value));
        });
        headers
    }

    #[test]
    fn the_first_known_protocol_of_a_log_is_agreed_on() {
        let agreed = |protocols: Option<&'static str>| {
            let more: Vec<_> = protocols.map(|names| (header::SEC_WEBSOCKET_PROTOCOL, names)).into_iter().collect();
            let (handshake, framing) = Handshake::for_log(&headers(&more))?;
            Some((handshake.protocol.map(|name| name.to_str().unwrap_or_default().to_owned()), framing))
        };
        assert_eq!(agreed(None), Some((None, Framing::Binary)));
        assert_eq!(agreed(Some("binary.k8s.io")), Some((Some("binary.k8s.io".to_owned()), Framing::Binary)));
        let both = agreed(Some("other, base64.binary.k8s.io"));
        assert_eq!(both, Some((Some("base64.binary.k8s.io".to_owned()), Framing::Base64)));
        assert_eq!(agreed(Some("other")), Some((None, Framing::Binary)));
        assert!(Handshake::for_log(&HeaderMap::new()).is_none());
    }

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        let (handshake, _) = Handshake::for_log(&headers(&[])).unwrap();
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_watch_comes_from_an_origin_and_names_at_most_one_protocol() {
        let origin = (header::ORIGIN, "http://x");
        let protocol = |names| (header::SEC_WEBSOCKET_PROTOCOL, names);
        let asked = |more: &[(HeaderName, &'static str)]| {
            let handshake = Handshake::for_watch(&headers(more))?;
            Ok(handshake.and_then(|one| one.protocol).map(|name| name.to_str().unwrap_or_default().to_owned()))
        };
        assert_eq!(asked(&[]), Err(Refused::Origin));
        assert_eq!(asked(&[(header::ORIGIN, "x")]), Err(Refused::Origin));
        assert_eq!(asked(std::slice::from_ref(&origin)), Ok(None));
        assert_eq!(asked(&[origin.clone(), protocol("any.thing")]), Ok(Some("any.thing".to_owned())));
        assert_eq!(asked(&[origin.clone(), protocol("a, binary.k8s.io")]), Err(Refused::Protocol));
        assert_eq!(asked(&[origin.clone(), (header::SEC_WEBSOCKET_VERSION, "8")]), Err(Refused::Version));
        assert_eq!(asked(&[origin, (header::SEC_WEBSOCKET_KEY, "")]), Err(Refused::Key));
        assert!(Handshake::for_watch(&HeaderMap::new()).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_log_is_sent_in_messages_and_ended() {
        for (framing, expected) in [(Framing::Binary, "alive\n"), (Framing::Base64, "YWxpdmUK")] {
            let (server, client) = tokio::io::duplex(1024);
            let server = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
            let log = Body::stream(stream::iter([Ok(Bytes::from_static(b"alive\n"))]));
            let sent = tokio::spawn(async move { carry(server, framing.messages(log)).await });
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
