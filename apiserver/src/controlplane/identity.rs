//! The Lease by which clients can count API servers, and the collection of those whose server is gone.
//!
//! It is named after the machine, so a server that starts again has the same one; several on one machine share it, as upstream's do. A server
//! of ours does not pass requests on to others, so it names no address for that (`kubernetes.io/peer-advertise-address`).
//! Upstream: controlplane/apiserver (identity lease hooks), component-helpers/apimachinery/lease, controlplane/controller/apiserverleasegc.

use std::time::Duration;

use component::Shutdown;
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

const NAMESPACE: &str = "kube-system";
const LABEL: &str = "apiserver.kubernetes.io/identity";
const COMPONENT: &str = "kube-apiserver";
/// Upstream: IdentityLeaseDurationSeconds.
const DURATION_SECONDS: i32 = 3600;
/// Upstream: IdentityLeaseRenewIntervalPeriod.
const RENEWAL: Duration = Duration::from_secs(10);
/// Upstream: IdentityLeaseGCPeriod.
const COLLECTION: Duration = Duration::from_secs(3600);
/// How long the end of the process may be held up by a store that does not answer.
const PARTING: Duration = Duration::from_secs(5);

/// What this server is called among its like.
pub(super) fn server_name() -> String {
    name_of(&hostname())
}

fn hostname() -> String {
    hostname::get().unwrap_or_default().to_string_lossy().into_owned()
}

/// This server's Lease.
pub(super) struct Identity {
    leases: Api<Lease>,
    hostname: String,
    name: String,
    holder: String,
}

impl Identity {
    pub(super) fn new(client: kube::Client) -> Identity {
        let hostname = hostname();
        let name = name_of(&hostname);
        let holder = format!("{name}_{}", uuid::Uuid::new_v4());
        Identity { leases: Api::namespaced(client, NAMESPACE), hostname, name, holder }
    }

    /// Renews the Lease and collects others' until shutdown, then deletes it.
    pub(super) async fn keep(self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.live() => {}
        }
        // Whoever counts servers waits an hour for one that is not deleted.
        if !matches!(tokio::time::timeout(PARTING, self.delete(&self.name)).await, Ok(Ok(()))) {
            tracing::warn!(lease = self.name, "this server's identity lease stays until it ends");
        }
    }

    async fn live(&self) {
        // One that a killed process left names another holder.
        if let Err(error) = self.delete(&self.name).await {
            tracing::warn!(%error, lease = self.name, "the identity lease of an earlier process stays");
        }
        let mut lease = None;
        let mut collection = Instant::now();
        loop {
            lease = match self.renewed(lease).await {
                Ok(lease) => Some(lease),
                Err(error) => {
                    tracing::warn!(%error, lease = self.name, "the identity lease was not renewed");
                    None
                }
            };
            if Instant::now() >= collection {
                collection = Instant::now() + COLLECTION;
                self.collect().await;
            }
            tokio::time::sleep(RENEWAL).await;
        }
    }

    /// The Lease with the present time in it; `last` is how it was written before, if that is known.
    async fn renewed(&self, last: Option<Lease>) -> Result<Lease, kube::Error> {
        if let Some(last) = last {
            match self.leases.replace(&self.name, &PostParams::default(), &self.signed(last)).await {
                Ok(lease) => return Ok(lease),
                // Somebody else wrote it, or deleted it.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
        match self.leases.get_opt(&self.name).await? {
            Some(lease) => self.leases.replace(&self.name, &PostParams::default(), &self.signed(lease)).await,
            None => self.leases.create(&PostParams::default(), &self.signed(self.fresh())).await,
        }
    }

    fn fresh(&self) -> Lease {
        Lease {
            metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec { holder_identity: Some(self.holder.clone()), ..LeaseSpec::default() }),
        }
    }

    fn signed(&self, mut lease: Lease) -> Lease {
        let spec = lease.spec.get_or_insert_default();
        spec.lease_duration_seconds = Some(DURATION_SECONDS);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        let labels = lease.metadata.labels.get_or_insert_default();
        labels.insert(LABEL.to_owned(), COMPONENT.to_owned());
        labels.insert("kubernetes.io/hostname".to_owned(), self.hostname.clone());
        lease
    }

    /// Deletes what other servers left behind.
    async fn collect(&self) {
        let theirs = ListParams::default().labels(&format!("{LABEL}={COMPONENT}"));
        let leases = match self.leases.list(&theirs).await {
            Ok(leases) => leases.items,
            Err(error) => return tracing::warn!(%error, "identity leases cannot be listed"),
        };
        for lease in leases.iter().filter(|lease| has_ended(lease, Timestamp::now())) {
            let name = lease.metadata.name.as_deref().unwrap_or_default();
            let preconditions = kube::api::Preconditions {
                resource_version: lease.metadata.resource_version.clone(),
                ..kube::api::Preconditions::default()
            };
            let unchanged = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match self.leases.delete(name, &unchanged).await {
                Ok(_) => {}
                // Another server was faster, or its owner is back.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => tracing::warn!(%error, lease = name, "an identity lease that has ended stays"),
            }
        }
    }

    async fn delete(&self, name: &str) -> Result<(), kube::Error> {
        match self.leases.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }
}

/// Without a time and a duration it says nothing, and has ended.
fn has_ended(lease: &Lease, now: Timestamp) -> bool {
    let spec = lease.spec.as_ref();
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
    match (renewed, spec.and_then(|spec| spec.lease_duration_seconds)) {
        (Some(MicroTime(renewed)), Some(seconds)) => {
            now.duration_since(*renewed) > jiff::SignedDuration::from_secs(seconds.into())
        }
        _ => true,
    }
}

/// `apiserver-` and 128 bits of a hash of machine and program, each with its length before it, in base 32.
/// Upstream: apiserver/pkg/server.NewConfig.
fn name_of(hostname: &str) -> String {
    let mut hash = Sha256::new();
    for part in [hostname, COMPONENT] {
        hash.update(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        hash.update(part);
    }
    format!("apiserver-{}", BASE32_NOPAD.encode(&hash.finalize()[..16]).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_upstream_gives_on_this_machine() {
        // What a kube-apiserver v1.37 called itself on a machine with this name.
        assert_eq!(name_of("vm"), "apiserver-wlv32tlttr4jl3gtroqexyxapa");
    }

    #[test]
    fn a_lease_ends_an_hour_after_its_last_renewal() {
        let at = |renewed: Option<&str>, duration: Option<i32>| Lease {
            spec: Some(LeaseSpec {
                renew_time: renewed.map(|time| MicroTime(time.parse().unwrap())),
                lease_duration_seconds: duration,
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        assert!(!has_ended(&at(Some("2026-11-21T11:00:00Z"), Some(3600)), now));
        assert!(has_ended(&at(Some("2026-11-21T10:59:59Z"), Some(3600)), now));
        assert!(has_ended(&at(None, Some(3600)), now) && has_ended(&at(Some("2026-11-21T11:00:00Z"), None), now));
    }
}
