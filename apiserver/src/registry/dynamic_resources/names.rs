//! Names of pools, attributes and requests.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::super::validation::{dns_label, dns_subdomain, named, required_text, volume};

const MAX_POOL: usize = 253;
const MAX_DOMAIN: usize = 63;
const MAX_ID: usize = 32;
const NO_REQUEST: &str =
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/// Subdomains between slashes. Upstream: validatePoolName.
pub(super) fn pool(at: &At<'_>, errors: &mut ErrorList) {
    if !required_text(at, errors) {
        return;
    }
    if at.str().len() > MAX_POOL {
        errors.push(Error::too_long(&at.path, MAX_POOL));
    }
    for part in at.str().split('/') {
        let complaints = names::is_dns1123_subdomain(part).into_iter();
        errors.extend(complaints.map(|why| Error::invalid(&at.path, part, why)));
    }
}

/// As [`pool`] where the rule is declared on the field. Upstream: validate.ResourcePoolName.
pub(super) fn pool_declared(at: &At<'_>, errors: &mut ErrorList) {
    if !required_text(at, errors) {
        return;
    }
    if at.str().len() > MAX_POOL {
        errors.push(Error::too_long(&at.path, MAX_POOL));
    }
    for (index, part) in at.str().split('/').enumerate() {
        if part.is_empty() {
            errors.push(at.invalid_str(format!("segment {index}: must not be empty")));
            continue;
        }
        let complaints = names::is_long_name(part).into_iter();
        errors.extend(complaints.map(|why| Error::invalid(&at.path, part, format!("segment {index}: {why}"))));
    }
}

/// A name that must have a domain. Upstream: validate.ResourceFullyQualifiedName.
pub(super) fn fully_qualified(at: &At<'_>, errors: &mut ErrorList) {
    match at.str().split('/').collect::<Vec<_>>()[..] {
        [id] => {
            identifier(at, id, errors);
            errors.push(at.invalid_str("a fully qualified name must be a domain and a name separated by a slash"));
        }
        [domain, id] => {
            if domain.is_empty() {
                errors.push(Error::invalid(&at.path, "", "prefix must not be empty"));
            } else {
                if domain.len() > MAX_DOMAIN {
                    errors.push(Error::too_long(&at.path, MAX_DOMAIN));
                }
                let complaints = names::is_long_name(domain).into_iter();
                errors.extend(complaints.map(|why| Error::invalid(&at.path, domain, format!("prefix: {why}"))));
            }
            if id.is_empty() {
                errors.push(Error::invalid(&at.path, "", "name must not be empty"));
            } else {
                identifier(at, id, errors);
            }
        }
        // More slashes are let through, as upstream does.
        _ => {}
    }
}

/// The key of an attribute or a capacity, whose domain may be left out; reported at the map. Upstream: validateQualifiedName.
pub(super) fn qualified(key: &str, map: &At<'_>, errors: &mut ErrorList) {
    match key.split('/').collect::<Vec<_>>()[..] {
        [id] => identifier(map, id, errors),
        [domain, id] => {
            if domain.is_empty() {
                errors.push(Error::invalid(&map.path, "", "the domain must not be empty"));
            } else {
                volume::driver_name(&At::new(&domain.into(), map.path.clone()), errors);
            }
            if id.is_empty() {
                errors.push(Error::invalid(&map.path, "", "the name must not be empty"));
            } else {
                identifier(map, id, errors);
            }
        }
        _ => {}
    }
}

fn identifier(at: &At<'_>, id: &str, errors: &mut ErrorList) {
    if id.len() > MAX_ID {
        errors.push(Error::too_long(&at.path, MAX_ID));
    }
    errors.extend(names::is_c_identifier(id).into_iter().map(|why| Error::invalid(&at.path, id, why)));
}

/// A lowercase UUID. Upstream: validate.UUID.
pub(super) fn uuid(at: &At<'_>, errors: &mut ErrorList) {
    let matches = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    if at.is_set() && !(at.str().len() == 36 && at.str().bytes().enumerate().all(matches)) {
        errors.push(at.invalid_str("must be a lowercase UUID in 8-4-4-4-12 format"));
    }
}

/// Reference to a request of the claim, or to a part of one. Upstream: validateRequestNameRef.
pub(super) fn request(at: &At<'_>, claim: &At<'_>, errors: &mut ErrorList) {
    let parts: Vec<&str> = at.str().split('/').collect();
    if parts.len() > 2 {
        errors.push(at.invalid_str(NO_REQUEST));
        return;
    }
    for part in &parts {
        dns_label(&At::new(&(*part).into(), at.path.clone()), errors);
    }
    let named_as = |list: &At<'_>, name: &str| list.slice().iter().find(|item| item["name"] == name).cloned();
    let known = named_as(&claim.field("requests"), parts[0]).is_some_and(|request| match parts.get(1) {
        Some(part) => named_as(&At::root(&request).field("firstAvailable"), part).is_some(),
        None => true,
    });
    if !known {
        errors.push(at.invalid_str(NO_REQUEST));
    }
}

/// Upstream: validateDeviceClass.
pub(super) fn class(at: &At<'_>, errors: &mut ErrorList) {
    if required_text(at, errors) {
        dns_subdomain(at, errors);
    }
}

/// The extended resource that a class also stands for. Upstream: validate.ExtendedResourceName.
pub(super) fn extended_resource(at: &At<'_>, errors: &mut ErrorList) {
    let name = at.str();
    if !name.contains('/') {
        errors.push(at.invalid_str("a name must be a domain-prefixed path, such as 'example.com/my-prop'"));
    } else if name.contains("kubernetes.io/") {
        errors.push(at.invalid_str("must not have \"kubernetes.io/\" domain"));
    }
    if name.starts_with("requests.") {
        errors.push(at.invalid_str("must not have \"requests.\" prefix"));
    }
    named(at, names::is_qualified_name(&format!("requests.{name}")), errors);
}
