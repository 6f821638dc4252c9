//! What a Job does about indexes, failures and success. Upstream: validateJobSpec's parts.

use api::field::{BadValue, Error, ErrorList};

use super::super::fields::{At, items};
use super::super::validation::{one_of, qualified_name, required_one_of};

const INDEXED: &str = "Indexed";
const MANY: i64 = 100_000;
const FEWER: i64 = 10_000;

pub(super) fn indexes(spec: &At<'_>, errors: &mut ErrorList) {
    let mode = spec.field("completionMode");
    if mode.is_set() {
        one_of(&mode, &["NonIndexed", INDEXED], errors);
    }
    let (completions, parallelism) = (spec.field("completions"), spec.field("parallelism"));
    let (per_index, failed) = (spec.field("backoffLimitPerIndex"), spec.field("maxFailedIndexes"));
    if mode.str() != INDEXED {
        for field in [&per_index, &failed] {
            if field.is_set() && matches!(mode.str(), "" | "NonIndexed") {
                errors.push(field.invalid_int("requires indexed completion mode"));
            }
        }
        return;
    }
    if !completions.is_set() {
        errors.push(completions.required("when completion mode is Indexed"));
    }
    if parallelism.int() > MANY {
        errors.push(
            parallelism.invalid_int(format!("must be less than or equal to {MANY} when completion mode is Indexed")),
        );
    }
    if completions.is_set() && failed.is_set() && failed.int() > completions.int() {
        errors.push(failed.invalid_int("must be less than or equal to completions"));
    }
    if failed.int() > MANY {
        errors.push(failed.invalid_int(format!("must be less than or equal to {MANY}")));
    }
    if completions.int() > MANY && per_index.is_set() {
        let detail = format!(
            "must be less than or equal to {FEWER} when completions are above {MANY} and used with backoff limit per index"
        );
        if !failed.is_set() {
            errors.push(failed.required(format!("must be specified when completions is above {MANY}")));
        }
        for field in [&parallelism, &failed] {
            if field.int() > FEWER {
                errors.push(field.invalid_int(detail.clone()));
            }
        }
    }
}

pub(super) fn failure_policy(spec: &At<'_>, errors: &mut ErrorList) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let rules = spec.field("podFailurePolicy").field("rules");
    if rules.slice().len() > 20 {
        errors.push(Error::too_many(&rules.path, Some(rules.slice().len()), 20));
    }
    for rule in rules.items() {
        let action = rule.field("action");
        match action.str() {
            "" => errors.push(action.required("valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]")),
            "FailIndex" if !spec.has("backoffLimitPerIndex") => {
                errors.push(action.invalid_str("requires the backoffLimitPerIndex to be set"));
            }
            _ => one_of(&action, &ACTIONS, errors),
        }
        let (codes, conditions) = (rule.field("onExitCodes"), rule.field("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, spec, errors);
        }
        if conditions.slice().len() > 20 {
            errors.push(Error::too_many(&conditions.path, Some(conditions.slice().len()), 20));
        }
        for condition in conditions.items() {
            qualified_name(&condition.field("type"), errors);
            required_one_of(&condition.field("status"), &["False", "True", "Unknown"], errors);
        }
        let omitted = || BadValue::Omitted;
        match (codes.is_set(), conditions.is_empty()) {
            (true, false) => {
                let detail = "specifying both OnExitCodes and OnPodConditions is not supported";
                errors.push(Error::invalid(&rule.path, omitted(), detail));
            }
            (false, true) => {
                let detail = "specifying one of OnExitCodes and OnPodConditions is required";
                errors.push(Error::invalid(&rule.path, omitted(), detail));
            }
            _ => {}
        }
    }
}

fn exit_codes(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    let (operator, values, name) = (at.field("operator"), at.field("values"), at.field("containerName"));
    if operator.str().is_empty() {
        errors.push(operator.required("valid values: [\"In\" \"NotIn\"]"));
    } else {
        one_of(&operator, &["In", "NotIn"], errors);
    }
    if name.is_set() {
        let pod = spec.field("template").field("spec");
        let known = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| items(pod.value, list))
            .any(|container| container["name"] == *name.value);
        if !known {
            errors.push(name.invalid_str("must be one of the container or initContainer names in the pod template"));
        }
    }
    let count = values.slice().len();
    if count == 0 {
        let none = json::Value::from(Vec::<json::Value>::new());
        errors.push(Error::invalid(&values.path, none, "at least one value is required"));
    } else if count > 255 {
        errors.push(Error::too_many(&values.path, Some(count), 255));
    }
    for (index, value) in values.items().enumerate() {
        if operator.str() == "In" && value.int() == 0 {
            errors.push(value.invalid_int("must not be 0 for the In operator"));
        }
        if index > 0 {
            let earlier = values.slice()[index - 1].as_i64().unwrap_or(0);
            if values.slice()[..index].contains(value.value) {
                errors.push(Error::duplicate(&value.path, value.int()));
            }
            if earlier > value.int() {
                errors.push(values.invalid("must be ordered"));
            }
        }
    }
}

pub(super) fn success_policy(spec: &At<'_>, errors: &mut ErrorList) {
    let policy = spec.field("successPolicy");
    if !policy.is_set() {
        return;
    }
    if spec.text("completionMode") != INDEXED {
        errors.push(policy.invalid("requires indexed completion mode"));
        return;
    }
    let rules = policy.field("rules");
    let count = rules.slice().len();
    if count == 0 {
        errors.push(rules.required("at least one rules must be specified when the successPolicy is specified"));
    } else if count > 20 {
        errors.push(Error::too_many(&rules.path, Some(count), 20));
    }
    for rule in rules.items() {
        let (needed, indexes) = (rule.field("succeededCount"), rule.field("succeededIndexes"));
        if !needed.is_set() && !indexes.is_set() {
            errors.push(rule.required("at least one of succeededCount or succeededIndexes must be specified"));
        }
        let completions = spec.field("completions").int();
        let mut total = None;
        if indexes.is_set() {
            match count_indexes(indexes.str(), completions) {
                Ok(count) => total = Some(count),
                Err(why) => {
                    errors.push(indexes.invalid_str(format!("error parsing succeededIndexes: {why}")));
                    total = Some(0);
                }
            }
        }
        if needed.is_set() {
            super::super::validation::nonnegative(&needed, errors);
            if needed.int() > completions {
                errors.push(needed.invalid_int(format!(
                    "must be less than or equal to {completions} (the number of specified completions)"
                )));
            }
            if let Some(total) = total.filter(|total| needed.int() > *total) {
                errors.push(needed.invalid_int(format!(
                    "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
                )));
            }
        }
    }
}

pub(super) fn replacement_policy(spec: &At<'_>, errors: &mut ErrorList) {
    let policy = spec.field("podReplacementPolicy");
    if policy.is_set() {
        let supported: &[&str] =
            if spec.has("podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        one_of(&policy, supported, errors);
    }
}

/// How many indexes `0,2-4` are. Upstream: validateIndexesFormat.
fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    let quote = api::go_text::quote;
    let mut previous: Option<i64> = None;
    let mut total = 0;
    for fragment in text.split(',').filter(|_| !text.is_empty()) {
        let parts: Vec<&str> = fragment.split('-').collect();
        if parts.len() > 2 {
            return Err(format!(
                "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
                quote(fragment)
            ));
        }
        let number = |part: &str| {
            let number: i64 =
                part.parse().map_err(|_| format!("cannot convert string to integer for index: {}", quote(part)))?;
            if number < completions { Ok(number) } else { Err(format!("too large index: {}", quote(part))) }
        };
        let first = number(parts[0])?;
        let last = parts.get(1).map_or(Ok(first), |part| number(part))?;
        let wrong = |before: i64, now: i64| Err(format!("non-increasing order, previous: {before}, current: {now}"));
        match previous {
            Some(before) if before >= first => return wrong(before, first),
            _ if parts.len() == 2 && first >= last => return wrong(first, last),
            _ => {}
        }
        total += last - first + 1;
        previous = Some(last);
    }
    Ok(total)
}
