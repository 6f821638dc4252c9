//! Lists of metav1.Condition, as statuses of the newer kinds have them. Upstream: metav1validation.ValidateConditions.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::{named, qualified_name, required_one_of};

const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const MAX_REASON: usize = 1024;
const MAX_MESSAGE: usize = 32 * 1024;

/// Every condition, and that no type occurs twice.
pub(crate) fn conditions(list: &At<'_>, errors: &mut ErrorList) {
    for (index, condition) in list.items().enumerate() {
        if list.slice()[..index].iter().any(|earlier| earlier["type"] == *condition.get("type")) {
            errors.push(Error::duplicate(&condition.path, condition.text("type")));
        }
        self::condition(&condition, errors);
    }
}

fn condition(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.field("type");
    if kind.str().is_empty() {
        errors.push(kind.required("is required"));
    } else {
        qualified_name(&kind, errors);
    }
    required_one_of(&at.field("status"), &STATUSES, errors);
    let observed = at.field("observedGeneration");
    if observed.int() < 0 {
        errors.push(observed.invalid_int("must be greater than or equal to zero"));
    }
    let since = at.field("lastTransitionTime");
    if since.is_empty() {
        errors.push(since.required(""));
    }
    let reason = at.field("reason");
    if reason.str().is_empty() {
        errors.push(reason.required(""));
    } else {
        named(&reason, names::is_condition_reason(reason.str()), errors);
        if reason.str().len() > MAX_REASON {
            errors.push(Error::too_long(&reason.path, MAX_REASON));
        }
    }
    if at.text("message").len() > MAX_MESSAGE {
        errors.push(Error::too_long(&at.field("message").path, MAX_MESSAGE));
    }
}
