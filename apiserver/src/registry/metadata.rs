//! The generic part of an object: what the server sets in metadata, and what every object's metadata must be.
//! Upstream: k8s.io/apimachinery/pkg/api/validation (ValidateObjectMetaAccessor*), rest.BeforeCreate, rest.BeforeUpdate.

use std::collections::BTreeSet;

use api::field::{Error, ErrorList, Path};
use api::meta;
use api::names::{self, NameRule};
use api::status::Status;
use json::{Map, Value};

use crate::context::RequestContext;

/// Finalizer of a foreground delete.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an orphaning delete.
pub const ORPHAN: &str = "orphan";
/// All annotations of an object together, keys and values.
const ANNOTATIONS_LIMIT: usize = 256 << 10;
/// Fields of metadata only the server sets on a create.
const SYSTEM_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

/// Drops what a client may not set on a create. Upstream: rest.WipeObjectMetaSystemFields.
pub fn wipe_system_fields(object: &mut Value) {
    if let Some(metadata) = meta::metadata_mut(object) {
        for field in SYSTEM_FIELDS {
            metadata.shift_remove(field);
        }
    }
}

/// Gives the object its uid and creation time. Upstream: rest.FillObjectMetaSystemFields.
pub fn fill_system_fields(object: &mut Value, ctx: &RequestContext) {
    let mut buffer = uuid::Uuid::encode_buffer();
    meta::set_uid(object, uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer));
    meta::set_creation_timestamp(object, ctx.now);
}

/// Puts the request's namespace into the object, or refuses another one.
/// Upstream: rest.EnsureObjectNamespaceMatchesRequestNamespace.
pub fn ensure_namespace(object: &mut Value, namespace: &str) -> Result<(), Status> {
    let own = meta::namespace(object);
    if own == namespace {
        return Ok(());
    }
    if own.is_empty() {
        meta::set_namespace(object, namespace);
        return Ok(());
    }
    if namespace.is_empty() {
        // What has no namespace forgets the one it is given.
        if let Some(metadata) = meta::metadata_mut(object) {
            metadata.shift_remove("namespace");
        }
        return Ok(());
    }
    Err(Status::bad_request("the namespace of the provided object does not match the namespace sent on the request"))
}

/// Takes over from `old` what an update cannot change. Upstream: the middle of rest.BeforeUpdate.
pub fn keep_system_fields(new: &mut Value, old: &Value) {
    let Some(old) = meta::metadata(old) else { return };
    let Some(metadata) = meta::metadata_mut(new) else { return };
    for field in ["creationTimestamp", "deletionTimestamp"] {
        if let Some(value) = old.get(field) {
            metadata.insert(field, value.clone());
        }
    }
    for field in ["uid", "deletionGracePeriodSeconds"] {
        let absent = metadata.get(field).is_none_or(|value| value.is_null() || value == "");
        if let Some(value) = old.get(field).filter(|_| absent) {
            metadata.insert(field, value.clone());
        }
    }
    metadata.shift_remove("selfLink");
}

/// Takes `fields` of metadata from `old`, absence too.
pub fn keep_fields(new: &mut Value, old: &Value, fields: &[&str]) {
    let Some(metadata) = meta::metadata_mut(new) else { return };
    for field in fields {
        match meta::metadata(old).and_then(|old| old.get(field)) {
            Some(value) => drop(metadata.insert((*field).to_owned(), value.clone())),
            None => drop(metadata.shift_remove(field)),
        }
    }
}

/// Drops repeated owner references; their uids are returned for the warning. Upstream: dedupOwnerReferences.
pub fn deduplicate_owners(object: &mut Value) -> Vec<String> {
    let Some(owners) =
        meta::metadata_mut(object).and_then(|m| m.get_mut("ownerReferences")).and_then(Value::as_array_mut)
    else {
        return Vec::new();
    };
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    let mut duplicates = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            duplicates.push(owner["uid"].as_str().unwrap_or_default().to_string());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    duplicates
}

/// Faults of a new object's metadata.
pub fn validate(object: &Value, namespaced: bool, rule: NameRule) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("metadata");
    let generate_name = meta::generate_name(object);
    if !generate_name.is_empty() {
        for message in rule(generate_name, true) {
            errors.push(Error::invalid(&path.child("generateName"), generate_name, message));
        }
    }
    let name = meta::name(object);
    if name.is_empty() {
        errors.push(Error::required(&path.child("name"), "name or generateName is required"));
    } else {
        for message in rule(name, false) {
            errors.push(Error::invalid(&path.child("name"), name, message));
        }
    }
    let namespace = meta::namespace(object);
    if !namespaced {
        if !namespace.is_empty() {
            errors.push(Error::forbidden(&path.child("namespace"), "not allowed on this type"));
        }
    } else if namespace.is_empty() {
        errors.push(Error::required(&path.child("namespace"), ""));
    } else {
        for message in names::name_is_dns_label(namespace, false) {
            errors.push(Error::invalid(&path.child("namespace"), namespace, message));
        }
    }
    validate_common(object, &path, &mut errors);
    errors
}

/// Faults of a new object's finalizers where they have to be qualified. Upstream: core's validateKubeFinalizerName.
pub fn validate_finalizer_names(object: &Value) -> ErrorList {
    let path = Path::new("metadata").child("finalizers");
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    let fault = |(index, finalizer)| Error::invalid(&path.index(index), finalizer, detail);
    meta::finalizers(object).enumerate().filter(|(_, name)| !is_qualified_finalizer(name)).map(fault).collect()
}

fn is_qualified_finalizer(finalizer: &str) -> bool {
    finalizer.contains('/') || matches!(finalizer, "kubernetes" | ORPHAN | FOREGROUND)
}

/// What is said of finalizers that are new, where they need not be qualified. Upstream: customresource's
/// validateKubeFinalizerName.
pub fn finalizer_warnings(new: &Value, old: &Value) -> Vec<String> {
    let known: BTreeSet<&str> = meta::finalizers(old).collect();
    let added: BTreeSet<&str> = meta::finalizers(new).filter(|finalizer| !known.contains(finalizer)).collect();
    let mut warnings = Vec::new();
    for finalizer in added {
        let quoted = api::go_text::quote(finalizer);
        for message in names::is_qualified_name(finalizer) {
            warnings.push(format!("metadata.finalizers: {quoted}: {message}"));
        }
        if !is_qualified_finalizer(finalizer) {
            let path = if finalizer.contains('.') { " including a path (/)" } else { "" };
            warnings.push(format!(
                "metadata.finalizers: {quoted}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts \
                 with other finalizer writers"
            ));
        }
    }
    warnings
}

/// What two rules found is told once. Upstream: the imperative part of rest.ValidateDeclarativelyWithMigrationChecks.
pub fn without_repeats(errors: ErrorList) -> ErrorList {
    let mut once: Vec<Error> = Vec::new();
    for error in errors {
        if !once.contains(&error) {
            once.push(error);
        }
    }
    once.into_iter().collect()
}

/// Faults of a changed object's metadata, as often as upstream tells them: what all objects have is looked at first, then by
/// the strategy. Upstream: rest.validateCommonFields and the strategies' ValidateObjectMetaUpdate.
pub fn validate_update(new: &Value, old: &Value, namespaced: bool, is_core: bool) -> ErrorList {
    let mut errors = validate(new, namespaced, names::name_is_path_segment);
    errors.extend(validate_changes(new, old));
    errors.extend(validate_changes(new, old));
    if is_core {
        errors.extend(validate_finalizer_names(new));
    }
    errors
}

/// Faults of what changed.
fn validate_changes(new: &Value, old: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("metadata");
    let (Some(new_meta), Some(old_meta)) = (meta::metadata(new), meta::metadata(old)) else { return errors };
    if meta::is_being_deleted(old) {
        let known: BTreeSet<&str> = meta::finalizers(old).collect();
        let extra: BTreeSet<&str> = meta::finalizers(new).filter(|finalizer| !known.contains(finalizer)).collect();
        if !extra.is_empty() {
            let names: Vec<String> = extra.iter().map(|name| api::go_text::quote(name)).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                names.join(", ")
            );
            errors.push(Error::forbidden(&path.child("finalizers"), detail));
        }
    }
    for field in ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let (new, old) = (new_meta.get(field).unwrap_or(&Value::Null), old_meta.get(field).unwrap_or(&Value::Null));
        if new != old {
            errors.push(Error::invalid(&path.child(field), new.clone(), "field is immutable"));
        }
    }
    validate_maps_and_owners(new, &path, &mut errors);
    errors
}

fn validate_common(object: &Value, path: &Path, errors: &mut ErrorList) {
    if meta::generation(object) < 0 {
        let detail = "must be greater than or equal to 0";
        errors.push(Error::invalid(&path.child("generation"), meta::generation(object), detail));
    }
    validate_maps_and_owners(object, path, errors);
    validate_finalizers(object, &path.child("finalizers"), errors);
}

fn validate_maps_and_owners(object: &Value, path: &Path, errors: &mut ErrorList) {
    if let Some(labels) = meta::labels(object) {
        validate_labels(labels, &path.child("labels"), errors);
    }
    if let Some(annotations) = meta::annotations(object) {
        validate_annotations(annotations, &path.child("annotations"), errors);
    }
    validate_owners(object, &path.child("ownerReferences"), errors);
}

/// Upstream: v1validation.ValidateLabels.
pub fn validate_labels(labels: &Map, path: &Path, errors: &mut ErrorList) {
    for (key, value) in labels {
        for message in names::is_qualified_name(key) {
            errors.push(Error::invalid(path, key.as_str(), message));
        }
        let value = value.as_str().unwrap_or_default();
        for message in names::is_valid_label_value(value) {
            errors.push(Error::invalid(path, value, message));
        }
    }
}

/// Upstream: ValidateAnnotations.
pub fn validate_annotations(annotations: &Map, path: &Path, errors: &mut ErrorList) {
    let mut size = 0;
    for (key, value) in annotations {
        size += key.len() + value.as_str().map_or(0, str::len);
        for message in names::is_qualified_name(&key.to_lowercase()) {
            errors.push(Error::invalid(path, key.as_str(), message));
        }
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(Error::too_long(path, ANNOTATIONS_LIMIT));
    }
}

fn validate_owners(object: &Value, path: &Path, errors: &mut ErrorList) {
    let owners = meta::metadata(object).and_then(|metadata| metadata.get("ownerReferences")).and_then(Value::as_array);
    let mut controller: Option<String> = None;
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        let path_of = path.index(index);
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("apiVersion");
        if api_version.is_empty() {
            errors.push(Error::required(&path_of.child("apiVersion"), "must not be empty"));
        } else if api_version.matches('/').count() > 1 || api_version.ends_with('/') {
            let detail = "must be <group>/<version> or <version>";
            errors.push(Error::invalid(&path_of.child("apiVersion"), api_version, detail));
        }
        for field in ["kind", "name", "uid"] {
            if text(field).is_empty() {
                errors.push(Error::required(&path_of.child(field), "must not be empty"));
            }
        }
        if api_version == "v1" && text("kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(Error::invalid(&path_of, owner.clone(), detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                    );
                    errors.push(Error::invalid(path, Value::from(owners.cloned().unwrap_or_default()), detail));
                }
                None => controller = Some(name),
            }
        }
    }
}

fn validate_finalizers(object: &Value, path: &Path, errors: &mut ErrorList) {
    let finalizers: Vec<&str> = meta::finalizers(object).collect();
    for finalizer in &finalizers {
        for message in names::is_qualified_name(finalizer) {
            errors.push(Error::invalid(path, *finalizer, message));
        }
    }
    if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
        let shown: Value = finalizers.iter().copied().collect();
        let detail = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(Error::invalid(path, shown, detail));
    }
}
