//! Who hands objects to a policy as parameters must be allowed to read them: policies would tell them otherwise.
//! Upstream: pkg/registry/admissionregistration/*/authz.go.

use api::field::{Error, ErrorList};
use json::Value;

use super::super::fields::{At, text};
use crate::authentication::{SYSTEM_PRIVILEGED_GROUP, UserInfo};
use crate::authorization::Attributes;
use crate::context::RequestContext;

/// How much is known of what `paramKind` means.
enum Params {
    Resource(Attributes),
    /// A kind that nobody serves: any resource of its group-version.
    Unserved(Attributes),
}

/// The question whether the user may read what a `paramKind` names.
fn read(ctx: &RequestContext, verb: &str, kind: &Value) -> Params {
    let (api_version, kind) = (text(kind, "apiVersion"), text(kind, "kind"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ctx.objects.resources_of(api_version, kind).into_iter().next();
    let plural = resource.as_ref().map_or("*", |resource| &resource.info.plural);
    let question = Attributes { api_version: version.to_owned(), ..ctx.question(verb, group, plural) };
    if resource.is_some() { Params::Resource(question) } else { Params::Unserved(question) }
}

fn is_exempt(ctx: &RequestContext) -> bool {
    ctx.user.in_group(SYSTEM_PRIVILEGED_GROUP)
}

/// Reports a `paramKind` of a well-formed policy whose objects the user may not read, all of them.
pub(super) fn param_kind(ctx: &RequestContext, new: &Value, old: Option<&Value>) -> ErrorList {
    let kind = At::root(new).field("spec").field("paramKind");
    let is_kept = old.is_some_and(|old| old["spec"]["paramKind"] == *kind.value);
    if !kind.is_set() || is_kept || is_exempt(ctx) {
        return ErrorList::new();
    }
    let (Params::Resource(question) | Params::Unserved(question)) = read(ctx, "get", kind.value);
    if ctx.may(&Attributes { namespace: "*".to_owned(), name: "*".to_owned(), ..question }) {
        return ErrorList::new();
    }
    let detail = format!(
        "user {} must have \"get\" permission on all objects of the referenced paramKind (kind={}, apiVersion={})",
        shown(&ctx.user),
        kind.text("kind"),
        kind.text("apiVersion")
    );
    Error::forbidden(&kind.path, detail).into()
}

/// Reports a `paramRef` of a well-formed binding whose objects the user may not read. Asked at every update: what upstream compares
/// to find it unchanged never is equal.
pub(super) fn param_ref(ctx: &RequestContext, new: &Value, mutating: bool) -> ErrorList {
    let spec = At::root(new).field("spec");
    let reference = spec.field("paramRef");
    if !reference.is_set() || is_exempt(ctx) {
        return ErrorList::new();
    }
    let verb = if reference.text("name").is_empty() { "list" } else { "get" };
    let policies = if mutating { "mutatingadmissionpolicies" } else { "validatingadmissionpolicies" };
    let name = spec.text("policyName");
    let policy = ctx.objects.get(&ctx.target.group, policies, "", name);
    let kind = policy.as_ref().map(|policy| &policy["spec"]["paramKind"]);
    let params = kind.filter(|kind| !kind.is_null()).map(|kind| read(ctx, verb, kind));
    let anything = || Attributes { api_version: "*".to_owned(), ..ctx.question(verb, "*", "*") };
    let question = match &params {
        Some(Params::Resource(question) | Params::Unserved(question)) => question.clone(),
        None => anything(),
    };
    let question = Attributes {
        name: reference.text("name").to_owned(),
        // Without one it is about all namespaces.
        namespace: reference.text("namespace").to_owned(),
        ..question
    };
    if ctx.may(&question) {
        return ErrorList::new();
    }
    let user = shown(&ctx.user);
    let lacks = format!(
        "determine minimum required permissions and user {user} does not have \"{verb}\" permission for all groups, versions and resources"
    );
    let detail = match (&policy, &params, kind) {
        (None, ..) => format!("unable to get policy {name} to {lacks}"),
        (_, Some(Params::Unserved(_)), Some(kind)) => {
            format!("unable to resolve paramKind &{{{} {}}} to {lacks}", text(kind, "apiVersion"), text(kind, "kind"))
        }
        // As upstream says it.
        _ if mutating => {
            format!("user {verb} does not have \"{user}\" permission on the object referenced by paramRef")
        }
        _ => format!("user {user} does not have \"{verb}\" permission on the object referenced by paramRef"),
    };
    Error::forbidden(&reference.path, detail).into()
}

/// A user as Go prints one.
fn shown(user: &UserInfo) -> String {
    let extra: Vec<String> = user.extra.iter().map(|(key, values)| format!("{key}:[{}]", values.join(" "))).collect();
    format!("&{{{} {} [{}] map[{}]}}", user.name, user.uid, user.groups.join(" "), extra.join(" "))
}
