//! DNS names and what objects may be called.

use super::*;

/// A rule for an object's name; with `prefix`, the text is a generateName and may end in a dash.
///
/// Upstream: validation.ValidateNameFunc.
pub type NameRule = fn(name: &str, prefix: bool) -> Vec<String>;

/// A DNS label. Upstream: validation.IsDNS1123Label.
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX_LENGTH);
    if !matches_label(value) {
        if matches_subdomain(value) {
            errors.push("must not contain dots".to_owned());
        } else {
            let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
            errors.push(regex_error(rule, DNS1123_LABEL, &["my-name", "123-abc"]));
        }
    }
    errors
}

/// A DNS subdomain. Upstream: validation.IsDNS1123Subdomain.
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX_LENGTH);
    if !matches_subdomain(value) {
        errors.push(regex_error(SUBDOMAIN_RULE, DNS1123_SUBDOMAIN, &["example.com"]));
    }
    errors
}

/// A DNS subdomain, its length told in bytes. Upstream: content.IsDNS1123Subdomain.
pub fn is_long_name(value: &str) -> Vec<String> {
    let mut errors = too_many_bytes(value);
    if !matches_subdomain(value) {
        errors.push(regex_error(SUBDOMAIN_RULE, DNS1123_SUBDOMAIN, &["example.com"]));
    }
    errors
}

/// A DNS subdomain in letters of either case; the expression shown has no word of it.
/// Upstream: content.IsDNS1123SubdomainCaseless.
pub fn is_long_name_caseless(value: &str) -> Vec<String> {
    let mut errors = too_many_bytes(value);
    if !matches_subdomain(&value.to_ascii_lowercase()) {
        let rule = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        errors.push(regex_error(rule, DNS1123_SUBDOMAIN, &["Example.com"]));
    }
    errors
}

/// A DNS subdomain whose labels may hold underscores. Upstream: validation.IsDNS1123SubdomainWithUnderscore.
pub fn is_dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let label = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label);
        matches_ends(label, lower_alphanumeric, |b| dns_inner(b) || b == b'_')
    };
    let mut errors = too_long(value, SUBDOMAIN_MAX_LENGTH);
    if !value.split('.').all(label) {
        let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
        let expression = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
        errors.push(regex_error(rule, expression, &["example.com"]));
    }
    errors
}

/// A DNS label that starts with a letter. Upstream: validation.IsDNS1035Label.
pub fn is_dns1035_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, LABEL_MAX_LENGTH);
    if !(matches_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase())) {
        let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        errors.push(regex_error(rule, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    errors
}

/// `*.` and a DNS subdomain. Upstream: validation.IsWildcardDNS1123Subdomain.
pub fn is_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = too_long(value, SUBDOMAIN_MAX_LENGTH);
    if !value.strip_prefix("*.").is_some_and(matches_subdomain) {
        let rule = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        errors.push(regex_error(rule, &format!(r"\*\.{DNS1123_SUBDOMAIN}"), &["*.example.com"]));
    }
    errors
}

/// Most kinds' names. Upstream: validation.NameIsDNSSubdomain.
pub fn name_is_dns_subdomain(name: &str, prefix: bool) -> Vec<String> {
    if prefix { is_dns1123_subdomain(&mask_trailing_dash(name)) } else { is_dns1123_subdomain(name) }
}

/// Names of namespaces, services and others that become one label. Upstream: validation.NameIsDNSLabel.
pub fn name_is_dns_label(name: &str, prefix: bool) -> Vec<String> {
    if prefix { is_dns1123_label(&mask_trailing_dash(name)) } else { is_dns1123_label(name) }
}

/// Names that must be labels of the older kind; services no longer. Upstream: validation.NameIsDNS1035Label.
pub fn name_is_dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    if prefix { is_dns1035_label(&mask_trailing_dash(name)) } else { is_dns1035_label(name) }
}

/// Names that need only be safe in a URL and a key, as of roles and custom resources' parents.
///
/// Upstream: path.ValidatePathSegmentName.
pub fn name_is_path_segment(name: &str, prefix: bool) -> Vec<String> {
    if !prefix && (name == "." || name == "..") {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%'].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// A generateName may end in a dash: what follows makes it whole. The last two bytes make way, as upstream.
fn mask_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut masked = rest.to_owned();
            masked.pop();
            masked.push('a');
            masked
        }
        _ => name.to_owned(),
    }
}

fn too_many_bytes(value: &str) -> Vec<String> {
    if value.len() > SUBDOMAIN_MAX_LENGTH { vec![max_bytes_error(SUBDOMAIN_MAX_LENGTH)] } else { Vec::new() }
}

fn too_long(value: &str, limit: usize) -> Vec<String> {
    if value.len() > limit { vec![max_length_error(limit)] } else { Vec::new() }
}
