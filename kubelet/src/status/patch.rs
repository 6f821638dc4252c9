//! The difference of two statuses as a strategic merge patch. Upstream: `statusutil.PatchPodStatus`.
//!
//! Conditions and addresses merge by key, so each is sent alone and conditions of others are never touched.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

/// The patch that turns `old` into `new` for the pod with this uid; none when they are the same.
pub(super) fn patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let (Ok(Value::Object(old)), Ok(Value::Object(new))) = (serde_json::to_value(old), serde_json::to_value(new))
    else {
        return None;
    };
    let mut changes = Map::new();
    for (key, value) in &new {
        if old.get(key) == Some(value) {
            continue;
        }
        let change = match key.as_str() {
            "conditions" => {
                let changed = merge_list(old.get(key), value, "type");
                if changed.is_empty() {
                    continue;
                }
                Value::Array(changed)
            }
            "podIPs" | "hostIPs" => replace_list(old.get(key), value),
            _ => value.clone(),
        };
        changes.insert(key.clone(), change);
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        changes.insert(key.clone(), Value::Null);
    }
    if changes.is_empty() {
        return None;
    }
    Some(json!({ "metadata": { "uid": uid }, "status": changes }))
}

fn items(list: Option<&Value>) -> &[Value] {
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The items of `new` that are not the same in `old`, with nulls for the fields they lost, and a removal for each that is gone.
fn merge_list(old: Option<&Value>, new: &Value, key: &str) -> Vec<Value> {
    let mut changed = Vec::new();
    for item in items(Some(new)) {
        let before = items(old).iter().find(|before| before.get(key) == item.get(key));
        if before == Some(item) {
            continue;
        }
        let mut item = item.clone();
        if let (Some(item), Some(before)) = (item.as_object_mut(), before.and_then(Value::as_object)) {
            for lost in before.keys() {
                item.entry(lost.clone()).or_insert(Value::Null);
            }
        }
        changed.push(item);
    }
    let gone = items(old).iter().filter_map(|before| before.get(key));
    for gone in gone.filter(|gone| !items(Some(new)).iter().any(|item| item.get(key) == Some(*gone))) {
        changed.push(json!({ "$patch": "delete", key: gone }));
    }
    changed
}

/// A keyed list as a whole: a new address replaces the old one rather than joining it.
fn replace_list(old: Option<&Value>, new: &Value) -> Value {
    let mut list = items(Some(new)).to_vec();
    if !items(old).is_empty() {
        list.push(json!({ "$patch": "replace" }));
    }
    Value::Array(list)
}
