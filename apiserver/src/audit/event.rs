//! One event as a line of JSON, its fields in upstream's order.
//! Upstream: k8s.io/apiserver/pkg/apis/audit/v1.Event.

use jiff::Timestamp;
use json::{Map, Value, json};

use super::policy::Level;
use super::{Findings, Record, Stage};
use crate::authentication::UserInfo;

/// The line, its end included.
pub(super) fn render(record: &Record, findings: &Findings, stage: Stage, at: Timestamp) -> String {
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| event.insert(key, value);
    put("kind", "Event".into());
    put("apiVersion", "audit.k8s.io/v1".into());
    put("level", record.decision.level.as_str().into());
    put("auditID", record.id.as_str().into());
    put("stage", stage.as_str().into());
    put("requestURI", record.uri.as_str().into());
    put("verb", record.attributes.verb.as_str().into());
    put("user", user(&record.attributes.user));
    if let Some(impersonated) = &findings.impersonated {
        put("impersonatedUser", user(impersonated));
    }
    if !record.sources.is_empty() {
        put("sourceIPs", record.sources.clone().into());
    }
    if !record.user_agent.is_empty() {
        put("userAgent", record.user_agent.as_str().into());
    }
    if record.attributes.is_resource_request {
        put("objectRef", reference(record, findings));
    }
    if stage != Stage::RequestReceived {
        if let Some((code, status)) = &findings.status {
            put("responseStatus", response_status(*code, status.as_ref()));
        }
        let shown = |object: &Value| match record.decision.omit_managed_fields {
            true => without_managed_fields(object.clone()),
            false => object.clone(),
        };
        if let Some(object) = &findings.request {
            put("requestObject", shown(object));
        }
        if let Some(object) = findings.response.as_ref().filter(|_| record.decision.level >= Level::RequestResponse) {
            put("responseObject", shown(object));
        }
    }
    put("requestReceivedTimestamp", micro_time(record.received).into());
    put("stageTimestamp", micro_time(at).into());
    if !findings.annotations.is_empty() {
        put("annotations", json!(findings.annotations));
    }
    let mut line = Value::Object(event).to_string();
    line.push('\n');
    line
}

/// authentication/v1.UserInfo.
fn user(user: &UserInfo) -> Value {
    let mut fields = Map::new();
    fields.insert("username", user.name.as_str().into());
    if !user.uid.is_empty() {
        fields.insert("uid", user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        fields.insert("groups", user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        fields.insert("extra", json!(user.extra));
    }
    Value::Object(fields)
}

/// What is known of the object: from the path, and from the object itself once it was read.
fn reference(record: &Record, findings: &Findings) -> Value {
    let attributes = &record.attributes;
    let metadata = |key: &str| {
        findings.request.as_ref().and_then(|object| object["metadata"][key].as_str()).unwrap_or_default().to_owned()
    };
    let or_metadata = |own: &str, key: &str| if own.is_empty() { metadata(key) } else { own.to_owned() };
    let fields = [
        ("resource", attributes.resource.clone()),
        ("namespace", or_metadata(&attributes.namespace, "namespace")),
        ("name", or_metadata(&attributes.name, "name")),
        ("uid", metadata("uid")),
        ("apiGroup", attributes.api_group.clone()),
        ("apiVersion", attributes.api_version.clone()),
        ("resourceVersion", metadata("resourceVersion")),
        ("subresource", attributes.subresource.clone()),
    ];
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(given.map(|(key, value)| (key.to_owned(), value.into())).collect())
}

/// The status without the type it is of.
fn response_status(code: u16, status: Option<&Value>) -> Value {
    let mut fields = Map::new();
    fields.insert("metadata", json!({}));
    if let Some(status) = status.and_then(Value::as_object) {
        let told = status.iter().filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion"));
        fields.extend(told.map(|(key, value)| (key.clone(), value.clone())));
    }
    fields.insert("code", code.into());
    Value::Object(fields)
}

/// Of an object and of the items of a list.
fn without_managed_fields(mut object: Value) -> Value {
    let drop = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    drop(&mut object);
    object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(drop);
    object
}

/// metav1.MicroTime.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
