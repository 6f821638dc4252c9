//! How much of a capacity one claim may take of a device that several share. Fractions are rounded up: the feature
//! DRAFractionalCapacityRange is off. Upstream: validateRequestPolicy.

use api::field::{Error, ErrorList, Path};
use api::quantity::{Format, Quantity};

use super::super::fields::At;
use super::super::validation::NOT_NEGATIVE;
use super::super::validation::resources::quantity;

const MAX_VALUES: usize = 10;

fn refused(path: &Path, value: &Quantity, detail: impl Into<String>) -> Error {
    Error::invalid(path, value.to_string(), detail)
}

/// `requestPolicy` of a capacity.
pub(super) fn request_policy(capacity: &At<'_>, errors: &mut ErrorList) {
    let policy = capacity.field("requestPolicy");
    let (values, range, default) = (policy.field("validValues"), policy.field("validRange"), policy.field("default"));
    let most = quantity(&capacity.field("value"));
    let chosen = match (!values.is_empty(), range.is_set()) {
        (true, true) => {
            let detail = r#"exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time"#;
            errors.push(policy.forbidden(detail));
            return;
        }
        (true, false) => "validValues",
        (false, true) => "validRange",
        (false, false) => return,
    };
    if !default.is_set() {
        errors.push(default.required(format!("required when {chosen} is defined")));
    } else if range.is_set() {
        valid_range(&range, &quantity(&default), &most, errors);
    } else {
        valid_values(&values, &quantity(&default), &most, errors);
    }
}

/// Ascending values, the default among them.
fn valid_values(at: &At<'_>, default: &Quantity, most: &Quantity, errors: &mut ErrorList) {
    let values: Vec<(Path, Quantity)> = at.items().map(|value| (value.path.clone(), quantity(&value))).collect();
    for pair in values.windows(2).filter(|pair| pair[0].1 > pair[1].1) {
        errors.push(refused(&pair[1].0, &pair[1].1, "values must be sorted in ascending order"));
    }
    let mut found = false;
    if values.len() > MAX_VALUES {
        errors.push(Error::too_many(&at.path, Some(values.len()), MAX_VALUES));
    } else {
        for (index, (path, value)) in values.iter().enumerate() {
            if value > most {
                errors.push(refused(path, value, format!("option is larger than capacity value: {most}")));
            }
            if values[..index].iter().any(|(_, earlier)| earlier.value() == value.value()) {
                errors.push(Error::duplicate(path, value.to_string()));
            }
            found |= value == default;
        }
    }
    if !found {
        errors.push(refused(&at.path, default, "default value is not valid according to the requestPolicy"));
    }
}

/// From `min` to `max` in steps. Upstream: validateRequestPolicyRange.
fn valid_range(at: &At<'_>, default: &Quantity, most: &Quantity, errors: &mut ErrorList) {
    let bound = |name: &'static str| at.has(name).then(|| quantity(&at.field(name)));
    let path = |name: &'static str| at.path.child(name);
    let Some(min) = bound("min") else {
        errors.push(at.field("min").required("required when validRange is defined"));
        return;
    };
    let (max, step) = (bound("max"), bound("step"));
    if min > *most {
        errors.push(refused(&path("min"), &min, format!("min is larger than capacity value: {most}")));
    }
    if *default < min {
        errors.push(refused(&path("default"), default, format!("default is less than min: {min}")));
    }
    if let Some(max) = &max {
        if min > *max {
            errors.push(refused(&path("max"), &min, format!("min is larger than max: {max}")));
        }
        if max > most {
            errors.push(refused(&path("max"), max, format!("max is larger than capacity value: {most}")));
        }
        if default > max {
            errors.push(refused(&path("default"), default, format!("default is more than max: {max}")));
        }
    }
    let Some(step) = &step else { return };
    if step.sign() <= 0 {
        errors.push(refused(&path("step"), step, "must be greater than zero"));
        return;
    }
    let mut first = min.clone();
    first.add(step);
    if first > *most {
        errors.push(refused(&path("step"), step, format!("one step {first} is larger than capacity value: {most}")));
    }
    let before = errors.len();
    let all = [("default", Some(default)), ("min", Some(&min)), ("max", max.as_ref()), ("step", Some(step))];
    for (name, value) in all.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        errors.extend(countable(&path(name), value));
    }
    if errors.len() > before {
        return;
    }
    // Counted in whole numbers, rounded up; between 0 and the largest, and a step of at least 1.
    for value in [Some(default), max.as_ref()].into_iter().flatten() {
        if (value.value() - min.value()) % step.value() != 0 {
            let detail = format!("value is not a multiple of a given step ({step}) from ({min})");
            errors.push(refused(&path("step"), value, detail));
        }
    }
}

/// Can it be counted in 64 bits? Upstream: validateInt64Range.
fn countable(path: &Path, value: &Quantity) -> Option<Error> {
    if value.sign() < 0 {
        return Some(refused(path, value, NOT_NEGATIVE));
    }
    let largest = Quantity::new(i64::MAX, Format::DecimalSI);
    (*value > largest).then(|| refused(path, value, format!("must not be larger than {}", i64::MAX)))
}
