//! UDP has no end of connection: the kernel would send a client's packets to an endpoint that is gone for as long as they
//! keep coming. Those flows are forgotten when the endpoint goes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;

use tokio::process::Command;

/// Forgets the flows from each address to its former endpoint.
pub(crate) async fn forget(stale: &BTreeSet<(SocketAddr, SocketAddr)>) {
    for (address, endpoint) in stale {
        let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
        let outcome = Command::new("conntrack")
            .args(["-D", "-f", family, "-p", "udp", "--orig-dst", &address.ip().to_string()])
            .args(["--dport", &address.port().to_string(), "--dst-nat", &endpoint.ip().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await;
        // Exit code 1 means that there was no such flow.
        if let Err(error) = outcome {
            tracing::warn!(%error, "cannot run conntrack: UDP clients may keep a former endpoint for a while");
            return;
        }
    }
}
