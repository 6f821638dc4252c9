//! The schema of a custom resource: what a CustomResourceDefinition's `openAPIV3Schema` compiles into, and all that is
//! done with objects by it.
//!
//! Main types: [`Node`], one place of the schema, and [`Checks`], what is demanded of the value there. A node is compiled
//! from the JSON of a definition ([`Node::compile`]) and then never changes; [`prune()`], [`drop_nulls`], [`default()`],
//! [`coerce`] and [`validate()`] walk an object along it. Texts for people (descriptions, titles, examples) are not kept.
//!
//! Built-in kinds have [`crate::schema`] instead, which speaks of Go structs: fields in order, zero values, protobuf
//! numbers. A structural schema has facts at places which have no name there (items, values of maps), and none of those.
//! Whether a schema is structural at all is the apiserver's to find out, with upstream's words.
//! Upstream: apiextensions-apiserver/pkg/apiserver/schema and kube-openapi/pkg/validation.

mod compile;
mod default;
mod format;
mod lists;
mod metadata;
mod prune;
#[cfg(test)]
mod tests;
mod validate;
mod walk;

use json::Value;

use crate::pattern::Pattern;
use crate::schema::{ListType, Name};

pub use compile::Error;
pub use default::default;
pub use format::Format;
pub use lists::validate_lists;
pub use metadata::{Dropped, coerce, coerce_metadata};
pub use prune::{Pruned, drop_nulls, prune};
pub use validate::{validate, validate_update};
pub use walk::walk;

/// The `type` of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `array`
    Array,
    /// `boolean`
    Boolean,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `object`
    Object,
    /// `string`
    String,
}

impl Kind {
    /// The name in schemas and messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Array => "array",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Object => "object",
            Kind::String => "string",
        }
    }

    /// The kind of a name.
    pub fn of(name: &str) -> Option<Kind> {
        [Kind::Array, Kind::Boolean, Kind::Integer, Kind::Number, Kind::Object, Kind::String]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// `additionalProperties`: what an object may hold under names that are no properties.
#[derive(Debug, Default)]
pub enum Additional {
    /// Not said.
    #[default]
    Unset,
    /// `false`
    Nothing,
    /// `true`
    Anything,
    /// Values of one schema: the object is a map.
    Values(Box<Node>),
}

impl Additional {
    /// The schema of a map's values.
    pub fn values(&self) -> Option<&Node> {
        match self {
            Additional::Values(node) => Some(node),
            _ => None,
        }
    }

    /// Are there others than the properties, or may there be?
    fn is_said(&self) -> bool {
        !matches!(self, Additional::Unset)
    }
}

/// One place of a schema.
#[derive(Debug, Default)]
pub struct Node {
    /// `type`; None where any value is meant, or an integer or string.
    pub kind: Option<Kind>,
    /// `nullable`
    pub nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserve_unknown: bool,
    /// That of this place or of one around it: ownership knows no unknown fields there. Upstream: schemaconv.convert.visitSpec.
    pub open: bool,
    /// `x-kubernetes-embedded-resource`
    pub embedded: bool,
    /// `x-kubernetes-int-or-string`
    pub int_or_string: bool,
    /// `x-kubernetes-map-type: atomic`
    pub atomic: bool,
    /// `x-kubernetes-list-type`
    pub list_type: ListType,
    /// `x-kubernetes-list-map-keys`
    pub map_keys: Box<[Name]>,
    /// `properties`, sorted by name.
    pub properties: Box<[(Box<str>, Node)]>,
    /// `additionalProperties`
    pub additional: Additional,
    /// `items`
    pub items: Option<Box<Node>>,
    /// `default`
    pub default: Option<Box<Value>>,
    /// What else is demanded of the value.
    pub checks: Option<Box<Checks>>,
}

/// What is demanded of a value beside its type.
#[derive(Debug, Default)]
pub struct Checks {
    /// `format`, where it is known for the type.
    pub format: Option<Format>,
    /// `maximum`
    pub maximum: Option<f64>,
    /// `exclusiveMaximum`
    pub exclusive_maximum: bool,
    /// `minimum`
    pub minimum: Option<f64>,
    /// `exclusiveMinimum`
    pub exclusive_minimum: bool,
    /// `multipleOf`
    pub multiple_of: Option<f64>,
    /// `maxLength`, in characters
    pub max_length: Option<i64>,
    /// `minLength`, in characters
    pub min_length: Option<i64>,
    /// `maxItems`
    pub max_items: Option<i64>,
    /// `minItems`
    pub min_items: Option<i64>,
    /// `maxProperties`
    pub max_properties: Option<i64>,
    /// `minProperties`
    pub min_properties: Option<i64>,
    /// `uniqueItems`
    pub unique_items: bool,
    /// `pattern`
    pub pattern: Option<Pattern>,
    /// `enum`
    pub enumeration: Box<[Value]>,
    /// `required`
    pub required: Box<[Box<str>]>,
    /// `allOf`
    pub all_of: Box<[Node]>,
    /// `anyOf`
    pub any_of: Box<[Node]>,
    /// `oneOf`
    pub one_of: Box<[Node]>,
    /// `not`
    pub not: Option<Box<Node>>,
}

/// Fields every object has that need not be in its schema.
pub(crate) const META_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Node {
    /// A declared property.
    pub fn property(&self, name: &str) -> Option<&Node> {
        let found = self.properties.binary_search_by(|(own, _)| own.as_ref().cmp(name)).ok()?;
        Some(&self.properties[found].1)
    }

    /// The schema of a field: of the property, or of any value of the map.
    pub fn field(&self, name: &str) -> Option<&Node> {
        self.property(name).or_else(|| self.additional.values())
    }

    /// The node behind a path of properties.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        path.into_iter().try_fold(self, |node, name| node.property(name))
    }

    /// Must the value be told apart from other values of a list as a whole? Upstream: `MapIsCorrelatable`.
    fn is_correlatable(&self) -> bool {
        !self.atomic
    }
}
