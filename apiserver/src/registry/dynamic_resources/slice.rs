//! ResourceSlices: the devices that a driver offers, a part of a pool each. Upstream: ValidateResourceSlice.

use api::field::{Error, ErrorList};
use json::{Value, json};

use super::super::fields::{At, at, items, items_mut, remove, text};
use super::super::strategy::Strategy;
use super::super::validation::{dns_label, immutable, required_text, volume};
use super::selection::{chosen, exactly_one};
use super::{by_name, device, names, set};
use crate::context::RequestContext;

const MAX_DEVICES: usize = 128;
/// Where devices have taints or share counters.
const MAX_ADVANCED_DEVICES: usize = 64;
const MAX_COUNTER_SETS: usize = 8;
const MAX_COUNTERS: usize = 32;
const LIST_ATTRIBUTES: [&str; 4] = ["ints", "bools", "strings", "versions"];

/// The semantics of slices.
#[derive(Debug, Clone, Copy)]
pub struct ResourceSlice;

impl Strategy for ResourceSlice {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        let Some(spec) = new.get_mut("spec") else { return };
        remove(spec, "partitionTypeAttribute");
        remove(spec, "skipNodeOperations");
        for device in items_mut(spec, "devices") {
            remove(device, "nodeAllocatableResources");
            items_mut(device, "consumesCounters").for_each(|consumed| {
                remove(consumed, "compatibilityGroups");
            });
            let attributes = device.get_mut("attributes").and_then(Value::as_object_mut);
            for attribute in attributes.into_iter().flat_map(json::Map::values_mut) {
                for field in LIST_ATTRIBUTES {
                    remove(attribute, field);
                }
            }
        }
    }

    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, _old: &Value) {
        self.prepare_for_create(ctx, new);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        rules(&At::root(new).field("spec"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let driver = text(&new["spec"], "driver");
        if driver == driver.to_lowercase() {
            return Vec::new();
        }
        let driver = api::go_text::quote(driver);
        vec![format!("spec.driver: driver names should be lowercase; {driver} contains uppercase characters")]
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let spec = At::root(new).field("spec");
        immutable(&spec.field("pool").field("name"), at(old, &["spec", "pool", "name"]), &mut errors);
        immutable(&spec.field("driver"), at(old, &["spec", "driver"]), &mut errors);
        immutable(&spec.field("nodeName"), at(old, &["spec", "nodeName"]), &mut errors);
        errors
    }
}

fn rules(spec: &At<'_>, errors: &mut ErrorList) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    volume::driver_name(&spec.field("driver"), errors);
    pool(&spec.field("pool"), errors);
    let empty = "must be either unset or set to a non-empty string";
    let nodes = chosen(spec, &["allNodes", "perDeviceNodeSelection"], empty, errors);
    exactly_one(spec, &nodes, ONE, &format!("{ONE}, but multiple fields are set"), errors);
    let terms = spec.field("nodeSelector").field("nodeSelectorTerms");
    if spec.has("nodeSelector") && terms.slice().len() != 1 {
        let shown: Vec<Value> = terms.items().map(|term| internal_term(&term)).collect();
        errors.push(Error::invalid(&terms.path, Value::from(shown), "must have exactly one node selector term"));
    }
    let (counters, devices) = (spec.field("sharedCounters"), spec.field("devices"));
    if counters.is_set() && devices.is_set() {
        errors.push(Error::invalid(&spec.path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let is_advanced =
        |device: At<'_>| ["taints", "consumesCounters"].iter().any(|field| !items(device.value, field).is_empty());
    let max = if devices.items().any(is_advanced) { MAX_ADVANCED_DEVICES } else { MAX_DEVICES };
    let by_device = spec.field("perDeviceNodeSelection").bool();
    set(&devices, max, errors, None::<fn(&At<'_>) -> Value>, |own, errors| device::device(own, by_device, errors));
    if devices.slice().len() <= max {
        duplicate_names(&devices, errors);
    }
    set(&counters, MAX_COUNTER_SETS, errors, Some(by_name), |own, errors| counter_set(own, "name", errors));
}

/// Upstream shows the name here, not the device.
fn duplicate_names(devices: &At<'_>, errors: &mut ErrorList) {
    for (index, device) in devices.items().enumerate() {
        if devices.slice()[..index].iter().any(|earlier| earlier["name"] == *device.get("name")) {
            errors.push(Error::duplicate(&device.path, device.text("name")));
        }
    }
}

/// A term as upstream shows it: in the names of its internal version.
fn internal_term(term: &At<'_>) -> Value {
    let requirements = |field: &'static str| {
        let list = term.field(field);
        let shown =
            |own: At<'_>| json!({"Key": own.get("key"), "Operator": own.get("operator"), "Values": own.get("values")});
        if list.is_set() { Value::from(list.items().map(shown).collect::<Vec<_>>()) } else { Value::Null }
    };
    json!({"MatchExpressions": requirements("matchExpressions"), "MatchFields": requirements("matchFields")})
}

fn pool(at: &At<'_>, errors: &mut ErrorList) {
    names::pool(&at.field("name"), errors);
    let (count, generation) = (at.field("resourceSliceCount"), at.field("generation"));
    if count.int() <= 0 {
        errors.push(count.invalid_int("must be greater than zero"));
    }
    if generation.int() < 0 {
        errors.push(generation.invalid_int("must be greater than or equal to zero"));
    }
}

/// Counters of a set, or of what a device takes of one; `name` is the field that names the set.
pub(super) fn counter_set(at: &At<'_>, name: &'static str, errors: &mut ErrorList) {
    let name = at.field(name);
    if required_text(&name, errors) {
        dns_label(&name, errors);
    }
    let counters = at.field("counters");
    let count = counters.entries().count();
    if count == 0 {
        errors.push(counters.required(""));
    } else if count > MAX_COUNTERS {
        errors.push(Error::too_many(&counters.path, Some(count), MAX_COUNTERS));
    }
    // Names are looked at however many there are.
    for (key, _) in counters.entries() {
        dns_label(&At::new(&key.into(), counters.path.clone()), errors);
    }
}
