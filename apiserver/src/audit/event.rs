//! One event as JSON, its fields in upstream's order. It is written once for all who take it.
//! Upstream: k8s.io/apiserver/pkg/apis/audit/v1.Event.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use json::{Map, Value, json};

use super::policy::Level;
use super::{Findings, Record, Stage, legacy};
use crate::authentication::UserInfo;

/// What is before the fields of an event that stands alone; in lists it is left out.
const TYPE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","#;
/// Says that parts of an event were left out.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// An event, as often as it is needed.
#[derive(Clone, Debug)]
pub(super) struct Event(Arc<Rendered>);

#[derive(Debug)]
struct Rendered {
    fields: Value,
    text: String,
    level: Level,
    received: Timestamp,
}

impl Event {
    /// Of all fields but its type, about a request received then.
    pub(super) fn of(fields: Value, level: Level, received: Timestamp) -> Event {
        let text = fields.to_string();
        Event(Arc::new(Rendered { fields, text, level, received }))
    }

    /// As an item of a list.
    pub(super) fn text(&self) -> &str {
        &self.0.text
    }

    /// As a line of its own, its end included.
    pub(super) fn line(&self) -> String {
        format!("{TYPE}{}\n", self.0.text.strip_prefix('{').unwrap_or_default())
    }

    /// As a line of text, its end included.
    pub(super) fn legacy_line(&self) -> String {
        legacy::line(&self.0.fields, self.0.received, TimeZone::system())
    }

    /// Bytes of the line.
    pub(super) fn size(&self) -> usize {
        TYPE.len() + self.0.text.len()
    }

    /// The same without the objects it may hold; None where its level has none. Upstream: truncate.truncate.
    pub(super) fn without_objects(&self) -> Option<Event> {
        if self.0.level < Level::Request {
            return None;
        }
        let mut fields = self.0.fields.clone();
        let own = fields.as_object_mut()?;
        own.shift_remove("requestObject");
        own.shift_remove("responseObject");
        own.entry("annotations").or_insert_with(|| json!({}))[TRUNCATED] = "true".into();
        Some(Event::of(fields, self.0.level, self.0.received))
    }
}

/// The event of a request that passes a stage.
pub(super) fn render(record: &Record, findings: &Findings, stage: Stage, at: Timestamp) -> Event {
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| event.insert(key, value);
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
    Event::of(Value::Object(event), record.decision.level, record.received)
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
