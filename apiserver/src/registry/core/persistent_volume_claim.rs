//! PersistentVolumeClaims. Upstream: ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeClaimUpdate.

use api::field::{Error, ErrorList, Path};
use api::{meta, names};
use json::{Value, json};

use super::super::fields::{At, at, object_mut, remove, set, text};
use super::super::internal::{Kind, difference};
use super::super::strategy::Strategy;
use super::super::validation::resources::{fractional, quantity, quantity_value};
use super::super::validation::{FIELD_IMMUTABLE, immutable, named, one_of, optional_one_of, same, selector};
use crate::context::RequestContext;

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
pub(super) const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

const IMMUTABLE_SPEC: &str =
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// The semantics of claims.
#[derive(Debug, Clone, Copy)]
pub struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({"phase": "Pending"}));
        name_both_sources(new);
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, _old: &Value) {
        name_both_sources(new);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(new).field("spec"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let instead = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        let annotated =
            meta::annotation(new, BETA_CLASS).map(|_| format!("metadata.annotations[{BETA_CLASS}]: {instead}"));
        annotated.into_iter().chain(spec_warnings(&At::root(new).field("spec"))).collect()
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let (own, before) = (At::root(new).field("spec"), &old["spec"]);
        let upgraded = class_from_annotation(new, old);
        if !upgraded {
            let annotation = At::root(new).field("metadata").field("annotations").path.child(BETA_CLASS);
            let class = meta::annotation(new, BETA_CLASS).unwrap_or_default();
            if class != meta::annotation(old, BETA_CLASS).unwrap_or_default() {
                errors.push(Error::invalid(&annotation, class, FIELD_IMMUTABLE));
            }
        }
        let (was, is) = without_updatable_fields(new, old, upgraded);
        if !same(&is, &was) {
            let changes = difference(Kind::PersistentVolumeClaimSpec, &was, &is);
            errors.push(own.forbidden(format!("{IMMUTABLE_SPEC}\n{changes}")));
        }
        let storage = |amounts: &Value| quantity(&At::root(&amounts["storage"]));
        let requested = storage(at(own.value, &["resources", "requests"]));
        // Down to what there is, for a claim whose volume could not grow.
        if requested < storage(at(before, &["resources", "requests"]))
            && requested <= storage(at(old, &["status", "capacity"]))
        {
            let path = own.field("resources").field("requests").field("storage");
            errors.push(path.forbidden("field can not be less than status.capacity"));
        }
        // The path is upstream's.
        let mode = At::new(own.get("volumeMode"), Path::new("volumeMode"));
        immutable(&mode, at(before, &["volumeMode"]), &mut errors);
        let class = own.field("volumeAttributesClassName");
        if class.str().is_empty()
            && !same(class.value, at(before, &["volumeAttributesClassName"]))
            && !at(old, &["status", "currentVolumeAttributesClassName"]).is_null()
        {
            let what = if class.is_set() { "empty string" } else { "nil" };
            let rule = "is forbidden when status.currentVolumeAttributesClassName is not nil";
            errors.push(class.forbidden(format!("update to {what} {rule}")));
        }
        errors
    }
}

/// Does the class that an annotation of old named become the field? Upstream: validateStorageClassUpgradeFromAnnotation.
fn class_from_annotation(new: &Value, old: &Value) -> bool {
    let named = meta::annotation(old, BETA_CLASS);
    named.is_some()
        && at(old, &["spec", "storageClassName"]).is_null()
        && at(new, &["spec", "storageClassName"]).as_str() == named
        && meta::annotation(new, BETA_CLASS).is_none_or(|still| Some(still) == named)
}

/// Both specs, the old one first, with the same in all that a binder or a resizer may change.
fn without_updatable_fields(new: &Value, old: &Value, upgraded: bool) -> (Value, Value) {
    let (mut munged, before) = (new["spec"].clone(), &old["spec"]);
    let mut was = before.clone();
    if text(before, "volumeName").is_empty() {
        keep(&mut was, &munged, "volumeName");
    }
    let named = meta::annotation(old, BETA_CLASS);
    let first = before["storageClassName"].is_null()
        && munged["storageClassName"].as_str().is_some_and(|class| named.is_none_or(|named| named == class));
    if upgraded || first {
        keep(&mut munged, before, "storageClassName");
    }
    if at(new, &["status", "phase"]) == "Bound" {
        keep(&mut munged, before, "volumeAttributesClassName");
        if at(&munged, &["resources", "requests"]).is_object() {
            let requests = object_mut(object_mut(&mut munged, "resources"), "requests");
            keep(requests, at(before, &["resources", "requests"]), "storage");
        }
    }
    (was, munged)
}

/// dataSource and dataSourceRef name the same thing where both can; who wrote one does not own the other.
/// Upstream: NormalizeDataSources.
fn name_both_sources(claim: &mut Value) {
    let spec = object_mut(claim, "spec");
    for (from, to) in [("dataSource", "dataSourceRef"), ("dataSourceRef", "dataSource")] {
        if spec[to].is_null() && !spec[from].is_null() && text(&spec[from], "namespace").is_empty() {
            let source = spec[from].clone();
            set(spec, to, source);
        }
    }
}

fn keep(munged: &mut Value, old: &Value, key: &str) {
    match old.get(key) {
        Some(value) => set(munged, key, value.clone()),
        None => {
            remove(munged, key);
        }
    }
    if !munged.is_object() {
        object_mut(munged, "");
    }
}

/// Amounts that are no whole number of bytes. Upstream: GetWarningsForPersistentVolumeClaimSpec.
pub(crate) fn spec_warnings(spec: &At<'_>) -> Vec<String> {
    let lists = ["requests", "limits"].map(|list| spec.field("resources").field(list));
    lists.iter().filter_map(|list| fractional(list, "storage")).collect()
}

/// Also for templates of StatefulSets. Upstream: ValidatePersistentVolumeClaimSpec.
pub(crate) fn spec(at: &At<'_>, errors: &mut ErrorList) {
    let modes = at.field("accessModes");
    if modes.is_empty() {
        errors.push(modes.required("at least 1 access mode is required"));
    }
    selector::label_selector(&at.field("selector"), errors);
    for mode in modes.items() {
        one_of(&At::new(mode.value, modes.path.clone()), &ACCESS_MODES, errors);
    }
    if modes.slice().len() > 1 && modes.slice().iter().any(|mode| mode == "ReadWriteOncePod") {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    let requests = at.field("resources").field("requests");
    match requests.entries().find(|(name, _)| *name == "storage") {
        Some((_, storage)) => {
            quantity_value("storage", &storage, errors);
            if quantity(&storage) <= api::quantity::Quantity::default() {
                let value = quantity(&storage).to_string();
                let path = at.field("resources").path.key("storage");
                errors.push(Error::invalid(&path, value, "must be greater than zero"));
            }
        }
        None => errors.push(Error::required(&at.field("resources").path.key("storage"), "")),
    }
    let class = at.field("storageClassName");
    if !class.str().is_empty() {
        named(&class, names::name_is_dns_subdomain(class.str(), false), errors);
    }
    optional_one_of(&at.field("volumeMode"), &["Block", "Filesystem"], errors);
    for source in [at.field("dataSource"), at.field("dataSourceRef")] {
        for field in ["name", "kind"] {
            if source.is_set() && source.text(field).is_empty() {
                errors.push(source.field(field).required(""));
            }
        }
    }
}
