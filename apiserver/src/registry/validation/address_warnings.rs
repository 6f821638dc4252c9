//! Warnings about addresses and subnets in forms that fields of old still take, and newer ones refuse.
//!
//! Validation has been before: what is no address in any form is nothing here.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use json::Value;

use super::super::fields::At;
use super::{is_strict_cidr, parse_cidr_sloppy, parse_ip_sloppy};

/// Upstream: GetWarningsForIP.
pub(crate) fn of_ip(at: &At<'_>) -> Option<String> {
    let (path, text) = (&at.path, at.str());
    let address = parse_ip_sloppy(text)?;
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if mapped || text.parse::<IpAddr>().is_err() {
        let instead = address.to_canonical();
        return Some(format!("{path}: non-standard IP address {text:?} is invalid: use \"{instead}\""));
    }
    let canonical = address.to_string();
    (address.is_ipv6() && canonical != text)
        .then(|| format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({canonical:?})"))
}

/// Of the addresses of a load balancer in a status. Upstream names the entry, not its field.
pub(crate) fn of_balancer(object: &Value) -> Vec<String> {
    let entries = At::root(object).field("status").field("loadBalancer").field("ingress").items();
    let addresses = entries.map(|entry| At::new(entry.field("ip").value, entry.path));
    addresses.filter_map(|address| of_ip(&address)).collect()
}

/// Upstream: GetWarningsForCIDR.
pub(crate) fn of_cidr(at: &At<'_>) -> Vec<String> {
    let (path, text) = (&at.path, at.str());
    let Some(own) = parse_cidr_sloppy(text) else { return Vec::new() };
    let mut warnings = Vec::new();
    let net = shown(own.trunc());
    if own.addr() != own.network() {
        let single = format!("{}/{}", own.addr().to_canonical(), own.max_prefix_len());
        warnings.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be \"{net}\" or {single:?}?)"
        ));
    }
    let mapped = matches!(own.addr(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    if mapped || !is_strict_cidr(text) {
        warnings.push(format!("{path}: non-standard CIDR value {text:?} is invalid: use \"{net}\""));
    }
    if warnings.is_empty() && own.addr().is_ipv6() && own.to_string() != text {
        warnings.push(format!("{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{own}\")"));
    }
    warnings
}

/// A subnet as Go prints it: of mapped addresses, the IPv4 one.
fn shown(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that fields still take were asked of upstream (testdata/answers/warnings.jsonl); objects of before have the others.
    #[test]
    fn forms_of_old_are_named_with_what_to_write_instead() {
        let ip = |text: &str| of_ip(&At::root(&text.into())).unwrap_or_default();
        for (text, expected) in [
            ("1.2.3.4", ""),
            ("2001:db8::1", ""),
            ("001.2.3.4", "<nil>: non-standard IP address \"001.2.3.4\" is invalid: use \"1.2.3.4\""),
            ("::ffff:1.2.3.4", "<nil>: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\""),
            (
                "2001:DB8::1",
                "<nil>: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")",
            ),
        ] {
            assert_eq!(ip(text), expected);
        }
        let cidr = |text: &str| of_cidr(&At::root(&text.into())).join(" | ");
        for (text, expected) in [
            ("1.2.3.0/24", ""),
            (
                "1.2.3.4/24",
                "<nil>: CIDR value \"1.2.3.4/24\" is ambiguous in this context (should be \"1.2.3.0/24\" or \"1.2.3.4/32\"?)",
            ),
            ("01.2.3.0/24", "<nil>: non-standard CIDR value \"01.2.3.0/24\" is invalid: use \"1.2.3.0/24\""),
            (
                "::ffff:1.2.3.0/120",
                "<nil>: non-standard CIDR value \"::ffff:1.2.3.0/120\" is invalid: use \"1.2.3.0/24\"",
            ),
            (
                "2001:DB8::/32",
                "<nil>: IPv6 CIDR value \"2001:DB8::/32\" should be in RFC 5952 canonical format (\"2001:db8::/32\")",
            ),
        ] {
            assert_eq!(cidr(text), expected);
        }
    }
}
