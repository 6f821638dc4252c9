//! NamespaceAutoProvision: the namespace of what is created is created with it, as the server itself would.
//! Upstream: plugin/pkg/admission/namespace/autoprovision.

use std::sync::{Arc, OnceLock};

use api::status::Status;
use futures::future::BoxFuture;
use json::Value;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::plugins::forbidden;
use super::{AsyncMutating, Attributes, Operation, Round};

/// The server as its own client: it is there once the server is, which is made of the plugins.
pub type Loopback = Arc<OnceLock<kube::Client>>;

pub(super) struct NamespaceAutoProvision(pub(super) Loopback);

impl AsyncMutating for NamespaceAutoProvision {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: &'a mut Value,
        _: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move {
            let ctx = attributes.ctx;
            let name = &ctx.target.namespace;
            let is_missing = !ctx.dry_run
                && !name.is_empty()
                && attributes.kind != "Namespace"
                && ctx.objects.get("", "namespaces", "", name).is_none();
            if !is_missing {
                return Ok(());
            }
            let Some(client) = self.0.get() else {
                return Err(forbidden(attributes, object, "not yet ready to handle request"));
            };
            let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
            let namespace = Namespace { metadata, ..Namespace::default() };
            match Api::all(client.clone()).create(&PostParams::default(), &namespace).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                Err(error) => Err(forbidden(attributes, object, error.to_string())),
            }
        })
    }
}
