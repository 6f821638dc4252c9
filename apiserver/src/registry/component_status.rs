//! `componentstatuses`: is each part of the control plane well? Asked anew for each request, stored nowhere.
//!
//! Upstream asks the health endpoints on this machine's ports. Here the parts are of one process, so whoever starts one
//! [joins](ComponentStatuses::join) it; a part that never joined or has ended is refused as an empty port would.
//! Upstream: pkg/registry/core/componentstatus.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::meta::GroupResource;
use api::status::Status;
use futures::future::BoxFuture;
use json::{Value, json};

use super::computed::Computed;
use crate::context::RequestContext;
use crate::server::health::Check;

/// The parts by upstream's names, with the port upstream would ask.
const PARTS: [(&str, u16); 2] = [("scheduler", 10259), ("controller-manager", 10257)];
/// The store, by upstream's name.
const STORE: &str = "etcd-0";

type Running = Arc<dyn Fn() -> bool + Send + Sync>;

/// See the module header. Clones are the same.
#[derive(Clone)]
pub struct ComponentStatuses {
    store: Check,
    parts: Arc<Mutex<HashMap<&'static str, Running>>>,
}

impl ComponentStatuses {
    /// With no part but the store, which is asked so.
    pub fn new(store: Check) -> ComponentStatuses {
        ComponentStatuses { store, parts: Arc::default() }
    }

    /// From now on `scheduler` or `controller-manager` is as `running` says.
    pub fn join(&self, part: &'static str, running: impl Fn() -> bool + Send + Sync + 'static) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(part, Arc::new(running));
    }

    fn names() -> impl Iterator<Item = &'static str> {
        PARTS.iter().map(|(name, _)| *name).chain([STORE])
    }

    fn item(&self, name: &str) -> Option<Value> {
        let condition = match PARTS.iter().find(|(part, _)| *part == name) {
            Some((_, port)) => self.part(name, *port),
            None if name == STORE => match (self.store)() {
                None => healthy(),
                Some(why) => json!({"type": "Healthy", "status": "False", "error": why}),
            },
            None => return None,
        };
        let metadata = json!({"name": name});
        Some(json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": metadata, "conditions": [condition]}))
    }

    fn part(&self, name: &str, port: u16) -> Value {
        let running = self.parts.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if running.is_some_and(|running| running()) {
            return healthy();
        }
        let address = format!("127.0.0.1:{port}");
        let refused = format!("Get \"https://{address}/healthz\": dial tcp {address}: connect: connection refused");
        json!({"type": "Healthy", "status": "False", "message": refused})
    }
}

fn healthy() -> Value {
    json!({"type": "Healthy", "status": "True", "message": "ok"})
}

impl Computed for ComponentStatuses {
    fn get<'a>(&'a self, ctx: &'a RequestContext) -> BoxFuture<'a, Result<Value, Status>> {
        let name = &ctx.target.name;
        // Upstream names the kind here where others name the resource.
        let not_found = || Status::not_found(&GroupResource::new("", "componentstatus"), name);
        Box::pin(std::future::ready(self.item(name).ok_or_else(not_found)))
    }

    fn list<'a>(&'a self, _ctx: &'a RequestContext) -> BoxFuture<'a, Result<Vec<Value>, Status>> {
        Box::pin(std::future::ready(Ok(Self::names().filter_map(|name| self.item(name)).collect())))
    }
}

impl std::fmt::Debug for ComponentStatuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(Self::names()).finish()
    }
}

#[cfg(test)]
mod tests;
