//! The subnets of one cluster CIDR, and which of them are taken.
//!
//! Upstream: cidrset.CidrSet.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Most subnets of one cluster CIDR, as upstream limits it.
const MAX_SUBNETS: u64 = 1 << 16;

#[derive(Debug)]
pub(super) struct CidrSet {
    range: IpNet,
    prefix: u8,
    count: u64,
    taken: BTreeSet<u64>,
    /// Where the search for a free subnet goes on, so that a range given back is not given out again at once.
    next: u64,
}

impl CidrSet {
    /// The subnets of `prefix` length in `range`.
    pub(super) fn new(range: IpNet, prefix: u8) -> Self {
        let range = range.trunc();
        let bits = u32::from(prefix.saturating_sub(range.prefix_len()));
        let possible = prefix >= range.prefix_len() && prefix <= range.max_prefix_len();
        let count = if possible { 1_u64.checked_shl(bits).unwrap_or(MAX_SUBNETS).min(MAX_SUBNETS) } else { 0 };
        Self { range, prefix, count, taken: BTreeSet::new(), next: 0 }
    }

    fn base(&self) -> u128 {
        bits(self.range.network())
    }

    fn shift(&self) -> u32 {
        u32::from(self.range.max_prefix_len() - self.prefix)
    }

    fn subnet(&self, index: u64) -> Option<IpNet> {
        let offset = u128::from(index).checked_shl(self.shift())?;
        let address = self.base() + offset;
        match self.range {
            IpNet::V4(_) => Ipv4Net::new(u32::try_from(address).ok()?.into(), self.prefix).ok().map(IpNet::V4),
            IpNet::V6(_) => Ipv6Net::new(address.into(), self.prefix).ok().map(IpNet::V6),
        }
    }

    /// Indexes of the subnets that `other` touches.
    fn touched(&self, other: IpNet) -> std::ops::Range<u64> {
        let same_family = matches!((self.range, other), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)));
        if !same_family || !(self.range.contains(&other.network()) || other.contains(&self.range.network())) {
            return 0..0;
        }
        let index = |address: IpAddr| {
            let offset = bits(address).saturating_sub(self.base()) >> self.shift();
            u64::try_from(offset).unwrap_or(u64::MAX)
        };
        let (first, last) = (index(other.network()), index(other.broadcast()));
        first.min(self.count)..last.saturating_add(1).min(self.count)
    }

    pub(super) fn occupy(&mut self, other: IpNet) {
        self.taken.extend(self.touched(other));
    }

    pub(super) fn release(&mut self, other: IpNet) {
        for index in self.touched(other) {
            self.taken.remove(&index);
        }
    }

    /// A free subnet, which is then taken.
    pub(super) fn take(&mut self) -> Option<IpNet> {
        if self.taken.len() as u64 >= self.count {
            return None;
        }
        let free = (self.next..self.count).chain(0..self.next).find(|index| !self.taken.contains(index))?;
        self.taken.insert(free);
        self.next = (free + 1) % self.count;
        self.subnet(free)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}
