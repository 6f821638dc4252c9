//! A SPDY connection in the messages of a WebSocket, unwrapped without looking inside.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Error, normal_close};

const CHUNK: usize = 32 << 10;

/// Binary messages of the client are bytes of the server and back. Either end ends both.
///
/// # Errors
/// What ended it early.
pub async fn tunnel<C, S>(client: impl Future<Output = Result<C, Error>>, server: S) -> Result<(), Error>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite,
{
    let client = WebSocketStream::from_raw_socket(client.await?, Role::Server, None).await;
    let (mut to_client, mut from_client) = client.split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let upward = async {
        while let Some(message) = from_client.next().await {
            match message? {
                Message::Binary(data) => to_server.write_all(&data).await?,
                Message::Close(_) => break,
                _ => {}
            }
        }
        to_server.shutdown().await?;
        Ok::<_, Error>(())
    };
    let downward = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            to_client.send(Message::Binary(Bytes::copy_from_slice(&buffer[..length]))).await?;
        }
        to_client.send(normal_close()).await?;
        Ok::<_, Error>(())
    };
    tokio::select! {
        outcome = upward => outcome,
        outcome = downward => outcome,
    }
}
