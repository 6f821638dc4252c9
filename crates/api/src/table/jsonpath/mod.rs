//! The JSONPath of printer columns: `.spec.a`, `['a.b']`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `..a`, `[0,2]`,
//! `[?(@.type=="Ready")]`.
//!
//! [`JsonPath::parse`] compiles, [`JsonPath::find`] gives every value found; a missing field gives none and no error.
//! Templates (`range`, text between braces) are kubectl's and not read.
//!
//! Upstream: k8s.io/client-go/util/jsonpath.

mod parse;

use json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Why a path cannot be read or followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text ends within a part.
    #[error("unterminated {0}")]
    Unterminated(&'static str),
    /// A character that begins no part.
    #[error("unrecognized character in action: {0:?}")]
    Unrecognized(char),
    /// Between brackets stands no index, slice or key.
    #[error("invalid array index {0}")]
    Index(String),
    /// Two dots twice in a row.
    #[error("invalid multiple recursive descent")]
    Recursive,
    /// A filter's operator is unknown.
    #[error("unrecognized filter operator {0}")]
    Operator(String),
    /// A number cannot be read.
    #[error("cannot parse number {0}")]
    Number(String),
    /// An index where there is no list.
    #[error("{0} is not array or slice")]
    NotList(&'static str),
    /// An index beyond the list.
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds {
        /// The index.
        index: i64,
        /// The list's length.
        length: usize,
    },
    /// A filter's two sides cannot be compared.
    #[error("incompatible types for comparison")]
    Incomparable,
}

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Slice(Slice),
    Union(Vec<Vec<Step>>),
    Filter(Filter),
    /// A constant, in filters.
    Literal(Value),
}

/// `[start:end:step]`; one index is a slice of one.
#[derive(Clone, Debug, PartialEq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
    /// Written as one index: `end` is the one after.
    single: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Filter {
    Exists(Vec<Step>),
    Compare { left: Vec<Step>, operator: Operator, right: Vec<Step> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A value of the object, or a constant of the path.
type Found<'a> = Cow<'a, Value>;

impl JsonPath {
    /// Compiles a path; the braces a template would have around it are not part of it.
    pub fn parse(text: &str) -> Result<JsonPath, Error> {
        parse::parse(text).map(|steps| JsonPath { steps })
    }

    /// Every value the path leads to.
    pub fn find<'a>(&self, object: &'a Value) -> Result<Vec<Found<'a>>, Error> {
        follow(&self.steps, vec![Cow::Borrowed(object)])
    }
}

fn follow<'a>(steps: &[Step], mut values: Vec<Found<'a>>) -> Result<Vec<Found<'a>>, Error> {
    for step in steps {
        values = match step {
            Step::Literal(value) => vec![Cow::Owned(value.clone())],
            Step::Union(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(follow(part, values.clone())?);
                }
                all
            }
            step => {
                let mut all = Vec::new();
                for value in values.into_iter().filter(|value| !value.is_null()) {
                    follow_one(step, value, &mut all)?;
                }
                all
            }
        };
    }
    Ok(values)
}

fn follow_one<'a>(step: &Step, value: Found<'a>, found: &mut Vec<Found<'a>>) -> Result<(), Error> {
    match step {
        Step::Field(name) => {
            found.extend(children(&value).filter(|(key, _)| key.is_some_and(|key| key == name)).map(|(_, child)| child))
        }
        Step::Wildcard => found.extend(children(&value).map(|(_, child)| child)),
        Step::Recursive => descend(value, found),
        Step::Slice(slice) => found.extend(slice.of(&value)?),
        Step::Filter(filter) => {
            if !value.is_array() {
                return Err(Error::NotList(crate::go_text::type_name(&value)));
            }
            for (_, item) in children(&value) {
                if filter.passes(&item)? {
                    found.push(item);
                }
            }
        }
        Step::Literal(_) | Step::Union(_) => {}
    }
    Ok(())
}

/// The fields of an object or the items of a list.
fn children<'a>(value: &Found<'a>) -> impl Iterator<Item = (Option<&'a json::Text>, Found<'a>)> {
    // Constants have no children: only values of the object do.
    let (fields, items) = match value {
        Cow::Borrowed(Value::Object(fields)) => (Some(fields), None),
        Cow::Borrowed(Value::Array(items)) => (None, Some(items)),
        _ => (None, None),
    };
    let fields = fields.into_iter().flatten().map(|(key, field)| (Some(key), Cow::Borrowed(field)));
    fields.chain(items.into_iter().flatten().map(|item| (None, Cow::Borrowed(item))))
}

/// The value and everything below it that has children.
fn descend<'a>(value: Found<'a>, found: &mut Vec<Found<'a>>) {
    let below: Vec<Found<'a>> = children(&value).map(|(_, child)| child).collect();
    if !below.is_empty() {
        found.push(value);
        below.into_iter().for_each(|child| descend(child, found));
    }
}

impl Slice {
    fn of<'a>(&self, value: &Found<'a>) -> Result<Vec<Found<'a>>, Error> {
        if !value.is_array() {
            return Err(Error::NotList(crate::go_text::type_name(value)));
        }
        let items: Vec<Found<'a>> = children(value).map(|(_, item)| item).collect();
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let from_end = |index: i64| if index < 0 { index + length } else { index };
        let start = from_end(self.start.unwrap_or(0));
        let end = match self.end {
            None => length,
            Some(0) if self.single => length,
            Some(end) => from_end(end),
        };
        if start == end {
            return Ok(Vec::new());
        }
        let bounds = |index: i64| Error::OutOfBounds { index, length: items.len() };
        let first = usize::try_from(start).ok().filter(|first| *first < items.len()).ok_or_else(|| bounds(start))?;
        let last = usize::try_from(end).ok().filter(|last| *last <= items.len() && *last >= first);
        let last = last.ok_or_else(|| bounds(end - 1))?;
        let step = usize::try_from(self.step.unwrap_or(1)).ok().filter(|step| *step > 0);
        let step = step.ok_or_else(|| Error::Index("step must be > 0".to_owned()))?;
        Ok(items[first..last].iter().step_by(step).cloned().collect())
    }
}

impl Filter {
    fn passes(&self, item: &Found<'_>) -> Result<bool, Error> {
        let value = |steps: &[Step]| -> Result<Option<Value>, Error> {
            let mut values = follow(steps, vec![item.clone()])?.into_iter();
            match (values.next(), values.next()) {
                (first, None) => Ok(first.map(Cow::into_owned)),
                (_, Some(_)) => Err(Error::Incomparable),
            }
        };
        match self {
            Filter::Exists(steps) => Ok(follow(steps, vec![item.clone()]).is_ok_and(|values| !values.is_empty())),
            Filter::Compare { left, operator, right } => match (value(left)?, value(right)?) {
                (Some(left), Some(right)) => operator.holds(&left, &right),
                _ => Ok(false),
            },
        }
    }
}

impl Operator {
    fn holds(self, left: &Value, right: &Value) -> Result<bool, Error> {
        let order = match (left, right) {
            (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
            },
            (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) if left == right => Some(Ordering::Equal),
            (Value::Bool(_), Value::Bool(_)) if self == Operator::Equal => return Ok(false),
            (Value::Bool(_), Value::Bool(_)) if self == Operator::NotEqual => return Ok(true),
            _ => None,
        };
        let order = order.ok_or(Error::Incomparable)?;
        Ok(match self {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        })
    }
}

#[cfg(test)]
mod tests;
