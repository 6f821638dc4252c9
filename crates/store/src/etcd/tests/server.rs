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
const STARTED: Duration = Duration::from_secs(60);

/// A running etcd, killed with its data when it is dropped.
pub(super) struct Server {
    process: Child,
    member: Member,
    pub(super) url: String,
}

/// How a member is started.
struct Member {
    name: String,
    data: TempDir,
    ports: [u16; 2],
    /// `NAME=PEER-URL` of all members.
    cluster: String,
    /// Flags for clients that must prove who they are; none: everybody is served.
    tls: Vec<String>,
}

impl Server {
    pub(super) fn start() -> Server {
        let attempt = |_| Server::members(&["default"], &[]).pop();
        (0..ATTEMPTS).find_map(attempt).expect("etcd starts")
    }

    /// Three members.
    pub(super) fn cluster() -> Vec<Server> {
        Server::cluster_with(&[])
    }

    /// Three members with these flags for TLS.
    pub(super) fn cluster_with(tls: &[String]) -> Vec<Server> {
        let attempt = |_| Some(Server::members(&["a", "b", "c"], tls)).filter(|servers| servers.len() == 3);
        (0..ATTEMPTS).find_map(attempt).expect("etcd starts")
    }

    /// A server each; fewer if one did not start.
    fn members(names: &[&str], tls: &[String]) -> Vec<Server> {
        let named: Vec<_> = names.iter().map(|name| ((*name).to_owned(), [free_port(), free_port()])).collect();
        let cluster: Vec<String> = named.iter().map(|(name, ports)| format!("{name}={}", url(ports[1]))).collect();
        let start = |(name, ports): (String, [u16; 2])| {
            let data = TempDir::new().expect("a temporary directory can be made");
            let member = Member { name, data, ports, cluster: cluster.join(","), tls: tls.to_vec() };
            Server { process: member.spawn(), url: member.client_url(), member }
        };
        let mut servers: Vec<Server> = named.into_iter().map(start).collect();
        servers.retain_mut(Server::is_up);
        servers
    }

    /// Ends it and starts it again without its past, under the same address and as the same cluster.
    pub(super) fn begin_anew(&mut self) {
        self.stop();
        self.member.data = TempDir::new().expect("a temporary directory can be made");
        self.process = self.member.spawn();
        assert!(self.is_up(), "etcd starts again");
    }

    /// The test waits until etcd takes connections, or has ended.
    fn is_up(&mut self) -> bool {
        let end = Instant::now() + STARTED;
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            if std::net::TcpStream::connect(("127.0.0.1", self.member.ports[0])).is_ok() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// How the store of a test is opened: with all keys of the server, and no compaction but the test's own.
    pub(super) fn config(&self) -> Config {
        Config {
            prefix: "/".to_owned(),
            root: "/".to_owned(),
            compaction_interval: Duration::ZERO,
            check_interval: Duration::ZERO,
            ..Config::new(vec![self.url.clone()], Timestamp(1_000_000))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Member {
    fn client_url(&self) -> String {
        let plain = url(self.ports[0]);
        if self.tls.is_empty() { plain } else { plain.replace("http://", "https://") }
    }

    /// One alone is its own leader, the sooner the better; of several the leader must not be deposed because the machine is busy.
    fn pace(&self) -> [&'static str; 2] {
        match self.cluster.contains(',') {
            false => ["--heartbeat-interval=10", "--election-timeout=100"],
            true => ["--heartbeat-interval=100", "--election-timeout=1000"],
        }
    }

    fn spawn(&self) -> Child {
        let binary = std::env::var_os("ETCD").map(PathBuf::from);
        let binary = binary.expect("set ETCD to an etcd binary: `conformance/build etcd` makes one");
        let (client, peer) = (self.client_url(), url(self.ports[1]));
        Command::new(binary)
            .args(["--name", &self.name, "--initial-cluster", &self.cluster])
            .args(["--data-dir".as_ref(), self.data.path().as_os_str()])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            // A machine of its own for each test: nothing there has to survive a power failure.
            .args(["--unsafe-no-fsync", "--max-txn-ops", "10000", "--log-level", "error"])
            .args(self.pace())
            .args(&self.tls)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd can be started")
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
