//! StorageClasses, and VolumeAttributesClasses, which say what may be changed about a volume.
//! Upstream: ValidateStorageClass, ValidateVolumeAttributesClass.

use std::collections::{BTreeMap, BTreeSet};

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use crate::context::RequestContext;
use crate::registry::fields::{At, at};
use crate::registry::strategy::Strategy;
use crate::registry::validation::{
    immutable_declared, map_size, node_labels, optional_one_of, qualified_name, required_one_of, required_text, same,
};

const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETERS_SIZE: usize = 256 * 1024;

/// The semantics of storage classes.
#[derive(Debug, Clone, Copy)]
pub struct StorageClass;

impl Strategy for StorageClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        provisioner(&root.field("provisioner"), &mut errors);
        parameters(&root.field("parameters"), &mut errors);
        let policy = root.field("reclaimPolicy");
        if !policy.str().is_empty() {
            optional_one_of(&policy, &["Delete", "Retain"], &mut errors);
        }
        required_one_of(&root.field("volumeBindingMode"), &["Immediate", "WaitForFirstConsumer"], &mut errors);
        topologies(&root.field("allowedTopologies"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let topologies = At::root(new).field("allowedTopologies");
        let expressions = topologies.items().flat_map(|term| term.field("matchLabelExpressions").items());
        let warning = |expression: At<'_>| {
            let key = expression.field("key");
            Some(format!("{}: {}", key.path, node_labels::deprecated(key.str())?))
        };
        expressions.filter_map(warning).collect()
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
            immutable_declared(&At::root(new).field(field), at(old, &[field]), &mut errors);
        }
        errors
    }
}

/// The semantics of classes of volume attributes.
#[derive(Debug, Clone, Copy)]
pub struct VolumeAttributesClass;

impl Strategy for VolumeAttributesClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        provisioner(&root.field("driverName"), &mut errors);
        let given = root.field("parameters");
        parameters(&given, &mut errors);
        if given.is_empty() {
            errors.push(given.required("must contain at least one key/value pair"));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        for field in ["driverName", "parameters"] {
            let own = At::root(new).field(field);
            if !same(own.value, at(old, &[field])) {
                errors.push(own.forbidden(format!("updates to {field} are forbidden.")));
            }
        }
        errors
    }
}

/// The name of whoever makes the volumes.
fn provisioner(at: &At<'_>, errors: &mut ErrorList) {
    if required_text(at, errors) {
        let complaints = names::is_qualified_name(&at.str().to_lowercase()).into_iter();
        errors.extend(complaints.map(|why| Error::invalid(&at.path, at.str().to_lowercase(), why)));
    }
}

fn parameters(at: &At<'_>, errors: &mut ErrorList) {
    if at.entries().count() > MAX_PARAMETERS {
        errors.push(Error::too_long(&at.path, MAX_PARAMETERS));
        return;
    }
    if at.entries().any(|(key, _)| key.is_empty()) {
        errors.push(Error::invalid(&at.path, "", "field can not be empty."));
    }
    map_size(at, MAX_PARAMETERS_SIZE, errors);
}

/// Terms that differ from each other; one that asks for nothing is never the first of its kind.
/// Upstream: validateAllowedTopologies.
fn topologies(at: &At<'_>, errors: &mut ErrorList) {
    let mut known = vec![BTreeMap::new()];
    for term in at.items() {
        let expressions = term.field("matchLabelExpressions");
        let asked = topology(&expressions, errors);
        if known.contains(&asked) {
            errors.push(Error::duplicate(&expressions.path, ""));
        }
        known.push(asked);
    }
}

/// The values asked for under each key. Upstream: ValidateTopologySelectorTerm.
fn topology<'a>(expressions: &At<'a>, errors: &mut ErrorList) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut asked = BTreeMap::new();
    for expression in expressions.items() {
        let (key, values) = (expression.field("key"), expression.field("values"));
        qualified_name(&key, errors);
        if values.is_empty() {
            errors.push(values.required(""));
        }
        let mut distinct = BTreeSet::new();
        for value in values.items() {
            if !distinct.insert(value.str()) {
                errors.push(value.duplicate());
            }
        }
        if asked.insert(key.str(), distinct).is_some() {
            errors.push(key.duplicate());
        }
    }
    asked
}
