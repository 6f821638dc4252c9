//! OpenAPI schemas as CEL sees them: the types of an object's fields, how values are read, and how large they can get.
//!
//! Made from the JSON of a structural schema (a CustomResourceDefinition) or of a published OpenAPI v3 document. What has no
//! type CEL could name is kept, so that values compare, but no expression can reach it.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/common.SchemaDeclType, cel.Escape.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use json::{Map, Value as Json};

use crate::types::Type;

/// Size of the largest request; bounds what has no bound of its own.
const MAX_REQUEST: i64 = 3 * 1024 * 1024;
/// Sizes of serialized values. Upstream: cel.Min*Size*, cel.Max*Size*.
const MIN_STRING: i64 = 2;
const MIN_DURATION: i64 = 3;
const MAX_DURATION: i64 = 32;
const DATE: i64 = 12;
const MIN_DATETIME: i64 = 21;
const MAX_DATETIME: i64 = 32;
/// Schemas that refer to themselves end here.
const MAX_DEPTH: usize = 64;

/// A schema, compiled for CEL.
#[derive(Debug, Clone)]
pub struct Schema {
    /// What its values are.
    pub shape: Shape,
    /// May the value be null?
    pub nullable: bool,
    /// Most characters, bytes, items or entries a value can have.
    pub max_elements: u64,
    /// Fewest bytes a value takes in JSON.
    pub min_size: i64,
}

/// What the values of a schema are.
#[derive(Debug, Clone)]
pub enum Shape {
    Boolean,
    Integer,
    Number,
    String,
    Bytes,
    Duration,
    Date,
    DateTime,
    IntOrString,
    List(Box<Schema>, ListType),
    Map(Box<Schema>),
    Object(Arc<Fields>),
    /// Nothing CEL could name.
    Unknown,
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    /// Names of the keys in JSON.
    Map(Vec<String>),
}

/// The fields of an object.
#[derive(Debug, Default)]
pub struct Fields {
    /// The name of its type in the environment.
    pub name: Arc<str>,
    /// By their escaped names.
    pub by_name: HashMap<String, Field>,
    /// Escaped names by those in JSON.
    escaped: HashMap<String, String>,
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON.
    pub json: String,
    pub schema: Schema,
}

impl Fields {
    /// The schema of a field by its name in JSON.
    pub fn of_json(&self, name: &str) -> Option<&Schema> {
        self.escaped.get(name).and_then(|escaped| self.by_name.get(escaped)).map(|field| &field.schema)
    }
}

/// Finds what a `$ref` means.
pub type Resolve<'r> = &'r dyn Fn(&str) -> Option<&'r Json>;

impl Schema {
    /// Compiles the schema of a field or, with `root`, of a whole resource, whose metadata is always known.
    /// `name` is what its type is called; types below are called after it.
    pub fn compile(json: &Json, name: &str, root: bool) -> Schema {
        Schema::compile_with(json, name, root, &|_| None)
    }

    /// As [`Schema::compile`], with references.
    pub fn compile_with(json: &Json, name: &str, root: bool, resolve: Resolve<'_>) -> Schema {
        Compiler { resolve }.schema(json, name, root, 0)
    }

    fn new(shape: Shape, max_elements: i64, min_size: i64) -> Schema {
        Schema { shape, nullable: false, max_elements: max_elements.max(0).unsigned_abs(), min_size }
    }

    /// Can expressions reach values of this schema?
    pub fn is_declared(&self) -> bool {
        !matches!(self.shape, Shape::Unknown)
    }

    /// The type of its values.
    pub fn cel_type(&self) -> Type {
        match &self.shape {
            Shape::Boolean => Type::Bool,
            Shape::Integer => Type::Int,
            Shape::Number => Type::Double,
            Shape::String => Type::String,
            Shape::Bytes => Type::Bytes,
            Shape::Duration => Type::Duration,
            Shape::Date | Shape::DateTime => Type::Timestamp,
            Shape::IntOrString | Shape::Unknown => Type::Dyn,
            Shape::List(items, _) => Type::list(items.cel_type()),
            Shape::Map(values) => Type::map(Type::String, values.cel_type()),
            Shape::Object(fields) => Type::Object(fields.name.clone()),
        }
    }

    /// Visits the objects in it, itself included.
    pub fn for_each_object(&self, visit: &mut dyn FnMut(&Arc<Fields>)) {
        match &self.shape {
            Shape::List(inner, _) | Shape::Map(inner) => inner.for_each_object(visit),
            Shape::Object(fields) => {
                visit(fields);
                fields.by_name.values().for_each(|field| field.schema.for_each_object(visit));
            }
            _ => {}
        }
    }

    /// The schema under a path of field names, `@items`, `@keys` and `@values`. None where the path leads nowhere, and
    /// for keys, whose size is not known.
    pub(crate) fn at(&self, path: &[Arc<str>]) -> Option<&Schema> {
        let mut current = self;
        for step in path {
            current = match (&**step, &current.shape) {
                ("@items" | "@values", Shape::List(inner, _) | Shape::Map(inner)) => inner,
                (name, Shape::Object(fields)) => &fields.by_name.get(name)?.schema,
                _ => return None,
            };
        }
        Some(current)
    }

    /// How often a value of this size fits into one request. Upstream: schema/cel.maxCardinality.
    pub fn max_cardinality(&self) -> u64 {
        (MAX_REQUEST / (self.min_size + 1)).unsigned_abs()
    }
}

struct Compiler<'r> {
    resolve: Resolve<'r>,
}

impl Compiler<'_> {
    fn schema(&self, json: &Json, name: &str, root: bool, depth: usize) -> Schema {
        let json = self.resolved(json);
        let mut schema = if depth > MAX_DEPTH { unknown() } else { self.shape(json, name, root, depth) };
        schema.nullable = flag(json, "nullable");
        schema
    }

    /// Follows references, also where they are the one schema of an allOf.
    fn resolved<'j>(&'j self, mut json: &'j Json) -> &'j Json {
        for _ in 0..MAX_DEPTH {
            let reference = json.get("$ref").or_else(|| match json.get("allOf").and_then(Json::as_array) {
                Some(all) if all.len() == 1 && json.get("type").is_none() => all[0].get("$ref"),
                _ => None,
            });
            match reference.and_then(Json::as_str).and_then(|reference| (self.resolve)(reference)) {
                Some(target) => json = target,
                None => break,
            }
        }
        json
    }

    fn shape(&self, json: &Json, name: &str, root: bool, depth: usize) -> Schema {
        if flag(json, "x-kubernetes-int-or-string")
            || json.get("format").and_then(Json::as_str) == Some("int-or-string")
        {
            let most = bound(json, "maxLength").map_or(MAX_REQUEST - 2, |length| length.saturating_mul(4));
            return Schema::new(Shape::IntOrString, most, 1);
        }
        match json.get("type").and_then(Json::as_str) {
            Some("array") => self.list(json, name, depth),
            Some("object") => self.object(json, name, root, depth),
            Some("string") => string(json),
            Some("boolean") => Schema::new(Shape::Boolean, 0, 4),
            Some("number") => Schema::new(Shape::Number, 0, 1),
            Some("integer") => Schema::new(Shape::Integer, 0, 1),
            _ if root => self.object(json, name, root, depth),
            _ => unknown(),
        }
    }

    fn list(&self, json: &Json, name: &str, depth: usize) -> Schema {
        let Some(items) = json.get("items") else { return unknown() };
        let items = self.schema(items, &format!("{name}.@idx"), embedded(items), depth + 1);
        if !items.is_declared() {
            return unknown();
        }
        let most = bound(json, "maxItems").unwrap_or((MAX_REQUEST - 2) / (items.min_size + 1));
        let kind = match json.get("x-kubernetes-list-type").and_then(Json::as_str) {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(names(json, "x-kubernetes-list-map-keys")),
            _ => ListType::Atomic,
        };
        Schema::new(Shape::List(Box::new(items), kind), most, 2)
    }

    fn object(&self, json: &Json, name: &str, root: bool, depth: usize) -> Schema {
        if let Some(values @ Json::Object(_)) = json.get("additionalProperties") {
            let values = self.schema(values, &format!("{name}.@elem"), embedded(values), depth + 1);
            if !values.is_declared() {
                return unknown();
            }
            let most = bound(json, "maxProperties").unwrap_or((MAX_REQUEST - 2) / (values.min_size + 6));
            return Schema::new(Shape::Map(Box::new(values)), most, 2);
        }
        let required = names(json, "required");
        let empty = Map::new();
        let properties = json.get("properties").and_then(Json::as_object).unwrap_or(&empty);
        let mut fields = Fields { name: name.into(), ..Fields::default() };
        let mut min_size = 2;
        let mut declare = |property: &str, schema: Schema, has_default: bool| {
            let Some(escaped) = escape(property) else { return };
            if !schema.is_declared() {
                return;
            }
            // Defaults are filled in by the server.
            if required.iter().any(|name| name == property) && !has_default {
                min_size += property.len() as i64 + schema.min_size + 4;
            }
            fields.escaped.insert(property.to_owned(), escaped.clone());
            fields.by_name.insert(escaped, Field { json: property.to_owned(), schema });
        };
        for (property, inner) in properties {
            let inner_name = format!("{name}.{}", escape(property).unwrap_or_default());
            let schema = self.schema(inner, &inner_name, embedded(inner), depth + 1);
            declare(property, schema, inner.get("default").is_some());
        }
        if root && !has_own_metadata(properties) {
            declare("apiVersion", string(&Json::Null), false);
            declare("kind", string(&Json::Null), false);
            let metadata = json::json!({"type": "object", "properties": {
                "name": {"type": "string"}, "generateName": {"type": "string"},
            }});
            declare("metadata", self.schema(&metadata, &format!("{name}.metadata"), false, depth + 1), false);
        }
        Schema::new(Shape::Object(Arc::new(fields)), 0, min_size)
    }
}

/// Are kind, version and the two names declared already? Upstream: common.WithTypeAndObjectMeta.
fn has_own_metadata(properties: &Map) -> bool {
    let is_string =
        |json: Option<&Json>| json.and_then(|json| json.get("type")).and_then(Json::as_str) == Some("string");
    let metadata = properties.get("metadata").and_then(|metadata| metadata.get("properties"));
    is_string(properties.get("kind"))
        && is_string(properties.get("apiVersion"))
        && is_string(metadata.and_then(|fields| fields.get("name")))
        && is_string(metadata.and_then(|fields| fields.get("generateName")))
}

fn string(json: &Json) -> Schema {
    let length = bound(json, "maxLength");
    match json.get("format").and_then(Json::as_str) {
        Some("byte") => Schema::new(Shape::Bytes, length.unwrap_or(MAX_REQUEST - 2), MIN_STRING),
        Some("duration") => Schema::new(Shape::Duration, MAX_DURATION, MIN_DURATION),
        Some("date") => Schema::new(Shape::Date, DATE, DATE),
        Some("date-time") => Schema::new(Shape::DateTime, MAX_DATETIME, MIN_DATETIME),
        _ => {
            let longest_choice = || {
                let choices = json.get("enum").and_then(Json::as_array).filter(|choices| !choices.is_empty())?;
                choices.iter().filter_map(Json::as_str).map(|choice| choice.len() as i64).max().or(Some(0))
            };
            let most = match length {
                // A character takes up to four bytes.
                Some(length) => length.saturating_mul(4),
                None => longest_choice().unwrap_or(MAX_REQUEST - 2),
            };
            Schema::new(Shape::String, most, MIN_STRING)
        }
    }
}

fn unknown() -> Schema {
    Schema::new(Shape::Unknown, 0, 0)
}

fn flag(json: &Json, name: &str) -> bool {
    json.get(name).and_then(Json::as_bool).unwrap_or(false)
}

fn embedded(json: &Json) -> bool {
    flag(json, "x-kubernetes-embedded-resource")
}

fn bound(json: &Json, name: &str) -> Option<i64> {
    json.get(name).and_then(Json::as_i64).map(|value| value.max(0))
}

fn names(json: &Json, name: &str) -> Vec<String> {
    let list = json.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// Words of CEL that cannot be field names. Upstream: cel.celReservedSymbols.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name of a property in expressions; None where it cannot have one. Upstream: cel.Escape.
pub fn escape(property: &str) -> Option<String> {
    if property.is_empty() || property.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&property) {
        return Some(format!("__{property}__"));
    }
    if !property.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')) {
        return None;
    }
    // Longest first: each pair of underscores, from the left.
    let escaped = property.replace("__", "\0");
    let escaped = escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__");
    Some(escaped.replace('\0', "__underscores__"))
}

/// The property a name in an expression stands for; the name itself where it is no escape. Upstream: cel.Unescape.
pub(crate) fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains("__") {
        return Cow::Borrowed(name);
    }
    unescaped(name).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn unescaped(name: &str) -> Option<String> {
    let mut property = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        // `__word__`, where the word has no underscore.
        let word = rest.strip_prefix("__").and_then(|tail| tail.split_once("__"));
        match word.filter(|(word, _)| !word.is_empty() && !word.contains('_')) {
            Some((word, tail)) => {
                match word {
                    "underscores" => property.push_str("__"),
                    "dot" => property.push('.'),
                    "dash" => property.push('-'),
                    "slash" => property.push('/'),
                    keyword if RESERVED.contains(&keyword) && rest.len() == name.len() && tail.is_empty() => {
                        property.push_str(keyword);
                    }
                    _ => return None,
                }
                rest = tail;
            }
            None => {
                property.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Some(property)
}
