//! Fixtures in, plans out: what the plan tests of all controllers share.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::{Action, Event, Operation, Plan, Write};

/// One object from YAML.
pub(crate) fn object<K: DeserializeOwned>(yaml: &str) -> K {
    serde_json::from_value(value(yaml)).unwrap_or_else(|error| panic!("{error} in {yaml}"))
}

/// YAML as JSON.
pub(crate) fn value(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error} in {yaml}"))
}

/// All objects of one kind in a stream of YAML documents.
pub(crate) fn objects<K: DeserializeOwned + k8s_openapi::Resource>(yaml: &str) -> Vec<Arc<K>> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error} in {yaml}"));
    let of_kind = all.into_iter().filter(|value| value["kind"] == K::KIND);
    of_kind.map(|value| Arc::new(serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}")))).collect()
}

/// `2026-01-01T` and this time of day, UTC.
pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-01-01T{time}Z").parse().unwrap()
}

/// A plan as text: one line a step, the body below it.
pub(crate) fn show(plan: &Plan) -> String {
    let mut out = show_operations(&plan.operations);
    if let Some(after) = plan.requeue_after {
        writeln!(out, "again after {after:?}").unwrap();
    }
    out
}

/// Steps as text.
pub(crate) fn show_operations(operations: &[Operation]) -> String {
    let mut out = String::new();
    for operation in operations {
        match operation {
            Operation::Event(event) => writeln!(out, "event {}", line(event)).unwrap(),
            Operation::Write(write) => show_write(&mut out, write),
        }
    }
    out
}

fn line(event: &Event) -> String {
    format!("{} {}: {}", if event.warning { "Warning" } else { "Normal" }, event.reason, event.message)
}

fn show_write(out: &mut String, write: &Write) {
    let (verb, body) = match &write.action {
        Action::Create { object } => ("create", object.clone()),
        Action::Update { object } => ("update", object.clone()),
        Action::Patch { body, .. } => ("patch", body.clone()),
        Action::Delete { options } => ("delete", options.body()),
    };
    let mut target = format!("{} {}", write.resource.api_version(), write.resource.plural);
    if !write.subresource.is_empty() {
        target = format!("{target}/{}", write.subresource);
    }
    let body = match (&write.action, write.subresource) {
        (Action::Update { .. }, "status") => body["status"].clone(),
        _ => body,
    };
    writeln!(out, "{verb} {target} {}/{}", write.namespace, write.name).unwrap();
    if !matches!(&write.action, Action::Delete { options } if *options == crate::engine::DeleteOptions::default()) {
        writeln!(out, "  {body}").unwrap();
    }
    if let Some(event) = &write.announce.success {
        writeln!(out, "  then {}", line(event)).unwrap();
    }
    if let Some(event) = &write.announce.failure {
        writeln!(out, "  else {}", line(event)).unwrap();
    }
}
