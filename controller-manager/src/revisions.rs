//! Controller revisions: the history of templates that daemon sets and stateful sets keep.
//!
//! A revision's data is the part of the owner that makes pods, as a patch that would restore it. Comparing ignores key
//! order and nulls, so that revisions written by upstream are recognised.
//!
//! Upstream: pkg/controller/history.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use crate::engine::to_value;
use crate::{meta, pods};

/// Index of revisions by managing controller, with orphans by namespace.
pub(crate) const BY_OWNER: &str = "owner";

/// Index function of [`BY_OWNER`].
pub(crate) fn owner_index(revision: &ControllerRevision) -> Vec<String> {
    vec![match meta::controller_of(&revision.metadata) {
        Some(owner) => owner.uid.clone(),
        None => pods::orphan_key(meta::namespace(&revision.metadata)),
    }]
}

/// The patch that restores `template`. Its keys are sorted: upstream's clients compare revisions byte by byte with what they
/// would write.
pub(crate) fn data(template: &PodTemplateSpec) -> Value {
    let mut template = to_value(template);
    template["$patch"] = json!("replace");
    let mut data = without_nulls(json!({"spec": {"template": template}}));
    data.sort_all_objects();
    data
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}

/// True if the revision restores the same thing.
pub(crate) fn matches(revision: &ControllerRevision, data: &Value) -> bool {
    without_nulls(revision.data.0.clone()) == *data
}

/// Oldest revision first.
pub(crate) fn sort(revisions: &mut [Arc<ControllerRevision>]) {
    revisions.sort_by_key(|revision| {
        (revision.revision.unwrap_or(0), meta::created(&revision.metadata), meta::name(&revision.metadata).to_owned())
    });
}

/// The highest number.
pub(crate) fn max(revisions: &[Arc<ControllerRevision>]) -> i64 {
    revisions.iter().map(|revision| revision.revision.unwrap_or(0)).max().unwrap_or(0).max(0)
}

/// The wire form of the data.
pub(crate) fn raw(data: Value) -> RawExtension {
    RawExtension(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_written_as_upstream_writes_it() {
        let template: PodTemplateSpec = serde_json::from_value(json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {}}], "restartPolicy": "Always"},
        }))
        .unwrap();
        assert_eq!(
            data(&template).to_string(),
            r#"{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"web:1","name":"web","resources":{}}],"restartPolicy":"Always"}}}}"#
        );
    }
}
