//! Keeps flow control and its objects together: the configuration follows the objects, the objects that every cluster has
//! are kept as they are to be, and each FlowSchema is told whether its level is there.
//!
//! Runs when one of the objects changes, and never in between.
//! Upstream: apf_controller.go (digestConfigObjects), pkg/registry/flowcontrol/{ensurer,rest}.

use std::sync::Arc;
use std::time::Duration;

use api::meta;
use json::{Value, json};
use store::Watch;

use super::FlowControl;
use super::schema::{CATCH_ALL, EXEMPT};
use crate::context::{Objects, format_time};
use crate::registry::bootstrap::{self, Write};
use crate::registry::fields::text;
use crate::registry::store::Engine;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const SCHEMAS: &str = "flowschemas";
const LEVELS: &str = "prioritylevelconfigurations";
const AUTOUPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
/// Before a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Follows the objects for as long as the server runs.
pub(crate) async fn run(control: Arc<FlowControl>, engine: Arc<Engine>, client: kube::Client) {
    loop {
        let Some([mut schema_changes, mut level_changes]) = watches(&engine) else { return };
        let schemas = engine.list(GROUP, SCHEMAS, "");
        let levels = engine.list(GROUP, LEVELS, "");
        control.configure(&schemas, &levels);
        let failed = match bootstrap::apply(vec![plan(&schemas, &levels)], &client).await {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "flow control's objects could not be kept up");
                true
            }
        };
        // Whatever ended a watch, the objects are looked at anew.
        tokio::select! {
            _ = schema_changes.next() => {}
            _ = level_changes.next() => {}
            () = tokio::time::sleep(RETRY), if failed => {}
        }
    }
}

/// From now on; none when the store is closed.
fn watches(engine: &Engine) -> Option<[Watch; 2]> {
    let now = engine.store.revision();
    let watch = |plural: &str| {
        let prefix = engine.resources.stored(GROUP, plural)?.prefix.clone();
        engine.store.watch(&prefix, now).ok()
    };
    Some([watch(SCHEMAS)?, watch(LEVELS)?])
}

/// What is to be written so that the objects are as they should be.
pub(super) fn plan(schemas: &[Arc<Value>], levels: &[Arc<Value>]) -> Vec<Write> {
    let mut writes = Vec::new();
    for wanted in bootstrap::flow_control() {
        let all = if meta::kind(&wanted) == "FlowSchema" { schemas } else { levels };
        match all.iter().find(|own| meta::name(own) == meta::name(&wanted)) {
            None => writes.push(Write::Create(wanted)),
            Some(own) => writes.extend(follow(own, &wanted).map(Write::Update)),
        }
    }
    let there = |name: &str| levels.iter().any(|level| meta::name(level) == name);
    writes.extend(schemas.iter().filter_map(|schema| dangling(schema, &there)).map(Write::Status));
    writes
}

/// The object as it is to be, where it is not. The two that must be there are always; the others while their owner leaves
/// them to us.
fn follow(own: &Value, wanted: &Value) -> Option<Value> {
    let mandatory = matches!(meta::name(wanted), EXEMPT | CATCH_ALL);
    if !mandatory && own["metadata"]["annotations"][AUTOUPDATE] != "true" {
        return None;
    }
    // How many seats the exempt level counts as is its owner's to say.
    let is_exempt_level = meta::kind(wanted) == "PriorityLevelConfiguration" && meta::name(wanted) == EXEMPT;
    let same =
        if is_exempt_level { own["spec"]["type"] == wanted["spec"]["type"] } else { own["spec"] == wanted["spec"] };
    (!same).then(|| {
        let mut result = own.clone();
        result["spec"] = wanted["spec"].clone();
        result
    })
}

/// What is to be applied so that a schema has the condition `Dangling` as it is to be; nothing where it has.
fn dangling(schema: &Value, there: &dyn Fn(&str) -> bool) -> Option<Value> {
    let level = text(&schema["spec"]["priorityLevelConfiguration"], "name");
    let quoted = api::go_text::quote(level);
    let references = format!("This FlowSchema references the PriorityLevelConfiguration object named {quoted}");
    let (status, reason, message) = match there(level) {
        true => ("False", "Found", format!("{references} and it exists")),
        false => ("True", "NotFound", format!("{references} but there is no such object")),
    };
    let conditions = schema["status"]["conditions"].as_array();
    let own = conditions.into_iter().flatten().find(|condition| condition["type"] == "Dangling");
    if own.is_some_and(|own| own["status"] == status && own["reason"] == reason && own["message"] == message.as_str()) {
        return None;
    }
    let since = own.filter(|own| own["status"] == status).map(|own| own["lastTransitionTime"].clone());
    let since = since.unwrap_or_else(|| format_time(jiff::Timestamp::now()).into());
    Some(json!({
        "apiVersion": meta::api_version(schema), "kind": meta::kind(schema), "metadata": {"name": meta::name(schema)},
        "status": {"conditions": [{
            "type": "Dangling", "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
        }]},
    }))
}
