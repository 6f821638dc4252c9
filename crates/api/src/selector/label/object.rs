//! The object form: `matchLabels` and `matchExpressions`.

use super::{Error, Operator, Requirement, Selector};
use crate::field::{Error as FieldError, ErrorList, Path};
use crate::names;
use json::{Map, Value};

/// What [`validate`] lets pass. Upstream: LabelSelectorValidationOptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidateOptions {
    /// Values in expressions may break the rule: for updates of objects that already do.
    pub allow_invalid_label_value_in_selector: bool,
    /// Unknown operators pass: for SubjectAccessReviews.
    pub allow_unknown_operator_in_requirement: bool,
}

pub(super) fn selector(selector: Option<&Value>) -> Result<Selector, Error> {
    let Some(selector) = selector.filter(|selector| !selector.is_null()) else { return Ok(Selector::nothing()) };
    let path = Path::nil();
    let mut requirements = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().to_owned();
        requirements.push(Requirement::new(key, Operator::Equals, vec![value], &path)?);
    }
    for expression in expressions(selector) {
        let operator = match expression.operator {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => return Err(Error::Operator(other.to_owned())),
        };
        let values = expression.values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        requirements.push(Requirement::new(expression.key, operator, values, &path)?);
    }
    Ok(Selector::new(requirements))
}

/// The string form of an object form, for people: `<none>` if it is empty, `<error>` if it is wrong.
///
/// Upstream: metav1.FormatLabelSelector.
pub fn format(object: Option<&Value>) -> String {
    match selector(object).map(|selector| selector.to_string()) {
        Err(_) => "<error>".to_owned(),
        Ok(text) if text.is_empty() => "<none>".to_owned(),
        Ok(text) => text,
    }
}

/// Every fault of an object form. Upstream: metav1/validation.ValidateLabelSelector.
pub fn validate(selector: Option<&Value>, options: ValidateOptions, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    let Some(selector) = selector else { return errors };
    if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
        errors.extend(validate_labels(labels, &path.child("matchLabels")));
    }
    for (i, expression) in expressions(selector).enumerate() {
        errors.extend(validate_expression(&expression, options, &path.child("matchExpressions").index(i)));
    }
    errors
}

/// Whether an expression has a value that is no label value. Upstream: LabelSelectorHasInvalidLabelValue.
pub fn has_invalid_value(selector: Option<&Value>) -> bool {
    selector
        .into_iter()
        .flat_map(expressions)
        .flat_map(|expression| expression.values)
        .any(|value| value.as_str().is_some_and(|value| !names::is_valid_label_value(value).is_empty()))
}

/// Every fault of a map of labels. Upstream: metav1/validation.ValidateLabels.
pub fn validate_labels(labels: &Map, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    for (key, value) in labels {
        errors.extend(validate_label_name(key, path));
        let value = value.as_str().unwrap_or_default();
        errors.extend(names::is_valid_label_value(value).into_iter().map(|e| FieldError::invalid(path, value, e)));
    }
    errors
}

/// Every fault of a label's key. Upstream: metav1/validation.ValidateLabelName.
pub fn validate_label_name(key: &str, path: &Path) -> ErrorList {
    names::is_qualified_name(key).into_iter().map(|e| FieldError::invalid(path, key, e)).collect()
}

/// Every fault of one expression. Upstream: metav1/validation.ValidateLabelSelectorRequirement.
pub fn validate_requirement(expression: &Value, options: ValidateOptions, path: &Path) -> ErrorList {
    validate_expression(&Expression::of(expression), options, path)
}

fn validate_expression(expression: &Expression<'_>, options: ValidateOptions, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    match expression.operator {
        "In" | "NotIn" if expression.values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&path.child("values"), detail));
        }
        "Exists" | "DoesNotExist" if !expression.values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&path.child("values"), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other if !options.allow_unknown_operator_in_requirement => {
            errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator"));
        }
        _ => {}
    }
    errors.extend(validate_label_name(expression.key, &path.child("key")));
    if !options.allow_invalid_label_value_in_selector {
        for (i, value) in expression.values.iter().enumerate() {
            let (value, path) = (value.as_str().unwrap_or_default(), path.child("values").index(i));
            errors.extend(names::is_valid_label_value(value).into_iter().map(|e| FieldError::invalid(&path, value, e)));
        }
    }
    errors
}

struct Expression<'a> {
    key: &'a str,
    operator: &'a str,
    values: &'a [Value],
}

fn expressions(selector: &Value) -> impl Iterator<Item = Expression<'_>> {
    selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten().map(Expression::of)
}

impl<'a> Expression<'a> {
    fn of(expression: &'a Value) -> Expression<'a> {
        Expression {
            key: expression.get("key").and_then(Value::as_str).unwrap_or_default(),
            operator: expression.get("operator").and_then(Value::as_str).unwrap_or_default(),
            values: expression.get("values").and_then(Value::as_array).map_or(&[], Vec::as_slice),
        }
    }
}
