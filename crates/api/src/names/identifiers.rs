//! Identifiers, ports, users, percentages: values inside specs.

use super::*;
use crate::field::{Error, ErrorList, Path};

/// Upstream: validation.IsCIdentifier.
pub fn is_c_identifier(value: &str) -> Vec<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if value.bytes().all(inner) && value.bytes().next().is_some_and(|b| !b.is_ascii_digit()) {
        return Vec::new();
    }
    let rule = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'";
    vec![regex_error(rule, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// The reason of a condition: a word that may have commas and colons inside. Upstream: metav1validation.IsValidConditionReason.
pub fn is_condition_reason(value: &str) -> Vec<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b':');
    let starts = value.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts && value.bytes().all(inner) && !value.ends_with([',', ':']) {
        return Vec::new();
    }
    let rule = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
    let examples = ["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"];
    vec![regex_error(rule, "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", &examples)]
}

/// A port's name. Upstream: validation.IsValidPortName.
pub fn is_valid_port_name(port: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if port.len() > 15 {
        errors.push(max_length_error(15));
    }
    if port.is_empty() || !port.bytes().all(dns_inner) {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !port.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if port.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if port.starts_with('-') || port.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// Upstream: validation.IsValidPortNum.
pub fn is_valid_port_num(port: i64) -> Vec<String> {
    is_in_range(port, 1, 65535)
}

/// Upstream: validation.IsInRange.
pub fn is_in_range(value: i64, low: i64, high: i64) -> Vec<String> {
    if (low..=high).contains(&value) { Vec::new() } else { vec![inclusive_range_error(low, high)] }
}

/// Upstream: validation.IsValidUserID.
pub fn is_valid_user_id(uid: i64) -> Vec<String> {
    is_in_range(uid, 0, i64::from(i32::MAX))
}

/// Upstream: validation.IsValidGroupID.
pub fn is_valid_group_id(gid: i64) -> Vec<String> {
    is_in_range(gid, 0, i64::from(i32::MAX))
}

/// Upstream: validation.IsValidPercent.
pub fn is_valid_percent(percent: &str) -> Vec<String> {
    let digits = percent.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![regex_error(rule, "[0-9]+%", &["1%", "93%"])]
}

/// Upstream: validation.IsHTTPHeaderName.
pub fn is_http_header_name(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![regex_error(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// An integer as a person would write it. Upstream: content.IsDecimalInteger.
pub fn is_decimal_integer(value: &str) -> Vec<String> {
    if value.is_empty() {
        return vec!["must be non-empty".to_owned()];
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = value == "0"
        || (digits.bytes().all(|b| b.is_ascii_digit()) && digits.bytes().next().is_some_and(|b| b != b'0'));
    if canonical { Vec::new() } else { vec!["must be a valid decimal integer in canonical form".to_owned()] }
}

/// A domain of at least three segments. Upstream: validation.IsFullyQualifiedName.
pub fn is_fully_qualified_name(path: &Path, name: &str) -> ErrorList {
    if name.is_empty() {
        return Error::required(path, "").into();
    }
    let errors = is_dns1123_subdomain(name);
    if !errors.is_empty() {
        return Error::invalid(path, name, errors.join(",")).into();
    }
    if name.split('.').count() < 3 {
        return Error::invalid(path, name, "should be a domain with at least three segments separated by dots").into();
    }
    ErrorList::new()
}

/// A domain of at least two labels, a final dot allowed. Upstream: validation.IsFullyQualifiedDomainName.
pub fn is_fully_qualified_domain_name(path: &Path, name: &str) -> ErrorList {
    if name.is_empty() {
        return Error::required(path, "").into();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let errors = is_dns1123_subdomain(name);
    if !errors.is_empty() {
        return Error::invalid(path, name, errors.join(",")).into();
    }
    if !name.contains('.') {
        return Error::invalid(path, name, "should be a domain with at least two segments separated by dots").into();
    }
    let bad = name.split('.').map(|label| (label, is_dns1123_label(label))).find(|(_, errors)| !errors.is_empty());
    bad.map(|(label, errors)| Error::invalid(path, label, errors.join(",")).into()).unwrap_or_default()
}

/// `acme.io/foo`: a host and an HTTP path. Upstream: validation.IsDomainPrefixedPath.
pub fn is_domain_prefixed_path(path: &Path, value: &str) -> ErrorList {
    if value.is_empty() {
        return Error::required(path, "").into();
    }
    let Some((host, rest)) = value.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty()) else {
        return Error::invalid(path, value, r#"must be a domain-prefixed path (such as "acme.io/foo")"#).into();
    };
    let mut errors: ErrorList = is_dns1123_subdomain(host).into_iter().map(|e| Error::invalid(path, host, e)).collect();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(allowed) {
        let message = regex_error("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]);
        errors.push(Error::invalid(path, rest, message));
    }
    errors
}

/// `acme.io/foo`: a label key with a prefix. Upstream: validation.IsDomainPrefixedKey.
pub fn is_domain_prefixed_key(path: &Path, key: &str) -> ErrorList {
    if key.is_empty() {
        return Error::required(path, "").into();
    }
    let errors: ErrorList = is_qualified_name(key).into_iter().map(|e| Error::invalid(path, key, e)).collect();
    if errors.is_empty() && !key.contains('/') {
        return Error::invalid(path, key, r#"must be a domain-prefixed key (such as "acme.io/foo")"#).into();
    }
    errors
}
