//! IPAddresses and ServiceCIDRs. Upstream: ValidateIPAddress, ValidateServiceCIDR.

use api::field::{Error, ErrorList};
use api::names::NameRule;
use json::Value;

use super::super::fields::{At, at, items};
use super::super::strategy::Strategy;
use super::super::validation::{
    FIELD_IMMUTABLE, canonical_cidr, canonical_ip, dns_subdomain, immutable_declared, path_segment,
};
use crate::context::RequestContext;

/// The semantics of addresses that are taken.
#[derive(Debug, Clone, Copy)]
pub struct IpAddress;

/// The semantics of ranges of service addresses.
#[derive(Debug, Clone, Copy)]
pub struct ServiceCidr;

/// The name is the address, in its one canonical form.
fn address_name(name: &str, _prefix: bool) -> Vec<String> {
    let (name, mut errors) = (Value::from(name), ErrorList::new());
    canonical_ip(&At::root(&name), &mut errors);
    errors.into_iter().map(|error| error.detail).collect()
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
            dns_subdomain(&group, &mut errors);
        }
        for field in ["resource", "name", "namespace"] {
            let own = parent.field(field);
            if own.str().is_empty() && field != "namespace" {
                errors.push(own.required(""));
            } else if !own.str().is_empty() {
                path_segment(&own, &mut errors);
            }
        }
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let parent = At::root(new).field("spec").field("parentRef");
        let mut errors = ErrorList::new();
        immutable_declared(&parent, at(old, &["spec", "parentRef"]), &mut errors);
        errors
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
            // Upstream shows all of the spec here.
            errors.push(Error::invalid(&ranges.path, new["spec"].clone(), "may only hold up to 2 values"));
            return errors;
        }
        let families: Vec<bool> = ranges
            .items()
            .filter_map(|range| canonical_cidr(&range, &mut errors))
            .map(|range| range.addr().is_ipv4())
            .collect();
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
