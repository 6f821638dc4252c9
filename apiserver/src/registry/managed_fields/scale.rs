//! Owners of `spec.replicas` as a Scale shows them, and back. Upstream: managedfields.ScaleHandler.
//!
//! Entries keep their manager, operation and subresource; their version is that of the object they are shown in, so an
//! updater's entry is another one after the way there and back, without a time, as upstream makes it.

use api::managed_fields::{Operation, Owner, Owners, Place, Reset, Rules, Set, set_managed_fields};
use api::meta;
use api::schema::Schema;
use api::status::Status;
use json::Value;

use super::{OnlyOne, apply_by, check_type, settle};
use crate::context::RequestContext;
use crate::registry::fields::{at, remove};
use crate::registry::resource::Resource;

const API_VERSION: &str = "autoscaling/v1";
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// What writes a scale.
pub(crate) enum Write<'a> {
    /// PUT and the patches: the new scale.
    Update(&'a Value),
    /// An applied configuration.
    Apply {
        /// What is wanted.
        configuration: &'a Value,
        /// Take from others what they own?
        force: bool,
    },
}

/// Carries a write of a scale out, `old` being the scale of `object`, and notes in `object` who owns the replicas then, which
/// are at the path `replicas` of it.
/// Returns the new scale of an apply.
pub(crate) fn write(
    schema: Schema<'_>,
    resource: &Resource,
    ctx: &RequestContext,
    object: &mut Value,
    old: &Value,
    write: Write<'_>,
    replicas: &[&str],
) -> Result<Option<Value>, Status> {
    let rules = Rules {
        api_version: API_VERSION,
        place: Place::Root(schema),
        subresource: "scale",
        reset: Reset::Nothing,
        versions: &OnlyOne,
    };
    let mut old = as_written(old);
    set_managed_fields(&mut old, to_scale(object, replicas)?);
    let (entries, applied) = match write {
        Write::Update(new) => (settle(&rules, ctx, &old, &as_written(new)).reported(&old), None),
        Write::Apply { configuration, force } => {
            check_type(&rules, "Scale", configuration)?;
            if resource.is_custom() && owners(&old)?.is_empty() {
                return Err(no_scale("create manager for existing fields: failed to convert live", "", ""));
            }
            let new = apply_by(&rules, "Scale", ctx, force, &old, configuration)?;
            if resource.is_custom() && differs(&new, &old) {
                return Err(no_scale("convert new", meta::namespace(configuration), meta::name(configuration)));
            }
            (new["metadata"].get("managedFields").cloned(), Some(new))
        }
    };
    let entries = to_object(object, entries.as_ref(), replicas)?;
    set_managed_fields(object, entries);
    Ok(applied)
}

/// A scale without a count of 0, which Go's struct does not write: so nobody owns that.
fn as_written(scale: &Value) -> Value {
    let mut scale = scale.clone();
    if at(&scale, &REPLICAS) == 0 {
        remove(&mut scale["spec"], "replicas");
    }
    scale
}

/// Upstream cannot convert an applied Scale of a custom resource: only one that changes nothing is taken.
fn no_scale(what: &str, namespace: &str, name: &str) -> Status {
    let object = format!("{namespace}/{name}; {API_VERSION}, Kind=Scale");
    let why = format!("request to convert CR to an invalid group/version: {API_VERSION}");
    Status::unknown(500, format!("failed to {what} object ({object}) to proper version: {why}"))
}

/// Are they two in more than their owners?
fn differs(new: &Value, old: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        set_managed_fields(&mut object, None);
        object
    };
    bare(new) != bare(old)
}

fn owners(object: &Value) -> Result<Owners<'_>, Status> {
    Owners::of(object).map_err(|error| Status::unknown(500, error.to_string()))
}

/// The entries that own the replicas, as a scale's.
fn to_scale(object: &Value, replicas: &[&str]) -> Result<Option<Value>, Status> {
    let mut shown = Owners::default();
    for owner in owners(object)?.iter().filter(|owner| owner.fields.has(replicas)) {
        shown.add(Owner { api_version: API_VERSION.into(), fields: Set::of(&[&REPLICAS]), ..owner.clone() });
    }
    Ok(shown.encode())
}

/// The entries of the object once the scale has these.
fn to_object(object: &Value, scale: Option<&Value>, replicas: &[&str]) -> Result<Option<Value>, Status> {
    let api_version = meta::api_version(object);
    let entries = scale.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut of_scale = Owners::decode(entries).map_err(|error| Status::unknown(500, error.to_string()))?;
    let own = owners(object)?;
    let mut shown = Owners::default();
    for owner in own.iter() {
        // An applier is the same one in each version.
        let kept =
            !owner.fields.has(replicas) || (owner.operation == Operation::Apply && of_scale.take(owner).is_some());
        let fields = owner.fields.clone();
        let fields = if kept { fields } else { fields.minus(&Set::of(&[replicas])) };
        if !fields.is_empty() {
            shown.add(Owner { fields, ..owner.clone() });
        }
    }
    for owner in of_scale.iter().filter(|owner| owner.fields.has(&REPLICAS)) {
        let time = own.iter().find(|earlier| earlier.operation == Operation::Apply && earlier.is_same(owner));
        let time = time.and_then(|earlier| earlier.time.clone());
        let fields = Set::of(&[replicas]);
        shown.add(Owner { api_version: api_version.into(), time, fields, ..owner.clone() });
    }
    Ok(shown.encode())
}
