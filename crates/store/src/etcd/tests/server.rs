//! An etcd for one test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Config;
use crate::Timestamp;

/// How often a port that another program took first is worth another try.
const ATTEMPTS: usize = 5;
const STARTED: Duration = Duration::from_secs(20);

/// A running etcd, killed with its data when it is dropped.
pub(super) struct Server {
    process: Child,
    _data: TempDir,
    pub(super) url: String,
}

impl Server {
    pub(super) fn start() -> Server {
        let attempt = |_| {
            let data = TempDir::new().expect("a temporary directory can be made");
            let ports = [free_port(), free_port()];
            let process = spawn(&data, ports);
            let mut server = Server { process, _data: data, url: format!("http://127.0.0.1:{}", ports[0]) };
            server.is_up(ports[0]).then_some(server)
        };
        (0..ATTEMPTS).find_map(attempt).expect("etcd starts")
    }

    /// The test waits until etcd takes connections, or has ended.
    fn is_up(&mut self, port: u16) -> bool {
        let end = Instant::now() + STARTED;
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// How the store of a test is opened: with all keys of the server, and no compaction but the test's own.
    pub(super) fn config(&self) -> Config {
        Config {
            prefix: "/".to_owned(),
            root: "/".to_owned(),
            compaction_interval: Duration::ZERO,
            ..Config::new(vec![self.url.clone()], Timestamp(1_000_000))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(data: &TempDir, [client, peer]: [u16; 2]) -> Child {
    let binary = std::env::var_os("ETCD").map(PathBuf::from);
    let binary = binary.expect("set ETCD to an etcd binary: `conformance/build etcd` makes one");
    let url = |port| format!("http://127.0.0.1:{port}");
    Command::new(binary)
        .args(["--data-dir".as_ref(), data.path().as_os_str()])
        .args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)])
        .args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)])
        .args(["--initial-cluster", &format!("default={}", url(peer))])
        // A machine of its own for each test: nothing there has to survive a power failure.
        .args(["--unsafe-no-fsync", "--max-txn-ops", "10000", "--log-level", "error"])
        .args(["--heartbeat-interval", "10", "--election-timeout", "100"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd can be started")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
