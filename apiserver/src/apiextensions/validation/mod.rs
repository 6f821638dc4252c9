//! What a CustomResourceDefinition must be.
//!
//! Upstream validates an internal form in which what all versions say alike is said once, above them; error paths are of
//! that form (`spec.validation.openAPIV3Schema`, not `spec.versions[0].schema.openAPIV3Schema`). [`Hoisted`] knows which.
//! Upstream: apiextensions-apiserver/pkg/apis/apiextensions/validation.

mod conversion;
mod defaults;
mod schema;
mod structural;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::BTreeSet;

use api::field::{BadValue, Error, ErrorList, Path};
use api::meta;
use api::names;
use api::structural::Node;
use json::{Map, Value};

use super::definition::is_condition_true;
use super::names::{APPROVAL, Approval, approval, is_protected};
use crate::registry::fields::At;

/// Faults of a new definition.
pub(super) fn validate(new: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(new).field("spec");
    if meta::name(new) != format!("{}.{}", spec.get("names")["plural"].as_str().unwrap_or_default(), spec.text("group"))
    {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(Error::invalid(&Path::new("metadata").child("name"), meta::name(new), detail));
    }
    self::spec(&spec, None, &mut errors);
    names_of(&At::root(new).field("status").field("acceptedNames"), &mut errors);
    stored_versions(new, &mut errors);
    approved(new, None, &mut errors);
    preserve(&spec, None, &mut errors);
    errors
}

/// Faults of a changed definition.
pub(super) fn validate_update(new: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(new).field("spec");
    self::spec(&spec, Some(old), &mut errors);
    let before = &old["spec"];
    let mut immutable = |at: At<'_>, before: &Value| {
        if at.value != before {
            errors.push(at.invalid("field is immutable"));
        }
    };
    if is_condition_true(old, "Established") {
        immutable(spec.field("scope"), &before["scope"]);
        immutable(spec.field("names").field("kind"), &before["names"]["kind"]);
    }
    immutable(spec.field("group"), &before["group"]);
    immutable(spec.field("names").field("plural"), &before["names"]["plural"]);
    names_of(&At::root(new).field("status").field("acceptedNames"), &mut errors);
    stored_versions(new, &mut errors);
    approved(new, Some(old), &mut errors);
    preserve(&spec, Some(old), &mut errors);
    errors
}

/// Faults of a changed status.
pub(super) fn validate_status(new: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    names_of(&At::root(new).field("status").field("acceptedNames"), &mut errors);
    errors
}

/// What its schemas are not, as the condition NonStructuralSchema says it: reason and message.
pub(super) fn structural_faults(definition: &Value) -> (&'static str, String) {
    let spec = At::root(definition).field("spec");
    let mut errors = ErrorList::new();
    errors.push(spec.field("preserveUnknownFields").invalid("must be false"));
    for version in spec.field("versions").items() {
        let schema = version.field("schema").field("openAPIV3Schema");
        if !schema.is_set() {
            continue;
        }
        if let Err(error) = Node::compile(schema.value) {
            let name = version.field("name");
            return (
                "StructuralError",
                format!("failed to check validation schema for version {}: {error}", name.str()),
            );
        }
        errors.extend(structural::validate(&schema));
    }
    ("Violations", errors.message().unwrap_or_default())
}

/// What is said of a definition that is valid; on an update only of what is new in it.
pub(super) fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let of = |definition: &Value| {
        let (mut formats, mut sets) = (Vec::new(), BTreeSet::new());
        for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
            schema::each(&version["schema"]["openAPIV3Schema"], &mut |schema| {
                formats.extend(
                    schema::unknown_format(schema)
                        .map(|format| format!("unrecognized format {}", api::go_text::quote(format))),
                );
                sets.extend(schema::unsupported_set(schema));
            });
        }
        formats.into_iter().chain(sets).collect::<Vec<String>>()
    };
    let known = old.map(of).unwrap_or_default();
    of(new).into_iter().filter(|warning| !known.contains(warning)).collect()
}

/// What all versions say alike is validated once.
struct Hoisted<'a> {
    versions: At<'a>,
}

impl<'a> Hoisted<'a> {
    /// The value of a field of all versions, if they agree. Nothing at all is agreement, too.
    fn common(&self, field: &'static str) -> Option<&'a Value> {
        let mut values = self.versions.slice().iter().map(|version| version.get(field).unwrap_or(&Value::Null));
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }
}

fn spec(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let group = spec.field("group");
    if group.is_empty() {
        errors.push(group.required(""));
    } else {
        let faults = names::is_dns1123_subdomain(group.str());
        if !faults.is_empty() {
            errors.push(group.invalid_str(faults.join(",")));
        } else if !group.str().contains('.') {
            errors.push(group.invalid_str("should be a domain with at least one dot"));
        }
    }
    one_of(&spec.field("scope"), &["Cluster", "Namespaced"], errors);
    let hoisted = Hoisted { versions: spec.field("versions") };
    let common_schema = hoisted.common("schema").filter(|schema| !schema.is_null());
    if common_schema.is_none_or(|schema| schema["openAPIV3Schema"].is_null()) {
        for version in hoisted.versions.items() {
            let schema = version.field("schema").field("openAPIV3Schema");
            if !schema.is_set() {
                errors.push(schema.required(""));
            }
        }
    }
    let mut seen = BTreeSet::new();
    let mut unique = true;
    for version in hoisted.versions.items() {
        let name = version.field("name");
        unique &= seen.insert(name.str());
        let faults = names::is_dns1035_label(name.str());
        if !faults.is_empty() {
            errors.push(name.invalid_str(faults.join(",")));
        }
        versions::validate(&version, &hoisted, errors);
    }
    let listed = |detail: &str| Error {
        bad_value: BadValue::Verbatim(shown_versions(&hoisted)),
        ..Error::invalid(&hoisted.versions.path, Value::Null, detail)
    };
    if !unique {
        errors.push(listed("must contain unique version names"));
    }
    if hoisted.versions.slice().iter().filter(|version| version["storage"] == true).count() != 1 {
        errors.push(listed("must have exactly one version marked as storage version"));
    }
    if let Some(first) = hoisted.versions.slice().first().and_then(|version| version["name"].as_str()) {
        let faults = names::is_dns1035_label(first);
        if !first.is_empty() && !faults.is_empty() {
            errors.push(Error::invalid(&spec.path.child("version"), first, faults.join(",")));
        }
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = spec.field("names").field(field);
        if name.is_empty() {
            errors.push(name.required(""));
        }
    }
    names_of(&spec.field("names"), errors);
    versions::validate_common(spec, &hoisted, errors);
    conversion::validate(spec, old, errors);
}

/// The versions as upstream prints its internal form of them; what is hoisted is not in them.
fn shown_versions(hoisted: &Hoisted<'_>) -> String {
    const FIELDS: [(&str, &str); 9] = [
        ("Name", "name"),
        ("Served", "served"),
        ("Storage", "storage"),
        ("Deprecated", "deprecated"),
        ("DeprecationWarning", "deprecationWarning"),
        ("Schema", "schema"),
        ("Subresources", "subresources"),
        ("AdditionalPrinterColumns", "additionalPrinterColumns"),
        ("SelectableFields", "selectableFields"),
    ];
    let is_hoisted = |field: &'static str| {
        matches!(field, "schema" | "subresources" | "additionalPrinterColumns" | "selectableFields")
            && hoisted.common(field).is_some()
    };
    let version = |version: &Value| -> Value {
        let shown = FIELDS.iter().map(|(go, field)| {
            let value = version.get(*field).filter(|_| !is_hoisted(field)).cloned();
            let absent = if *field == "deprecated" { Value::Bool(false) } else { Value::Null };
            ((*go).to_owned(), value.unwrap_or(absent))
        });
        Value::Object(shown.collect::<Map>())
    };
    api::go_text::json(&hoisted.versions.slice().iter().map(version).collect::<Vec<Value>>().into())
}

fn one_of(at: &At<'_>, accepted: &[&str], errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
    } else if !accepted.contains(&at.str()) {
        errors.push(at.not_supported(accepted));
    }
}

/// Upstream: ValidateCustomResourceDefinitionNames.
fn names_of(at: &At<'_>, errors: &mut ErrorList) {
    let mut label = |at: At<'_>, kind: bool| {
        let text = if kind { at.str().to_lowercase() } else { at.str().to_owned() };
        let faults = names::is_dns1035_label(&text);
        if !text.is_empty() && !faults.is_empty() {
            let mixed = if kind { "may have mixed case, but should otherwise match: " } else { "" };
            errors.push(at.invalid_str(format!("{mixed}{}", faults.join(","))));
        }
    };
    label(at.field("plural"), false);
    label(at.field("singular"), false);
    label(at.field("kind"), true);
    label(at.field("listKind"), true);
    for field in ["shortNames", "categories"] {
        for name in at.field(field).items() {
            let faults = names::is_dns1035_label(name.str());
            if !faults.is_empty() {
                errors.push(name.invalid_str(faults.join(",")));
            }
        }
    }
    if !at.text("kind").is_empty() && at.text("kind") == at.text("listKind") {
        errors.push(at.field("listKind").invalid_str("kind and listKind may not be the same"));
    }
}

/// Upstream: ValidateCustomResourceDefinitionStoredVersions.
fn stored_versions(definition: &Value, errors: &mut ErrorList) {
    let stored = At::root(definition).field("status").field("storedVersions");
    if stored.slice().is_empty() {
        errors.push(stored.invalid("must have at least one stored version"));
        return;
    }
    let versions = definition["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for version in versions.iter().filter(|version| version["storage"] == true) {
        if !stored.slice().contains(&version["name"]) {
            let name = version["name"].as_str().unwrap_or_default();
            errors.push(stored.invalid(format!("must have the storage version {name}")));
        }
    }
    for name in stored.items() {
        if !versions.iter().any(|version| version["name"] == *name.value) {
            let name_text = name.str();
            errors.push(name.invalid_str(format!(
                "missing from spec.versions; {name_text} was previously a storage version, and must remain in spec.versions until \
                 a storage migration ensures no data remains persisted in {name_text} and removes {name_text} from \
                 status.storedVersions"
            )));
        }
    }
}

/// Upstream: validateAPIApproval.
fn approved(new: &Value, old: Option<&Value>, errors: &mut ErrorList) {
    if !is_protected(new["spec"]["group"].as_str().unwrap_or_default()) {
        return;
    }
    let (state, reason) = approval(new);
    if old.is_some_and(|old| approval(old).0 == state) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(APPROVAL);
    match state {
        Approval::Missing => errors.push(Error::required(&path, reason)),
        Approval::Invalid => {
            let text = meta::annotations(new).and_then(|all| all.get(APPROVAL)).cloned().unwrap_or_default();
            errors.push(Error::invalid(&path, text, reason));
        }
        Approval::Approved | Approval::Bypassed => {}
    }
}

/// Upstream: validatePreserveUnknownFields.
fn preserve(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let field = spec.field("preserveUnknownFields");
    if field.bool() && old.is_none_or(|old| old["spec"]["preserveUnknownFields"] != true) {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(field.invalid(detail));
    }
}
