//! The way from client-side apply, which kept the configuration in an annotation, to server-side apply and beside it: only
//! for the manager `kubectl`. Upstream: managedfields/internal/lastapplied{manager,updater}.go.

use json::{Map, Value};

use super::Rules;
use super::compare;
use super::extract::field_set;
use super::set::Set;
use super::validate::{Repeats, validate};
use crate::go_text;
use crate::meta;

/// The manager this is for.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations of an object together may not be larger.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// Reads the configuration the annotation of an object holds.
pub(super) fn configuration(object: &Value) -> Option<Value> {
    json::from_str(meta::annotation(object, ANNOTATION)?).ok()
}

impl Rules<'_> {
    /// The fields that still are as they were last applied, which are therefore the client's own, whoever is named.
    pub(super) fn still_as_applied<'a>(&'a self, last: &'a Value, live: &'a Value) -> Option<Set<'a>> {
        if meta::api_version(last) != self.api_version
            || [live, last].iter().any(|object| validate(object, self.place, Repeats::Refused).is_err())
        {
            return None;
        }
        let difference = compare::difference(last, live, self.place).ok()?;
        Some(field_set(last, self.place).minus(&difference.changed).minus(&difference.removed))
    }
}

/// Keeps the annotation in step, for clients that still use it.
pub(super) fn keep_annotation(object: &mut Value, configuration: &Value) {
    if meta::annotation(object, ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut shown = configuration.clone();
    if let Some(annotations) = shown.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
        && let Some(annotations) = annotations.as_object_mut()
    {
        annotations.shift_remove(ANNOTATION);
    }
    let text = go_text::json(&sorted(shown)) + "\n";
    meta::set_annotation(object, ANNOTATION, &text);
    let size: usize = meta::annotations(object)
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS_LIMIT
        && let Some(annotations) = meta::metadata_mut(object).and_then(|metadata| metadata.get_mut("annotations"))
        && let Some(annotations) = annotations.as_object_mut()
    {
        annotations.shift_remove(ANNOTATION);
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut members: Vec<(json::Text, Value)> = members.into_iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().map(|(key, value)| (key, sorted(value))).collect::<Map>())
        }
        other => other,
    }
}
