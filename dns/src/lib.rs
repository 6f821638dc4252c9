//! Cluster DNS: answers for Services and Pods from watch caches, passes every other name on.
//!
//! A query walks [`server`] (UDP and TCP) -> [`answer`] (pure: message in, message out) -> [`records`] (pure: the
//! Kubernetes DNS specification 1.1.0 over what the informers hold) or [`forward`]. Nothing is cached beyond the
//! informers, so an answer is as fresh as the watch.
//! Never here: who points pods at this server (the kubelet's cluster DNS setting and the kube-dns Service do).
//! Upstream counterpart: CoreDNS with its kubernetes and forward plugins.

mod answer;
mod directory;
mod forward;
mod records;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;

use client::Informers;
use component::Shutdown;

pub use forward::Forwarders;

/// What the server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, UDP and TCP alike.
    pub listen: Vec<SocketAddr>,
    /// The cluster's domain, without the final dot.
    pub cluster_domain: String,
    /// Time to live of answers about the cluster, in seconds.
    pub ttl: u32,
    /// Whose name servers answer everything else.
    pub resolv_conf: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            cluster_domain: "cluster.local".to_owned(),
            ttl: 5,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not this machine's.
    #[error("cluster DNS cannot listen on {address} ({protocol}): {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// UDP or TCP.
        protocol: &'static str,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The cluster domain is no domain name.
    #[error("the cluster domain {0:?} is not a domain name")]
    Domain(String),
}

/// Serves until `shutdown`.
///
/// # Errors
/// See [`Error`]; once it serves it ends at shutdown only.
pub async fn run(config: Config, client: kube::Client, shutdown: Shutdown) -> Result<(), Error> {
    let zone = records::Zone::new(&config.cluster_domain, config.ttl)?;
    let directory = directory::Directory::start(&Informers::new(client, &shutdown));
    let forwarders = Forwarders::from_resolv_conf(&config.resolv_conf, &config.listen);
    let responder = answer::Responder { zone, directory, forwarders };
    server::serve(&config.listen, responder, &shutdown).await
}
