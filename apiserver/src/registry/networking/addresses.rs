//! IPAddresses and ServiceCIDRs. Upstream: ValidateIPAddress, ValidateServiceCIDR.

use api::field::{Error, ErrorList};
use api::names::{self, NameRule};
use serde_json::Value;

use super::super::fields::{At, at, items};
use super::super::strategy::Strategy;
use super::super::validation::{FIELD_IMMUTABLE, cidr, parse_ip_sloppy, same};
use crate::context::RequestContext;

/// The semantics of addresses that are taken.
#[derive(Debug, Clone, Copy)]
pub struct IpAddress;

/// The semantics of ranges of service addresses.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCidr;

/// The name is the address, in its one canonical form.
fn address_name(name: &str, _prefix: bool) -> Vec<String> {
    match parse_ip_sloppy(name) {
        None => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        Some(address) if address.to_string() != name => vec![format!("must be in canonical form (\"{address}\")")],
        Some(_) => Vec::new(),
    }
}

impl Strategy for IpAddress {
    fn name_rule(&self) -> NameRule {
        address_name
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let parent = At::root(new).field("spec").field("parentRef");
        if !parent.is_set() {
            errors.push(parent.required(""));
            return errors;
        }
        let group = parent.field("group");
        if !group.str().is_empty() {
            errors.extend(names::is_dns1123_subdomain(group.str()).into_iter().map(|why| group.invalid_str(why)));
        }
        for field in ["resource", "name", "namespace"] {
            let own = parent.field(field);
            if own.str().is_empty() && field != "namespace" {
                errors.push(own.required(""));
            } else if !own.str().is_empty() {
                let complaints = names::name_is_path_segment(own.str(), false);
                errors.extend(complaints.into_iter().map(|why| own.invalid_str(why)));
            }
        }
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let parent = At::root(new).field("spec").field("parentRef");
        if same(parent.value, at(old, &["spec", "parentRef"])) {
            return ErrorList::new();
        }
        Error::invalid(&parent.path, Value::Null, FIELD_IMMUTABLE).into()
    }
}

impl Strategy for ServiceCidr {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let ranges = At::root(new).field("spec").field("cidrs");
        if ranges.is_empty() {
            errors.push(ranges.required("at least one CIDR required"));
            return errors;
        }
        if ranges.slice().len() > 2 {
            errors.push(ranges.invalid("may only hold up to 2 values"));
            return errors;
        }
        let families: Vec<bool> =
            ranges.items().filter_map(|range| cidr(&range, &mut errors)).map(|range| range.addr().is_ipv4()).collect();
        if families.len() == 2 && families[0] == families[1] {
            let detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
            errors.push(ranges.invalid(detail));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let ranges = At::root(new).field("spec").field("cidrs");
        let before = items(&old["spec"], "cidrs");
        let (now, then) = (ranges.slice().len(), before.len());
        if now != then && (then, now) != (1, 2) {
            return ranges.invalid(FIELD_IMMUTABLE).into();
        }
        let changed = ranges.items().zip(before).filter(|(range, before)| range.value != *before);
        let mut errors: ErrorList = changed.map(|(range, _)| range.invalid_str(FIELD_IMMUTABLE)).collect();
        if now != then {
            errors.extend(self.validate(ctx, new));
        }
        errors
    }
}
