//! The resources that are answered, not stored, with what each asks.

use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::authentication::service_account::TokenIssuer;
use crate::context::RequestContext;
use crate::registry::computed::{Computations, Computed};

/// All of them.
pub(super) fn all(issuer: TokenIssuer) -> Computations {
    let mut all = Computations::default();
    all.add("", "serviceaccounts", "token", Arc::new(Token(issuer)));
    all
}

/// `serviceaccounts/token`.
struct Token(TokenIssuer);

impl Computed for Token {
    fn create<'a>(&'a self, ctx: &'a RequestContext, object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        Box::pin(async move { self.0.create(ctx, object) })
    }
}
