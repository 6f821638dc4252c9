//! The addresses behind the Service `kubernetes`: those of all API servers that live.
//!
//! Every server keeps a lease in the store (`leases`) and brings Endpoints and EndpointSlice to what all leases say (`plan`). The objects
//! are looked at when one of them or a lease changes, so a server that was lost is gone from them when its lease is; several servers that
//! see the same write the same, and of two writes one is refused and has nothing left to do.
//!
//! A store that nobody shares has one server: it needs no lease, and its address stays while it is away.
//! Upstream: controlplane/controller/kubernetesservice, controlplane/reconcilers.

mod leases;
mod plan;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use component::Shutdown;
use futures::FutureExt;
use futures::future::select_all;
use jiff::Timestamp;
use json::Value;
use store::{Store, Watch};
use tokio::time::Instant;

use self::plan::Wanted;
use crate::context::Objects;
use crate::registry::bootstrap;
use crate::registry::store::Engine;

/// How often a server says that it lives. Upstream: controlplane.DefaultEndpointReconcilerInterval.
const INTERVAL: Duration = Duration::from_secs(10);
/// After a renewal that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Between two writes of the objects: two servers of different minds must not keep each other busy.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process may be held up by a store that does not answer.
const PARTING: Duration = Duration::from_secs(5);
/// What is looked at.
const WATCHED: [&str; 3] =
    [leases::PREFIX, "/registry/services/endpoints/default/kubernetes", "/registry/endpointslices/default/kubernetes"];

/// Who says which servers live. `--endpoint-reconciler-type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointReconciler {
    /// Their leases.
    Lease,
    /// Nobody; there are so many. `--apiserver-count`
    MasterCount(usize),
    /// Somebody else writes the objects.
    None,
}

/// This server's part in the Service.
pub(super) struct KubernetesService {
    pub(super) engine: Arc<Engine>,
    /// As itself.
    pub(super) client: kube::Client,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) reconciler: EndpointReconciler,
}

impl KubernetesService {
    /// Has this server an address that endpoints may have? One that listens on this machine only has none to offer.
    pub(super) fn is_offered(&self) -> bool {
        self.reconciler != EndpointReconciler::None && !self.address.is_loopback() && !self.address.is_unspecified()
    }

    /// Adds this server. What fails is tried again by [`Self::keep`].
    pub(super) async fn join(&self) {
        // A lease that is there is of a process that was killed: it may have had another port.
        let port_follows = !self.has_lease() || leases::is_alive(&self.engine.store.snapshot(), self.address);
        self.renew().await;
        self.reconcile(&self.living(), port_follows).await;
    }

    /// Keeps this server and the objects up until shutdown, then takes it out.
    pub(super) async fn keep(self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.follow() => {}
        }
        if self.leaves() && tokio::time::timeout(PARTING, self.leave()).await.is_err() {
            tracing::warn!(
                "kubernetes service: the store does not answer; this server's address goes when its lease ends"
            );
        }
    }

    async fn follow(&self) {
        let mut renewal = Instant::now() + INTERVAL;
        let mut watches = watches(&self.engine.store);
        loop {
            let due = tokio::select! {
                () = changed(&mut watches, &self.engine.store) => self.was_given_up(),
                () = tokio::time::sleep_until(renewal) => true,
            };
            if due {
                renewal = Instant::now() + if self.renew().await { INTERVAL } else { RETRY };
            }
            let living = self.living();
            // This server lives: if nothing says so, what is there is no worse.
            if !living.is_empty() && self.reconcile(&living, !self.has_lease()).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Whether others are there to carry on.
    fn leaves(&self) -> bool {
        self.engine.store.is_shared()
    }

    fn has_lease(&self) -> bool {
        self.reconciler == EndpointReconciler::Lease && self.engine.store.is_shared()
    }

    /// Has the lease ended, though this server lives?
    fn was_given_up(&self) -> bool {
        self.has_lease() && !leases::is_alive(&self.engine.store.snapshot(), self.address)
    }

    async fn leave(&self) {
        if self.has_lease()
            && let Err(error) = leases::remove(&self.engine.store, self.address).await
        {
            tracing::warn!(%error, "kubernetes service: this server's lease ends by itself");
        }
        let mut others = self.living();
        others.retain(|address| *address != self.address);
        self.reconcile(&others, true).await;
    }

    /// Says that this server lives. False if that was not heard.
    async fn renew(&self) -> bool {
        if !self.has_lease() {
            return true;
        }
        let renewed = leases::renew(&self.engine.store, self.address, Timestamp::now()).await;
        if let Err(error) = &renewed {
            tracing::warn!(%error, "kubernetes service: this server's lease was not renewed");
        }
        renewed.is_ok()
    }

    /// The addresses of all servers.
    fn living(&self) -> Vec<IpAddr> {
        match self.reconciler {
            EndpointReconciler::MasterCount(count) => plan::counted(self.endpoints().as_deref(), self.address, count),
            _ if self.has_lease() => leases::addresses(&self.engine.store.snapshot()),
            _ => vec![self.address],
        }
    }

    fn endpoints(&self) -> Option<Arc<Value>> {
        Objects::get(self.engine.as_ref(), "", "endpoints", "default", "kubernetes")
    }

    /// Brings the objects to these addresses. True if something had to be written.
    async fn reconcile(&self, addresses: &[IpAddr], port_follows: bool) -> bool {
        let slice = Objects::get(self.engine.as_ref(), "discovery.k8s.io", "endpointslices", "default", "kubernetes");
        let wanted = Wanted { addresses, port: self.port, port_follows };
        let mut writes = vec![plan::plan(wanted, self.endpoints().as_deref(), slice.as_deref())];
        bootstrap::leave_out_unserved(&mut writes, &self.engine.resources);
        let changes = writes.iter().any(|writes| !writes.is_empty());
        if changes {
            tracing::info!(?addresses, "kubernetes service: endpoints are set");
        }
        if let Err(error) = bootstrap::apply(writes, &self.client).await {
            tracing::warn!(%error, "kubernetes service: endpoints were not set");
        }
        changes
    }
}

fn watches(store: &Store) -> Vec<Watch> {
    let now = store.revision();
    WATCHED.iter().filter_map(|prefix| store.watch(prefix, now).ok()).collect()
}

/// Waits until something that is looked at has changed, or may have.
async fn changed(watches: &mut Vec<Watch>, store: &Store) {
    if watches.is_empty() {
        // The store has closed: there is nothing to see any more.
        return std::future::pending().await;
    }
    let (event, _, _) = select_all(watches.iter_mut().map(|watch| watch.next().boxed())).await;
    if event.is_err() {
        tokio::time::sleep(PAUSE).await;
        *watches = self::watches(store);
    }
}
