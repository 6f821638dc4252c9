//! The group discovery.k8s.io: EndpointSlices. Upstream: pkg/apis/discovery/validation, pkg/registry/discovery/endpointslice.

use api::field::{Error, ErrorList};
use api::{meta, names};
use json::Value;

use super::core::service::endpoint_ip;
use super::fields::{At, at, items_mut, remove};
use super::strategy::Strategy;
use super::validation::{
    self, FIELD_IMMUTABLE, canonical_ip, dns_label, ip, named, parse_ip_sloppy, qualified_name, required_one_of, same,
};
use crate::context::RequestContext;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLERS: [&str; 2] = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];

/// The semantics of endpoint slices.
#[derive(Debug, Clone, Copy)]
pub struct EndpointSlice;

impl Strategy for EndpointSlice {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        drop_topology(new);
    }

    /// What was written by an older version stays with endpoints that stay.
    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        if !same(at(new, &["metadata", "labels"]), at(old, &["metadata", "labels"])) {
            meta::set_generation(new, meta::generation(old) + 1);
        }
        if !same(at(new, &["endpoints"]), at(old, &["endpoints"])) {
            drop_topology(new);
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        header(new, &mut errors);
        endpoints(new, &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let deprecated = At::root(new).text("addressType") == "FQDN";
        let deprecated = deprecated.then(|| "spec.addressType: FQDN endpoints are deprecated".to_owned());
        deprecated.into_iter().chain(address_warnings(new)).collect()
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, _old: &Value) -> Vec<String> {
        address_warnings(new)
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        header(new, &mut errors);
        if !same(at(new, &["endpoints"]), at(old, &["endpoints"])) {
            endpoints(new, &mut errors);
        }
        let kind = At::root(new).field("addressType");
        if kind.value != at(old, &["addressType"]) {
            errors.push(Error::invalid(&kind.path, Value::Null, FIELD_IMMUTABLE));
        }
        errors
    }
}

/// Of addresses that somebody else than the controllers wrote, who write them well.
fn address_warnings(new: &Value) -> Vec<String> {
    if meta::label(new, MANAGED_BY).is_some_and(|manager| CONTROLLERS.contains(&manager)) {
        return Vec::new();
    }
    let endpoints = At::root(new).field("endpoints").items();
    let addresses = endpoints.flat_map(|endpoint| endpoint.field("addresses").items());
    addresses.filter_map(|address| validation::address_warnings::of_ip(&address)).collect()
}

/// v1 has the field for reading only. Upstream: dropTopologyOnV1.
fn drop_topology(slice: &mut Value) {
    for endpoint in items_mut(slice, "endpoints") {
        remove(endpoint, "deprecatedTopology");
    }
}

fn header(new: &Value, errors: &mut ErrorList) {
    let root = At::root(new);
    required_one_of(&root.field("addressType"), &["FQDN", "IPv4", "IPv6"], errors);
    let ports = root.field("ports");
    if ports.slice().len() > 20000 {
        errors.push(Error::too_many(&ports.path, Some(ports.slice().len()), 20000));
        return;
    }
    let mut seen: Vec<&str> = Vec::new();
    for port in ports.items() {
        let (name, protocol) = (port.field("name"), port.field("appProtocol"));
        if !name.str().is_empty() {
            dns_label(&name, errors);
        }
        if seen.contains(&name.str()) {
            errors.push(Error::duplicate(&name.path, name.str()));
        }
        seen.push(name.value.as_str().unwrap_or_default());
        required_one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"], errors);
        if protocol.is_set() {
            qualified_name(&protocol, errors);
        }
    }
}

fn endpoints(new: &Value, errors: &mut ErrorList) {
    let root = At::root(new);
    let list = root.field("endpoints");
    if list.slice().len() > 1000 {
        errors.push(Error::too_many(&list.path, Some(list.slice().len()), 1000));
        return;
    }
    for endpoint in list.items() {
        let own = endpoint.field("addresses");
        own.items().for_each(|one| address(root.text("addressType"), &own, &one, errors));
        let (node, host) = (endpoint.field("nodeName"), endpoint.field("hostname"));
        if node.is_set() {
            named(&node, names::name_is_dns_subdomain(node.str(), false), errors);
        }
        super::validation::selector::labels(&endpoint.field("deprecatedTopology"), errors);
        if host.is_set() {
            dns_label(&host, errors);
        }
        hints(&endpoint.field("hints"), errors);
    }
    // What upstream's tags say of the type comes after what its code says.
    for own in list.items().map(|endpoint| endpoint.field("addresses")) {
        if own.is_empty() {
            errors.push(own.required(""));
        } else if own.slice().len() > 100 {
            errors.push(Error::too_many(&own.path, Some(own.slice().len()), 100));
        }
    }
}

fn address(family: &str, list: &At<'_>, at: &At<'_>, errors: &mut ErrorList) {
    let before = errors.len();
    match family {
        "IPv4" => {
            ip(at, errors);
        }
        "IPv6" => canonical_ip(at, errors),
        "FQDN" => errors.extend(names::is_fully_qualified_domain_name(&at.path, at.str())),
        _ => {}
    }
    if !matches!(family, "IPv4" | "IPv6") || errors.len() > before {
        return;
    }
    if let Some(parsed) = parse_ip_sloppy(at.str())
        && parsed.is_ipv4() != (family == "IPv4")
    {
        errors.push(Error::invalid(&list.path, at.str(), format!("must be an {family} address")));
    }
    endpoint_ip(at, errors);
}

fn hints(at: &At<'_>, errors: &mut ErrorList) {
    for (list, rule) in [("forZones", names::is_valid_label_value as fn(&str) -> Vec<String>), ("forNodes", node_name)]
    {
        let own = at.field(list);
        if own.slice().len() > 8 {
            errors.push(Error::too_many(&own.path, Some(own.slice().len()), 8));
            return;
        }
        for (index, hint) in own.items().enumerate() {
            let name = hint.field("name");
            if own.slice()[..index].iter().any(|earlier| earlier["name"] == *name.value) {
                errors.push(name.duplicate());
            }
            named(&name, rule(name.str()), errors);
        }
    }
}

fn node_name(name: &str) -> Vec<String> {
    names::name_is_dns_subdomain(name, false)
}
