//! A status as JSON and back.

use super::{Cause, Details, Outcome, Reason, Status};
use crate::go_text;
use bytes::Bytes;
use json::{Map, Value};

impl Status {
    /// The bytes upstream serves: fields in the order of its struct, empty ones left out, a line feed at the end.
    pub fn to_json(&self) -> Bytes {
        let mut text = go_text::json(&self.to_value());
        text.push('\n');
        Bytes::from(text)
    }

    /// The status as an object.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        put(&mut fields, "kind", "Status");
        put(&mut fields, "apiVersion", "v1");
        fields.insert("metadata", Value::Object(Map::new()));
        put(
            &mut fields,
            "status",
            match self.outcome {
                Outcome::Success => "Success",
                Outcome::Failure => "Failure",
            },
        );
        put(&mut fields, "message", &self.message);
        put(&mut fields, "reason", self.reason.as_str());
        if let Some(details) = &self.details {
            fields.insert("details", details.to_value());
        }
        if self.code != 0 {
            fields.insert("code", self.code.into());
        }
        Value::Object(fields)
    }

    /// Reads a status an aggregated server or a webhook answered with; absent fields are empty.
    pub fn from_value(value: &Value) -> Option<Status> {
        let fields = value.as_object()?;
        let outcome = if text(value, "status") == "Success" { Outcome::Success } else { Outcome::Failure };
        Some(Status {
            outcome,
            code: fields
                .get("code")
                .and_then(Value::as_u64)
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or_default(),
            reason: Reason::from(text(value, "reason")),
            message: text(value, "message").to_owned(),
            details: fields.get("details").filter(|d| d.is_object()).map(|d| Box::new(Details::from_value(d))),
        })
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut fields = Map::new();
        put(&mut fields, "name", &self.name);
        put(&mut fields, "group", &self.group);
        put(&mut fields, "kind", &self.kind);
        put(&mut fields, "uid", &self.uid);
        if !self.causes.is_empty() {
            fields.insert("causes", self.causes.iter().map(Cause::to_value).collect());
        }
        if self.retry_after_seconds > 0 {
            fields.insert("retryAfterSeconds", self.retry_after_seconds.into());
        }
        Value::Object(fields)
    }

    fn from_value(value: &Value) -> Details {
        let seconds = value.get("retryAfterSeconds").and_then(Value::as_u64).unwrap_or_default();
        Details {
            name: text(value, "name").to_owned(),
            group: text(value, "group").to_owned(),
            kind: text(value, "kind").to_owned(),
            uid: text(value, "uid").to_owned(),
            causes: value
                .get("causes")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .map(Cause::from_value)
                .collect(),
            retry_after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut fields = Map::new();
        put(&mut fields, "reason", &self.reason);
        put(&mut fields, "message", &self.message);
        put(&mut fields, "field", &self.field);
        Value::Object(fields)
    }

    fn from_value(value: &Value) -> Cause {
        Cause {
            reason: text(value, "reason").to_owned(),
            message: text(value, "message").to_owned(),
            field: text(value, "field").to_owned(),
        }
    }
}

fn put(fields: &mut Map, key: &str, text: &str) {
    if !text.is_empty() {
        fields.insert(key, text.into());
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
