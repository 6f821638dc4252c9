//! What is asked of an authorization webhook, and what it answers.
//! Upstream: k8s.io/apiserver/plugin/pkg/authorizer/webhook.resourceAttributesFrom, fieldSelectorToAuthorizationAPI,
//! labelSelectorToAuthorizationAPI.

use api::selector::label::{self, Operator};
use api::selector::{field, label::Requirement};
use json::{Map, Value, json};

use crate::authorization::configuration::ReviewVersion;
use crate::authorization::{Attributes, Decision, Verdict};
use crate::webhook::review::{self, Fields, Malformed};

const GROUP: &str = "authorization.k8s.io";
const KIND: &str = "SubjectAccessReview";

/// What a webhook says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) allowed: bool,
    denied: bool,
    reason: String,
}

impl Said {
    pub(super) fn decision(&self) -> Decision {
        let contradiction = "webhook subject access review returned both allow and deny response";
        let (verdict, error) = match (self.denied, self.allowed) {
            (true, true) => (Verdict::Deny, Some(contradiction.to_owned())),
            (true, false) => (Verdict::Deny, None),
            (false, true) => (Verdict::Allow, None),
            (false, false) => (Verdict::NoOpinion, None),
        };
        Decision { verdict, reason: self.reason.clone(), error }
    }
}

/// Reads an answer.
pub(super) fn read(bytes: &[u8], version: ReviewVersion) -> Result<Said, Malformed> {
    let review = review::read(bytes, GROUP, version.as_str(), KIND)?;
    let Some(status) = Fields::of(&review, "status", "SubjectAccessReview.status")? else { return Ok(Said::default()) };
    Ok(Said {
        allowed: status.bool("allowed")?,
        denied: status.bool("denied")?,
        reason: status.text("reason")?.unwrap_or_default().to_owned(),
    })
}

/// The review of a spec.
pub(super) fn of(spec: Value, version: ReviewVersion) -> Value {
    let api_version = format!("{GROUP}/{}", version.as_str());
    json!({"kind": KIND, "apiVersion": api_version, "metadata": {}, "spec": spec, "status": {"allowed": false}})
}

/// What is asked for whom.
pub(super) fn spec(request: &Attributes, version: ReviewVersion) -> Value {
    let mut spec = Map::new();
    if request.is_resource_request {
        spec.insert("resourceAttributes", resource(request));
    } else {
        spec.insert("nonResourceAttributes", texts([("path", &request.path), ("verb", &request.verb)]).into());
    }
    let user = &request.user;
    spec.extend(texts([("user", &user.name)]));
    if !user.groups.is_empty() {
        let groups = match version {
            ReviewVersion::V1 => "groups",
            ReviewVersion::V1Beta1 => "group",
        };
        spec.insert(groups, user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        spec.insert("extra", json!(user.extra));
    }
    spec.extend(texts([("uid", &user.uid)]));
    Value::Object(spec)
}

fn resource(request: &Attributes) -> Value {
    let mut attributes = texts([
        ("namespace", &request.namespace),
        ("verb", &request.verb),
        ("group", &request.api_group),
        ("version", &request.api_version),
        ("resource", &request.resource),
        ("subresource", &request.subresource),
        ("name", &request.name),
    ]);
    let selectors = [
        ("fieldSelector", field_requirements(&request.field_selector)),
        ("labelSelector", label_requirements(&request.label_selector)),
    ];
    for (name, requirements) in selectors.into_iter().filter(|(_, requirements)| !requirements.is_empty()) {
        attributes.insert(name, json!({"requirements": requirements}));
    }
    Value::Object(attributes)
}

/// Those that are not empty.
fn texts<const N: usize>(fields: [(&'static str, &String); N]) -> Map {
    let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
    given.map(|(name, text)| (json::Text::from(name), Value::from(text.as_str()))).collect()
}

/// What a selector narrows to; one that cannot be read narrows nothing.
fn field_requirements(selector: &str) -> Vec<Value> {
    let selector = field::Selector::parse(selector).unwrap_or_default();
    let requirement = |term: &field::Term| {
        let operator = if term.equal { "In" } else { "NotIn" };
        json!({"key": term.field, "operator": operator, "values": [term.value]})
    };
    selector.terms().iter().map(requirement).collect()
}

/// As [`field_requirements`]. Comparisons of numbers, which the review cannot say, are left out.
fn label_requirements(selector: &str) -> Vec<Value> {
    let selector = label::Selector::parse(selector).unwrap_or_else(|_| label::Selector::everything());
    selector.requirements().iter().filter_map(label_requirement).collect()
}

fn label_requirement(requirement: &Requirement) -> Option<Value> {
    let operator = match requirement.operator() {
        Operator::In | Operator::Equals | Operator::DoubleEquals => "In",
        Operator::NotIn | Operator::NotEquals => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
        Operator::GreaterThan | Operator::LessThan => return None,
    };
    let mut shown = json!({"key": requirement.key(), "operator": operator});
    if !requirement.values().is_empty() {
        shown["values"] = requirement.values().to_vec().into();
    }
    Some(shown)
}
