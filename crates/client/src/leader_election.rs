//! Of several processes that could do the same work one leads: the one whose name a Lease holds and that keeps renewing it.
//!
//! ```text
//! waiting --lease free or silent for its duration--> leading --not renewed within the deadline--> lost (the work is stopped)
//! ```
//! Clocks of machines are not compared: a lease is silent when *we* saw no change of it for its duration. [`plan`] decides,
//! purely; writes carry the version that was read, so of two that decide the same one is refused.
//! Never here: what the leader does. Upstream: `client-go/tools/leaderelection`, `resourcelock.LeaseLock`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use component::Shutdown;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use rand::RngExt;
use tokio::time::Instant;

use crate::{EventRecorder, EventType};

/// Which lease, for whom, and with what patience. Upstream: `LeaderElectionConfiguration`.
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// `--leader-elect-resource-namespace`.
    pub namespace: String,
    /// `--leader-elect-resource-name`; also the component that events are from.
    pub name: String,
    /// Who we are; no two processes may have the same.
    pub identity: String,
    /// `--leader-elect-lease-duration`: the silence after which others may take over.
    pub lease_duration: Duration,
    /// `--leader-elect-renew-deadline`: who has not managed to renew for so long stops leading. Shorter than the duration.
    pub renew_deadline: Duration,
    /// `--leader-elect-retry-period`: between two attempts.
    pub retry_period: Duration,
    /// Whether the lease is given back at shutdown, so that the next leader need not wait it out.
    pub release_on_shutdown: bool,
}

/// Why leading ended other than by shutdown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease was not renewed in time; another may lead now.
    #[error("leader election lost: {namespace}/{name} was not renewed in time")]
    Lost {
        /// The lease's namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// What to write.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Create(Box<Lease>),
    Replace(Box<Lease>),
    /// Somebody else leads.
    Wait,
}

impl LeaderElection {
    /// With upstream's patience.
    pub fn new(name: &str, identity: String) -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            name: name.to_owned(),
            identity,
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            release_on_shutdown: false,
        }
    }

    /// Waits to lead, then runs `work` for as long as we do; its own shutdown is cancelled when that ends. Gives what the
    /// work gave, none when shutdown came before leading.
    ///
    /// # Errors
    /// [`Error::Lost`], after the work has ended.
    pub async fn lead<T, W>(
        self,
        client: kube::Client,
        shutdown: &Shutdown,
        work: impl FnOnce(Shutdown) -> W,
    ) -> Result<Option<T>, Error>
    where
        W: Future<Output = T>,
    {
        let recorder = EventRecorder::new(client.clone(), &self.name, "", shutdown);
        let leases = Api::namespaced(client, &self.namespace);
        let mut candidate = Candidate { election: self, leases, seen: None };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = candidate.acquire() => {}
        }
        candidate.election.tell(&recorder, "became leader");
        let term = shutdown.child_token();
        let mut working = std::pin::pin!(work(term.clone()));
        let outcome = tokio::select! {
            outcome = &mut working => Some(outcome),
            () = candidate.keep() => None,
        };
        candidate.election.tell(&recorder, "stopped leading");
        let Some(outcome) = outcome else {
            term.cancel();
            working.await;
            let LeaderElection { namespace, name, .. } = candidate.election;
            return Err(Error::Lost { namespace, name });
        };
        if candidate.election.release_on_shutdown {
            candidate.release().await;
        }
        Ok(Some(outcome))
    }

    fn tell(&self, recorder: &EventRecorder, what: &str) {
        tracing::info!(lease = self.name, identity = self.identity, "{what}");
        let lease = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: Some(self.namespace.clone()),
            name: Some(self.name.clone()),
            ..ObjectReference::default()
        };
        let message = format!("{} {what}", self.identity);
        recorder.event(&lease, EventType::Normal, "LeaderElection", "", message);
    }
}

/// One process in the election.
struct Candidate {
    election: LeaderElection,
    leases: Api<Lease>,
    /// The version of the lease that was read last, and when it was first seen.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// Until the lease is ours.
    async fn acquire(&mut self) {
        while !self.attempt().await {
            // Apart from each other, so that candidates do not try in step.
            let jitter = rand::rng().random_range(1.0..2.2);
            tokio::time::sleep(self.election.retry_period.mul_f64(jitter)).await;
        }
    }

    /// Renews for as long as that succeeds within the deadline.
    async fn keep(&mut self) {
        loop {
            tokio::time::sleep(self.election.retry_period).await;
            let (deadline, period) = (self.election.renew_deadline, self.election.retry_period);
            let renewing = async {
                while !self.attempt().await {
                    tokio::time::sleep(period).await;
                }
            };
            if tokio::time::timeout(deadline, renewing).await.is_err() {
                return;
            }
        }
    }

    /// Reads, decides, writes; true when the lease is ours now.
    async fn attempt(&mut self) -> bool {
        match self.try_attempt().await {
            Ok(ours) => ours,
            Err(error) => {
                tracing::debug!(%error, lease = self.election.name, "lease is neither taken nor renewed");
                false
            }
        }
    }

    async fn try_attempt(&mut self) -> Result<bool, kube::Error> {
        let present = self.leases.get_opt(&self.election.name).await?;
        let silence = self.silence(present.as_ref());
        let written = match plan(&self.election, present, silence, Timestamp::now()) {
            Step::Create(lease) => self.leases.create(&PostParams::default(), &lease).await?,
            Step::Replace(lease) => self.leases.replace(&self.election.name, &PostParams::default(), &lease).await?,
            Step::Wait => return Ok(false),
        };
        self.silence(Some(&written));
        Ok(true)
    }

    /// For how long the lease has been as it is, as far as we saw.
    fn silence(&mut self, lease: Option<&Lease>) -> Duration {
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone()).unwrap_or_default();
        let now = Instant::now();
        match &self.seen {
            Some((seen, since)) if *seen == version => now.duration_since(*since),
            _ => {
                self.seen = Some((version, now));
                Duration::ZERO
            }
        }
    }

    /// Gives the lease back; if that fails the others wait it out.
    async fn release(&mut self) {
        let released = async {
            let mut lease = self.leases.get(&self.election.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.election.identity) {
                let now = Some(MicroTime(Timestamp::now()));
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                (spec.acquire_time, spec.renew_time) = (now.clone(), now);
                self.leases.replace(&self.election.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(self.election.renew_deadline, released).await {
            tracing::debug!(%error, lease = self.election.name, "lease is not released");
        }
    }
}

/// Takes a lease that is free, ours, or was silent for its duration.
fn plan(election: &LeaderElection, present: Option<Lease>, silence: Duration, now: Timestamp) -> Step {
    let now = MicroTime(now);
    let mine = LeaseSpec {
        holder_identity: Some(election.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(election.lease_duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(0),
        ..LeaseSpec::default()
    };
    let Some(mut lease) = present else {
        let metadata = ObjectMeta {
            name: Some(election.name.clone()),
            namespace: Some(election.namespace.clone()),
            ..ObjectMeta::default()
        };
        return Step::Create(Box::new(Lease { metadata, spec: Some(mine) }));
    };
    let before = lease.spec.take().unwrap_or_default();
    let holder = before.holder_identity.as_deref().unwrap_or_default();
    let transitions = before.lease_transitions.unwrap_or(0);
    let spec = if holder == election.identity {
        LeaseSpec { acquire_time: before.acquire_time, lease_transitions: Some(transitions), ..mine }
    } else {
        let patience = Duration::from_secs(u64::try_from(before.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
        if !holder.is_empty() && silence < patience {
            return Step::Wait;
        }
        LeaseSpec { lease_transitions: Some(transitions.saturating_add(1)), ..mine }
    };
    lease.spec = Some(spec);
    Step::Replace(Box::new(lease))
}
