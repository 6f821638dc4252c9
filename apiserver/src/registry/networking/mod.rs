//! The group networking.k8s.io: policies, ingresses and their classes. Upstream: pkg/apis/networking/validation.

pub mod addresses;

use api::field::{Error, ErrorList};
use api::names;
use serde_json::Value;

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{cidr, dns_subdomain, immutable, one_of, parse_ip_sloppy, required_text, selector};
use crate::context::RequestContext;

/// The semantics of network policies.
#[derive(Debug, Clone, Copy)]
pub struct NetworkPolicy;

/// The semantics of ingresses.
#[derive(Debug, Clone, Copy)]
pub struct Ingress;

/// The semantics of ingress classes.
#[derive(Debug, Clone, Copy)]
pub struct IngressClass;

impl Strategy for NetworkPolicy {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        selector::label_selector(&spec.field("podSelector"), &mut errors);
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in spec.field(rules).items() {
                rule.field("ports").items().for_each(|port| policy_port(&port, &mut errors));
                rule.field(peers).items().for_each(|own| peer(&own, &mut errors));
            }
        }
        let types = spec.field("policyTypes");
        if types.slice().len() > 2 {
            errors.push(types.invalid("may not specify more than two policyTypes"));
        } else {
            for kind in types.items() {
                one_of(&kind, &["Ingress", "Egress"], &mut errors);
            }
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, _old: &Value) -> ErrorList {
        self.validate(ctx, new)
    }
}

fn policy_port(at: &At<'_>, errors: &mut ErrorList) {
    one_of(&at.field("protocol"), &["TCP", "UDP", "SCTP"], errors);
    let (port, end) = (at.field("port"), at.field("endPort"));
    match port.value {
        Value::String(name) => {
            errors.extend(names::is_valid_port_name(name).into_iter().map(|complaint| port.invalid_str(complaint)))
        }
        Value::Number(_) => {
            errors
                .extend(names::is_valid_port_num(port.int()).into_iter().map(|complaint| port.invalid_int(complaint)));
            if end.is_set() {
                if end.int() < port.int() {
                    errors.push(end.invalid_int("must be greater than or equal to `port`"));
                }
                errors.extend(
                    names::is_valid_port_num(end.int()).into_iter().map(|complaint| end.invalid_int(complaint)),
                );
            }
        }
        _ if end.is_set() => errors.push(end.invalid_int("may not be specified when `port` is not specified")),
        _ => {}
    }
    if port.value.is_string() && end.is_set() {
        errors.push(end.invalid_int("may not be specified when `port` is non-numeric"));
    }
}

fn peer(at: &At<'_>, errors: &mut ErrorList) {
    let mut kinds = 0;
    for field in ["podSelector", "namespaceSelector"] {
        kinds += usize::from(at.has(field));
        selector::label_selector(&at.field(field), errors);
    }
    let block = at.field("ipBlock");
    if block.is_set() {
        let own = block.field("cidr");
        let range = if own.str().is_empty() {
            errors.push(own.required(""));
            None
        } else {
            cidr(&own, errors)
        };
        for except in block.field("except").items() {
            let inner = cidr(&except, errors);
            if let (Some(range), Some(inner)) = (range, inner)
                && (!range.contains(&inner) || range == inner)
            {
                let detail = format!("must be a strict subset of `cidr`: {}", api::go_text::quote(own.str()));
                errors.push(except.invalid_str(detail));
            }
        }
    }
    if block.is_set() && kinds > 0 {
        errors.push(at.forbidden("may not specify both ipBlock and another peer"));
    } else if !block.is_set() && kinds == 0 {
        errors.push(at.required("must specify a peer"));
    }
}

impl Strategy for Ingress {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let (default, rules) = (spec.field("defaultBackend"), spec.field("rules"));
        if rules.is_empty() && !default.is_set() {
            errors.push(Error::invalid(
                &spec.path,
                Value::Null,
                "either `defaultBackend` or `rules` must be specified",
            ));
        }
        if default.is_set() {
            backend(&default, &mut errors);
        }
        for rule in rules.items() {
            host(&rule.field("host"), &mut errors);
            let paths = rule.field("http").field("paths");
            if rule.has("http") && paths.is_empty() {
                errors.push(paths.required(""));
            }
            paths.items().for_each(|path| ingress_path(&path, &mut errors));
        }
        for secret in spec.field("tls").items() {
            for own in secret.field("hosts").items() {
                wildcard_or_subdomain(&own, &mut errors);
            }
        }
        let class = spec.field("ingressClassName");
        if class.is_set() {
            dns_subdomain(&class, &mut errors);
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, _old: &Value) -> ErrorList {
        self.validate(ctx, new)
    }
}

fn host(at: &At<'_>, errors: &mut ErrorList) {
    if at.str().is_empty() {
        return;
    }
    if parse_ip_sloppy(at.str()).is_some() {
        errors.push(at.invalid_str("must be a DNS name, not an IP address"));
    }
    wildcard_or_subdomain(at, errors);
}

fn wildcard_or_subdomain(at: &At<'_>, errors: &mut ErrorList) {
    let complaints = if at.str().contains('*') {
        names::is_wildcard_dns1123_subdomain(at.str())
    } else {
        names::is_dns1123_subdomain(at.str())
    };
    errors.extend(complaints.into_iter().map(|complaint| at.invalid_str(complaint)));
}

fn ingress_path(at: &At<'_>, errors: &mut ErrorList) {
    let (path, kind) = (at.field("path"), at.field("pathType"));
    match kind.str() {
        // Upstream looks no further.
        "" => return errors.push(kind.required("pathType must be specified")),
        "Exact" | "Prefix" => {
            if !path.str().starts_with('/') {
                errors.push(path.invalid_str("must be an absolute path"));
            }
            for bad in ["//", "/./", "/../", "%2f", "%2F"] {
                if path.str().contains(bad) {
                    errors.push(path.invalid_str(format!("must not contain '{bad}'")));
                }
            }
            for bad in ["/..", "/."] {
                if path.str().ends_with(bad) {
                    errors.push(path.invalid_str(format!("cannot end with '{bad}'")));
                }
            }
        }
        "ImplementationSpecific" => {
            if !path.str().is_empty() && !path.str().starts_with('/') {
                errors.push(path.invalid_str("must be an absolute path"));
            }
        }
        _ => one_of(&kind, &["Exact", "ImplementationSpecific", "Prefix"], errors),
    }
    backend(&at.field("backend"), errors);
}

fn backend(at: &At<'_>, errors: &mut ErrorList) {
    let (service, resource) = (at.field("service"), at.field("resource"));
    let bad = |detail: &str| Error::invalid(&at.path, "", detail);
    match (service.is_set(), resource.is_set()) {
        (true, true) => errors.push(bad("cannot set both resource and service backends")),
        (false, false) => errors.push(bad("resource or service backend is required")),
        (false, true) => {
            for field in ["kind", "name"] {
                required_text(&resource.field(field), errors);
            }
        }
        (true, false) => {
            let (name, port) = (service.field("name"), service.field("port"));
            if name.str().is_empty() {
                errors.push(name.required(""));
            } else {
                let complaints = names::name_is_dns1035_label(name.str(), false);
                errors.extend(complaints.into_iter().map(|complaint| name.invalid_str(complaint)));
            }
            match (port.text("name"), port.field("number")) {
                ("", number) if number.int() == 0 => errors.push(bad("port name or number is required")),
                ("", number) => {
                    errors.extend(
                        names::is_valid_port_num(number.int())
                            .into_iter()
                            .map(|complaint| number.invalid_int(complaint)),
                    );
                }
                (_, number) if number.int() != 0 => errors.push(bad("cannot set both port name & port number")),
                (own, _) => {
                    let name = port.field("name");
                    errors.extend(
                        names::is_valid_port_name(own).into_iter().map(|complaint| name.invalid_str(complaint)),
                    );
                }
            }
        }
    }
}

impl Strategy for IngressClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let controller = At::root(new).field("spec").field("controller");
        let own = controller.str();
        if own.len() > 250 {
            errors.push(Error::too_long(&controller.path, 250));
        }
        if own.is_empty() {
            errors.push(controller.required(""));
        } else {
            let prefixed = own.split_once('/').filter(|(domain, path)| !domain.is_empty() && !path.is_empty());
            match prefixed {
                None => errors.push(controller.invalid_str("must be a domain-prefixed path (such as \"acme.io/foo\")")),
                Some((domain, _)) => {
                    errors.extend(
                        names::is_dns1123_subdomain(domain)
                            .into_iter()
                            .map(|complaint| controller.invalid_str(complaint)),
                    );
                }
            }
        }
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(new).field("spec").field("controller"), at(old, &["spec", "controller"]), &mut errors);
        errors
    }
}
