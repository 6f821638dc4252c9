//! Names outside the cluster: the packet goes to the machine's own name servers unchanged and the answer comes back unchanged.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::answer::Transport;

/// How long one server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The port of DNS.
const PORT: u16 = 53;

/// The name servers that answer what the cluster does not know, tried in order.
#[derive(Clone, Debug, Default)]
pub struct Forwarders {
    servers: Vec<SocketAddr>,
}

impl Forwarders {
    /// The `nameserver` lines of a resolv.conf, without addresses of `own` (which would ask this server again).
    /// A file that cannot be read gives no servers: other names then fail, the cluster's do not.
    pub fn from_resolv_conf(path: &Path, own: &[SocketAddr]) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "no name servers: names outside the cluster will not resolve");
            String::new()
        });
        let servers = parse(&text).map(|address| SocketAddr::new(address, PORT)).filter(|server| !own.contains(server));
        Self { servers: servers.collect() }
    }

    /// The first answer; none when every server is silent or none is known.
    pub(crate) async fn ask(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        for server in &self.servers {
            let attempt = async {
                match transport {
                    Transport::Udp => by_udp(*server, packet).await,
                    Transport::Tcp => by_tcp(*server, packet).await,
                }
            };
            match tokio::time::timeout(PATIENCE, attempt).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "name server failed"),
                Err(_) => tracing::debug!(%server, "name server is silent"),
            }
        }
        None
    }
}

fn parse(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()?.parse().ok()
    })
}

async fn by_udp(server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    // A connected socket of its own: a random port, and only this server's packets arrive.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if buffer.get(..2) == packet.get(..2) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_tcp(server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(packet.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_everything_else_is_passed_over() {
        let text = "# comment\nsearch lan\nnameserver 10.0.0.1\nnameserver fd00::1 # here\nnameserver nonsense\noptions ndots:5\n";
        let found: Vec<String> = parse(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["10.0.0.1", "fd00::1"]);
    }

    #[test]
    fn the_server_never_forwards_to_itself() {
        let file = std::env::temp_dir().join(format!("resolv-{}", std::process::id()));
        std::fs::write(&file, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n").unwrap();
        let forwarders = Forwarders::from_resolv_conf(&file, &["10.0.0.1:53".parse().unwrap()]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(forwarders.servers, ["10.0.0.2:53".parse().unwrap()]);
    }
}
