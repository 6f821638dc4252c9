//! Access reviews: may somebody do something? Answered from the authorizers, stored nowhere.
//! Upstream: pkg/registry/authorization/{subjectaccessreview,selfsubjectaccessreview,localsubjectaccessreview,selfsubjectrulesreview}.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::field::{Error as FieldError, ErrorList, Path};
use api::meta::GroupKind;
use api::selector::{field, label};
use api::status::Status;
use futures::future::BoxFuture;
use json::{Map, Value, json};

use super::rbac::{Rule, aggregate};
use super::union::{Authorization, Rules};
use super::{Attributes, Authorizer, Decision, Reasons, Verdict};
use crate::authentication::UserInfo;
use crate::context::RequestContext;
use crate::registry::computed::{Computations, Computed};
use crate::registry::fields::{items, text};

/// Registers all four kinds.
pub fn register(all: &mut Computations, authorization: &Arc<Authorization>) {
    let group = "authorization.k8s.io";
    let review = |whose| Arc::new(AccessReview { authorization: authorization.clone(), whose });
    all.add(group, "subjectaccessreviews", "", review(Whose::Named));
    all.add(group, "localsubjectaccessreviews", "", review(Whose::NamedHere));
    all.add(group, "selfsubjectaccessreviews", "", review(Whose::Own));
    all.add(group, "selfsubjectrulesreviews", "", Arc::new(RulesReview { authorization: authorization.clone() }));
}

/// Whom a review is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The user in the spec.
    Named,
    /// The user in the spec, in the review's own namespace.
    NamedHere,
    /// Who asks.
    Own,
}

struct AccessReview {
    authorization: Arc<Authorization>,
    whose: Whose,
}

impl Computed for AccessReview {
    fn create<'a>(&'a self, ctx: &'a RequestContext, mut object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        Box::pin(async move {
            let spec = object["spec"].clone();
            let errors = self.validate(ctx, &object, &spec);
            if !errors.is_empty() {
                // Upstream's decoded review has forgotten its kind.
                return Err(Status::invalid(&GroupKind::new("authorization.k8s.io", ""), "", &errors));
            }
            let user = if self.whose == Whose::Own { ctx.user.clone() } else { named_user(&spec) };
            let attributes = attributes(user, &spec);
            let decision = self.authorization.authorize(&attributes, Reasons::OfAll).decided().await;
            object["status"] = status(&decision, &spec["resourceAttributes"]);
            Ok(object)
        })
    }
}

impl AccessReview {
    fn validate(&self, ctx: &RequestContext, object: &Value, spec: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let path = Path::new("spec");
        let (resource, path_given) =
            (spec["resourceAttributes"].is_object(), spec["nonResourceAttributes"].is_object());
        if resource == path_given {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            errors.push(FieldError::invalid(&path, spec["nonResourceAttributes"].clone(), detail));
        }
        if self.whose != Whose::Own && text(spec, "user").is_empty() && items(spec, "groups").is_empty() {
            let detail = "at least one of user or group must be specified";
            errors.push(FieldError::invalid(&path.child("user"), "", detail));
        }
        let requirements = [("fieldSelector", field_faults as Faults), ("labelSelector", label_faults)];
        for (selector, faults) in requirements {
            let at = path.child("resourceAttributes").child(selector);
            validate_selector(&spec["resourceAttributes"][selector], faults, &at, &mut errors);
        }
        let here = self.whose == Whose::NamedHere;
        if has_metadata(object, here) {
            let detail = if here { "must be empty except for namespace" } else { "must be empty" };
            errors.push(FieldError::invalid(&Path::new("metadata"), object["metadata"].clone(), detail));
        }
        if self.whose == Whose::NamedHere {
            let namespace = text(&spec["resourceAttributes"], "namespace");
            if resource && namespace != ctx.target.namespace {
                let detail = "must match metadata.namespace";
                errors.push(FieldError::invalid(
                    &path.child("resourceAttributes").child("namespace"),
                    namespace,
                    detail,
                ));
            }
            if path_given {
                let at = path.child("nonResourceAttributes");
                errors.push(FieldError::invalid(
                    &at,
                    spec["nonResourceAttributes"].clone(),
                    "disallowed on this kind of request",
                ));
            }
        }
        errors
    }
}

/// A selector is written out or taken apart, not both. Operators nobody knows yet are let through.
/// Upstream: validateFieldSelectorAttributes, validateLabelSelectorAttributes.
fn validate_selector(selector: &Value, faults: Faults, path: &Path, errors: &mut ErrorList) {
    if !selector.is_object() {
        return;
    }
    let (raw, requirements) = (text(selector, "rawSelector"), items(selector, "requirements"));
    if !raw.is_empty() && !requirements.is_empty() {
        let detail = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(&path.child("rawSelector"), raw, detail));
    }
    if raw.is_empty() && requirements.is_empty() {
        let detail = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(&path.child("requirements"), detail));
    }
    for (index, requirement) in requirements.iter().enumerate() {
        errors.extend(faults(requirement, &path.child("requirements").index(index)));
    }
}

/// What is wrong with a requirement.
type Faults = fn(&Value, &Path) -> ErrorList;

/// Upstream: metav1/validation.ValidateFieldSelectorRequirement.
fn field_faults(requirement: &Value, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    if text(requirement, "key").is_empty() {
        errors.push(FieldError::required(&path.child("key"), "must be specified"));
    }
    let (values, has_values) = (path.child("values"), !items(requirement, "values").is_empty());
    match text(requirement, "operator") {
        "In" | "NotIn" if !has_values => {
            errors.push(FieldError::required(&values, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if has_values => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&values, detail));
        }
        _ => {}
    }
    errors
}

fn label_faults(requirement: &Value, path: &Path) -> ErrorList {
    let options = label::ValidateOptions { allow_unknown_operator_in_requirement: true, ..Default::default() };
    label::validate_requirement(requirement, options, path)
}

/// Does the object carry metadata of its own, beside managed fields and, where it belongs to one, its namespace?
fn has_metadata(object: &Value, namespaced: bool) -> bool {
    let own = |key: &&json::Text| match key.as_str() {
        "managedFields" | "creationTimestamp" => false,
        "namespace" => !namespaced,
        _ => true,
    };
    object["metadata"].as_object().is_some_and(|metadata| metadata.keys().any(|key| own(&key)))
}

fn named_user(spec: &Value) -> UserInfo {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let extra: BTreeMap<String, Vec<String>> =
        spec["extra"].as_object().into_iter().flatten().map(|(key, value)| (key.to_string(), strings(value))).collect();
    UserInfo {
        name: text(spec, "user").to_owned(),
        uid: text(spec, "uid").to_owned(),
        groups: strings(&spec["groups"]),
        extra,
    }
}

fn attributes(user: UserInfo, spec: &Value) -> Attributes {
    let resource = &spec["resourceAttributes"];
    if resource.is_object() {
        let field = |name| text(resource, name).to_owned();
        return Attributes {
            user,
            verb: field("verb"),
            api_group: field("group"),
            api_version: if field("version").is_empty() { "*".to_owned() } else { field("version") },
            resource: field("resource"),
            subresource: field("subresource"),
            namespace: field("namespace"),
            name: field("name"),
            is_resource_request: true,
            field_selector: selector(&resource["fieldSelector"], field_terms),
            label_selector: selector(&resource["labelSelector"], label_terms),
            ..Attributes::default()
        };
    }
    let path = &spec["nonResourceAttributes"];
    Attributes {
        user,
        verb: text(path, "verb").to_owned(),
        path: text(path, "path").to_owned(),
        ..Attributes::default()
    }
}

/// A selector as requests write it: what is understood of its requirements, or as it stands.
fn selector(selector: &Value, terms: fn(&[Value]) -> String) -> String {
    let requirements = items(selector, "requirements");
    if requirements.is_empty() { text(selector, "rawSelector").to_owned() } else { terms(requirements) }
}

fn field_terms(requirements: &[Value]) -> String {
    let term = |requirement: &Value| {
        let operator = if text(requirement, "operator") == "In" { "=" } else { "!=" };
        let value = items(requirement, "values").first().and_then(Value::as_str).unwrap_or_default();
        format!("{}{operator}{}", text(requirement, "key"), field::escape(value))
    };
    requirements.iter().filter(|own| field_requirement(own)).map(term).collect::<Vec<_>>().join(",")
}

fn label_terms(requirements: &[Value]) -> String {
    let understood: Vec<&Value> = requirements.iter().filter(|own| label_requirement(own)).collect();
    label::Selector::from_object(Some(&json!({"matchExpressions": understood})))
        .map(|all| all.to_string())
        .unwrap_or_default()
}

/// What a review came to; `resource` is what it asked about.
fn status(decision: &Decision, resource: &Value) -> Value {
    let mut status = Map::new();
    status.insert("allowed", decision.is_allowed().into());
    if decision.verdict == Verdict::Deny {
        status.insert("denied", true.into());
    }
    if !decision.reason.is_empty() {
        status.insert("reason", decision.reason.as_str().into());
    }
    let ignored = [
        decision.error.clone(),
        selector_note("fieldSelector", resource, field_requirement),
        selector_note("labelSelector", resource, label_requirement),
    ];
    let ignored: Vec<String> = ignored.into_iter().flatten().collect();
    if !ignored.is_empty() {
        status.insert("evaluationError", ignored.join("; ").into());
    }
    Value::Object(status)
}

/// Says that a selector was not looked at, or a part of it, because it has no meaning. Upstream: util.BuildEvaluationError.
fn selector_note(field: &str, resource: &Value, is_understood: fn(&Value) -> bool) -> Option<String> {
    let selector = &resource[field];
    let requirements = items(selector, "requirements");
    let understood = requirements.iter().filter(|requirement| is_understood(requirement)).count();
    let raw = text(selector, "rawSelector");
    let unreadable = requirements.is_empty()
        && match field {
            "fieldSelector" => field::Selector::parse(raw).is_err(),
            _ => label::Selector::parse(raw).is_err(),
        };
    let partially = if understood > 0 { "partially " } else { "" };
    (unreadable || understood < requirements.len())
        .then(|| format!("spec.resourceAttributes.{field} {partially}ignored due to parse error"))
}

fn field_requirement(requirement: &Value) -> bool {
    matches!(text(requirement, "operator"), "In" | "NotIn") && items(requirement, "values").len() == 1
}

fn label_requirement(requirement: &Value) -> bool {
    label::Selector::from_object(Some(&json!({"matchExpressions": [requirement]}))).is_ok()
}

struct RulesReview {
    authorization: Arc<Authorization>,
}

impl Computed for RulesReview {
    fn create<'a>(&'a self, ctx: &'a RequestContext, mut object: Value) -> BoxFuture<'a, Result<Value, Status>> {
        Box::pin(async move {
            let namespace = text(&object["spec"], "namespace").to_owned();
            if namespace.is_empty() {
                return Err(Status::bad_request("no namespace on request"));
            }
            let Rules { rules, incomplete, errors } = self.authorization.rules_for(&ctx.user, &namespace);
            let (resource, path): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.non_resource_urls.is_empty());
            let all = |list: &[&Rule]| list.iter().map(|rule| rule.to_json()).collect::<Vec<_>>();
            object["status"] = json!({
                "resourceRules": all(&resource),
                "nonResourceRules": all(&path),
                "incomplete": incomplete,
            });
            if let Some(errors) = aggregate(&errors) {
                object["status"]["evaluationError"] = errors.into();
            }
            // The answer is an object of its own: it says nothing of what was asked.
            object["metadata"] = json!({});
            object["spec"] = json!({});
            Ok(object)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_written_out_or_taken_apart() {
        let check = |selector: Value, expected: &[&str]| {
            let mut errors = ErrorList::new();
            validate_selector(&selector, field_faults, &Path::new("s"), &mut errors);
            let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(shown, expected, "{selector}");
        };
        check(Value::Null, &[]);
        check(json!({"rawSelector": "a=b"}), &[]);
        check(
            json!({}),
            &["s.requirements: Required value: when s is specified, requirements or rawSelector is required"],
        );
        let both = json!({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Later"}]});
        check(both, &["s.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements"]);
        check(
            json!({"requirements": [{"operator": "In"}]}),
            &[
                "s.requirements[0].key: Required value: must be specified",
                "s.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ],
        );
    }
}
