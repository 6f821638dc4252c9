//! Configuration files of components (KubeletConfiguration and its like): which fields there are, read one by one.
//!
//! A component says of each field whether it applies it; a list names those that upstream knows and that have no effect
//! here, which the user is told. A field of neither kind is an error. Flags that stand for fields become a [`Fields`] too,
//! so that a field means the same wherever it is set. Upstream: strict decoding of `componentconfig` kinds.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::duration::GoDuration;

#[cfg(test)]
mod tests;

/// Field values by name.
pub type Fields = Map<String, Value>;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No YAML.
    #[error("not a YAML document: {0}")]
    Yaml(String),
    /// YAML of another kind.
    #[error("want kind {wanted}, found {found}")]
    Kind {
        /// Kind and API version.
        wanted: String,
        /// What stands there.
        found: String,
    },
    /// A field that the kind does not have.
    #[error("strict decoding error: unknown field \"{0}\"")]
    Unknown(String),
    /// A field of another type, or a value out of its range.
    #[error("invalid value of {field}: {value}")]
    Value {
        /// The field.
        field: String,
        /// What stands there.
        value: String,
    },
}

/// The fields of a YAML document, which must be of this kind.
///
/// # Errors
/// [`Error::Yaml`] and [`Error::Kind`].
pub fn parse(yaml: &str, api_version: &str, kind: &str) -> Result<Fields, Error> {
    let document: Value = serde_saphyr::from_str(yaml).map_err(|error| Error::Yaml(error.to_string()))?;
    let Value::Object(mut fields) = document else { return Err(Error::Yaml("no mapping".into())) };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if (text("apiVersion"), text("kind")) != (api_version, kind) {
        return Err(Error::Kind {
            wanted: format!("{kind} of {api_version}"),
            found: format!("{} of {}", text("kind"), text("apiVersion")),
        });
    }
    fields.shift_remove("apiVersion");
    fields.shift_remove("kind");
    Ok(fields)
}

/// Gives every field that is set to `apply`, which says whether it applied it; answers the names of those it did not and
/// that `without_effect` knows.
///
/// # Errors
/// The first of `apply`, or [`Error::Unknown`].
pub fn apply(
    fields: &Fields,
    without_effect: &[&str],
    mut apply: impl FnMut(&Field<'_>) -> Result<bool, Error>,
) -> Result<Vec<String>, Error> {
    let mut ineffective = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        if apply(&Field { name, value })? {
            continue;
        }
        if !without_effect.contains(&name.as_str()) {
            return Err(Error::Unknown(name.clone()));
        }
        ineffective.push(name.clone());
    }
    Ok(ineffective)
}

/// A field with its value.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name, with those of the fields around it.
    pub name: &'a str,
    /// What is set.
    pub value: &'a Value,
}

impl<'a> Field<'a> {
    /// The refusal of this field's value.
    pub fn invalid(&self) -> Error {
        Error::Value { field: self.name.to_owned(), value: self.value.to_string() }
    }

    /// A string.
    ///
    /// # Errors
    /// This and those below: [`Error::Value`] for a value of another type.
    pub fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.invalid())
    }

    /// A path; none when empty.
    pub fn path(&self) -> Result<Option<PathBuf>, Error> {
        Ok(Some(self.text()?).filter(|path| !path.is_empty()).map(Into::into))
    }

    /// A list of strings.
    pub fn texts(&self) -> Result<Vec<String>, Error> {
        self.list()?.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| self.invalid())).collect()
    }

    /// A list.
    pub fn list(&self) -> Result<&'a [Value], Error> {
        self.value.as_array().map(Vec::as_slice).ok_or_else(|| self.invalid())
    }

    /// The fields inside.
    pub fn map(&self) -> Result<&'a Fields, Error> {
        self.value.as_object().ok_or_else(|| self.invalid())
    }

    /// True or false.
    pub fn boolean(&self) -> Result<bool, Error> {
        self.value.as_bool().ok_or_else(|| self.invalid())
    }

    /// A whole number in the range of `T`.
    pub fn number<T: TryFrom<i64>>(&self) -> Result<T, Error> {
        self.value.as_i64().and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.invalid())
    }

    /// Text that parses as `T`, an address for example.
    pub fn parsed<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.text()?.parse().map_err(|_| self.invalid())
    }

    /// A list of addresses.
    pub fn addresses(&self) -> Result<Vec<IpAddr>, Error> {
        self.texts()?.iter().map(|ip| ip.parse().map_err(|_| self.invalid())).collect()
    }

    /// Sets a duration; zero stands for the default, as in all these kinds.
    pub fn set_duration(&self, into: &mut Duration) -> Result<(), Error> {
        let GoDuration(duration) = self.parsed()?;
        if !duration.is_zero() {
            *into = duration;
        }
        Ok(())
    }
}
