//! Token reviews and self reviews: who is it? Answered from the authenticators, stored nowhere.
//! Upstream: pkg/registry/authentication/{tokenreview,selfsubjectreview}.

use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use jiff::Timestamp;
use json::{Map, Value, json};

use super::{Union, UserInfo};
use crate::context::RequestContext;
use crate::registry::computed::{Computations, Computed};
use crate::registry::fields::text;

/// Registers both kinds.
pub fn register(all: &mut Computations, authenticators: &Arc<Union>) {
    let group = "authentication.k8s.io";
    all.add(group, "tokenreviews", "", Arc::new(TokenReview(authenticators.clone())));
    all.add(group, "selfsubjectreviews", "", Arc::new(SelfSubjectReview));
}

struct TokenReview(Arc<Union>);

impl Computed for TokenReview {
    fn create<'a>(&'a self, _ctx: &'a RequestContext, mut object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        Box::pin(async move {
            let token = text(&object["spec"], "token").to_owned();
            if token.is_empty() {
                return Err(Status::bad_request("token is required for TokenReview in authentication"));
            }
            let asked: Vec<String> = object["spec"]["audiences"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|audience| audience.as_str().map(str::to_owned))
                .collect();
            let audiences = if asked.is_empty() { &self.0.audiences } else { &asked };
            object["status"] = match self.0.by_token(&token, audiences, Timestamp::now()).await {
                Ok(Some(found)) => {
                    let user = super::union::with_authenticated_group(found.user);
                    let mut status = Map::new();
                    status.insert("authenticated", true.into());
                    status.insert("user", user_json(&user));
                    if !found.audiences.is_empty() {
                        status.insert("audiences", found.audiences.into());
                    }
                    Value::Object(status)
                }
                Ok(None) => json!({"user": {}}),
                Err(error) => json!({"user": {}, "error": error.to_string()}),
            };
            Ok(object)
        })
    }
}

struct SelfSubjectReview;

impl Computed for SelfSubjectReview {
    fn create<'a>(&'a self, ctx: &'a RequestContext, mut object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        object["metadata"] = json!({"creationTimestamp": ctx.timestamp()});
        object["status"] = json!({"userInfo": user_json(&ctx.user)});
        Box::pin(std::future::ready(Ok(object)))
    }
}

/// authentication.k8s.io/v1.UserInfo.
fn user_json(user: &UserInfo) -> Value {
    let mut json = Map::new();
    if !user.name.is_empty() {
        json.insert("username", user.name.as_str().into());
    }
    if !user.uid.is_empty() {
        json.insert("uid", user.uid.as_str().into());
    }
    if !user.groups.is_empty() {
        json.insert("groups", user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        json.insert("extra", json!(user.extra));
    }
    Value::Object(json)
}
