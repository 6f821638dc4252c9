//! The group resource.k8s.io, dynamic resource allocation: devices that drivers offer, and claims to them.
//!
//! Fields of features that are off (derived attributes, list attributes, compatibility groups, node allocatable resources,
//! partition types, optional node operations) are dropped; so nothing here validates them.
//! Where upstream declares a rule on a field and has it in Go as well, the declared one's words count.
//! Upstream: pkg/apis/resource/validation, pkg/registry/resource.

mod allocation;
mod capacity;
mod claim;
mod class;
mod configuration;
mod device;
mod names;
mod rights;
mod selection;
mod selector;
mod slice;
mod taint;

pub use claim::{ResourceClaim, ResourceClaimTemplate};
pub use class::DeviceClass;
pub use slice::ResourceSlice;
pub use taint::DeviceTaintRule;

use api::field::{Error, ErrorList};
use json::Value;

use super::fields::At;

/// A list that is not too long; a longer one is not looked into. Upstream: validateSlice.
fn list(at: &At<'_>, max: usize, errors: &mut ErrorList, item: impl FnMut(&At<'_>, &mut ErrorList)) {
    set(at, max, errors, None::<fn(&At<'_>) -> Value>, item);
}

/// As [`list`], of items that differ in their `key`. Upstream: validateSet.
fn set(
    at: &At<'_>,
    max: usize,
    errors: &mut ErrorList,
    key: Option<impl Fn(&At<'_>) -> Value>,
    mut item: impl FnMut(&At<'_>, &mut ErrorList),
) {
    if at.slice().len() > max {
        errors.push(Error::too_many(&at.path, Some(at.slice().len()), max));
        return;
    }
    let mut known = Vec::new();
    for own in at.items() {
        item(&own, errors);
        let Some(key) = key.as_ref().map(|key| key(&own)) else { continue };
        if known.contains(&key) {
            errors.push(own.duplicate());
        }
        known.push(key);
    }
}

/// The key of items that differ as a whole.
fn itself(at: &At<'_>) -> Value {
    at.value.clone()
}

/// The key of items that differ in their names.
fn by_name(at: &At<'_>) -> Value {
    at.get("name").clone()
}
