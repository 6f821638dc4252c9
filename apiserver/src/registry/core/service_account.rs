//! Service accounts. Upstream: pkg/registry/core/serviceaccount/strategy.go.

use json::Value;

use super::super::fields::items_mut;
use super::super::strategy::Strategy;
use crate::context::RequestContext;

/// The semantics of service accounts.
#[derive(Debug, Clone, Copy)]
pub struct ServiceAccount;

impl Strategy for ServiceAccount {
    /// Of a reference to a secret only the name means anything.
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        for secret in items_mut(new, "secrets") {
            if let Some(fields) = secret.as_object_mut() {
                fields.retain(|key, _| key == "name");
            }
        }
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
        let instead = "prefer separate namespaces to isolate access to mounted secrets";
        let set = api::meta::annotation(new, ENFORCE).is_some();
        set.then(|| format!("metadata.annotations[{ENFORCE}]: deprecated in v1.32+; {instead}")).into_iter().collect()
    }

    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, _old: &Value) {
        self.prepare_for_create(ctx, new);
    }
}
