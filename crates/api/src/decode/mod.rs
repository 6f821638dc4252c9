//! Bytes of a request (JSON or YAML) into a checked `json::Value`.
//!
//! [`decode`] gives what a Go round trip through the typed struct gives: types checked, unknown fields pruned,
//! null and empty optional fields dropped, numbers, quantities and times in canonical form, fields in Go's order.
//! Custom resources are held to their own schema ([`CustomTarget`]). [`decode_untyped`] is for patches: syntax and duplicates
//! only. Messages are upstream's.
//! [`sparse`] reads a few fields out of bytes that were encoded here.
//! None fills in defaults ([`crate::default`]) nor limits the size of a body (the apiserver's).
//! Upstream: `runtime/serializer/json` over `sigs.k8s.io/json`.

mod binary;
mod custom;
mod error;
mod json;
mod node;
mod scalar;
mod sparse;
mod time;
mod typed;
mod yaml;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use ::json::Value;

use crate::schema::Schema;
use crate::scheme::Scheme;
pub use binary::{decode_cbor, decode_protobuf};
pub use custom::CustomTarget;
pub use error::{Error, internal_package};
pub use node::MAX_DEPTH;
use node::Node;
pub use sparse::sparse;

/// What is done about unknown and duplicate fields. Upstream: `metav1.FieldValidation*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped, and reported in [`Decoded::warnings`] (upstream's default).
    #[default]
    Warn,
    /// An error.
    Strict,
}

impl FieldValidation {
    /// The value of the query parameter; None for one upstream refuses.
    pub fn from_parameter(text: &str) -> Option<FieldValidation> {
        match text {
            "" | "Warn" => Some(FieldValidation::Warn),
            "Ignore" => Some(FieldValidation::Ignore),
            "Strict" => Some(FieldValidation::Strict),
            _ => None,
        }
    }
}

/// Syntax of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// What the request's path makes of the body: the default kind and its schema.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Group of the expected kind.
    pub group: &'a str,
    /// Version of the expected kind.
    pub version: &'a str,
    /// The expected kind.
    pub kind: &'a str,
    /// Schema of the expected kind.
    pub schema: Schema<'a>,
}

/// What a body must be.
#[derive(Clone, Copy, Debug)]
pub enum Expected<'a> {
    /// An object of a built-in kind.
    Typed(Target<'a>),
    /// A custom resource.
    Custom(CustomTarget<'a>),
}

impl<'a> From<Target<'a>> for Expected<'a> {
    fn from(target: Target<'a>) -> Expected<'a> {
        Expected::Typed(target)
    }
}

impl Expected<'_> {
    /// The kind expected.
    pub fn kind(&self) -> &str {
        match self {
            Expected::Typed(target) => target.kind,
            Expected::Custom(target) => target.kind,
        }
    }

    /// Its group and version.
    pub fn group_version(&self) -> (&str, &str) {
        match self {
            Expected::Typed(target) => (target.group, target.version),
            Expected::Custom(target) => (target.group, target.version),
        }
    }
}

impl Target<'static> {
    /// The target of a built-in kind.
    pub fn builtin(group: &'static str, version: &'static str, kind: &'static str) -> Option<Target<'static>> {
        let schema = Scheme::builtin().kind(group, version, kind)?;
        Some(Target { group, version, kind, schema })
    }
}

/// A decoded object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object. After [`decode`] and [`normalize`], `apiVersion` and `kind` are set.
    pub object: Value,
    /// Texts for `Warning:` headers, without the code ([`FieldValidation::Warn`] only).
    pub warnings: Vec<String>,
    /// Was there an empty list or map outside metadata? It is not in the object: nothing that is stored has one. Go's
    /// structs have until then, which some generations of upstream count.
    pub emptied: bool,
}

/// Decodes an object of a built-in kind, or a custom resource.
pub fn decode<'a>(
    body: &[u8],
    syntax: Syntax,
    target: impl Into<Expected<'a>>,
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    let target = target.into();
    let strict = validation != FieldValidation::Ignore;
    let text;
    let (node, mut duplicates) = match syntax {
        Syntax::Json => {
            text = json_text(body);
            let node = json::parse(&text).map_err(|_| error::no_json(json::syntax_error(body), target, body))?;
            (node, Vec::new())
        }
        Syntax::Yaml => {
            let parsed = yaml::parse(body).map_err(|reason| Error::unrecognized(reason, target, body))?;
            (parsed.node, parsed.duplicates)
        }
    };
    if !strict {
        duplicates.clear();
    }
    match target {
        Expected::Typed(target) => {
            let named = error::named_kind(&node, target).map_err(|reason| Error::unrecognized(reason, target, body))?;
            object(&node, &named, target, validation, duplicates)
        }
        Expected::Custom(target) => {
            // The walk by a Go struct finds them on its way.
            if strict && syntax == Syntax::Json {
                untyped_duplicates(&node, &mut String::new(), &mut duplicates);
            }
            custom::object(&node, target, validation, syntax, duplicates, &|| body.to_vec())
        }
    }
}

/// Brings an object that was changed in memory (by a patch, by a webhook) into the form [`decode`] gives, with the
/// same checks.
pub fn normalize<'a>(
    object: &Value,
    target: impl Into<Expected<'a>>,
    validation: FieldValidation,
) -> Result<Decoded, Error> {
    let node = Node::of(object);
    let body = || object.to_string().into_bytes();
    match target.into() {
        Expected::Typed(target) => {
            let named =
                error::named_kind(&node, target).map_err(|reason| Error::unrecognized(reason, target, &body()))?;
            self::object(&node, &named, target, validation, Vec::new())
        }
        Expected::Custom(target) => custom::object(&node, target, validation, Syntax::Json, Vec::new(), &body),
    }
}

/// Brings a value of a type that is no kind (metadata) into the form decoding gives. Returns what was dropped
/// (`unknown field "a.b"`); the error is the decoder's words.
pub(crate) fn normalize_typed(value: &mut Value, schema: Schema<'_>) -> Result<Vec<String>, String> {
    if !value.is_object() && !value.is_null() {
        let (noun, wanted) = (Node::of(value).noun(), &schema.object().go_type);
        return Err(format!("json: cannot unmarshal {noun} into Go value of type {wanted}"));
    }
    let walked = typed::walk(&Node::of(value), schema, true).map_err(|problem| problem.to_string())?;
    *value = walked.value;
    Ok(walked.strict)
}

/// What is written for a field that nobody set: `{}` for most statuses, the zero values of their required fields for
/// others. None when nothing is written.
pub fn unset(schema: Schema<'_>, field: &str) -> Option<Value> {
    typed::present(schema, schema.field(field)?, None)
}

/// What Go writes for an object of a kind nobody set anything of, without kind and apiVersion.
pub fn empty(schema: Schema<'_>) -> Value {
    typed::zero_object(schema)
}

/// Parses without a schema. Duplicate keys are reported, the last one wins.
///
/// The error is the reason alone, to be put in the place upstream puts it.
pub fn decode_untyped(body: &[u8], syntax: Syntax, validation: FieldValidation) -> Result<Decoded, String> {
    let text;
    let (node, mut complaints) = match syntax {
        Syntax::Json => {
            text = json_text(body);
            let node = json::parse(&text).map_err(|_| json::syntax_error(body))?;
            let mut complaints = Vec::new();
            if validation != FieldValidation::Ignore {
                untyped_duplicates(&node, &mut String::new(), &mut complaints);
            }
            (node, complaints)
        }
        Syntax::Yaml => yaml::parse(body).map(|parsed| (parsed.node, parsed.duplicates))?,
    };
    match validation {
        FieldValidation::Ignore => complaints.clear(),
        FieldValidation::Warn => {}
        FieldValidation::Strict if complaints.is_empty() => {}
        FieldValidation::Strict => return Err(error::strict(syntax, &complaints, &[])),
    }
    Ok(Decoded { object: node.to_value(), warnings: complaints, emptied: false })
}

/// Bytes that are not UTF-8 are so in strings only, or no JSON at all: there they are replaced, as Go does.
fn json_text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

fn object(
    node: &Node<'_>,
    named: &error::Named,
    target: Target<'_>,
    validation: FieldValidation,
    duplicates: Vec<String>,
) -> Result<Decoded, Error> {
    let expected = named.is(target);
    let schema =
        if expected { Some(target.schema) } else { Scheme::builtin().kind(&named.group, &named.version, &named.kind) };
    let malformed = |reason: String| Error::Malformed {
        kind: named.kind.clone(),
        version: named.version.clone(),
        target: target.kind.to_owned(),
        reason,
    };
    let Some(schema) = schema else {
        return Err(named.unknown(target));
    };
    let strict = validation != FieldValidation::Ignore;
    let walked = typed::walk(node, schema, strict).map_err(|problem| malformed(problem.to_string()))?;
    if validation == FieldValidation::Strict && !(duplicates.is_empty() && walked.strict.is_empty()) {
        return Err(malformed(error::strict(Syntax::Yaml, &duplicates, &walked.strict)));
    }
    if !expected {
        return Err(named.mismatch(target));
    }
    let mut object = walked.value;
    named.write(&mut object);
    keep_cleared_owners(node, &mut object);
    let mut warnings = duplicates;
    warnings.extend(walked.strict);
    Ok(Decoded { object, warnings, emptied: walked.emptied })
}

/// An empty list of managedFields asks for a new start, as a list of one empty entry does, which unlike it is kept.
fn keep_cleared_owners(node: &Node<'_>, object: &mut Value) {
    let entries = node.get("metadata").and_then(|metadata| metadata.get("managedFields"));
    if matches!(entries, Some(Node::Array(entries)) if entries.is_empty())
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("managedFields", Value::Array(vec![Value::Object(::json::Map::new())]));
    }
}

fn untyped_duplicates(node: &Node<'_>, path: &mut String, complaints: &mut Vec<String>) {
    let length = path.len();
    match node {
        Node::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                untyped_duplicates(item, path, complaints);
                path.truncate(length);
            }
        }
        Node::Object(members) => {
            for (position, (key, value)) in members.iter().enumerate() {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                let complaint = || format!("duplicate field {}", crate::go_text::quote(path));
                if members[..position].iter().any(|(earlier, _)| earlier == key) && !complaints.contains(&complaint()) {
                    complaints.push(complaint());
                }
                untyped_duplicates(value, path, complaints);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
