//! DefaultBinder: posts the binding.

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Binding, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use crate::framework::{Plugin, Status, Verdict};
use crate::objects::Pod;

/// Upstream: `plugins/defaultbinder`.
pub(super) struct DefaultBinder {
    /// None where nothing is to be bound (tests of other plugins).
    client: Option<kube::Client>,
}

impl std::fmt::Debug for DefaultBinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefaultBinder").finish_non_exhaustive()
    }
}

impl DefaultBinder {
    pub(super) fn new(client: Option<kube::Client>) -> Self {
        Self { client }
    }
}

/// What is posted: the uid makes sure that a pod made anew under the same name is not bound by mistake.
fn binding(pod: &Pod, node: &str) -> Binding {
    Binding {
        metadata: ObjectMeta {
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectMeta::default()
        },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            ..ObjectReference::default()
        },
    }
}

impl Plugin for DefaultBinder {
    fn name(&self) -> &'static str {
        "DefaultBinder"
    }

    fn bind<'a>(&'a self, pod: &'a Pod, node: &'a str) -> Option<BoxFuture<'a, Verdict>> {
        let client = self.client.clone()?;
        Some(Box::pin(async move {
            let pods: Api<Pod> = Api::namespaced(client, pod.namespace());
            let binding = binding(pod, node);
            let posted = pods
                .create_subresource::<_, serde_json::Value>("binding", pod.name(), &PostParams::default(), &binding)
                .await;
            posted.map(|_| ()).map_err(|error| Status::error(crate::status_text(&error)))
        }))
    }
}
