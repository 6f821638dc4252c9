//! PersistentVolumeClaims. Upstream: ValidatePersistentVolumeClaimSpec, ValidatePersistentVolumeClaimUpdate.

use api::field::{Error, ErrorList};
use api::names;
use json::{Value, json};

use super::super::fields::{At, at, object_mut, remove, set, text};
use super::super::strategy::Strategy;
use super::super::validation::resources::{quantity, quantity_value};
use super::super::validation::{named, one_of, optional_one_of, same, selector};
use crate::context::RequestContext;

pub(super) const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

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

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let own = At::root(new).field("spec");
        let before = &old["spec"];
        let storage = |spec: &Value| quantity(&At::root(at(spec, &["resources", "requests", "storage"])));
        let mut munged = own.value.clone();
        // What a binder or a resizer may write.
        if at(before, &["volumeName"]).as_str().unwrap_or_default().is_empty() {
            keep(&mut munged, before, "volumeName");
        }
        if at(before, &["storageClassName"]).is_null() {
            keep(&mut munged, before, "storageClassName");
        }
        keep(&mut munged, before, "volumeAttributesClassName");
        let bound = at(old, &["status", "phase"]) == "Bound";
        if bound {
            keep(&mut munged, before, "resources");
        }
        if !same(&munged, before) {
            let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            errors.push(own.forbidden(detail));
        }
        if storage(own.value) < storage(before) {
            errors.push(
                own.field("resources")
                    .field("requests")
                    .field("storage")
                    .forbidden("field can not be less than previous value"),
            );
        }
        errors
    }
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
