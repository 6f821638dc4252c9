//! One device of a slice: its attributes, capacities, taints and what it takes of shared counters. Upstream: validateDevice.

use std::sync::LazyLock;

use api::field::{Error, ErrorList, Path};
use json::Value;
use regex::Regex;

use super::super::fields::At;
use super::super::validation::dns_label;
use super::capacity::request_policy;
use super::names::qualified;
use super::selection::{binding_conditions, chosen, exactly_one};
use super::slice::counter_set;
use super::taint::taint;
use super::{list, set};

const MAX_PROPERTIES: usize = 32;
const MAX_VALUES: usize = 48;
const MAX_TAINTS: usize = 16;
const MAX_CONSUMED_SETS: usize = 2;
const MAX_TEXT: usize = 64;
/// A domain, a slash, an identifier. Longer keys are shown without their middle.
const MAX_KEY: usize = 63 + 1 + 32;
/// In the order upstream names them; the lists belong to a feature that is off.
const TYPES: [&str; 8] = ["int", "bool", "string", "version", "ints", "bools", "strings", "versions"];

static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const NUMBER: &str = r"(0|[1-9]\d*)";
    const PRE: &str = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)";
    const BUILD: &str = "[0-9a-zA-Z-]+";
    let numbers = format!(r"{NUMBER}\.{NUMBER}\.{NUMBER}");
    Regex::new(&format!(r"\A{numbers}(-{PRE}(\.{PRE})*)?(\+{BUILD}(\.{BUILD})*)?\z")).ok()
});

/// A device of a slice whose devices say where they are (`by_device`), or which says it for all.
pub(super) fn device(at: &At<'_>, by_device: bool, errors: &mut ErrorList) {
    dns_label(&at.field("name"), errors);
    properties(at, errors);
    list(&at.field("taints"), MAX_TAINTS, errors, taint);
    let consumed = at.field("consumesCounters");
    let by_set = |own: &At<'_>| Value::from(own.text("counterSet"));
    set(&consumed, MAX_CONSUMED_SETS, errors, Some(by_set), |own, errors| counter_set(own, "counterSet", errors));
    nodes(at, by_device, errors);
    binding_conditions(at, errors);
}

fn properties(at: &At<'_>, errors: &mut ErrorList) {
    let (attributes, capacity) = (at.field("attributes"), at.field("capacity"));
    let (values, count) = (attributes.entries().count(), capacity.entries().count());
    let mut limited = |count: usize, max: usize, of: &str| {
        if count > max {
            errors.push(Error::invalid(&at.path, count, format!("the total number of {of} must not exceed {max}")));
        }
    };
    limited(values + count, MAX_PROPERTIES, "attributes and capacities");
    limited(values, MAX_VALUES, "attribute values");
    for (key, value) in attributes.entries() {
        qualified(key, &attributes, errors);
        attribute(&At::new(value.value, shortened(&attributes.path, key)), errors);
    }
    let shared = at.field("allowMultipleAllocations").bool();
    for (key, value) in capacity.entries() {
        qualified(key, &capacity, errors);
        let own = At::new(value.value, shortened(&capacity.path, key));
        if shared {
            request_policy(&own, errors);
        } else if own.has("requestPolicy") {
            errors.push(own.field("requestPolicy").forbidden("allowMultipleAllocations must be true"));
        }
    }
}

/// Upstream: truncateIfTooLong.
fn shortened(path: &Path, key: &str) -> Path {
    if key.len() <= MAX_KEY {
        return path.key(key);
    }
    let left = MAX_KEY - "...".len();
    let bytes = key.as_bytes();
    let (head, tail) = (&bytes[..left.div_ceil(2)], &bytes[bytes.len() - left / 2..]);
    path.key(format!("{}...{}", String::from_utf8_lossy(head), String::from_utf8_lossy(tail)))
}

fn attribute(at: &At<'_>, errors: &mut ErrorList) {
    let (text, version) = (at.field("string"), at.field("version"));
    if version.is_set() && !VERSION.as_ref().is_some_and(|version_of| version_of.is_match(version.str())) {
        errors.push(version.invalid_str("must be a string compatible with semver.org spec 2.0.0"));
    }
    for own in [text, version] {
        if own.str().len() > MAX_TEXT {
            errors.push(Error::too_long(&own.path, MAX_TEXT));
        }
    }
    let given: Vec<&str> = TYPES.into_iter().filter(|kind| at.has(kind)).collect();
    let all = TYPES.map(|kind| format!("`{kind}`")).join(", ");
    match given[..] {
        [] => errors.push(Error::invalid(&at.path, "", format!("must specify one of: {all}"))),
        [_] => {}
        _ => {
            let detail = format!("must specify exactly one of: {all}");
            errors.push(Error::invalid(&at.path, format!("{{{}}}", given.join(", ")), detail));
        }
    }
}

fn nodes(at: &At<'_>, by_device: bool, errors: &mut ErrorList) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    const NONE: &str = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if by_device {
        let chosen = chosen(at, &["allNodes"], "must not be empty", errors);
        exactly_one(at, &chosen, ONE, ONE, errors);
    } else if ["nodeName", "nodeSelector", "allNodes"].iter().any(|field| at.has(field)) {
        errors.push(Error::invalid(&at.path, Value::Null, NONE));
    }
}
