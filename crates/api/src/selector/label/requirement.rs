//! One requirement on one label.

use super::Error;
use crate::field::{Error as FieldError, ErrorList, Path};
use crate::names;
use json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// How a label and the values are compared. Upstream: selection.Operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `in`
    In,
    /// `notin`
    NotIn,
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`
    NotEquals,
    /// `>`
    GreaterThan,
    /// `<`
    LessThan,
    /// The key alone.
    Exists,
    /// `!` and the key.
    DoesNotExist,
}

/// Anything with labels to look up.
pub trait Labels {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for Map {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

impl<const N: usize> Labels for [(&str, &str); N] {
    fn label(&self, key: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }
}

impl<L: Labels> Labels for Option<&L> {
    fn label(&self, key: &str) -> Option<&str> {
        self.and_then(|labels| labels.label(key))
    }
}

/// A key, an operator and its values. Upstream: labels.Requirement.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// Checks and makes a requirement; paths in the error begin at `path`. Upstream: labels.NewRequirement.
    pub fn new(key: &str, operator: Operator, values: Vec<String>, path: &Path) -> Result<Requirement, Error> {
        let mut errors = ErrorList::new();
        errors.extend(invalid_key(key, &path.child("key")));
        let values_path = path.child("values");
        let fault = match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals if values.len() != 1 => {
                Some("exact-match compatibility requires one single value")
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        errors.extend(fault.map(|detail| FieldError::invalid(&values_path, Value::from(values.clone()), detail)));
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (i, value) in values.iter().enumerate().filter(|(_, value)| integer(value).is_none()) {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                errors.push(FieldError::invalid(&values_path.index(i), value.as_str(), detail));
            }
        }
        for (i, value) in values.iter().enumerate() {
            let faults = names::is_valid_label_value(value);
            if !faults.is_empty() {
                errors.push(FieldError::invalid(&values_path.index(i).key(key), value.as_str(), faults.join("; ")));
            }
        }
        match errors.message() {
            Some(message) => Err(Error::Invalid(message)),
            None => Ok(Requirement::unchecked(key, operator, values)),
        }
    }

    pub(super) fn unchecked(key: &str, operator: Operator, values: Vec<String>) -> Requirement {
        Requirement { key: key.to_owned(), operator, values }
    }

    /// The label.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The operator.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The values, in the order given.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether it holds for these labels.
    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        let value = labels.label(&self.key);
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(|value| self.has(value)),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(|value| self.has(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => self.compare(value).is_some_and(|(label, bound)| label > bound),
            Operator::LessThan => self.compare(value).is_some_and(|(label, bound)| label < bound),
        }
    }

    fn has(&self, value: &str) -> bool {
        self.values.iter().any(|v| v == value)
    }

    fn compare(&self, value: Option<&str>) -> Option<(i64, i64)> {
        let [bound] = self.values.as_slice() else { return None };
        Some((integer(value?)?, integer(bound)?))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let mut values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        match self.operator {
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
        }
    }
}

/// The fault of a key, at a path.
pub(super) fn invalid_key(key: &str, path: &Path) -> Option<FieldError> {
    let faults = names::is_qualified_name(key);
    (!faults.is_empty()).then(|| FieldError::invalid(path, key, faults.join("; ")))
}

/// An integer as strconv.ParseInt reads it: a sign, digits, 64 bits.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}
