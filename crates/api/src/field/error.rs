//! One validation error, its rendering, and the list of them.

use super::Path;
use crate::go_text;
use json::Value;
use std::collections::HashSet;
use std::fmt;

/// What is wrong with a field. Upstream: field.ErrorType.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// A value was looked up and is not there.
    NotFound,
    /// A value must be given.
    Required,
    /// A value that must be unique occurs twice.
    Duplicate,
    /// A value is malformed or out of bounds.
    Invalid,
    /// A value is none of the allowed ones.
    NotSupported,
    /// A value is well formed but not allowed under the present conditions.
    Forbidden,
    /// A value is too long.
    TooLong,
    /// A value is too short.
    TooShort,
    /// A list has too many items.
    TooMany,
    /// A list has too few items.
    TooFew,
    /// Not the user's fault.
    Internal,
    /// A value has another type than its schema says.
    TypeInvalid,
}

impl ErrorType {
    /// The cause reason in a Status (`FieldValueInvalid`).
    pub fn reason(self) -> &'static str {
        match self {
            ErrorType::NotFound => "FieldValueNotFound",
            ErrorType::Required => "FieldValueRequired",
            ErrorType::Duplicate => "FieldValueDuplicate",
            ErrorType::Invalid => "FieldValueInvalid",
            ErrorType::NotSupported => "FieldValueNotSupported",
            ErrorType::Forbidden => "FieldValueForbidden",
            ErrorType::TooLong => "FieldValueTooLong",
            ErrorType::TooShort => "FieldValueTooShort",
            ErrorType::TooMany => "FieldValueTooMany",
            ErrorType::TooFew => "FieldValueTooFew",
            ErrorType::Internal => "InternalError",
            ErrorType::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The words that open the message (`Invalid value`).
    pub fn words(self) -> &'static str {
        match self {
            ErrorType::NotFound => "Not found",
            ErrorType::Required => "Required value",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::Invalid | ErrorType::TypeInvalid => "Invalid value",
            ErrorType::NotSupported => "Unsupported value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::TooLong => "Too long",
            ErrorType::TooShort => "Too short",
            ErrorType::TooMany => "Too many",
            ErrorType::TooFew => "Too few",
            ErrorType::Internal => "Internal error",
        }
    }

    fn shows_value(self) -> bool {
        !matches!(
            self,
            ErrorType::Required | ErrorType::Forbidden | ErrorType::TooLong | ErrorType::TooShort | ErrorType::Internal
        )
    }
}

/// The offending value as the message shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum BadValue {
    /// Not shown.
    Omitted,
    /// Shown as Go prints it: strings quoted, numbers and booleans plain, anything else as JSON.
    Value(Value),
    /// Shown as is: for types whose Go printing is neither (a caller that knows the text).
    Verbatim(String),
}

impl<T: Into<Value>> From<T> for BadValue {
    fn from(value: T) -> BadValue {
        BadValue::Value(value.into())
    }
}

impl BadValue {
    fn render(&self) -> Option<String> {
        match self {
            BadValue::Omitted => None,
            BadValue::Verbatim(text) => Some(text.clone()),
            BadValue::Value(Value::String(text)) => Some(go_text::quote(text)),
            BadValue::Value(Value::Number(n)) if n.is_f64() => n.as_f64().map(go_text::float),
            BadValue::Value(value) => Some(go_text::json(value)),
        }
    }
}

/// One validation error. Upstream: field.Error.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorType,
    /// Where, printed.
    pub field: String,
    /// With which value.
    pub bad_value: BadValue,
    /// Why, in words; may be empty.
    pub detail: String,
}

impl Error {
    /// An error of any kind; the named constructors below are the usual way.
    pub fn new(kind: ErrorType, path: &Path, bad_value: impl Into<BadValue>, detail: impl Into<String>) -> Error {
        Error { kind, field: path.to_string(), bad_value: bad_value.into(), detail: detail.into() }
    }

    /// `Invalid value: VALUE: DETAIL`.
    pub fn invalid(path: &Path, bad_value: impl Into<BadValue>, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Invalid, path, bad_value, detail)
    }

    /// `Invalid value: VALUE: DETAIL` for a value of the wrong type.
    pub fn type_invalid(path: &Path, bad_value: impl Into<BadValue>, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::TypeInvalid, path, bad_value, detail)
    }

    /// `Required value: DETAIL`.
    pub fn required(path: &Path, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Required, path, "", detail)
    }

    /// `Forbidden: DETAIL`.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Error {
        Error::new(ErrorType::Forbidden, path, "", detail)
    }

    /// `Duplicate value: VALUE`.
    pub fn duplicate(path: &Path, bad_value: impl Into<BadValue>) -> Error {
        Error::new(ErrorType::Duplicate, path, bad_value, "")
    }

    /// `Not found: VALUE`.
    pub fn not_found(path: &Path, bad_value: impl Into<BadValue>) -> Error {
        Error::new(ErrorType::NotFound, path, bad_value, "")
    }

    /// `Unsupported value: VALUE: supported values: "a", "b"`, in the order given.
    pub fn not_supported<S: AsRef<str>>(
        path: &Path,
        bad_value: impl Into<BadValue>,
        supported: impl IntoIterator<Item = S>,
    ) -> Error {
        let quoted: Vec<String> = supported.into_iter().map(|s| go_text::quote(s.as_ref())).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Error::new(ErrorType::NotSupported, path, bad_value, detail)
    }

    /// `Too long: may not be more than N bytes`.
    pub fn too_long(path: &Path, max_length: usize) -> Error {
        let unit = if max_length == 1 { "byte" } else { "bytes" };
        Error::new(ErrorType::TooLong, path, "<value omitted>", format!("may not be more than {max_length} {unit}"))
    }

    /// `Too long: may not be more than N characters`. Upstream: field.TooLongCharacters.
    pub fn too_long_characters(path: &Path, max_length: usize) -> Error {
        let unit = if max_length == 1 { "character" } else { "characters" };
        Error::new(ErrorType::TooLong, path, "<value omitted>", format!("may not be more than {max_length} {unit}"))
    }

    /// `Too short: must be at least N characters`.
    pub fn too_short(path: &Path, bad_value: impl Into<BadValue>, min_length: usize) -> Error {
        let unit = if min_length == 1 { "character" } else { "characters" };
        Error::new(ErrorType::TooShort, path, bad_value, format!("must be at least {min_length} {unit}"))
    }

    /// `Too many: ACTUAL: must have at most N items`; without an actual number, `Too many: must have at most N items`.
    pub fn too_many(path: &Path, actual: Option<usize>, max: usize) -> Error {
        let unit = if max == 1 { "item" } else { "items" };
        let bad_value = actual.map_or(BadValue::Omitted, BadValue::from);
        Error::new_with(ErrorType::TooMany, path, bad_value, format!("must have at most {max} {unit}"))
    }

    /// `Too few: ACTUAL: must have at least N items`.
    pub fn too_few(path: &Path, actual: usize, min: usize) -> Error {
        let unit = if min == 1 { "item" } else { "items" };
        Error::new(ErrorType::TooFew, path, actual, format!("must have at least {min} {unit}"))
    }

    /// `Internal error: DETAIL`.
    pub fn internal(path: &Path, error: &dyn fmt::Display) -> Error {
        Error::new_with(ErrorType::Internal, path, BadValue::Omitted, error.to_string())
    }

    fn new_with(kind: ErrorType, path: &Path, bad_value: BadValue, detail: String) -> Error {
        Error { kind, field: path.to_string(), bad_value, detail }
    }

    /// The message without the field, as a Status cause carries it. Upstream: field.Error.ErrorBody.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if self.kind.shows_value()
            && let Some(value) = self.bad_value.render()
        {
            text.push_str(": ");
            text.push_str(&value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

impl std::error::Error for Error {}

/// Every error found in an object, in the order found. Upstream: field.ErrorList.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorList(pub Vec<Error>);

impl ErrorList {
    /// An empty list.
    pub fn new() -> ErrorList {
        ErrorList::default()
    }

    /// Adds one error.
    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Whether the object is valid.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many errors, equal ones counted each.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The errors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// The errors as one text: alone as it is, several as `[a, b]`, equal ones once. Upstream: ErrorList.ToAggregate.
    pub fn message(&self) -> Option<String> {
        aggregate(self.0.iter().map(Error::to_string))
    }
}

/// Joins error texts as upstream's aggregate does: one alone, several as `[a, b]`, equal ones once, none for none.
///
/// Upstream: k8s.io/apimachinery/pkg/util/errors.NewAggregate.
pub fn aggregate(texts: impl IntoIterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    let mut texts: Vec<String> = texts.into_iter().filter(|text| seen.insert(text.clone())).collect();
    if texts.len() > 1 { Some(format!("[{}]", texts.join(", "))) } else { texts.pop() }
}

impl Extend<Error> for ErrorList {
    fn extend<I: IntoIterator<Item = Error>>(&mut self, errors: I) {
        self.0.extend(errors);
    }
}

impl FromIterator<Error> for ErrorList {
    fn from_iter<I: IntoIterator<Item = Error>>(errors: I) -> ErrorList {
        ErrorList(errors.into_iter().collect())
    }
}

impl IntoIterator for ErrorList {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ErrorList {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<Error> for ErrorList {
    fn from(error: Error) -> ErrorList {
        ErrorList(vec![error])
    }
}
