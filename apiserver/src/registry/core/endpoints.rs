//! Endpoints. Upstream: ValidateEndpoints.

use api::field::ErrorList;
use api::{meta, names};
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::{
    address_warnings, dns_label, ip, named, parse_ip_sloppy, qualified_name, required_one_of, same,
};
use super::service::endpoint_ip;
use crate::context::RequestContext;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpoint-controller";

/// The semantics of endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints;

impl Strategy for Endpoints {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        At::root(new).field("subsets").items().for_each(|subset| subset_rules(&subset, &mut errors));
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        if same(&new["subsets"], &old["subsets"]) { ErrorList::new() } else { self.validate(ctx, new) }
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        // The controller writes addresses well.
        if meta::label(new, MANAGED_BY) == Some(CONTROLLER) {
            return Vec::new();
        }
        let subsets = At::root(new).field("subsets").items();
        let lists = subsets.flat_map(|subset| ["addresses", "notReadyAddresses"].map(|list| subset.field(list)));
        let addresses = lists.flat_map(|list| list.items());
        addresses.filter_map(|address| address_warnings::of_ip(&address.field("ip"))).collect()
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}

fn subset_rules(subset: &At<'_>, errors: &mut ErrorList) {
    if subset.field("addresses").is_empty() && subset.field("notReadyAddresses").is_empty() {
        errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
    }
    for list in ["addresses", "notReadyAddresses"] {
        for address in subset.field(list).items() {
            ip(&address.field("ip"), errors);
            if !address.text("hostname").is_empty() {
                dns_label(&address.field("hostname"), errors);
            }
            if address.has("nodeName") {
                let node = address.field("nodeName");
                named(&node, names::name_is_dns_subdomain(node.str(), false), errors);
            }
            if parse_ip_sloppy(address.text("ip")).is_none() {
                errors.push(address.field("ip").invalid_str("must be a valid IP address"));
            }
            endpoint_ip(&address.field("ip"), errors);
        }
    }
    let ports = subset.field("ports");
    for port in ports.items() {
        let (name, number, protocol) = (port.field("name"), port.field("port"), port.field("appProtocol"));
        if !name.str().is_empty() {
            dns_label(&name, errors);
        } else if ports.slice().len() > 1 {
            errors.push(name.required(""));
        }
        errors
            .extend(names::is_valid_port_num(number.int()).into_iter().map(|complaint| number.invalid_int(complaint)));
        required_one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"], errors);
        if protocol.is_set() {
            qualified_name(&protocol, errors);
        }
    }
}
