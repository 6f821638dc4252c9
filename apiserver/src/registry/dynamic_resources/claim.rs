//! ResourceClaims, and the templates they are made from: which devices somebody wants.
//! Upstream: ValidateResourceClaim, ValidateResourceClaimTemplate.

use api::field::{BadValue, Error, ErrorList};
use json::{Value, json};

use super::super::fields::{At, at, items_mut, object_mut, remove, set};
use super::super::metadata::validate_annotations;
use super::super::strategy::{Strategy, take_only_status};
use super::super::validation::{dns_label, immutable, immutable_declared, one_of, selector};
use super::class::MAX_CONFIGURATIONS;
use super::configuration::configuration;
use super::selector::selectors;
use super::taint::tolerations;
use super::{allocation, by_name, itself, list, names, rights, set as set_of};
use crate::context::RequestContext;

const MAX_REQUESTS: usize = 32;
const MAX_ALTERNATIVES: usize = 8;
const MAX_CONSTRAINTS: usize = 32;
const MODES: [&str; 2] = ["All", "ExactCount"];
const ADMIN_LABEL: &str = "resource.kubernetes.io/admin-access";

/// The semantics of claims.
#[derive(Debug, Clone, Copy)]
pub struct ResourceClaim;

impl Strategy for ResourceClaim {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
        drop_disabled(object_mut(new, "spec"));
    }

    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = admin_access(ctx, &At::root(new).field("spec").field("devices"));
        device_claim(&At::root(new).field("spec").field("devices"), &mut errors);
        errors
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, _old: &Value) {
        drop_disabled(object_mut(new, "spec"));
    }

    /// Nothing else can be wrong with what stays as it was.
    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable_declared(&At::root(new).field("spec"), &old["spec"], &mut errors);
        errors
    }

    fn prepare_for_subresource_update(&self, _ctx: &RequestContext, _subresource: &str, new: &mut Value, old: &Value) {
        take_only_status(new, old);
        allocation::prepare(new, old);
    }

    fn validate_subresource_update(
        &self,
        ctx: &RequestContext,
        _subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let mut errors = ErrorList::new();
        let results = |claim: &Value| at(claim, &["status", "allocation", "devices"]).clone();
        let (now, before) = (results(new), results(old));
        let path = api::field::Path::new("status").child("allocation").child("devices").child("results");
        let granted = |results: &Value| At::root(results).field("results").items().position(|own| asks_for_all(&own));
        if granted(&before).is_none()
            && let Some(index) = granted(&now)
            && !allows_admin_access(ctx)
        {
            errors.push(refused_admin_access(&path.index(index).child("adminAccess")));
        }
        rights::status(ctx, new, old, &mut errors);
        allocation::status(new, old, &mut errors);
        errors
    }
}

/// The semantics of templates of claims.
#[derive(Debug, Clone, Copy)]
pub struct ResourceClaimTemplate;

impl Strategy for ResourceClaimTemplate {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        drop_disabled(object_mut(object_mut(new, "spec"), "spec"));
    }

    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, _old: &Value) {
        self.prepare_for_create(ctx, new);
    }

    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let spec = At::root(new).field("spec");
        // Upstream reports it where it would be in a claim.
        let devices = spec.field("spec").field("devices");
        let mut errors = admin_access(ctx, &At::new(devices.value, spec.path.child("devices")));
        template(&spec, &mut errors);
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        template(&spec, &mut errors);
        immutable(&spec, &old["spec"], &mut errors);
        errors
    }
}

fn template(spec: &At<'_>, errors: &mut ErrorList) {
    let metadata = spec.field("metadata");
    selector::labels(&metadata.field("labels"), errors);
    if let Some(annotations) = metadata.get("annotations").as_object() {
        validate_annotations(annotations, &metadata.field("annotations").path, errors);
    }
    device_claim(&spec.field("spec").field("devices"), errors);
}

/// Takes away fields of features that are off.
fn drop_disabled(claim: &mut Value) {
    let Some(devices) = claim.get_mut("devices") else { return };
    for request in items_mut(devices, "requests") {
        if let Some(exactly) = request.get_mut("exactly") {
            remove(exactly, "derivedAttributes");
        }
        items_mut(request, "firstAvailable").for_each(|alternative| {
            remove(alternative, "derivedAttributes");
        });
    }
}

/// Upstream: validateDeviceClaim.
fn device_claim(claim: &At<'_>, errors: &mut ErrorList) {
    set_of(&claim.field("requests"), MAX_REQUESTS, errors, Some(by_name), request);
    list(&claim.field("constraints"), MAX_CONSTRAINTS, errors, |own, errors| constraint(own, claim, errors));
    list(&claim.field("config"), MAX_CONFIGURATIONS, errors, |own, errors| {
        request_names(&own.field("requests"), claim, errors);
        configuration(own, errors);
    });
}

/// Names of requests of the claim, each once.
pub(super) fn request_names(list: &At<'_>, claim: &At<'_>, errors: &mut ErrorList) {
    set_of(list, MAX_REQUESTS, errors, Some(itself), |name, errors| names::request(name, claim, errors));
}

fn request(request: &At<'_>, errors: &mut ErrorList) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    dns_label(&request.field("name"), errors);
    let (exactly, alternatives) = (request.field("exactly"), request.field("firstAvailable"));
    match (exactly.is_set(), !alternatives.is_empty()) {
        (false, false) => errors.push(request.required(ONE)),
        (true, true) => {
            let detail = format!("{ONE}, but multiple fields are set");
            errors.push(Error::invalid(&request.path, BadValue::from(Value::Null), detail));
        }
        (true, false) => wanted(&exactly, errors),
        (false, true) => set_of(&alternatives, MAX_ALTERNATIVES, errors, Some(by_name), |alternative, errors| {
            dns_label(&alternative.field("name"), errors);
            wanted(alternative, errors);
        }),
    }
}

/// What `exactly` and each alternative have in common.
fn wanted(at: &At<'_>, errors: &mut ErrorList) {
    names::class(&at.field("deviceClassName"), errors);
    selectors(&at.field("selectors"), false, errors);
    let (mode, count) = (at.field("allocationMode"), at.field("count"));
    match mode.str() {
        "All" if count.int() != 0 => {
            errors.push(count.invalid_int("must not be specified when allocationMode is 'All'"));
        }
        "ExactCount" if count.int() <= 0 => errors.push(count.invalid_int("must be greater than zero")),
        _ => one_of(&mode, &MODES, errors),
    }
    tolerations(&at.field("tolerations"), errors);
}

fn constraint(at: &At<'_>, claim: &At<'_>, errors: &mut ErrorList) {
    request_names(&at.field("requests"), claim, errors);
    let attributes = ["matchAttribute", "distinctAttribute"].map(|field| at.field(field));
    if !attributes.iter().any(At::is_set) {
        // These are upstream's words for none.
        let detail =
            r#"exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set"#;
        errors.push(at.required(detail));
    }
    for attribute in attributes.iter().filter(|attribute| attribute.is_set()) {
        names::fully_qualified(attribute, errors);
    }
}

/// Access to devices that are in use is for namespaces that are marked for it. Upstream: AuthorizedForAdmin.
fn admin_access(ctx: &RequestContext, devices: &At<'_>) -> ErrorList {
    let asked = devices.field("requests").items().find(|request| asks_for_all(&request.field("exactly")));
    match asked {
        Some(request) if !allows_admin_access(ctx) => refused_admin_access(&request.field("adminAccess").path).into(),
        _ => ErrorList::new(),
    }
}

fn asks_for_all(at: &At<'_>) -> bool {
    at.field("adminAccess").bool()
}

fn allows_admin_access(ctx: &RequestContext) -> bool {
    let namespace = ctx.objects.get("", "namespaces", "", &ctx.target.namespace);
    namespace.is_some_and(|namespace| at(&namespace, &["metadata", "labels", ADMIN_LABEL]) == "true")
}

fn refused_admin_access(path: &api::field::Path) -> Error {
    let detail =
        format!("admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace");
    Error::forbidden(path, detail)
}
