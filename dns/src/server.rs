//! The sockets: UDP packets and TCP connections, each answered in a task of its own, with bounds on both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::Error;
use crate::answer::{Responder, Transport};

/// Queries worked on at once; further packets wait in the kernel's buffer.
const CONCURRENT: usize = 1000;
/// How long an idle TCP connection is kept.
const IDLE: Duration = Duration::from_secs(10);

/// Binds every address, then serves until shutdown.
pub(crate) async fn serve(listen: &[SocketAddr], responder: Responder, shutdown: &Shutdown) -> Result<(), Error> {
    let responder = Arc::new(responder);
    let slots = Arc::new(Semaphore::new(CONCURRENT));
    for address in listen.iter().copied() {
        let failed = |protocol| move |source| Error::Listen { address, protocol, source };
        let udp = UdpSocket::bind(address).await.map_err(failed("UDP"))?;
        let tcp = TcpListener::bind(address).await.map_err(failed("TCP"))?;
        component::spawn_until("dns udp", shutdown, packets(Arc::new(udp), responder.clone(), slots.clone()));
        component::spawn_until("dns tcp", shutdown, connections(tcp, responder.clone(), slots.clone()));
    }
    shutdown.cancelled().await;
    Ok(())
}

async fn packets(socket: Arc<UdpSocket>, responder: Arc<Responder>, slots: Arc<Semaphore>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "a DNS packet was not received");
                continue;
            }
        };
        let packet = buffer[..length].to_vec();
        let (socket, responder) = (socket.clone(), responder.clone());
        component::spawn("dns query", async move {
            if let Some(answer) = responder.respond(&packet, Transport::Udp).await
                && let Err(error) = socket.send_to(&answer, client).await
            {
                tracing::debug!(%client, %error, "a DNS answer was not sent");
            }
            drop(slot);
        });
    }
}

async fn connections(listener: TcpListener, responder: Arc<Responder>, slots: Arc<Semaphore>) {
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                let responder = responder.clone();
                component::spawn("dns connection", async move {
                    if let Err(error) = connection(stream, &responder).await {
                        tracing::debug!(%client, %error, "a DNS connection failed");
                    }
                    drop(slot);
                });
            }
            Err(error) => tracing::debug!(%error, "a DNS connection was not accepted"),
        }
    }
}

/// Answers the queries of one connection in order, until it is idle or closed.
async fn connection(mut stream: TcpStream, responder: &Responder) -> std::io::Result<()> {
    loop {
        let length = match tokio::time::timeout(IDLE, stream.read_u16()).await {
            Ok(Ok(length)) => length,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let mut packet = vec![0; usize::from(length)];
        tokio::time::timeout(IDLE, stream.read_exact(&mut packet)).await??;
        let Some(answer) = responder.respond(&packet, Transport::Tcp).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
    }
}
