//! Reading and writing `metadata` of an object held as JSON.
//!
//! Absent and wrongly typed fields read as empty: decoding has refused wrong types before any of this is called.

use super::{GroupVersionKind, time};
use jiff::Timestamp;
use json::{Map, Value};

/// The reference that makes an object its owner's, read from `metadata.ownerReferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// The owner's `apiVersion`.
    pub api_version: &'a str,
    /// The owner's kind.
    pub kind: &'a str,
    /// The owner's name; it is in the same namespace or has none.
    pub name: &'a str,
    /// The owner's uid.
    pub uid: &'a str,
    /// Whether the owner manages the object; at most one does.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for the object.
    pub block_owner_deletion: bool,
}

/// `apiVersion`.
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// `kind`.
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// Group, version and kind the object names; a malformed `apiVersion` gives None.
pub fn gvk(object: &Value) -> Option<GroupVersionKind> {
    GroupVersionKind::from_api_version_and_kind(api_version(object), kind(object)).ok()
}

/// The whole `metadata`.
pub fn metadata(object: &Value) -> Option<&Map> {
    object.get("metadata").and_then(Value::as_object)
}

/// The whole `metadata`, made if it is absent. None only if the object is no JSON object.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map> {
    let slot = object.as_object_mut()?.entry("metadata").or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.generateName`.
pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

/// `metadata.namespace`; empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `metadata.resourceVersion`.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// `metadata.generation`; 0 if absent.
pub fn generation(object: &Value) -> i64 {
    field(object, "generation").and_then(Value::as_i64).unwrap_or_default()
}

/// `metadata.creationTimestamp`.
pub fn creation_timestamp(object: &Value) -> Option<Timestamp> {
    time::parse(text(object, "creationTimestamp"))
}

/// `metadata.deletionTimestamp` as written; present once deletion has begun.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    field(object, "deletionTimestamp").and_then(Value::as_str)
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    field(object, "deletionGracePeriodSeconds").and_then(Value::as_i64)
}

/// Whether deletion has begun.
pub fn is_being_deleted(object: &Value) -> bool {
    deletion_timestamp(object).is_some()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map> {
    field(object, "labels").and_then(Value::as_object)
}

/// One label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map> {
    field(object, "annotations").and_then(Value::as_object)
}

/// One annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    items(object, "finalizers").iter().filter_map(Value::as_str)
}

/// Whether a finalizer is set.
pub fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    finalizers(object).any(|f| f == finalizer)
}

/// `metadata.ownerReferences`.
pub fn owner_references(object: &Value) -> impl Iterator<Item = OwnerReference<'_>> {
    items(object, "ownerReferences").iter().map(|reference| {
        let text = |key: &str| reference.get(key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| reference.get(key).and_then(Value::as_bool).unwrap_or_default();
        OwnerReference {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: flag("controller"),
            block_owner_deletion: flag("blockOwnerDeletion"),
        }
    })
}

/// The owner that manages the object. Upstream: metav1.GetControllerOf.
pub fn controller_of(object: &Value) -> Option<OwnerReference<'_>> {
    owner_references(object).find(|reference| reference.controller)
}

/// Sets a metadata field; a value that counts as empty (null, "", 0 items) removes it.
pub fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    let value = value.into();
    let Some(metadata) = metadata_mut(object) else { return };
    let empty = match &value {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    };
    if empty {
        // shift_remove: the other fields keep their order, which is the order of the encoding.
        metadata.shift_remove(key);
    } else {
        metadata.insert(key, value);
    }
}

/// Sets `metadata.name`.
pub fn set_name(object: &mut Value, name: &str) {
    set(object, "name", name);
}

/// Sets `metadata.namespace`.
pub fn set_namespace(object: &mut Value, namespace: &str) {
    set(object, "namespace", namespace);
}

/// Sets `metadata.uid`.
pub fn set_uid(object: &mut Value, uid: &str) {
    set(object, "uid", uid);
}

/// Sets `metadata.resourceVersion`; empty removes it, as stored objects have none.
pub fn set_resource_version(object: &mut Value, resource_version: &str) {
    set(object, "resourceVersion", resource_version);
}

/// Sets `metadata.generation`; 0 removes it.
pub fn set_generation(object: &mut Value, generation: i64) {
    set(object, "generation", if generation == 0 { Value::Null } else { generation.into() });
}

/// Sets `metadata.creationTimestamp`.
pub fn set_creation_timestamp(object: &mut Value, at: Timestamp) {
    set(object, "creationTimestamp", time::format(at));
}

/// Sets `metadata.deletionTimestamp` and its grace period.
pub fn set_deletion_timestamp(object: &mut Value, at: Timestamp, grace_period_seconds: i64) {
    set(object, "deletionTimestamp", time::format(at));
    set(object, "deletionGracePeriodSeconds", grace_period_seconds);
}

/// Sets `metadata.finalizers`.
pub fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    set(object, "finalizers", finalizers);
}

/// Sets one label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "labels", key, value);
}

/// Sets one annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "annotations", key, value);
}

/// Takes one annotation away, and the map with the last.
pub fn remove_annotation(object: &mut Value, key: &str) {
    let Some(metadata) = metadata_mut(object) else { return };
    let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return };
    if annotations.shift_remove(key).is_some() && annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
}

fn set_entry(object: &mut Value, map: &str, key: &str, value: &str) {
    let Some(metadata) = metadata_mut(object) else { return };
    let slot = metadata.entry(map).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Some(entries) = slot.as_object_mut() {
        entries.insert(key, value.into());
    }
}

fn field<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(key)
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    field(object, key).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    field(object, key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
