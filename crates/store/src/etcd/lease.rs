//! Leases for keys that expire. One lease serves many keys that expire at about the same time, as leases are dear to etcd.
//!
//! Upstream: storage/etcd3.leaseManager, whose numbers these are: a lease lives a twentieth longer than asked for, a minute at most, and is
//! used for a thousand keys.

use std::sync::{Mutex, PoisonError};

use etcd_client::Client;
use futures::FutureExt;

use super::members::Members;
use crate::{Error, Timestamp};

const KEYS_MAX: usize = 1000;
const REUSE_MAX_SECONDS: u64 = 60;

/// The lease that was granted last.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Lease>);

#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    id: i64,
    expires: Timestamp,
    keys: usize,
}

impl Leases {
    /// A lease that ends at `expires` or a little later.
    pub(super) async fn until(&self, expires: Timestamp, now: Timestamp, members: &Members) -> Result<i64, Error> {
        let seconds = expires.0.saturating_sub(now.0).div_ceil(1000).max(1);
        let extra = (seconds / 20).min(REUSE_MAX_SECONDS);
        if let Some(id) = self.last(expires, Timestamp(expires.0 + extra * 1000)) {
            return Ok(id);
        }
        let ttl = i64::try_from(seconds + extra).unwrap_or(i64::MAX);
        // A lease that was granted and not heard of ends by itself.
        let grant = |mut client: Client| async move { client.lease_grant(ttl, None).await }.boxed();
        let granted = members.ask(grant).await?;
        let lease = Lease { id: granted.id(), expires: Timestamp(expires.0 + extra * 1000), keys: 1 };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lease;
        Ok(lease.id)
    }

    /// The last lease, if it ends between these two and has room.
    fn last(&self, earliest: Timestamp, latest: Timestamp) -> Option<i64> {
        let mut lease = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = (earliest..=latest).contains(&lease.expires) && lease.keys < KEYS_MAX;
        lease.keys += 1;
        fits.then_some(lease.id)
    }
}
