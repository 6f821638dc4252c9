//! Probes and lifecycle hooks. Upstream: validateProbe, validateHandler, validateLifecycle.

use api::field::ErrorList;
use api::names;
use json::Value;

use super::super::fields::At;
use super::{named, nonnegative, one_of};

/// A port by number or name; absent is 0. Upstream: ValidatePortNumOrName.
pub(crate) fn port(at: &At<'_>, errors: &mut ErrorList) {
    match at.value {
        Value::String(name) => named(at, names::is_valid_port_name(name), errors),
        _ => errors.extend(names::is_valid_port_num(at.int()).into_iter().map(|complaint| at.invalid_int(complaint))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Liveness,
    Readiness,
    Startup,
}

/// A probe; absent is fine. `grace` is the pod's termination grace period.
pub(super) fn probe(kind: Probe, at: &At<'_>, grace: Option<i64>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    handler(at, &["exec", "httpGet", "tcpSocket", "grpc"], grace, errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        nonnegative(&at.field(field), errors);
    }
    let own_grace = at.field("terminationGracePeriodSeconds");
    if own_grace.is_set() && own_grace.int() <= 0 {
        errors.push(own_grace.invalid_int("must be greater than 0"));
    }
    if kind == Probe::Readiness {
        if own_grace.is_set() {
            errors.push(own_grace.invalid_int("must not be set for readinessProbes"));
        }
    } else if at.field("successThreshold").int() != 1 {
        errors.push(at.field("successThreshold").invalid_int("must be 1"));
    }
}

/// postStart and preStop.
pub(super) fn lifecycle(at: &At<'_>, grace: Option<i64>, errors: &mut ErrorList) {
    for hook in ["postStart", "preStop"] {
        if at.has(hook) {
            handler(&at.field(hook), &["exec", "httpGet", "tcpSocket", "sleep"], grace, errors);
        }
    }
}

fn handler(at: &At<'_>, kinds: &[&'static str], grace: Option<i64>, errors: &mut ErrorList) {
    let mut found = 0;
    for kind in kinds.iter().filter(|kind| at.has(kind)) {
        let action = at.field(kind);
        if found > 0 {
            errors.push(action.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        found += 1;
        match *kind {
            "exec" if action.field("command").is_empty() => errors.push(action.field("command").required("")),
            "httpGet" => http_get(&action, errors),
            "tcpSocket" | "grpc" => port(&action.field("port"), errors),
            "sleep" => sleep(&action, grace, errors),
            _ => {}
        }
    }
    if found == 0 {
        errors.push(at.required("must specify a handler type"));
    }
}

fn http_get(at: &At<'_>, errors: &mut ErrorList) {
    if at.text("path").is_empty() {
        errors.push(at.field("path").required(""));
    }
    port(&at.field("port"), errors);
    one_of(&at.field("scheme"), &["HTTP", "HTTPS"], errors);
    let headers = at.field("httpHeaders");
    for header in headers.items() {
        let name = At::new(header.get("name"), headers.path.clone());
        named(&name, names::is_http_header_name(name.str()), errors);
    }
}

fn sleep(at: &At<'_>, grace: Option<i64>, errors: &mut ErrorList) {
    let seconds = at.get("seconds").as_i64().unwrap_or_default();
    if let Some(grace) = grace
        && !(0..=grace).contains(&seconds)
    {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(api::field::Error::invalid(&at.path, seconds, detail));
    }
}
