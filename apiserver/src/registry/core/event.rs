//! Events, of the groups "" and events.k8s.io. Upstream: pkg/apis/core/validation/events.go.

use api::field::{Error, ErrorList, Path};
use api::meta;
use json::Value;

use super::super::fields::{At, at, text};
use super::super::strategy::Strategy;
use super::super::validation::{immutable, qualified_name};
use crate::context::RequestContext;

/// The semantics of events. Objects are in the storage version, core/v1.
#[derive(Debug, Clone, Copy)]
pub struct Event;

/// Fields a strict update may not touch.
const FIXED: [&str; 12] = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
];

impl Strategy for Event {
    /// Events of the old group may be written under any name; the rest of their metadata is not looked at upstream either.
    fn name_rule(&self) -> api::names::NameRule {
        api::names::name_is_dns_subdomain
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = legacy(ctx, new);
        if !strict(ctx) {
            return errors;
        }
        let mut unset = |field: &'static str, given: bool| {
            if given {
                errors.push(Error::invalid(&Path::new(field), "", "needs to be unset"));
            }
        };
        let root = At::root(new);
        unset("firstTimestamp", root.has("firstTimestamp"));
        unset("lastTimestamp", root.has("lastTimestamp"));
        unset("count", root.field("count").int() != 0);
        unset("source", !root.field("source").is_empty() && root.field("source").value != &json::json!({}));
        series(&root, &mut errors);
        if !root.has("eventTime") {
            errors.push(Error::required(&Path::new("eventTime"), ""));
        }
        if !matches!(root.text("type"), "Normal" | "Warning") {
            errors.push(Error::invalid(&Path::new("type"), "", format!("has invalid value: {}", root.text("type"))));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = legacy(ctx, new);
        if !strict(ctx) {
            return errors;
        }
        let root = At::root(new);
        if root.get("series") != at(old, &["series"]) {
            series(&root, &mut errors);
        }
        for field in FIXED {
            let path = Path::new(if field == "reportingComponent" { "reportingController" } else { field });
            immutable(&At::new(root.get(field), path), at(old, &[field]), &mut errors);
        }
        immutable(&root.field("eventTime"), at(old, &["eventTime"]), &mut errors);
        errors
    }
}

/// The newer group demands more.
fn strict(ctx: &RequestContext) -> bool {
    ctx.target.group == "events.k8s.io" && ctx.target.version == "v1"
}

fn series(root: &At<'_>, errors: &mut ErrorList) {
    let series = root.field("series");
    if !series.is_set() {
        return;
    }
    if series.field("count").int() < 2 {
        errors.push(Error::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if !series.has("lastObservedTime") {
        errors.push(Error::required(&Path::new("series.lastObservedTime"), ""));
    }
}

fn legacy(ctx: &RequestContext, new: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let root = At::root(new);
    let about = root.field("involvedObject").field("namespace");
    let namespace = meta::namespace(new);
    let mismatch = || about.invalid_str("does not match event.namespace");
    if !root.has("eventTime") {
        let matches =
            if about.str().is_empty() { matches!(namespace, "" | "default") } else { namespace == about.str() };
        if !matches {
            errors.push(mismatch());
        }
        return errors;
    }
    if about.str().is_empty() && !matches!(namespace, "default" | "kube-system") {
        errors.push(mismatch());
    }
    let shown = if ctx.target.group.is_empty() { "reportingComponent" } else { "reportingController" };
    let controller = At::new(root.get("reportingComponent"), Path::new(shown));
    if controller.str().is_empty() {
        errors.push(controller.required(""));
    }
    qualified_name(&controller, &mut errors);
    for (field, limit) in [("reportingInstance", 128), ("action", 128), ("reason", 128), ("message", 1024)] {
        let value = text(new, field);
        if value.is_empty() && field != "message" {
            errors.push(Error::required(&Path::new(field), ""));
        }
        if value.len() > limit {
            errors.push(Error::invalid(&Path::new(field), "", format!("can have at most {limit} characters")));
        }
    }
    errors
}
