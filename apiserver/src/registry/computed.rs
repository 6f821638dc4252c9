//! Resources and subresources that are answered, not stored: reviews, tokens, component statuses.
//!
//! Whoever knows how registers itself with [`Computed`]; the endpoints decode, admit and send around it.
//! Upstream: rest.Creater and rest.Getter of storages without a genericregistry.Store.

use std::collections::HashMap;
use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use json::Value;

use crate::context::RequestContext;

/// Answers for one resource or subresource. What is not overridden is 405.
pub trait Computed: Send + Sync {
    /// POST: the decoded and defaulted body in, the answer out (201).
    fn create<'a>(&'a self, ctx: &'a RequestContext, object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        let _ = (ctx, object);
        Box::pin(std::future::ready(Err(crate::endpoints::respond::method_not_allowed())))
    }

    /// GET of one.
    fn get<'a>(&'a self, ctx: &'a RequestContext) -> BoxFuture<'a, Result<Value, Status>> {
        let _ = ctx;
        Box::pin(std::future::ready(Err(crate::endpoints::respond::method_not_allowed())))
    }

    /// GET of all: the items.
    fn list<'a>(&'a self, ctx: &'a RequestContext) -> BoxFuture<'a, Result<Vec<Value>, Status>> {
        let _ = ctx;
        Box::pin(std::future::ready(Err(crate::endpoints::respond::method_not_allowed())))
    }
}

/// All of them, by group, resource and subresource.
#[derive(Clone, Default)]
pub struct Computations(HashMap<(&'static str, &'static str, &'static str), Arc<dyn Computed>>);

impl Computations {
    /// Registers one; `subresource` is "" for a resource.
    pub fn add(
        &mut self,
        group: &'static str,
        resource: &'static str,
        subresource: &'static str,
        by: Arc<dyn Computed>,
    ) {
        self.0.insert((group, resource, subresource), by);
    }

    /// Finds one.
    pub fn get(&self, group: &str, resource: &str, subresource: &str) -> Option<&Arc<dyn Computed>> {
        self.0.iter().find(|(key, _)| **key == (group, resource, subresource)).map(|(_, by)| by)
    }
}

impl std::fmt::Debug for Computations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
