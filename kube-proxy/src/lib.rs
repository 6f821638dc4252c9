//! Services on a node: cluster addresses, node ports and external addresses lead to ready endpoints, by nftables.
//!
//! ```text
//! Services, EndpointSlices --> change_tracker (which Services are dirty)
//!   --> model (what a Service means here) --> ruleset (its chains, sets and map elements: a value)
//!   --> diff with what is there --> nftables (one transaction) --> conntrack (forget stale UDP flows)
//! ```
//! The work of a change is in proportion to the change: a Service's rules are a fragment of their own, and only the
//! fragments of dirty Services are made again. At start and after a failure the tables are rebuilt as a whole.
//! Never here: the choice of addresses and ports (the API server's) or of endpoints (the controllers').
//! Upstream counterpart: `pkg/proxy/nftables`.

mod change_tracker;
mod config;
mod conntrack;
mod model;
mod nftables;
mod ruleset;

use client::Informers;
use component::Shutdown;

pub use config::Config;

/// Why the proxy cannot run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// nft is missing or refuses the base tables.
    #[error("kube-proxy cannot program nftables: {0}; install the package nftables and run as root")]
    Nftables(#[from] nftables::Error),
}

/// Keeps the node's rules in step with the API until `shutdown`. The rules stay when it ends, so that a restart does not
/// interrupt traffic.
///
/// # Errors
/// Only when nftables cannot be used at all; later failures are logged and repaired.
pub async fn run(config: Config, client: kube::Client, shutdown: Shutdown) -> Result<(), Error> {
    nftables::prepare_kernel();
    let informers = Informers::new(client, &shutdown);
    let tracker = change_tracker::ChangeTracker::start(&informers);
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        outcome = sync_proxy_rules(config, tracker) => outcome,
    }
}

/// The one loop: waits for dirty Services, brings the kernel in step.
async fn sync_proxy_rules(config: Config, mut tracker: change_tracker::ChangeTracker) -> Result<(), Error> {
    tracker.synced().await;
    let mut installed = ruleset::Installed::default();
    let mut failures = 0_u32;
    loop {
        let full = !installed.complete;
        let dirty = if full { tracker.all() } else { tracker.dirty().await };
        let plan = installed.plan(dirty.into_iter().map(|name| {
            let service = tracker.service(&name);
            let fragment = service.map(|(service, slices)| {
                let ports = model::service_ports(&service, &slices, &config.node_name);
                ruleset::fragment(&ports, &config)
            });
            (name, fragment.unwrap_or_default())
        }));
        match nftables::apply(&plan, full, &config).await {
            Ok(()) => {
                failures = 0;
                conntrack::forget(&plan.stale_udp).await;
                installed.commit(plan);
            }
            Err(error) if full && failures >= 5 => return Err(error.into()),
            Err(error) => {
                // The kernel keeps the rules from before a failed transaction. Start over from a known state.
                tracing::error!(%error, "nftables transaction failed, rebuilding all rules");
                failures += 1;
                installed = ruleset::Installed::default();
                tokio::time::sleep(std::time::Duration::from_secs(u64::from(failures.min(30)))).await;
            }
        }
    }
}
