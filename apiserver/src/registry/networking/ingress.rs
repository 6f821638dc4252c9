//! Ingresses: requests from outside, to services by host and path. Upstream: ValidateIngressCreate.

use api::field::{Error, ErrorList, Path};
use api::{meta, names};
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::{
    address_warnings, balancer_address, dns_label, dns_subdomain, no_address, one_of, required_text,
};
use super::typed_reference;
use crate::context::RequestContext;

/// How a class was asked for before there was a field.
const CLASS: &str = "kubernetes.io/ingress.class";

/// The semantics of ingresses.
#[derive(Debug, Clone, Copy)]
pub struct Ingress;

impl Strategy for Ingress {
    /// Who asks for a class in both ways asks for the same.
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = rules(new);
        let class = At::root(new).field("spec").field("ingressClassName");
        if let Some(annotation) = meta::annotation(new, CLASS)
            && class.is_set()
            && annotation != class.str()
        {
            let path = Path::new("annotations").child(CLASS);
            errors.push(Error::invalid(&path, annotation, "must match `ingressClassName` when both are specified"));
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        if meta::annotation(new, CLASS).is_none() || At::root(new).field("spec").has("ingressClassName") {
            return Vec::new();
        }
        vec![format!("annotation \"{CLASS}\" is deprecated, please use 'spec.ingressClassName' instead")]
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, _old: &Value) -> ErrorList {
        rules(new)
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, _new: &Value, _old: &Value) -> Vec<String> {
        Vec::new()
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let list = At::root(new).field("status").field("loadBalancer").field("ingress");
        list.items().for_each(|ingress| balancer_address(&ingress, &mut errors));
        errors
    }

    fn warnings_on_status_update(&self, new: &Value) -> Vec<String> {
        address_warnings::of_balancer(new)
    }
}

fn rules(new: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(new).field("spec");
    let (default, rules) = (spec.field("defaultBackend"), spec.field("rules"));
    if rules.is_empty() && !default.is_set() {
        errors.push(Error::invalid(&spec.path, Value::Null, "either `defaultBackend` or `rules` must be specified"));
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
        let name = secret.field("secretName");
        if !name.str().is_empty() {
            dns_subdomain(&name, &mut errors);
        }
    }
    let class = spec.field("ingressClassName");
    if class.is_set() {
        dns_subdomain(&class, &mut errors);
    }
    errors
}

fn host(at: &At<'_>, errors: &mut ErrorList) {
    if at.str().is_empty() {
        return;
    }
    no_address(at, errors);
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
        (false, true) => typed_reference(&resource, errors),
        (true, false) => {
            let (name, port) = (service.field("name"), service.field("port"));
            if required_text(&name, errors) {
                dns_label(&name, errors);
            }
            match (port.text("name"), port.field("number")) {
                ("", number) if number.int() == 0 => errors.push(at.required("port name or number is required")),
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
