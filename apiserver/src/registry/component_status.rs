//! `componentstatuses`: is each part of the control plane well? Asked anew for each request, stored nowhere.
//! Upstream: pkg/registry/core/componentstatus.

use api::meta::GroupResource;
use api::status::Status;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::computed::Computed;
use crate::context::RequestContext;
use crate::server::health::Check;

/// The parts by upstream's names: `controller-manager`, `scheduler`, `etcd-0`.
pub struct ComponentStatuses(pub Vec<(String, Check)>);

impl ComponentStatuses {
    fn item((name, check): &(String, Check)) -> Value {
        let (status, message) = match check() {
            None => ("True", "ok".to_string()),
            Some(why) => ("False", why),
        };
        json!({
            "kind": "ComponentStatus",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "conditions": [{"type": "Healthy", "status": status, "message": message}],
        })
    }
}

impl Computed for ComponentStatuses {
    fn get<'a>(&'a self, ctx: &'a RequestContext) -> BoxFuture<'a, Result<Value, Status>> {
        let found = self.0.iter().find(|(name, _)| *name == ctx.target.name).map(Self::item);
        let not_found = || Status::not_found(&GroupResource::new("", "componentstatuses"), &ctx.target.name);
        Box::pin(std::future::ready(found.ok_or_else(not_found)))
    }

    fn list<'a>(&'a self, _ctx: &'a RequestContext) -> BoxFuture<'a, Result<Vec<Value>, Status>> {
        Box::pin(std::future::ready(Ok(self.0.iter().map(Self::item).collect())))
    }
}

impl std::fmt::Debug for ComponentStatuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
