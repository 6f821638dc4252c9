//! What is wrong with a body as a whole: its kind, its version; and the words upstream has for it.

use json::Value;

use super::node::Node;
use super::{Expected, Syntax, Target};
use crate::go_text::quote;

/// Why bytes are not an object of the kind. All are answered with 400 BadRequest and `to_string()` as the message.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A field of a wrong type, an unknown kind, or (Strict) unknown and duplicate fields.
    #[error("{kind} in version {} cannot be handled as a {target}: {reason}", quote(version))]
    Malformed {
        /// Kind the body names.
        kind: String,
        /// Version the body names.
        version: String,
        /// Kind the request is for.
        target: String,
        /// What is wrong.
        reason: String,
    },
    /// The body could not be read far enough to know its kind.
    #[error("the object provided is unrecognized (must be of type {target}): {reason} ({summary})")]
    Unrecognized {
        /// Kind the request is for.
        target: String,
        /// What is wrong.
        reason: String,
        /// The first bytes, in hexadecimal when they are no JSON object.
        summary: String,
    },
    /// Another version of the kind than the path's.
    #[error("the API version in the data ({found}) does not match the expected API version ({expected})")]
    WrongVersion {
        /// `apiVersion` of the body.
        found: String,
        /// `apiVersion` of the path.
        expected: String,
    },
}

impl Error {
    /// Of bytes that are no object, shown as far as upstream shows them.
    pub fn unrecognized<'a>(reason: String, target: impl Into<Expected<'a>>, body: &[u8]) -> Error {
        Error::Unrecognized { target: target.into().kind().to_owned(), reason, summary: summary(body) }
    }
}

impl From<Error> for crate::status::Status {
    fn from(error: Error) -> Self {
        crate::status::Status::bad_request(error.to_string())
    }
}

/// The answer to bytes that are no JSON.
pub(super) fn no_json(reason: String, target: Expected<'_>, body: &[u8]) -> Error {
    Error::unrecognized(format!("couldn't get version/kind; json parse error: {reason}"), target, body)
}

/// Upstream: handlers.summarizeData.
fn summary(body: &[u8]) -> String {
    const LENGTH: usize = 30;
    let (shown, more) = if body.len() > LENGTH { (&body[..LENGTH], " ...") } else { (body, "") };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned() + more,
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}

/// The text of a strict decoding error. YAML's own duplicates come first, in one piece.
pub(super) fn strict(syntax: Syntax, duplicates: &[String], others: &[String]) -> String {
    let mut parts: Vec<String> = Vec::new();
    if syntax == Syntax::Yaml && !duplicates.is_empty() {
        parts.push(format!("yaml: unmarshal errors:\n  {}", duplicates.join("\n  ")));
    } else {
        parts.extend_from_slice(duplicates);
    }
    parts.extend_from_slice(others);
    format!("strict decoding error: {}", parts.join(", "))
}

/// The kind a body names, with the target's where it names none.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
}

/// Reads `apiVersion` and `kind`, empty where they are not said. The error is the reason alone.
pub(super) fn type_meta(node: &Node<'_>) -> Result<(String, String), String> {
    const FINDER: &str =
        r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    let problem =
        |reason: String| format!("couldn't get version/kind; json parse error: json: cannot unmarshal {reason}");
    if !matches!(node, Node::Object(_) | Node::Null) {
        return Err(problem(format!("{} into Go value of type {FINDER}", node.noun())));
    }
    let text = |key: &str| match node.get(key) {
        None | Some(Node::Null) => Ok(String::new()),
        Some(Node::String(text)) => Ok(text.to_string()),
        Some(other) => Err(problem(format!("{} into Go struct field .{key} of type string", other.noun()))),
    };
    Ok((text("apiVersion")?, text("kind")?))
}

/// The kind a body names, the target's where it names none. The error is the reason alone.
pub(super) fn named_kind(node: &Node<'_>, target: Target<'_>) -> Result<Named, String> {
    let (api_version, mut kind) = type_meta(node)?;
    let (mut group, mut version) = match api_version.split_once('/') {
        Some((_, version)) if version.contains('/') => {
            return Err(format!("unexpected GroupVersion string: {api_version}"));
        }
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api_version),
    };
    if kind.is_empty() {
        target.kind.clone_into(&mut kind);
    }
    if version.is_empty() && (group.is_empty() || group == target.group) {
        target.group.clone_into(&mut group);
        target.version.clone_into(&mut version);
    }
    Ok(Named { group, version, kind })
}

impl Named {
    pub(super) fn is(&self, target: Target<'_>) -> bool {
        self.group == target.group && self.version == target.version && self.kind == target.kind
    }

    /// Sets `kind` and `apiVersion`, in front.
    pub(super) fn write(&self, object: &mut Value) {
        let Value::Object(members) = object else { return };
        for (position, (key, value)) in
            [("kind", self.kind.clone()), ("apiVersion", self.api_version())].into_iter().enumerate()
        {
            match members.get_mut(key) {
                Some(slot) => *slot = Value::from(value),
                None => {
                    members.shift_insert(position.min(members.len()), key, Value::from(value));
                }
            }
        }
    }

    /// The kind is known to no scheme.
    pub(super) fn unknown(&self, target: Target<'_>) -> Error {
        // Upstream still registers versions it no longer serves; the tables do not hold them. Core never had another.
        if !self.group.is_empty() && self.kind == target.kind && self.group == target.group && is_version(&self.version)
        {
            return self.wrong_version(target);
        }
        self.unknown_to(target, "pkg/api/legacyscheme/scheme.go:30")
    }

    /// The kind is not known to a scheme, by the name released binaries print for it.
    pub(super) fn unknown_to(&self, target: Target<'_>, scheme: &str) -> Error {
        let (kind, api_version) = (quote(&self.kind), quote(&self.api_version()));
        let reason = format!("no kind {kind} is registered for version {api_version} in scheme \"{scheme}\"");
        self.malformed(target, reason)
    }

    /// The kind is a known one, and not the target.
    pub(super) fn mismatch(&self, target: Target<'_>) -> Error {
        if self.kind == target.kind && self.group == target.group {
            return self.wrong_version(target);
        }
        self.malformed(
            target,
            format!(
                "converting ({}.{}) to ({}.{}): unknown conversion",
                self.version,
                self.kind,
                internal_package(target.group),
                target.kind
            ),
        )
    }

    fn wrong_version(&self, target: Target<'_>) -> Error {
        let expected =
            Named { group: target.group.to_owned(), version: target.version.to_owned(), kind: String::new() };
        Error::WrongVersion { found: self.api_version(), expected: expected.api_version() }
    }

    /// The body is of this kind, or says so, and cannot be read as one.
    pub(super) fn malformed(&self, target: Target<'_>, reason: String) -> Error {
        Error::Malformed {
            kind: self.kind.clone(),
            version: self.version.clone(),
            target: target.kind.to_owned(),
            reason,
        }
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// `v1`, `v2beta1`.
fn is_version(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = text.strip_prefix('v') else { return false };
    match rest.split_once("alpha").or_else(|| rest.split_once("beta")) {
        Some((major, minor)) => digits(major) && digits(minor),
        None => digits(rest),
    }
}

/// Package of the group's internal types, as upstream's messages name it.
pub fn internal_package(group: &str) -> &str {
    match group {
        "" | "events.k8s.io" => "core",
        _ => group.split('.').next().unwrap_or(group),
    }
}
