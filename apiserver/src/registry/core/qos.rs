//! A pod's quality-of-service class. Upstream: pkg/apis/core/helper/qos.

use api::quantity::Quantity;
use json::Value;

use super::super::fields::{At, items};
use super::super::validation::resources::quantity;

/// `Guaranteed`, `Burstable` or `BestEffort`, from cpu and memory of all containers (or of the pod, where it says).
pub(crate) fn class(spec: &Value) -> &'static str {
    let own = At::root(spec).field("resources");
    let pod_level =
        ["requests", "limits"].iter().any(|kind| own.get(kind).as_object().is_some_and(|map| !map.is_empty()));
    let containers: Vec<At<'_>> = if pod_level {
        vec![own]
    } else {
        let all = ["containers", "initContainers"].into_iter().flat_map(|list| items(spec, list));
        all.map(|container| At::root(container).field("resources")).collect()
    };
    let (mut any, mut guaranteed) = (false, true);
    let (mut requests, mut limits) =
        ([Quantity::default(), Quantity::default()], [Quantity::default(), Quantity::default()]);
    for resources in &containers {
        for (index, name) in ["cpu", "memory"].into_iter().enumerate() {
            let amount = |kind: &'static str| {
                let map = resources.field(kind);
                map.entries()
                    .find_map(|(own, value)| (own == name).then(|| quantity(&value)))
                    .filter(|value| *value > Quantity::default())
            };
            let (request, limit) = (amount("requests"), amount("limits"));
            any |= request.is_some() || limit.is_some();
            match &limit {
                Some(limit) => limits[index].add(limit),
                None => guaranteed = false,
            }
            if let Some(request) = request {
                requests[index].add(&request);
            }
        }
    }
    match (any, guaranteed && requests == limits) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    #[test]
    fn classes_follow_cpu_and_memory() {
        let spec = |resources: Value| json!({"containers": [{"resources": resources}]});
        assert_eq!(class(&spec(json!({}))), "BestEffort");
        assert_eq!(class(&spec(json!({"requests": {"cpu": "100m"}}))), "Burstable");
        let full = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(class(&spec(json!({"requests": full, "limits": full}))), "Guaranteed");
        assert_eq!(class(&spec(json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": full}))), "Burstable");
        assert_eq!(class(&spec(json!({"requests": {"ephemeral-storage": "1Gi"}}))), "BestEffort");
    }
}
