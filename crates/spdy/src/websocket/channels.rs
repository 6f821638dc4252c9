//! WebSocket channels to SPDY streams: the first byte of a message is its channel.
//!
//! ```text
//! 0 stdin   1 stdout   2 stderr   3 error (how it ended)   4 resize   255 (v5) close the channel named in the payload
//! ```
//! The streams of the server follow `v4.channel.k8s.io`, whose error stream carries a Status as JSON.
//! Upstream counterpart: `k8s.io/apiserver/pkg/util/proxy/streamtranslator.go`, `k8s.io/streaming/wsstream`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::{Error, Refused, TUNNELLED_PORT_FORWARD, normal_close, offered, token};
use crate::{Session, Stream, StreamReader, StreamWriter};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// Messages that wait for the client.
const QUEUE: usize = 64;

/// A subprotocol of WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    name: &'static str,
    /// Messages are text: a digit, then base64.
    base64: bool,
    /// The error channel carries a Status; before version 4 the message of a failure.
    structured_error: bool,
}

/// What exec and attach can speak, as the client names it.
const PROTOCOLS: [Protocol; 6] = [
    Protocol { name: "v5.channel.k8s.io", base64: false, structured_error: true },
    Protocol { name: "v4.channel.k8s.io", base64: false, structured_error: true },
    Protocol { name: "v4.base64.channel.k8s.io", base64: true, structured_error: true },
    Protocol { name: "channel.k8s.io", base64: false, structured_error: false },
    Protocol { name: "base64.channel.k8s.io", base64: true, structured_error: false },
    Protocol { name: "", base64: false, structured_error: false },
];

const PORT_FORWARD: Protocol = Protocol { name: TUNNELLED_PORT_FORWARD, base64: false, structured_error: false };

impl Protocol {
    /// The first that the client of an exec or attach offers and we know.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_command(headers: &HeaderMap) -> Result<Self, Refused> {
        if offered(headers).next().is_none() {
            return Ok(PROTOCOLS[PROTOCOLS.len() - 1]);
        }
        Self::choose(headers, &PROTOCOLS)
    }

    /// The same of a port-forward, which must be tunnelled.
    ///
    /// # Errors
    /// When the client offers something else.
    pub fn of_port_forward(headers: &HeaderMap) -> Result<Self, Refused> {
        Self::choose(headers, &[PORT_FORWARD])
    }

    /// The same of a port-forward whose server can do both: tunnelled, or in channels.
    ///
    /// # Errors
    /// When the client offers something else.
    pub fn of_ports(headers: &HeaderMap) -> Result<Self, Refused> {
        let [_, v4, v4_base64, .., nameless] = PROTOCOLS;
        if offered(headers).next().is_none() {
            return Ok(nameless);
        }
        Self::choose(headers, &[PORT_FORWARD, v4, v4_base64])
    }

    /// Are its messages a connection of its own?
    pub fn is_tunnel(self) -> bool {
        self == PORT_FORWARD
    }

    fn choose(headers: &HeaderMap, known: &[Self]) -> Result<Self, Refused> {
        let chosen = offered(headers).find_map(|name| known.iter().find(|protocol| protocol.name == name));
        chosen.copied().ok_or_else(|| {
            let offered: Vec<&str> = offered(headers).collect();
            let message =
                format!("unable to upgrade websocket connection: none of the protocols {offered:?} is supported");
            Refused { status: StatusCode::FORBIDDEN, message }
        })
    }

    /// The headers, besides the upgrade itself, of the answer that opens the WebSocket.
    ///
    /// # Errors
    /// When the request is no handshake.
    pub fn answer(self, headers: &HeaderMap) -> Result<Vec<(HeaderName, HeaderValue)>, Refused> {
        let refuse = |message: String| Refused { status: StatusCode::BAD_REQUEST, message };
        let key = token(headers, header::SEC_WEBSOCKET_KEY);
        if key.is_empty() || token(headers, header::SEC_WEBSOCKET_VERSION) != "13" {
            return Err(refuse("not a WebSocket handshake of version 13".to_owned()));
        }
        let accept =
            HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|error| refuse(error.to_string()))?;
        let mut answers = vec![(header::SEC_WEBSOCKET_ACCEPT, accept)];
        if !self.name.is_empty() {
            answers.push((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.name)));
        }
        Ok(answers)
    }

    pub(super) fn wrap(self, channel: u8, data: &[u8]) -> Message {
        if self.base64 {
            let text = format!("{channel}{}", STANDARD.encode(data));
            return Message::Text(Utf8Bytes::from(text));
        }
        let mut message = BytesMut::with_capacity(1 + data.len());
        message.put_u8(channel);
        message.put_slice(data);
        Message::Binary(message.freeze())
    }

    /// Channel and data of a client's message; none for what is no data.
    pub(super) fn unwrap(self, message: Message) -> Option<(u8, Bytes)> {
        match message {
            Message::Binary(mut data) if !self.base64 && !data.is_empty() => Some((data.split_to(1)[0], data)),
            Message::Text(text) if self.base64 => {
                let (channel, encoded) = text.as_str().split_at_checked(1)?;
                let channel = channel.parse().ok()?;
                Some((channel, STANDARD.decode(encoded).ok()?.into()))
            }
            // kubectl never does, but a browser may send text on a binary protocol.
            Message::Text(text) if !self.base64 => {
                let mut data = Bytes::from(text);
                (!data.is_empty()).then(|| (data.split_to(1)[0], data))
            }
            _ => None,
        }
    }

    /// The error channel's message for the server's Status; none where silence means success.
    fn outcome(self, status: &[u8]) -> Option<Bytes> {
        if self.structured_error {
            return Some(Bytes::copy_from_slice(status));
        }
        let parsed: serde_json::Value = serde_json::from_slice(status).unwrap_or_default();
        if parsed["status"] == "Success" {
            return None;
        }
        Some(
            parsed["message"]
                .as_str()
                .map_or_else(|| Bytes::copy_from_slice(status), |text| Bytes::from(text.to_owned())),
        )
    }
}

/// Which streams an exec or attach has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The client writes.
    pub stdin: bool,
    /// The command's output is sent.
    pub stdout: bool,
    /// Its errors are sent apart; not with a terminal, which has one output.
    pub stderr: bool,
    /// There is a terminal, whose size may change.
    pub tty: bool,
}

/// The server's streams that the client writes to.
struct Inputs {
    stdin: Option<StreamWriter>,
    resize: Option<StreamWriter>,
}

/// Joins a client's WebSocket to a SPDY server's connection until the command has ended or the client is gone.
///
/// # Errors
/// What ended it early.
pub async fn join<C, S>(
    protocol: Protocol,
    wanted: Wanted,
    client: impl Future<Output = Result<C, Error>>,
    server: S,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let session = Session::client(server)?;
    let open = async |kind: &str| session.open(vec![("streamType".to_owned(), kind.to_owned())]).await;
    // The order matters to no one, the number does: the server starts once it has them all.
    let Stream { reader: error, writer: mut error_writer, .. } = open("error").await?;
    error_writer.finish().await?;
    let stdin = if wanted.stdin { Some(open("stdin").await?.writer) } else { None };
    let stdout = if wanted.stdout { Some(open("stdout").await?) } else { None };
    let stderr = if wanted.stderr { Some(open("stderr").await?) } else { None };
    let resize = if wanted.tty { Some(open("resize").await?.writer) } else { None };

    let socket = WebSocketStream::from_raw_socket(client.await?, Role::Server, None).await;
    let (mut to_client, from_client) = socket.split();
    let (messages, mut outgoing) = mpsc::channel::<Message>(QUEUE);

    // An empty message on the first output says that the streams are open.
    let first = if wanted.stdout {
        STDOUT
    } else if wanted.stderr {
        STDERR
    } else {
        ERROR
    };
    to_client.send(protocol.wrap(first, &[])).await?;

    let outputs = async move {
        let messages = messages;
        let stdout = forward(protocol, STDOUT, stdout.map(|stream| stream.reader), &messages);
        let stderr = forward(protocol, STDERR, stderr.map(|stream| stream.reader), &messages);
        let outcome = collect(error);
        // How it ended goes last, so that no output comes after it.
        let ((), (), status) = tokio::join!(stdout, stderr, outcome);
        if let Some(text) = protocol.outcome(&status).filter(|_| !status.is_empty()) {
            let _ = messages.send(protocol.wrap(ERROR, &text)).await;
        }
    };
    let sending = async move {
        while let Some(message) = outgoing.recv().await {
            to_client.send(message).await?;
        }
        to_client.send(normal_close()).await?;
        Ok::<_, Error>(())
    };
    let inputs = receive(protocol, from_client, Inputs { stdin, resize });
    tokio::pin!(outputs, sending, inputs);
    let (mut outputs_open, mut inputs_open) = (true, true);
    loop {
        tokio::select! {
            () = &mut outputs, if outputs_open => outputs_open = false,
            // It ends when the outputs have ended and everything is sent, or when sending fails.
            outcome = &mut sending => return outcome,
            gone = &mut inputs, if inputs_open => {
                inputs_open = false;
                if gone {
                    // Without a client nobody hears the rest; closing the session ends the command's streams.
                    return Ok(());
                }
            }
        }
    }
}

/// One output stream to its channel.
async fn forward(protocol: Protocol, channel: u8, reader: Option<StreamReader>, messages: &mpsc::Sender<Message>) {
    let Some(mut reader) = reader else { return };
    while let Some(data) = reader.next().await {
        if messages.send(protocol.wrap(channel, &data)).await.is_err() {
            return;
        }
    }
}

async fn collect(mut reader: StreamReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = reader.next().await {
        all.extend_from_slice(&data);
    }
    all
}

/// Messages of the client to the server's streams. True when the client is gone.
async fn receive(
    protocol: Protocol,
    mut client: impl futures::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
    mut inputs: Inputs,
) -> bool {
    while let Some(Ok(message)) = client.next().await {
        if matches!(message, Message::Close(_)) {
            break;
        }
        let Some((channel, data)) = protocol.unwrap(message) else { continue };
        let written = match (channel, &mut inputs) {
            (STDIN, Inputs { stdin: Some(stdin), .. }) if !data.is_empty() => stdin.write(data).await,
            (RESIZE, Inputs { resize: Some(resize), .. }) => resize.write(data).await,
            (CLOSE, Inputs { stdin: Some(stdin), .. }) if data.first() == Some(&STDIN) => {
                let finished = stdin.finish().await;
                inputs.stdin = None;
                finished
            }
            _ => Ok(()),
        };
        if written.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(name: &str) -> Protocol {
        *PROTOCOLS.iter().find(|protocol| protocol.name == name).unwrap()
    }

    #[test]
    fn the_first_known_protocol_of_the_client_is_chosen() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "sec-websocket-protocol",
            HeaderValue::from_static("v9.channel.k8s.io, v4.channel.k8s.io,channel.k8s.io"),
        );
        assert_eq!(Protocol::of_command(&headers).unwrap().name, "v4.channel.k8s.io");
        assert_eq!(Protocol::of_port_forward(&headers).unwrap_err().status, StatusCode::FORBIDDEN);
        assert_eq!(Protocol::of_command(&HeaderMap::new()).unwrap().name, "");
        assert_eq!(Protocol::of_ports(&headers).unwrap().name, "v4.channel.k8s.io");
        assert_eq!(Protocol::of_ports(&HeaderMap::new()).unwrap().name, "");
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(TUNNELLED_PORT_FORWARD));
        assert!(Protocol::of_ports(&headers).unwrap().is_tunnel());
    }

    #[test]
    fn messages_carry_their_channel_in_front() {
        let (binary, text) = (protocol("v5.channel.k8s.io"), protocol("base64.channel.k8s.io"));
        assert_eq!(binary.wrap(STDOUT, b"hi"), Message::Binary(Bytes::from_static(b"\x01hi")));
        assert_eq!(text.wrap(STDOUT, b"hi"), Message::Text("1aGk=".into()));
        assert_eq!(binary.unwrap(Message::Binary(Bytes::from_static(b"\x00in"))), Some((0, Bytes::from_static(b"in"))));
        assert_eq!(text.unwrap(Message::Text("0aW4=".into())), Some((0, Bytes::from_static(b"in"))));
        assert_eq!(binary.unwrap(Message::Binary(Bytes::new())), None);
        assert_eq!(text.unwrap(Message::Text("0!".into())), None);
    }

    #[test]
    fn old_protocols_hear_of_failures_only() {
        let success = br#"{"metadata":{},"status":"Success"}"#;
        let failure = br#"{"metadata":{},"status":"Failure","message":"command terminated with exit code 3"}"#;
        assert_eq!(protocol("channel.k8s.io").outcome(success), None);
        assert_eq!(
            protocol("channel.k8s.io").outcome(failure),
            Some(Bytes::from_static(b"command terminated with exit code 3"))
        );
        assert_eq!(protocol("v5.channel.k8s.io").outcome(success), Some(Bytes::from_static(success)));
    }
}
