//! Which expressions are stored already: they go on using what new ones may use only after the next release.
//! Upstream: admissionregistration/validation.preexistingExpressions.

use std::borrow::Cow;
use std::collections::HashSet;

use expressions::Environment;
use json::Value;

/// Where an expression stands; what is stored in one place is new in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    MatchCondition,
    Validation,
    Message,
    AuditAnnotation,
    ApplyConfiguration,
    JsonPatch,
}

/// See the module header.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// All of them: what is evaluated is stored.
    All,
    /// These. Of what is validated.
    These(HashSet<(Place, String)>),
}

impl Known {
    /// None at all.
    pub(crate) fn nothing() -> Known {
        Known::These(HashSet::new())
    }

    /// Those of a policy's spec.
    pub(crate) fn of_policy(spec: &Value) -> Known {
        let mut known = HashSet::new();
        let mut add = |place: Place, list: &str, path: &[&str]| {
            for item in spec[list].as_array().into_iter().flatten() {
                let found = path.iter().try_fold(item, |value, field| value.get(*field));
                known.extend(found.and_then(Value::as_str).map(|text| (place, text.to_owned())));
            }
        };
        add(Place::MatchCondition, "matchConditions", &["expression"]);
        add(Place::Validation, "validations", &["expression"]);
        add(Place::Message, "validations", &["messageExpression"]);
        add(Place::AuditAnnotation, "auditAnnotations", &["valueExpression"]);
        add(Place::ApplyConfiguration, "mutations", &["applyConfiguration", "expression"]);
        add(Place::JsonPatch, "mutations", &["jsonPatch", "expression"]);
        Known::These(known)
    }

    /// Those of all webhooks of a configuration.
    pub(crate) fn of_webhooks(hooks: &[Value]) -> Known {
        let conditions = hooks.iter().flat_map(|hook| hook["matchConditions"].as_array().into_iter().flatten());
        let texts = conditions.filter_map(|condition| condition["expression"].as_str());
        Known::These(texts.map(|text| (Place::MatchCondition, text.to_owned())).collect())
    }

    /// The environment an expression is compiled in.
    pub(super) fn environment<'e>(
        &self,
        environment: &'e Environment,
        place: Place,
        text: &str,
    ) -> Cow<'e, Environment> {
        match self {
            Known::These(known) if known.contains(&(place, text.to_owned())) => {
                Cow::Owned(environment.clone().stored(true))
            }
            _ => Cow::Borrowed(environment),
        }
    }

    /// How environments are made.
    pub(super) fn is_all(&self) -> bool {
        matches!(self, Known::All)
    }
}
