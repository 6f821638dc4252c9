//! Whether an object is what the schema says, in the words upstream answers with.
//! Upstream: TypedValue.Validate.

use std::fmt::Write;

use json::Value;

use super::element::Element;
use super::shape::{Items, List, Place, Scalar, Shape};
use crate::go_text;

/// May items of one list have the same name?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    /// In stored objects.
    Allowed,
    /// In what is applied or converted.
    Refused,
}

/// All that is wrong, as one text.
pub(super) fn validate(object: &Value, place: Place<'_>, repeats: Repeats) -> Result<(), String> {
    let mut faults = Faults { path: String::new(), found: Vec::new(), repeats };
    faults.walk(object, place);
    match faults.found.as_slice() {
        [] => Ok(()),
        [only] => Err(only.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

struct Faults {
    path: String,
    found: Vec<String>,
    repeats: Repeats,
}

impl Faults {
    fn add(&mut self, why: &str) {
        let colon = if self.path.is_empty() { "" } else { ": " };
        self.found.push(format!("{}{colon}{why}", self.path));
    }

    fn below(&mut self, element: &dyn std::fmt::Display, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        write!(self.path, "{element}").expect("a String takes every write");
        look(self);
        self.path.truncate(length);
    }

    fn walk(&mut self, value: &Value, place: Place<'_>) {
        if value.is_null() {
            return;
        }
        match place.shape(Some(value)) {
            Shape::Scalar(scalar) => self.scalar(value, scalar),
            Shape::List(list) => match value.as_array() {
                Some(items) => self.list(items, &list),
                None => self.add(&format!("expected list, got &{{{}}}", go_text::percent_v(value))),
            },
            Shape::Map(fields) => {
                let Some(members) = value.as_object() else {
                    return self.add(&format!("expected map, got &{{{}}}", go_text::percent_v(value)));
                };
                for (key, value) in members {
                    match fields.child(key) {
                        Some((place, _)) => self.below(&Element::field(key.as_str()), |own| own.walk(value, place)),
                        None => {
                            self.below(&Element::field(key.as_str()), |own| own.add("field not declared in schema"));
                            return;
                        }
                    }
                }
            }
        }
    }

    fn scalar(&mut self, value: &Value, scalar: Scalar) {
        let why = match (scalar, value) {
            (Scalar::Numeric, Value::Number(_))
            | (Scalar::Text, Value::String(_))
            | (Scalar::Boolean, Value::Bool(_))
            | (Scalar::Any, Value::Number(_) | Value::String(_) | Value::Bool(_)) => return,
            (Scalar::Numeric, _) => format!("expected numeric (int or float), got {}", go_text::type_name(value)),
            (Scalar::Text, _) => {
                format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_text::percent_sharp_v(value))
            }
            (Scalar::Boolean, _) => format!("expected boolean, got &{{{}}}", go_text::percent_v(value)),
            (Scalar::Any, _) => format!("expected any scalar, got &{{{}}}", go_text::percent_v(value)),
        };
        self.add(&why);
    }

    fn list(&mut self, items: &[Value], list: &List<'_>) {
        let mut seen = std::collections::BTreeSet::new();
        for (position, item) in items.iter().enumerate() {
            let element = match list.items {
                Items::Whole => Element::Index(i64::try_from(position).unwrap_or(i64::MAX)),
                _ => match list.element_of(item) {
                    Ok(element) => element,
                    Err(why) => return self.add(&format!("element {position}: {why}")),
                },
            };
            if self.repeats == Repeats::Refused && seen.contains(&element) {
                self.add(&format!("duplicate entries for key {element}"));
            }
            self.below(&element, |own| own.walk(item, list.element));
            seen.insert(element);
        }
    }
}
