//! Joining without looking inside: bytes to bytes, or bytes wrapped in WebSocket messages.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{ClientSide, StreamError};

const CHUNK: usize = 32 << 10;

/// Copies both ways until both have ended.
pub(super) async fn bytes(client: ClientSide, runtime: Upgraded) -> Result<(), StreamError> {
    let mut client = TokioIo::new(client.await?);
    let mut runtime = TokioIo::new(runtime);
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut runtime, CHUNK, CHUNK).await?;
    Ok(())
}

/// Binary messages of the client are bytes of the runtime and back. Either end ends both.
pub(super) async fn messages(client: ClientSide, runtime: Upgraded) -> Result<(), StreamError> {
    let client = WebSocketStream::from_raw_socket(TokioIo::new(client.await?), Role::Server, None).await;
    let (mut to_client, mut from_client) = client.split();
    let (mut from_runtime, mut to_runtime) = tokio::io::split(TokioIo::new(runtime));
    let upward = async {
        while let Some(message) = from_client.next().await {
            match message? {
                Message::Binary(data) => to_runtime.write_all(&data).await?,
                Message::Close(_) => break,
                _ => {}
            }
        }
        to_runtime.shutdown().await?;
        Ok::<_, StreamError>(())
    };
    let downward = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from_runtime.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            to_client.send(Message::Binary(Bytes::copy_from_slice(&buffer[..length]))).await?;
        }
        to_client.send(super::normal_close()).await?;
        Ok::<_, StreamError>(())
    };
    tokio::select! {
        outcome = upward => outcome,
        outcome = downward => outcome,
    }
}
