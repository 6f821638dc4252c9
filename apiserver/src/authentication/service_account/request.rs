//! TokenRequest: `POST .../serviceaccounts/NAME/token`.
//! Upstream: pkg/registry/core/serviceaccount/storage/token.go.

use std::sync::Arc;

use api::field::{Error as FieldError, ErrorList, Path};
use api::meta::{self, GroupKind, GroupResource};
use api::status::Status;
use json::{Value, json};

use super::{BoundObject, Claims, KubernetesClaims, SigningKeys, user_name};
use crate::context::RequestContext;
use crate::registry::fields::{set, text};

const MINIMUM_SECONDS: i64 = 10 * 60;
const MAXIMUM_SECONDS: i64 = 1 << 32;
const DEFAULT_SECONDS: i64 = 60 * 60;
/// What the service-account admission plugin asks for: such tokens are extended, for clients that never read the file again.
const WARN_ONLY_SECONDS: i64 = 60 * 60 + 7;
const EXTENDED_SECONDS: i64 = 365 * 24 * 60 * 60;

/// Signs what TokenRequests ask for.
#[derive(Debug)]
pub struct TokenIssuer {
    pub keys: Arc<SigningKeys>,
    /// `--service-account-issuer`, the first.
    pub issuer: String,
    /// `--api-audiences`: what a request without audiences gets.
    pub audiences: Vec<String>,
    /// `--service-account-extend-token-expiration`
    pub extend_expiration: bool,
    /// `--service-account-max-token-expiration` in seconds; 0 is no bound.
    pub max_expiration_seconds: i64,
}

impl TokenIssuer {
    /// Answers the TokenRequest `request` for the service account `ctx.target` names.
    pub fn create(&self, ctx: &RequestContext, mut request: Value) -> Result<Value, Status> {
        let (namespace, name) = (&ctx.target.namespace, &ctx.target.name);
        let invalid = |name: &str, errors: ErrorList| {
            Status::invalid(&GroupKind::new("authentication.k8s.io", "TokenRequest"), name, &errors)
        };
        let metadata = Path::new("metadata");
        for (field, given, wanted) in
            [("name", meta::name(&request), name), ("namespace", meta::namespace(&request), namespace)]
        {
            if !given.is_empty() && given != wanted {
                let detail = format!("must match the service account {field} if specified");
                return Err(invalid(name, FieldError::invalid(&metadata.child(field), given, detail).into()));
            }
        }
        let account = self.lookup(ctx, "serviceaccounts", namespace, name)?;
        if !meta::uid(&request).is_empty() && meta::uid(&request) != meta::uid(&account) {
            let why = format!(
                "the UID in the token request ({}) does not match the UID of the service account ({})",
                meta::uid(&request),
                meta::uid(&account)
            );
            return Err(Status::conflict(&GroupResource::new("authentication.k8s.io", "TokenRequest"), name, &why));
        }
        let given: Vec<String> = strings(&request["spec"]["audiences"]);
        let audiences = if given.is_empty() { self.audiences.clone() } else { given };
        set(&mut request["spec"], "audiences", json!(audiences));
        meta::set_name(&mut request, name);
        meta::set_namespace(&mut request, namespace);
        meta::set_uid(&mut request, meta::uid(&account));
        meta::set_creation_timestamp(&mut request, ctx.now);

        let mut seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(DEFAULT_SECONDS);
        let errors = validate(seconds);
        if !errors.is_empty() {
            return Err(invalid("", errors));
        }
        let mut bound = self.bind(ctx, &request["spec"]["boundObjectRef"])?;
        if self.max_expiration_seconds > 0 && seconds > self.max_expiration_seconds {
            ctx.warn(format!(
                "requested expiration of {seconds} seconds shortened to {} seconds",
                self.max_expiration_seconds
            ));
            seconds = self.max_expiration_seconds;
        }
        set(&mut request["spec"], "expirationSeconds", json!(seconds));
        bound.namespace.clone_from(namespace);
        bound.serviceaccount = reference(&account);
        let now = ctx.now.as_second();
        let for_us = audiences.iter().all(|audience| self.audiences.contains(audience));
        let mut lifetime = seconds;
        if self.extend_expiration && bound.pod.is_some() && seconds == WARN_ONLY_SECONDS && for_us {
            bound.warnafter = Some(now + seconds);
            lifetime = EXTENDED_SECONDS;
        }
        let claims = Claims {
            audience: audiences,
            expiry: Some(now + lifetime),
            issued_at: Some(now),
            not_before: Some(now),
            issuer: self.issuer.clone(),
            id: uuid::Uuid::new_v4().to_string(),
            subject: user_name(namespace, name),
            kubernetes: Some(bound),
            ..Claims::default()
        };
        let token = self
            .keys
            .sign(&claims)
            .map_err(|error| Status::internal_error(&format_args!("failed to generate token: {error}")))?;
        let expires = ctx.now + jiff::SignedDuration::from_secs(seconds);
        set(&mut request, "status", json!({ "token": token, "expirationTimestamp": meta::time::format(expires) }));
        Ok(request)
    }

    fn bind(&self, ctx: &RequestContext, reference_value: &Value) -> Result<KubernetesClaims, Status> {
        let mut bound = KubernetesClaims::default();
        if reference_value.is_null() {
            return Ok(bound);
        }
        let (version, kind, name) =
            (text(reference_value, "apiVersion"), text(reference_value, "kind"), text(reference_value, "name"));
        let (namespace, account) = (&ctx.target.namespace, &ctx.target.name);
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let object = match (group, kind) {
            ("", "Pod") => {
                let pod = self.lookup(ctx, "pods", namespace, name)?;
                if text(&pod["spec"], "serviceAccountName") != account {
                    return Err(Status::bad_request(format!(
                        "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
                    )));
                }
                let node = text(&pod["spec"], "nodeName");
                if !node.is_empty() {
                    let uid = ctx.objects.get("", "nodes", "", node).map(|node| meta::uid(&node).to_owned());
                    bound.node = Some(BoundObject { name: node.to_owned(), uid: uid.unwrap_or_default() });
                }
                bound.pod = Some(reference(&pod));
                pod
            }
            ("", "Node") => {
                let node = self.lookup(ctx, "nodes", "", name)?;
                bound.node = Some(reference(&node));
                node
            }
            ("", "Secret") => {
                let secret = self.lookup(ctx, "secrets", namespace, name)?;
                bound.secret = Some(reference(&secret));
                secret
            }
            _ => {
                let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
                return Err(Status::bad_request(format!("cannot bind token to object of type {version}, Kind={kind}")));
            }
        };
        let uid = text(reference_value, "uid");
        if !uid.is_empty() && uid != meta::uid(&object) {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(&GroupResource::new("", kind), name, &why));
        }
        Ok(bound)
    }

    fn lookup(&self, ctx: &RequestContext, resource: &str, namespace: &str, name: &str) -> Result<Arc<Value>, Status> {
        ctx.objects
            .get("", resource, namespace, name)
            .ok_or_else(|| Status::not_found(&GroupResource::new("", resource), name))
    }
}

fn validate(seconds: i64) -> ErrorList {
    let path = Path::new("spec").child("expirationSeconds");
    let mut errors = ErrorList::new();
    if seconds < MINIMUM_SECONDS {
        errors.push(FieldError::invalid(&path, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAXIMUM_SECONDS {
        errors.push(FieldError::invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    errors
}

fn reference(object: &Value) -> BoundObject {
    BoundObject { name: meta::name(object).to_owned(), uid: meta::uid(object).to_owned() }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
