//! The answers of webhooks as upstream's codec reads them: which kind they are, and fields of the types Go expects.
//! Upstream: apimachinery/pkg/runtime/serializer/json, k8s.io/apiserver/pkg/util/webhook.ClientManager.

use api::decode::{FieldValidation, Syntax, decode_untyped};
use api::go_text::quote;
use api::meta;
use json::{Map, Value};

/// An answer that cannot be read, in upstream's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) String);

/// The versions a review of either kind may have.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// Reads an answer that is to be a `kind` of `group/version`; one that names no kind at all passes.
pub(crate) fn read(bytes: &[u8], group: &str, version: &str, kind: &str) -> Result<Value, Malformed> {
    let review = parse(bytes)?;
    let (named_version, named_kind) = (meta::api_version(&review), meta::kind(&review));
    if named_kind.is_empty() && named_version.is_empty() {
        return Ok(review);
    }
    let (named_group, short) = named_version.split_once('/').unwrap_or(("", named_version));
    if named_group != group || named_kind != kind || !VERSIONS.contains(&short) {
        return Err(unregistered(named_version, named_kind));
    }
    if short != version {
        return Err(Malformed(format!("converting ({short}.{kind}) to ({version}.{kind}): unknown conversion")));
    }
    Ok(review)
}

/// Of a kind nobody knows.
pub(crate) fn unregistered(version: &str, kind: &str) -> Malformed {
    let (kind, version) = (quote(kind), quote(version));
    Malformed(format!("no kind {kind} is registered for version {version} in scheme \"pkg/runtime/scheme.go:111\""))
}

/// An object, whatever it is.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Malformed> {
    let unreadable = |why: String| Malformed(format!("couldn't get version/kind; json parse error: {why}"));
    let no_object = |what: &str| {
        unreadable(format!(
            "json: cannot unmarshal {what} into Go value of type struct {{ APIVersion string \
             \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        ))
    };
    let text = bytes.trim_ascii_start();
    // Text that begins no JSON value is YAML to upstream, and plain text in YAML is a string.
    if text.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'<') && !is_literal(text) {
        return Err(no_object("string"));
    }
    let decoded = decode_untyped(bytes, Syntax::Json, FieldValidation::Ignore).map_err(unreadable)?;
    match decoded.object {
        object @ Value::Object(_) => Ok(object),
        other => Err(no_object(json_kind(&other))),
    }
}

fn is_literal(text: &[u8]) -> bool {
    matches!(text.trim_ascii_end(), b"null" | b"true" | b"false")
}

/// What Go's decoder calls a value.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The fields of a Go struct. Absent and null are the zero value.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    fields: &'a Map,
    /// As Go's errors call it: `AdmissionResponse.response`.
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// `review.response`; None when it is absent.
    pub(crate) fn of(review: &'a Value, key: &str, place: &'a str) -> Result<Option<Fields<'a>>, Malformed> {
        match review.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Fields { fields, place })),
            Some(other) => {
                let go_type = place.split('.').next().unwrap_or_default();
                Err(Malformed(format!(
                    "json: cannot unmarshal {} into Go struct field {place} of type {go_type}",
                    json_kind(other)
                )))
            }
        }
    }

    /// Those of the object itself; what is none has none.
    pub(crate) fn of_all(object: &'a Value, place: &'a str) -> Option<Fields<'a>> {
        object.as_object().map(|fields| Fields { fields, place })
    }

    /// The field as it is.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn bool(&self, key: &str) -> Result<bool, Malformed> {
        self.read(key, "bool", Value::as_bool).map(Option::unwrap_or_default)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, Malformed> {
        self.read(key, "string", Value::as_str)
    }

    pub(crate) fn list(&self, key: &str, go_type: &str) -> Result<&'a [Value], Malformed> {
        let list = self.read(key, go_type, Value::as_array)?;
        Ok(list.map(Vec::as_slice).unwrap_or_default())
    }

    /// A map of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<(String, String)>, Malformed> {
        let map = self.read(key, "map[string]string", Value::as_object)?;
        let text = |(name, value): (&json::Text, &Value)| {
            let text = value.as_str().or(value.is_null().then_some(""));
            let text = text.ok_or_else(|| {
                let place = self.place;
                let kind = json_kind(value);
                Malformed(format!("json: cannot unmarshal {kind} into Go struct field {place}.{key} of type string"))
            });
            text.map(|text| (name.to_string(), text.to_owned()))
        };
        map.into_iter().flatten().map(text).collect()
    }

    fn read<T>(
        &self,
        key: &str,
        go_type: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Malformed> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let mismatch = || {
            let kind = json_kind(value);
            Malformed(format!(
                "json: cannot unmarshal {kind} into Go struct field {}.{key} of type {go_type}",
                self.place
            ))
        };
        read(value).map(Some).ok_or_else(mismatch)
    }
}
