//! A port-forward in the channels of a WebSocket: two for each port, in the order they were asked for.
//!
//! ```text
//! 0 data of the first port   1 its errors   2 data of the second   3 its errors   ...
//! ```
//! The first message of a channel is the number of its port, two bytes, the low one first. Clients other than kubectl speak
//! this; on the other side each port has a pair of SPDY streams of `portforward.k8s.io`.
//! Upstream counterpart: `k8s.io/cri-streaming/pkg/streaming/portforward/websocket.go`.

use bytes::Bytes;
use futures::stream::SelectAll;
use futures::{SinkExt, StreamExt, stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::channels::Protocol;
use super::{Error, normal_close};
use crate::{Session, StreamReader, StreamWriter};

/// Joins a client's channels to the streams of a SPDY server, until the streams have ended or the client is gone.
///
/// # Errors
/// What ended it early.
pub async fn forward<C, S>(
    protocol: Protocol,
    ports: &[u16],
    client: impl Future<Output = Result<C, Error>>,
    server: S,
) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let session = Session::client(server)?;
    let mut writers: Vec<StreamWriter> = Vec::new();
    let mut outputs = SelectAll::new();
    let mut first = Vec::new();
    for (request, port) in ports.iter().enumerate() {
        let headers = |kind: &str| {
            let headers =
                [("streamType", kind.to_owned()), ("port", port.to_string()), ("requestID", request.to_string())];
            headers.map(|(name, value)| (name.to_owned(), value)).into()
        };
        let mut errors = session.open(headers("error")).await?;
        errors.writer.finish().await?;
        let data = session.open(headers("data")).await?;
        let channel = u8::try_from(2 * request)?;
        for (channel, reader) in [(channel, data.reader), (channel + 1, errors.reader)] {
            first.push(protocol.wrap(channel, &port.to_le_bytes()));
            outputs.push(Box::pin(chunks(reader).map(move |data| protocol.wrap(channel, &data))));
        }
        writers.push(data.writer);
    }
    let socket = WebSocketStream::from_raw_socket(client.await?, Role::Server, None).await;
    let (mut to_client, mut from_client) = socket.split();
    let downward = async {
        for message in first {
            to_client.send(message).await?;
        }
        while let Some(message) = outputs.next().await {
            to_client.send(message).await?;
        }
        to_client.send(normal_close()).await?;
        Ok::<_, Error>(())
    };
    let upward = async {
        while let Some(message) = from_client.next().await {
            let message = message?;
            if matches!(message, Message::Close(_)) {
                break;
            }
            let Some((channel, data)) = protocol.unwrap(message).filter(|(channel, _)| channel % 2 == 0) else {
                continue;
            };
            if let Some(writer) = writers.get(usize::from(channel / 2)).filter(|_| !data.is_empty()) {
                writer.write(data).await?;
            }
        }
        Ok::<_, Error>(())
    };
    tokio::select! {
        outcome = upward => outcome,
        outcome = downward => outcome,
    }
}

fn chunks(reader: StreamReader) -> impl futures::Stream<Item = Bytes> + Send {
    stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_port_has_a_channel_for_data_and_one_for_errors() {
        let (client, near) = tokio::io::duplex(1 << 16);
        let (far, server) = tokio::io::duplex(1 << 16);
        // What comes in on the first port goes out in capitals; the second is refused.
        tokio::spawn(async move {
            let (_session, mut streams) = Session::server(server).unwrap();
            let mut open = Vec::new();
            for _ in 0..4 {
                open.push(streams.recv().await.unwrap());
            }
            let mut of = |port: &str, kind: &str| {
                let fits = |stream: &crate::Stream| {
                    stream.header("port") == Some(port) && stream.header("streamtype") == Some(kind)
                };
                open.remove(open.iter().position(fits).unwrap())
            };
            let (mut data, mut refused) = (of("80", "data"), of("81", "error"));
            refused.writer.write(Bytes::from_static(b"connection refused")).await.unwrap();
            refused.writer.finish().await.unwrap();
            while let Some(chunk) = data.reader.next().await {
                data.writer.write(chunk.to_ascii_uppercase().into()).await.unwrap();
            }
        });
        let protocol = Protocol::of_ports(&http::HeaderMap::new()).unwrap();
        tokio::spawn(async move { forward(protocol, &[80, 81], async { Ok(near) }, far).await });
        let mut socket = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        socket.send(Message::Binary(Bytes::from_static(b"\0abc"))).await.unwrap();
        let mut received = Vec::new();
        while received.len() < 6 {
            received.push(socket.next().await.unwrap().unwrap().into_data());
        }
        assert_eq!(received[..4], [&b"\0P\0"[..], b"\x01P\0", b"\x02Q\0", b"\x03Q\0"]);
        received[4..].sort();
        assert_eq!(received[4..], [&b"\0ABC"[..], b"\x03connection refused"]);
    }
}
