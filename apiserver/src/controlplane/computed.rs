//! The resources that are answered, not stored, with what each asks.

use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use json::Value;

use crate::authentication::service_account::TokenIssuer;
use crate::authentication::{self, Union};
use crate::authorization::{self, Authorization};
use crate::context::RequestContext;
use crate::registry::component_status::ComponentStatuses;
use crate::registry::computed::{Computations, Computed};

/// All of them.
pub(super) fn all(
    authenticators: &Arc<Union>,
    authorization: &Arc<Authorization>,
    issuer: TokenIssuer,
    components: ComponentStatuses,
) -> Computations {
    let mut all = Computations::default();
    authentication::reviews::register(&mut all, authenticators);
    authorization::reviews::register(&mut all, authorization);
    all.add("", "componentstatuses", "", Arc::new(components));
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
