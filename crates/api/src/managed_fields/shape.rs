//! What the schema says about a place in an object, in the terms of ownership: a scalar, a list or a map, owned as a whole
//! or piece by piece, and what names an item of a list.
//!
//! Places without a schema (custom resources that keep unknown fields, embedded objects) are deduced from the value that is
//! there: maps piece by piece, lists as a whole. Upstream: structured-merge-diff/schema and kube-openapi/pkg/schemaconv.

use std::borrow::Cow;

use json::{Map, Value};

use super::element::{Element, Literal};
use crate::schema::{Field, ListType, Name, Schema, Type};
use crate::scheme::Scheme;
use crate::structural::{self, Node};

/// A place in an object.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A whole object.
    Root(Schema<'a>),
    /// A value of a type, in a field (which may say more) or as the element of a list or map.
    Typed(Schema<'a>, &'a Type, Option<&'a Field>),
    /// A place of a custom resource.
    Custom(&'a Node),
    /// A custom resource, or one embedded in it: it has metadata whatever its schema says.
    CustomRoot(&'a Node),
    /// No schema: maps piece by piece, lists as a whole.
    Deduced,
    /// No schema: everything as a whole.
    Whole,
}

/// What a place holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    Scalar(Scalar),
    List(List<'a>),
    Map(Fields<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    Text,
    Boolean,
    Any,
}

/// A list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a> {
    pub(super) element: Place<'a>,
    pub(super) items: Items<'a>,
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Items<'a> {
    /// They are not: the list has one owner.
    Whole,
    /// By their value.
    Values,
    /// By these fields.
    Keys(&'a [Name]),
}

/// An object or a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    declared: Declared<'a>,
    /// The place of what is not declared; None forbids it.
    rest: Option<Place<'a>>,
    pub(super) whole: bool,
}

/// The named fields.
#[derive(Clone, Copy, Debug)]
enum Declared<'a> {
    Nothing,
    Of(Schema<'a>),
    Custom(&'a Node),
    CustomRoot(&'a Node),
}

impl<'a> Declared<'a> {
    fn place(self, name: &str) -> Option<Place<'a>> {
        match self {
            Declared::Nothing => None,
            Declared::Of(schema) => schema.field(name).map(|field| Place::Typed(schema, &field.r#type, Some(field))),
            Declared::CustomRoot(_) if name == "metadata" => {
                let meta = Scheme::builtin().type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")?;
                Some(Place::Root(meta))
            }
            Declared::CustomRoot(_) if matches!(name, "kind" | "apiVersion") => Some(Place::Deduced),
            Declared::Custom(node) | Declared::CustomRoot(node) => node.property(name).map(custom),
        }
    }
}

/// A place of a custom resource, itself a resource or not.
fn custom(node: &Node) -> Place<'_> {
    if node.embedded { Place::CustomRoot(node) } else { Place::Custom(node) }
}

impl<'a> Fields<'a> {
    /// The place of a field, and whether the schema names it. None is a field that must not be there.
    pub(super) fn child(&self, name: &str) -> Option<(Place<'a>, bool)> {
        match self.declared.place(name) {
            Some(place) => Some((place, true)),
            None => self.rest.map(|rest| (rest, false)),
        }
    }
}

impl<'a> Place<'a> {
    /// The shape of the place with this value in it; where the schema leaves it open the value decides, and null counts as
    /// a map.
    pub(super) fn shape(self, value: Option<&Value>) -> Shape<'a> {
        match self {
            Place::Root(schema) => Shape::Map(object(schema, schema.object().atomic)),
            Place::CustomRoot(node) => Shape::Map(custom_fields(node, Declared::CustomRoot(node))),
            Place::Custom(node) => custom_shape(node, value),
            Place::Deduced => deduced(value, false),
            Place::Whole => deduced(value, true),
            Place::Typed(schema, r#type, field) => {
                let said = field.map_or(ListType::Unset, |field| field.list_type);
                match r#type {
                    Type::Bool => Shape::Scalar(Scalar::Boolean),
                    Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Float64 => {
                        Shape::Scalar(Scalar::Numeric)
                    }
                    Type::String if field.is_some_and(|field| field.format.is_some()) => Shape::Scalar(Scalar::Any),
                    Type::String | Type::Bytes | Type::Duration => Shape::Scalar(Scalar::Text),
                    Type::Quantity | Type::Time | Type::MicroTime => Shape::Scalar(Scalar::Any),
                    Type::FieldsV1 => deduced(None, false),
                    Type::RawExtension => deduced(value, true),
                    Type::IntOrString | Type::Any | Type::OrBool(_) | Type::OrArray(_) | Type::OrStringArray(_) => {
                        deduced(value, false)
                    }
                    Type::Object(id) => {
                        let inner = schema.resolve(*id);
                        let whole = match said {
                            ListType::Atomic => true,
                            ListType::Granular => false,
                            _ => inner.object().atomic,
                        };
                        Shape::Map(object(inner, whole))
                    }
                    Type::List(element) => {
                        let element = Place::Typed(schema, element, None);
                        Shape::List(List { element, items: field.map_or(Items::Whole, items) })
                    }
                    Type::Map(element) => Shape::Map(Fields {
                        declared: Declared::Nothing,
                        rest: Some(Place::Typed(schema, element, None)),
                        whole: said == ListType::Atomic,
                    }),
                }
            }
        }
    }

    /// Can a value of any kind be here?
    pub(super) fn is_open(self) -> bool {
        match self {
            Place::Deduced | Place::Whole => true,
            Place::Root(_) | Place::CustomRoot(_) => false,
            Place::Custom(node) => node.kind.is_none(),
            Place::Typed(_, r#type, _) => matches!(
                r#type,
                Type::IntOrString
                    | Type::Any
                    | Type::RawExtension
                    | Type::OrBool(_)
                    | Type::OrArray(_)
                    | Type::OrStringArray(_)
            ),
        }
    }

    /// One element further: whether that is a declared field, and its place.
    pub(super) fn step(self, element: &Element<'_>) -> (bool, Place<'a>) {
        match element {
            Element::Field(name) => match self.shape(None) {
                Shape::Map(fields) => fields.child(name).map_or((false, Place::Whole), |(place, named)| (named, place)),
                _ => (false, Place::Whole),
            },
            Element::Key(_) => match self.shape(Some(&Value::Array(Vec::new()))) {
                Shape::List(list) => (false, list.element),
                _ => (false, Place::Whole),
            },
            Element::Value(_) | Element::Index(_) => (false, Place::Whole),
        }
    }
}

fn object(schema: Schema<'_>, whole: bool) -> Fields<'_> {
    let object = schema.object();
    let rest = object.fields.is_empty().then_some(Place::Deduced);
    Fields { declared: Declared::Of(schema), rest, whole }
}

fn custom_shape<'a>(node: &'a Node, value: Option<&Value>) -> Shape<'a> {
    match node.kind {
        Some(structural::Kind::Boolean) => Shape::Scalar(Scalar::Boolean),
        Some(structural::Kind::Integer | structural::Kind::Number) => Shape::Scalar(Scalar::Numeric),
        Some(structural::Kind::String) => {
            let format = node.checks.as_ref().and_then(|checks| checks.format);
            let free = format.is_some_and(|format| format.name() != "byte");
            Shape::Scalar(if free { Scalar::Any } else { Scalar::Text })
        }
        Some(structural::Kind::Array) => {
            let element = node.items.as_deref().map_or(Place::Deduced, custom);
            let items = match node.list_type {
                ListType::Set => Items::Values,
                ListType::Map => Items::Keys(&node.map_keys),
                _ => Items::Whole,
            };
            Shape::List(List { element, items })
        }
        None if node.properties.is_empty() => deduced(value, false),
        Some(structural::Kind::Object) | None => Shape::Map(custom_fields(node, Declared::Custom(node))),
    }
}

fn custom_fields<'a>(node: &'a Node, declared: Declared<'a>) -> Fields<'a> {
    let nothing_said = node.properties.is_empty() && node.additional.values().is_none();
    let rest = match node.additional.values() {
        Some(values) => Some(custom(values)),
        None => (node.open || nothing_said).then_some(Place::Deduced),
    };
    Fields { declared, rest, whole: node.atomic }
}

fn deduced<'a>(value: Option<&Value>, whole: bool) -> Shape<'a> {
    match value {
        Some(Value::Array(_)) => Shape::List(List { element: Place::Whole, items: Items::Whole }),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => Shape::Scalar(Scalar::Any),
        Some(Value::Object(_) | Value::Null) | None => {
            let rest = Some(if whole { Place::Whole } else { Place::Deduced });
            Shape::Map(Fields { declared: Declared::Nothing, rest, whole })
        }
    }
}

/// Lists say it themselves, or by how they are patched.
fn items(field: &Field) -> Items<'_> {
    match field.list_type {
        ListType::Set => Items::Values,
        ListType::Map => Items::Keys(&field.map_keys),
        ListType::Atomic | ListType::Granular => Items::Whole,
        ListType::Unset if field.patch_merge => match &field.merge_key {
            Some(key) => Items::Keys(std::slice::from_ref(key)),
            None => Items::Values,
        },
        ListType::Unset => Items::Whole,
    }
}

impl<'a> List<'a> {
    /// What names an item; the error is upstream's text.
    pub(super) fn element_of(&self, item: &'a Value) -> Result<Element<'a>, String> {
        match self.items {
            Items::Whole => Err("invalid indexing of non-associative list".to_owned()),
            Items::Values => match item {
                Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
                scalar => Ok(Element::Value(Literal::Borrowed(scalar))),
            },
            Items::Keys(names) => match item {
                Value::Object(fields) => self.keyed(names, fields),
                Value::Null => Err("associative list with keys may not have a null element".to_owned()),
                _ => Err("associative list with keys may not have non-map elements".to_owned()),
            },
        }
    }

    fn keyed(&self, names: &'a [Name], fields: &'a Map) -> Result<Element<'a>, String> {
        let mut key = Vec::with_capacity(names.len());
        for name in names {
            let name: &'a str = name;
            let value = match fields.get(name) {
                Some(value) => Some(Literal::Borrowed(value)),
                None => self.default_of(name),
            };
            key.extend(value.map(|value| (Cow::Borrowed(name), value)));
        }
        if key.is_empty() && !names.is_empty() {
            let quoted: Vec<String> = names.iter().map(|name| crate::go_text::quote(name)).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values \
                 for any key fields)",
                quoted.join(" ")
            ));
        }
        Ok(Element::key(key))
    }

    /// The published default of a key field.
    fn default_of(&self, name: &str) -> Option<Literal<'a>> {
        if let Place::Custom(node) = self.element {
            return node.property(name)?.default.as_deref().map(Literal::Borrowed);
        }
        let Place::Typed(schema, r#type, _) = self.element else { return None };
        let default = schema.object_of(r#type)?.field(name)?.published_default.as_deref()?;
        json::from_str(default).ok().map(|value| Literal::Owned(Box::new(value)))
    }
}
