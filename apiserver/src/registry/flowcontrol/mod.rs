//! The group flowcontrol.apiserver.k8s.io: FlowSchemas and PriorityLevelConfigurations.
//!
//! Two of each have a fixed content, without which no request would find its place.
//! Upstream: pkg/apis/flowcontrol/validation.

mod rule;

use std::sync::LazyLock;

use api::field::{Error, ErrorList};
use api::meta;
use json::Value;

use super::bootstrap;
use super::fields::At;
use super::strategy::Strategy;
use super::validation::{dns_subdomain, required_one_of, same};
use crate::context::RequestContext;

const EXEMPT: &str = "exempt";
const MANDATORY: [&str; 2] = [EXEMPT, "catch-all"];
const MAX_PRECEDENCE: i64 = 10_000;
const MAX_QUEUES: i64 = 10_000_000;
/// How much chance there is in the hash that deals queues to flows. Upstream: shufflesharding.MaxHashBits.
const MAX_HASH_BITS: i64 = 60;

/// The content of those that have a fixed one, by kind and name.
static FIXED: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let all = bootstrap::flow_control().into_iter();
    all.filter(|object| MANDATORY.contains(&meta::name(object))).collect()
});

fn fixed(kind: &str, name: &str) -> Option<&'static Value> {
    FIXED.iter().find(|object| meta::kind(object) == kind && meta::name(object) == name).map(|object| &object["spec"])
}

/// The semantics of flow schemas.
#[derive(Debug, Clone, Copy)]
pub struct FlowSchema;

impl Strategy for FlowSchema {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let (name, spec) = (meta::name(new), At::root(new).field("spec"));
        precedence(&spec.field("matchingPrecedence"), name, &mut errors);
        let method = spec.field("distinguisherMethod");
        let methods = ["ByNamespace", "ByUser"];
        if method.is_set() && !methods.contains(&method.text("type")) {
            errors.push(Error::not_supported(&method.field("type").path, method.bad(), methods));
        }
        let level = spec.field("priorityLevelConfiguration").field("name");
        if level.str().is_empty() {
            errors.push(level.required("must reference a priority level"));
        } else {
            dns_subdomain(&level, &mut errors);
        }
        spec.field("rules").items().for_each(|own| rule::check(&own, &mut errors));
        if fixed("FlowSchema", name).is_some_and(|fixed| !same(spec.value, fixed)) {
            errors.push(spec.invalid(format!("spec of '{name}' must equal the fixed value")));
        }
        errors.extend(self.validate_status(new, &Value::Null));
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        conditions(new)
    }
}

fn precedence(at: &At<'_>, name: &str, errors: &mut ErrorList) {
    match at.int() {
        ..=0 => errors.push(at.invalid_int("must be a positive value")),
        1 if name != EXEMPT => {
            errors.push(at.invalid_int("only the schema named 'exempt' may have matchingPrecedence 1"));
        }
        precedence if precedence > MAX_PRECEDENCE => {
            errors.push(at.invalid_int(format!("must not be greater than {MAX_PRECEDENCE}")));
        }
        _ => {}
    }
}

/// Those of a status, each once.
fn conditions(object: &Value) -> ErrorList {
    let mut errors = ErrorList::new();
    let mut known = Vec::new();
    for condition in At::root(object).field("status").field("conditions").items() {
        let kind = condition.field("type");
        if kind.str().is_empty() {
            errors.push(kind.required("must not be empty"));
        }
        if known.contains(&kind.str()) {
            errors.push(kind.duplicate());
        }
        known.push(kind.str());
    }
    errors
}

/// The semantics of priority levels.
#[derive(Debug, Clone, Copy)]
pub struct PriorityLevelConfiguration;

impl Strategy for PriorityLevelConfiguration {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let (name, spec) = (meta::name(new), At::root(new).field("spec"));
        let kind = spec.field("type");
        if (name == EXEMPT) != (kind.str() == "Exempt") {
            errors.push(kind.invalid_str("must be 'Exempt' if and only if `name` is 'exempt'"));
        }
        required_one_of(&kind, &["Exempt", "Limited"], &mut errors);
        let (exempt, limited) = (spec.field("exempt"), spec.field("limited"));
        if kind.str() != "Exempt" && exempt.is_set() {
            errors.push(exempt.forbidden(""));
        }
        if kind.str() != "Limited" && limited.is_set() {
            errors.push(limited.forbidden(""));
        }
        match kind.str() {
            "Exempt" => shares(&exempt, &mut errors),
            "Limited" if limited.is_set() => {
                shares(&limited, &mut errors);
                response(&limited.field("limitResponse"), &mut errors);
            }
            "Limited" => errors.push(limited.required("")),
            _ => {}
        }
        errors.extend(unlike_fixed(name, &spec));
        errors.extend(self.validate_status(new, &Value::Null));
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        conditions(new)
    }
}

/// That a level which has a fixed content has another one. How much is exempt is an administrator's to say.
fn unlike_fixed(name: &str, spec: &At<'_>) -> Option<Error> {
    let fixed = fixed("PriorityLevelConfiguration", name)?;
    if name != EXEMPT {
        let is = || spec.invalid(format!("spec of '{name}' must equal the fixed value"));
        return (!same(spec.value, fixed)).then(is);
    }
    let without = |spec: &Value| {
        let mut spec = spec.clone();
        spec.as_object_mut().map(|fields| fields.shift_remove("exempt"));
        spec
    };
    let is = || spec.invalid(format!("spec of '{name}' except the 'spec.exempt' field must equal the fixed value"));
    (!same(&without(spec.value), &without(fixed))).then(is)
}

/// What a level may have, lend and borrow.
fn shares(level: &At<'_>, errors: &mut ErrorList) {
    let nominal = level.field("nominalConcurrencyShares");
    if nominal.int() < 0 {
        errors.push(nominal.invalid_int("must be a non-negative integer"));
    }
    let lendable = level.field("lendablePercent");
    if !(0..=100).contains(&lendable.int()) {
        errors.push(lendable.invalid_int("must be between 0 and 100, inclusive"));
    }
    let borrowing = level.field("borrowingLimitPercent");
    if borrowing.int() < 0 {
        errors.push(borrowing.invalid_int("if specified, must be a non-negative integer"));
    }
}

/// What becomes of requests that are too many.
fn response(response: &At<'_>, errors: &mut ErrorList) {
    let (kind, queuing) = (response.field("type"), response.field("queuing"));
    required_one_of(&kind, &["Queue", "Reject"], errors);
    match (kind.str(), queuing.is_set()) {
        ("Queue", false) => errors.push(queuing.required("")),
        ("Queue", true) => queues(&queuing, errors),
        (_, true) => errors.push(queuing.forbidden("")),
        (_, false) => {}
    }
}

fn queues(queuing: &At<'_>, errors: &mut ErrorList) {
    let [queues, hand, length] = ["queues", "handSize", "queueLengthLimit"].map(|name| queuing.field(name));
    for field in [&queues, &length, &hand] {
        if field.int() <= 0 {
            errors.push(field.invalid_int("must be positive"));
        }
    }
    if queues.int() > MAX_QUEUES {
        errors.push(queues.invalid_int(format!("must not be greater than {MAX_QUEUES}")));
    }
    if hand.int() <= 0 {
        return;
    }
    let bits = entropy_bits(queues.int(), hand.int());
    if hand.int() > queues.int() {
        errors.push(hand.invalid_int(format!("should not be greater than queues ({})", queues.int())));
    } else if bits > MAX_HASH_BITS {
        let (deck, hand_size) = (queues.int(), hand.int());
        errors.push(hand.invalid_int(format!(
            "required entropy bits of deckSize {deck} and handSize {hand_size} should not be greater than {MAX_HASH_BITS}"
        )));
    }
}

/// Upstream: shufflesharding.RequiredEntropyBits.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "both are 32 bits wide")]
fn entropy_bits(deck: i64, hand: i64) -> i64 {
    ((deck as f64).log2() * hand as f64).ceil() as i64
}
