//! Between the version an object is stored in and the other served versions of its kind.
//!
//! Most kinds have one version; what differs otherwise is moved here, field by field, and nowhere else knows of it.
//! Upstream: pkg/apis/{core,events,autoscaling}/*/conversion.go.

use json::{Map, Value, json};

/// How to get from one version to the other and back. `apiVersion` is set by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The stored form into the served one.
    pub from_storage: fn(&mut Value),
    /// The served form into the stored one.
    pub to_storage: fn(&mut Value),
}

/// The conversion of a kind between two versions; None when only one is there.
pub fn between(storage: &str, served: &str, kind: &str) -> Option<Conversion> {
    match (kind, storage, served) {
        (_, storage, served) if storage == served => None,
        ("Event", "v1", "events.k8s.io/v1") => {
            Some(Conversion { from_storage: event_to_events_v1, to_storage: event_from_events_v1 })
        }
        ("HorizontalPodAutoscaler", "autoscaling/v2", "autoscaling/v1") => {
            Some(Conversion { from_storage: autoscaler_to_v1, to_storage: autoscaler_from_v1 })
        }
        _ => None,
    }
}

/// core/v1 name, events.k8s.io/v1 name.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn event_to_events_v1(event: &mut Value) {
    rename(event, EVENT_FIELDS.map(|(core, events)| (core, events)));
}

fn event_from_events_v1(event: &mut Value) {
    rename(event, EVENT_FIELDS.map(|(core, events)| (events, core)));
}

fn rename<const N: usize>(object: &mut Value, names: [(&str, &str); N]) {
    let Some(fields) = object.as_object_mut() else { return };
    let old = std::mem::take(fields);
    for (key, value) in old {
        let name = names.iter().find(|(from, _)| *from == key).map_or(key.as_str(), |(_, to)| to).to_string();
        fields.insert(name, value);
    }
}

/// Where autoscaling/v1 keeps what it has no field for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

fn is_cpu_utilization(metric: &Value) -> bool {
    metric["type"] == "Resource"
        && metric["resource"]["name"] == "cpu"
        && metric["resource"]["target"]["averageUtilization"].is_i64()
}

fn autoscaler_to_v1(object: &mut Value) {
    let mut kept: Vec<(&str, Value)> = Vec::new();
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let metrics = spec.shift_remove("metrics").unwrap_or_default();
        let (cpu, others): (Vec<Value>, Vec<Value>) =
            metrics.as_array().cloned().unwrap_or_default().into_iter().partition(is_cpu_utilization);
        if let Some(target) = cpu.first() {
            let percentage = target["resource"]["target"]["averageUtilization"].clone();
            spec.insert("targetCPUUtilizationPercentage", percentage);
        }
        if !others.is_empty() {
            kept.push((METRICS, Value::Array(others)));
        }
        if let Some(behavior) = spec.shift_remove("behavior") {
            kept.push((BEHAVIOR, behavior));
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        let metrics = status.shift_remove("currentMetrics").unwrap_or_default();
        let current = metrics.as_array().into_iter().flatten();
        let cpu = current.filter(|metric| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu");
        if let Some(value) = cpu.map(|metric| &metric["resource"]["current"]["averageUtilization"]).find(|v| v.is_i64())
        {
            status.insert("currentCPUUtilizationPercentage", value.clone());
        }
        if let Some(conditions) = status.shift_remove("conditions") {
            kept.push((CONDITIONS, conditions));
        }
        // v1 shows it also where it is zero, v2 does not.
        status.entry("currentReplicas").or_insert_with(|| 0.into());
    }
    for (annotation, value) in kept {
        api::meta::set_annotation(object, annotation, &value.to_string());
    }
}

fn autoscaler_from_v1(object: &mut Value) {
    let mut take = |annotation: &str| -> Option<Value> {
        let annotations = object.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()?;
        json::from_str(annotations.shift_remove(annotation)?.as_str()?).ok()
    };
    let (metrics, behavior, conditions) = (take(METRICS), take(BEHAVIOR), take(CONDITIONS));
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let mut all = metrics.and_then(|metrics| metrics.as_array().cloned()).unwrap_or_default();
        if let Some(percentage) = spec.shift_remove("targetCPUUtilizationPercentage") {
            let target = json!({"type": "Utilization", "averageUtilization": percentage});
            all.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        if !all.is_empty() {
            spec.insert("metrics", Value::Array(all));
        }
        if let Some(behavior) = behavior {
            spec.insert("behavior", behavior);
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        if status.get("currentReplicas").is_some_and(|count| *count == 0) {
            status.shift_remove("currentReplicas");
        }
        if let Some(percentage) = status.shift_remove("currentCPUUtilizationPercentage") {
            let current: Map = [("averageUtilization".to_string(), percentage)].into_iter().collect();
            let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "current": current}}]);
            status.insert("currentMetrics", metric);
        }
        if let Some(conditions) = conditions {
            status.insert("conditions", conditions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_travel_between_their_two_groups_unchanged() {
        let stored =
            json!({"kind": "Event", "involvedObject": {"name": "a"}, "message": "m", "count": 3, "type": "Normal"});
        let mut object = stored.clone();
        event_to_events_v1(&mut object);
        assert_eq!(object["regarding"]["name"], "a");
        assert_eq!(object["deprecatedCount"], 3);
        event_from_events_v1(&mut object);
        assert_eq!(object, stored);
    }

    #[test]
    fn autoscalers_keep_what_v1_has_no_field_for() {
        let stored = json!({"metadata": {"name": "a"}, "spec": {"minReplicas": 1, "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
            {"type": "Pods", "pods": {"metric": {"name": "q"}}}]}});
        let mut object = stored.clone();
        autoscaler_to_v1(&mut object);
        assert_eq!(object["spec"]["targetCPUUtilizationPercentage"], 50);
        autoscaler_from_v1(&mut object);
        assert_eq!(object["spec"], stored["spec"]);
    }
}
