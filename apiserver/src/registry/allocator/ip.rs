//! Choosing a cluster IP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rand::RngExt;

use super::Error;
use crate::context::Objects;

/// An address family, as `spec.ipFamilies` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Family> {
        [Family::V4, Family::V6].into_iter().find(|family| family.as_str() == text)
    }

    pub(crate) fn other(self) -> Family {
        if self == Family::V4 { Family::V6 } else { Family::V4 }
    }
}

/// How many addresses are tried before a range counts as full: of a larger one that much is never in use.
const ATTEMPTS: u128 = 1 << 17;

/// The ranges addresses come from, the primary first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ranges(pub Vec<IpNet>);

impl Ranges {
    fn of(&self, family: Family) -> impl Iterator<Item = &IpNet> {
        self.0.iter().filter(move |range| Family::of(range.addr()) == family)
    }

    /// The address a family's first range begins with.
    pub(crate) fn first(&self, family: Family) -> Option<IpAddr> {
        self.of(family).next().map(IpNet::network)
    }

    /// The family of the primary range.
    pub(crate) fn default_family(&self) -> Family {
        self.0.first().map_or(Family::V4, |range| Family::of(range.addr()))
    }

    /// Is the family configured?
    pub(crate) fn has(&self, family: Family) -> bool {
        self.of(family).next().is_some()
    }

    /// Checks a requested address.
    pub(crate) fn check(&self, address: IpAddr, objects: &dyn Objects) -> Result<(), Error> {
        let family = Family::of(address);
        if !self.of(family).any(|range| {
            usable(range).is_some_and(|(first, count)| number(address) >= first && number(address) < first + count)
        }) {
            return Err(if self.of(family).next().is_none() { Error::NotReady } else { Error::AddressOutside });
        }
        if is_taken(address, objects) { Err(Error::AddressTaken) } else { Ok(()) }
    }

    /// A free address: from a random place in the upper part of a range on, then in the lower part, which is kept for
    /// addresses people choose. Upstream: the dynamic band of KEP-3070.
    pub(crate) fn next(&self, family: Family, objects: &dyn Objects) -> Result<IpAddr, Error> {
        let mut any = false;
        for (first, count) in self.of(family).filter_map(usable) {
            any = true;
            let band = static_band(count);
            let dynamic = count - band;
            let start = if dynamic > 0 { rand::rng().random_range(0..dynamic) } else { 0 };
            let upper = (0..dynamic.min(ATTEMPTS)).map(|step| band + (start + step) % dynamic.max(1));
            let lower = (0..band.min(ATTEMPTS)).rev();
            let found = upper
                .chain(lower)
                .map(|offset| address(first + offset, family))
                .find(|address| !is_taken(*address, objects));
            if let Some(address) = found {
                return Ok(address);
            }
        }
        Err(if any { Error::Full } else { Error::NotReady })
    }
}

/// The lower part: a sixteenth, at least 16 and at most 256 addresses; nothing of a range too small for that.
fn static_band(count: u128) -> u128 {
    if count <= 16 { 0 } else { (count / 16).clamp(16, 256) }
}

/// The first usable address as a number, and how many there are: without the subnet's own address and, in IPv4, without the
/// broadcast address.
fn usable(range: &IpNet) -> Option<(u128, u128)> {
    let host_bits = u32::from(range.max_prefix_len() - range.prefix_len());
    let size = 1u128.checked_shl(host_bits).unwrap_or(u128::MAX);
    let reserved = if range.addr().is_ipv4() { 2 } else { 1 };
    (size > reserved).then(|| (number(range.network()) + 1, size - reserved))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address(number: u128, family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

fn is_taken(address: IpAddr, objects: &dyn Objects) -> bool {
    objects.get("networking.k8s.io", "ipaddresses", "", &address.to_string()).is_some()
}
