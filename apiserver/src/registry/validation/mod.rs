//! Rules shared by several kinds: pod templates, selectors, quantities, addresses, immutability.
//!
//! Every rule adds to an [`ErrorList`] and goes on: an answer names everything that is wrong. Fields are read through
//! [`At`], which knows their paths. Kinds' own rules are in `registry/<group>/<resource>.rs`.
//! Upstream: pkg/apis/core/validation, apimachinery pkg/api/validation.

pub(crate) mod address_warnings;
pub mod affinity;
pub(crate) mod conditions;
pub mod container;
pub mod env;
pub mod handler;
pub mod mount;
pub(crate) mod node_labels;
pub mod pod_spec;
pub mod resources;
pub mod security;
pub mod selector;
pub(crate) mod url;
pub mod volume;
pub(crate) mod volume_source;
pub(crate) mod webhook;

use std::net::{IpAddr, Ipv4Addr};

use api::field::{Error, ErrorList};
use api::names;
use ipnet::IpNet;
use json::Value;

use super::fields::At;

pub(crate) const FIELD_IMMUTABLE: &str = "field is immutable";
pub(crate) const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(crate) const POSITIVE: &str = "must be greater than 0";
/// Metadata annotations of one object together. Upstream: TotalAnnotationSizeLimitB.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// `Invalid value` for each complaint of a name rule.
pub(crate) fn named(at: &At<'_>, complaints: Vec<String>, errors: &mut ErrorList) {
    errors.extend(complaints.into_iter().map(|complaint| at.invalid_str(complaint)));
}

/// A DNS label, reported as upstream's ValidateDNS1123Label does.
pub(crate) fn dns_label(at: &At<'_>, errors: &mut ErrorList) {
    named(at, names::is_dns1123_label(at.str()), errors);
}

pub(crate) fn dns_subdomain(at: &At<'_>, errors: &mut ErrorList) {
    named(at, names::is_dns1123_subdomain(at.str()), errors);
}

pub(crate) fn qualified_name(at: &At<'_>, errors: &mut ErrorList) {
    named(at, names::is_qualified_name(at.str()), errors);
}

/// `Required value` if there is no text. Tells whether there is.
pub(crate) fn required_text(at: &At<'_>, errors: &mut ErrorList) -> bool {
    let given = !at.str().is_empty();
    if !given {
        errors.push(at.required(""));
    }
    given
}

/// An integer that is not negative; absent is 0.
pub(crate) fn nonnegative(at: &At<'_>, errors: &mut ErrorList) {
    if at.int() < 0 {
        errors.push(at.invalid_int(NOT_NEGATIVE));
    }
}

/// An integer that is given and not negative.
pub(crate) fn required_nonnegative(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() { nonnegative(at, errors) } else { errors.push(at.required("")) }
}

pub(crate) fn positive(at: &At<'_>, errors: &mut ErrorList) {
    if at.int() <= 0 {
        errors.push(at.invalid_int(POSITIVE));
    }
}

/// Text out of a list of allowed ones; the list is shown as given (sorted, where upstream sorts).
pub(crate) fn one_of(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if !supported.contains(&at.str()) {
        errors.push(at.not_supported(supported));
    }
}

/// As [`one_of`], for a field that must be given: empty is `Required value`.
pub(crate) fn required_one_of(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if required_text(at, errors) {
        one_of(at, supported, errors);
    }
}

/// As [`one_of`], for a field that may be absent.
pub(crate) fn optional_one_of(at: &At<'_>, supported: &[&str], errors: &mut ErrorList) {
    if at.is_set() {
        one_of(at, supported, errors);
    }
}

/// Equal, where absent and empty are the same. Upstream: apiequality.Semantic.DeepEqual.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    fn empty(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Number(number) => number.as_i64() == Some(0),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.values().all(empty),
        }
    }
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let own = left.iter().all(|(key, value)| same(value, right.get(key).unwrap_or(&Value::Null)));
            own && right.iter().all(|(key, value)| left.contains_key(key) || empty(value))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (left, right) => left == right || (empty(left) && empty(right)),
    }
}

/// A field that may not change. Upstream: ValidateImmutableField.
pub(crate) fn immutable(new: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if !same(new.value, old) {
        errors.push(new.invalid(FIELD_IMMUTABLE));
    }
}

/// As [`immutable`] where the rule is declared on the field: the value is not shown. Upstream: validate.Immutable.
pub(crate) fn immutable_declared(new: &At<'_>, old: &Value, errors: &mut ErrorList) {
    if !same(new.value, old) {
        errors.push(Error::invalid(&new.path, Value::Null, FIELD_IMMUTABLE));
    }
}

/// A map of texts that is no larger than this, keys included.
pub(crate) fn map_size(at: &At<'_>, limit: usize, errors: &mut ErrorList) {
    let size: usize = at.entries().map(|(key, value)| key.len() + value.str().len()).sum();
    if size > limit {
        errors.push(Error::too_long(&at.path, limit));
    }
}

/// Keys and size of annotations. Upstream: apimachineryvalidation.ValidateAnnotations.
pub(crate) fn annotations(at: &At<'_>, errors: &mut ErrorList) {
    for (key, _) in at.entries() {
        let complaints = names::is_qualified_name(&key.to_lowercase());
        errors.extend(complaints.into_iter().map(|complaint| Error::invalid(&at.path, key, complaint)));
    }
    map_size(at, ANNOTATIONS_LIMIT, errors);
}

/// Annotations for a signer, every one with a domain. Upstream: ValidateUserAnnotations.
pub(crate) fn user_annotations(at: &At<'_>, errors: &mut ErrorList) {
    for (key, _) in at.entries() {
        errors.extend(names::is_domain_prefixed_key(&at.path, &key.to_lowercase()));
    }
    map_size(at, ANNOTATIONS_LIMIT, errors);
}

/// Parses an address as Go's legacy parser does: leading zeros in IPv4 octets are ignored.
pub(crate) fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let octets: Vec<u8> = text
        .split('.')
        .map(|part| if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None })
        .collect::<Option<_>>()?;
    <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// A valid address in a field that never demanded the canonical form. Upstream: IsValidIPForLegacyField.
pub(crate) fn ip(at: &At<'_>, errors: &mut ErrorList) -> Option<IpAddr> {
    let text = at.str();
    let Some(address) = parse_ip_sloppy(text) else {
        errors.push(at.invalid_str("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
        return None;
    };
    if text.parse::<IpAddr>().is_err() {
        errors.push(at.invalid_str("must not have leading 0s"));
    }
    if let IpAddr::V6(v6) = address
        && v6.to_ipv4_mapped().is_some()
    {
        errors.push(at.invalid_str("must not be an IPv4-mapped IPv6 address"));
    }
    Some(address)
}

/// An address in its canonical form. Upstream: IsValidIP.
pub(crate) fn canonical_ip(at: &At<'_>, errors: &mut ErrorList) {
    let before = errors.len();
    if let Some(address) = ip(at, errors)
        && errors.len() == before
        && address.to_string() != at.str()
    {
        errors.push(at.invalid_str(format!("must be in canonical form (\"{address}\")")));
    }
}

/// Parses a subnet as [`parse_ip_sloppy`] does an address.
fn parse_cidr_sloppy(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    IpNet::new(parse_ip_sloppy(address)?, length.parse().ok().filter(|_| digits)?).ok()
}

/// Without leading zeros in either part.
fn is_strict_cidr(text: &str) -> bool {
    let strict =
        |address: &str, length: &str| address.parse::<IpAddr>().is_ok() && (length == "0" || !length.starts_with('0'));
    text.split_once('/').is_some_and(|(address, length)| strict(address, length))
}

/// A subnet in a field that never demanded the canonical form. Upstream: IsValidCIDRForLegacyField.
pub(crate) fn cidr(at: &At<'_>, errors: &mut ErrorList) -> Option<IpNet> {
    let Some(net) = parse_cidr_sloppy(at.str()) else {
        errors.push(at.invalid_str("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
        return None;
    };
    if !is_strict_cidr(at.str()) {
        errors.push(at.invalid_str("must not have leading 0s in IP or prefix length"));
    } else if matches!(net.addr(), IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        errors.push(at.invalid_str("must not have an IPv4-mapped IPv6 address"));
    } else if net.addr() != net.network() {
        errors.push(at.invalid_str("must not have bits set beyond the prefix length"));
    }
    Some(net)
}

/// A subnet in its canonical form. Upstream: IsValidCIDR.
pub(crate) fn canonical_cidr(at: &At<'_>, errors: &mut ErrorList) -> Option<IpNet> {
    let before = errors.len();
    let net = cidr(at, errors)?;
    if errors.len() == before && net.to_string() != at.str() {
        errors.push(at.invalid_str(format!("must be in canonical form (\"{net}\")")));
    }
    Some(net)
}

/// A name that is no address.
pub(crate) fn no_address(at: &At<'_>, errors: &mut ErrorList) {
    if parse_ip_sloppy(at.str()).is_some() {
        errors.push(at.invalid_str("must be a DNS name, not an IP address"));
    }
}

/// Address and host name of a load balancer, where they are given.
pub(crate) fn balancer_address(at: &At<'_>, errors: &mut ErrorList) {
    let (address, host) = (at.field("ip"), at.field("hostname"));
    if !address.str().is_empty() {
        ip(&address, errors);
    }
    if !host.str().is_empty() {
        dns_subdomain(&host, errors);
        no_address(&host, errors);
    }
}

/// A name that may stand in a path. Upstream: content.IsPathSegmentName.
pub(crate) fn path_segment(at: &At<'_>, errors: &mut ErrorList) {
    named(at, names::name_is_path_segment(at.str(), false), errors);
}

/// `25%` or a number. Upstream: intstr validation of rolling updates.
pub(crate) fn int_or_percent(at: &At<'_>, errors: &mut ErrorList) {
    match at.value {
        Value::String(text) => {
            let complaints = names::is_valid_percent(text);
            errors.extend(complaints.into_iter().map(|complaint| at.invalid_str(complaint)));
        }
        _ => nonnegative(at, errors),
    }
}

/// The number before `%`, if it is a percentage.
pub(crate) fn percent_of(value: &Value) -> Option<i64> {
    value.as_str()?.strip_suffix('%')?.parse().ok()
}

/// More than `100%` makes no sense. Upstream: IsNotMoreThan100Percent.
pub(crate) fn at_most_hundred_percent(at: &At<'_>, errors: &mut ErrorList) {
    if percent_of(at.value).is_some_and(|percent| percent > 100) {
        errors.push(at.invalid_str("must not be greater than 100%"));
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    #[test]
    fn absent_and_empty_are_the_same() {
        assert!(same(&json!({"a": 1, "b": {}}), &json!({"a": 1, "c": []})));
        assert!(same(&json!(null), &json!({"x": {"y": null}})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!same(&json!([1]), &json!([])));
    }

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        assert_eq!(parse_ip_sloppy("010.1.2.3"), "10.1.2.3".parse().ok());
        assert_eq!(parse_ip_sloppy("1.2.3"), None);
        let check = |text: &str| {
            let (value, mut errors) = (json!(text), ErrorList::new());
            ip(&At::new(&value, api::field::Path::new("ip")), &mut errors);
            errors.message().unwrap_or_default()
        };
        assert_eq!(check("2001:db8::1"), "");
        assert_eq!(check("010.1.2.3"), "ip: Invalid value: \"010.1.2.3\": must not have leading 0s");
        assert_eq!(
            check("x"),
            "ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        );
    }
}
