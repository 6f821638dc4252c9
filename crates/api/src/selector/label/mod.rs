//! Label selectors: requirements on labels, all of which must hold.
//!
//! A [`Selector`] comes from the string form ([`Selector::parse`]), from a `LabelSelector` object
//! ([`Selector::from_object`]) or from a plain map ([`Selector::from_map`]). [`validate`] checks an object form with field
//! paths, as validation does, where the other constructors stop at the first fault.
//!
//! Upstream: k8s.io/apimachinery/pkg/labels, metav1.LabelSelectorAsSelector, metav1/validation.

mod object;
mod parse;
mod requirement;

pub use object::{
    ValidateOptions, format, has_invalid_value, validate, validate_label_name, validate_labels, validate_requirement,
};
pub use requirement::{Labels, Operator, Requirement};

use json::Value;
use std::fmt;

/// Why a selector could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Something else stood where `expected` should.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// What stood there.
        found: String,
        /// What may stand there.
        expected: &'static str,
    },
    /// A set of values does not begin with a parenthesis.
    #[error("found '{0}' expected: '('")]
    NoParenthesis(String),
    /// A key or a value breaks its rule.
    #[error("{0}")]
    Invalid(String),
    /// A requirement in the string form is wrong.
    #[error("unable to parse requirement: {0}")]
    Requirement(#[source] Box<Error>),
    /// An operator in the object form is unknown.
    #[error("{} is not a valid label selector operator", crate::go_text::quote(.0))]
    Operator(String),
}

/// Requirements that must all hold; with none it matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl Selector {
    /// Matches every object.
    pub fn everything() -> Selector {
        Selector::default()
    }

    /// Matches no object: what an absent `LabelSelector` means.
    pub fn nothing() -> Selector {
        Selector { requirements: Vec::new(), nothing: true }
    }

    /// Reads the string form, as `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`. Upstream: labels.Parse.
    pub fn parse(text: &str) -> Result<Selector, Error> {
        parse::parse(text).map(Selector::new)
    }

    /// Reads a `LabelSelector`: absent or null matches nothing, empty matches everything.
    ///
    /// Upstream: metav1.LabelSelectorAsSelector.
    pub fn from_object(selector: Option<&Value>) -> Result<Selector, Error> {
        object::selector(selector)
    }

    /// Exactly these labels, unchecked; an empty map matches everything. Upstream: labels.SelectorFromSet.
    pub fn from_map<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Selector {
        let equal = |(key, value): (&str, &str)| Requirement::unchecked(key, Operator::Equals, vec![value.to_owned()]);
        Selector::new(labels.into_iter().map(equal).collect())
    }

    /// These requirements.
    pub fn new(mut requirements: Vec<Requirement>) -> Selector {
        requirements.sort_by(|a, b| a.key().cmp(b.key()));
        Selector { requirements, nothing: false }
    }

    /// Whether every requirement holds for these labels.
    pub fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether every requirement holds for an object's `metadata.labels`.
    pub fn matches_object(&self, object: &Value) -> bool {
        if self.is_everything() {
            return true;
        }
        match crate::meta::labels(object) {
            Some(labels) => self.matches(labels),
            None => self.matches(&[("", ""); 0]),
        }
    }

    /// Whether it restricts nothing. Upstream: Selector.Empty.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// The requirements, by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// The one value a label must have, if the selector says so. Upstream: Selector.RequiresExactMatch.
    pub fn requires_exact_match(&self, label: &str) -> Option<&str> {
        let requirement = self.requirements.iter().find(|requirement| requirement.key() == label)?;
        match (requirement.operator(), requirement.values()) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [value]) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
