//! Leases for keys that expire. One lease serves many keys that expire at about the same time, as leases are dear to etcd.
//!
//! Upstream: storage/etcd3.leaseManager, whose numbers these are: a lease lives a twentieth longer than asked for, a minute at most, and is
//! used for a thousand keys.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;

use super::members::{Member, Members};
use crate::{Error, Timestamp};

const KEYS_MAX: usize = 1000;
const REUSE_MAX_SECONDS: u64 = 60;
/// How many leases may still be used: events and the signs of life of servers differ in how long they are kept.
const KEPT: usize = 4;

/// The leases that were granted last, the newest last: keys of different lives take turns.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Vec<Lease>>);

#[derive(Clone, Copy, Debug)]
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
        if let Some(id) = self.granted(expires, Timestamp(expires.0 + extra * 1000)) {
            return Ok(id);
        }
        let ttl = i64::try_from(seconds + extra).unwrap_or(i64::MAX);
        // A lease that was granted and not heard of ends by itself.
        let grant = |member: &Member| {
            let mut leases = member.client.lease_client();
            async move { leases.grant(ttl, None).await }.boxed()
        };
        let granted = members.ask(grant).await?;
        let lease = Lease { id: granted.id(), expires: Timestamp(expires.0 + extra * 1000), keys: 1 };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(lease);
        Ok(lease.id)
    }

    /// A lease that ends between these two and has room.
    fn granted(&self, earliest: Timestamp, latest: Timestamp) -> Option<i64> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |lease: &&mut Lease| (earliest..=latest).contains(&lease.expires) && lease.keys < KEYS_MAX;
        let lease = kept.iter_mut().find(fits)?;
        lease.keys += 1;
        Some(lease.id)
    }
}
