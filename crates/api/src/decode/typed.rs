//! Walks a [`Node`] by a [`Schema`] and gives the value a Go round trip through the struct would give.
//!
//! A type error is kept and the walk goes on, so that the first one is reported however many there are; a value a
//! type refuses itself (a quantity, a time) ends the walk. Unknown and duplicate fields are gathered apart.
//! Upstream: `sigs.k8s.io/json` for decoding, `encoding/json` and the protobuf round trip through the store for what
//! comes out.

use json::{Map, Value};

use super::node::{Node, number};
use super::scalar;
use crate::go_text::quote;
use crate::schema::{Field, Presence, Schema, Type};

/// Upstream keeps this many complaints about unknown and duplicate fields.
const MAX_STRICT: usize = 100;

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    /// A value of one type where another is needed.
    Type {
        /// `string`, `number 1.5`.
        value: String,
        /// Go type, as `reflect` prints it.
        wanted: String,
        /// Go struct that holds the field; empty outside of one.
        holder: String,
        /// JSON names from the root, joined by dots.
        field: String,
    },
    /// What the type itself says.
    Value(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Problem::Type { value, wanted, holder, field } if holder.is_empty() && field.is_empty() => {
                write!(f, "json: cannot unmarshal {value} into Go value of type {wanted}")
            }
            Problem::Type { value, wanted, holder, field } => {
                write!(f, "json: cannot unmarshal {value} into Go struct field {holder}.{field} of type {wanted}")
            }
            Problem::Value(reason) => f.write_str(reason),
        }
    }
}

/// Outcome of a walk.
pub(crate) struct Walked {
    pub(crate) value: Value,
    /// `unknown field "spec.foo"`, in the order of the bytes. Empty unless asked for.
    pub(crate) strict: Vec<String>,
    /// Was there an empty list or map outside metadata that Go keeps until the object is stored?
    pub(crate) emptied: bool,
}

/// Walks a whole object.
pub(crate) fn walk(node: &Node<'_>, schema: Schema<'_>, strict: bool) -> Result<Walked, Problem> {
    let mut walker = Walker { strict, steps: Vec::new(), saved: None, complaints: Vec::new(), emptied: false };
    let value = match node {
        Node::Object(members) => walker.object(members, schema)?,
        _ => zero_object(schema),
    };
    match walker.saved {
        Some(problem) => Err(problem),
        None => Ok(Walked { value, strict: walker.complaints, emptied: walker.emptied }),
    }
}

/// Where the walk is.
enum Step<'a> {
    Field { holder: &'a str, field: &'a Field },
    Key(&'a str),
    Index(usize),
}

struct Walker<'a> {
    strict: bool,
    steps: Vec<Step<'a>>,
    saved: Option<Problem>,
    complaints: Vec<String>,
    emptied: bool,
}

/// The place a value is for: the field, and how many lists or maps the walk is inside of it.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: Schema<'a>,
    field: &'a Field,
    depth: usize,
}

impl<'a> Walker<'a> {
    fn object(
        &mut self,
        members: &'a [(std::borrow::Cow<'a, str>, Node<'a>)],
        schema: Schema<'a>,
    ) -> Result<Value, Problem> {
        let object = schema.object();
        let mut found: Vec<(usize, Option<Value>)> = Vec::with_capacity(members.len());
        for (key, node) in members {
            let Some(position) = object.position(key) else {
                self.complain("unknown field", key);
                continue;
            };
            let field = &object.fields[position];
            let earlier = found.iter().position(|(seen, _)| *seen == position);
            if earlier.is_some() {
                self.complain("duplicate field", key);
            }
            self.steps.push(Step::Field { holder: type_name(&object.go_type), field });
            let value = self.value(node, &field.r#type, Place { schema, field, depth: 0 })?;
            self.steps.pop();
            self.emptied |= value.as_ref().is_some_and(|value| is_empty_collection(value, &field.r#type))
                && !self.is_in_metadata(field);
            match earlier {
                None => found.push((position, value)),
                // A null leaves an earlier duplicate in place where Go has no pointer to clear.
                Some(earlier) if value.is_some() || field.pointer || !field.r#type.is_scalar() => {
                    found[earlier].1 = value
                }
                Some(_) => {}
            }
        }
        found.sort_by_key(|(position, _)| *position);
        Ok(assemble(schema, found))
    }

    /// Is the field the object's metadata, or in it?
    fn is_in_metadata(&self, field: &Field) -> bool {
        let outermost = match self.steps.first() {
            Some(Step::Field { field, .. }) => field,
            _ => field,
        };
        outermost.name == "metadata"
    }

    /// None for null and for values that count as absent.
    fn value(&mut self, node: &'a Node<'a>, r#type: &'a Type, place: Place<'a>) -> Result<Option<Value>, Problem> {
        if let Some(leaf) = self.leaf(node, r#type)? {
            return Ok(leaf);
        }
        match (r#type, node) {
            (_, Node::Null) => Ok(None),
            (Type::Object(id), Node::Object(members)) => self.object(members, place.schema.resolve(*id)).map(Some),
            (Type::List(element), Node::Array(items)) => self.list(items, element, place).map(Some),
            (Type::Map(element), Node::Object(members)) => self.map(members, element, place).map(Some),
            (Type::Bool, Node::Bool(flag)) => Ok(Some(Value::Bool(*flag))),
            (Type::String, Node::String(text)) => Ok(Some(Value::from(&**text))),
            (Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Float64, Node::Number(text)) => {
                let fits = scalar::integer_or_float(text, r#type);
                if fits.is_none() {
                    self.mismatch(format!("number {text}"), go_type(place, r#type));
                }
                Ok(fits)
            }
            (Type::Bytes, Node::String(text)) => match scalar::base64(text) {
                Ok(canonical) => Ok(Some(Value::from(canonical))),
                Err(reason) => {
                    self.saved.get_or_insert(Problem::Value(reason));
                    Ok(None)
                }
            },
            (Type::OrBool(id), Node::Object(_)) => self.nested(node, place.schema.resolve(*id)).map(Some),
            (Type::OrBool(_), Node::Bool(flag)) => Ok(Some(Value::Bool(*flag))),
            (Type::OrBool(_), _) => Err(Problem::Value("boolean or JSON schema expected".to_owned())),
            (Type::OrArray(id) | Type::OrStringArray(id), Node::Object(_)) => {
                self.nested(node, place.schema.resolve(*id)).map(Some)
            }
            (Type::OrArray(id), Node::Array(items)) => {
                let schema = place.schema.resolve(*id);
                let schemas: Result<Vec<Value>, Problem> = items.iter().map(|item| self.nested(item, schema)).collect();
                schemas.map(|schemas| (!schemas.is_empty()).then_some(Value::Array(schemas)))
            }
            (Type::OrStringArray(_), Node::Array(items)) => self.strings(items),
            (Type::OrArray(_) | Type::OrStringArray(_), _) => Ok(None),
            (Type::Bytes, Node::Array(items)) => Ok(scalar::bytes_of_numbers(items)),
            _ => {
                self.mismatch(node.noun().to_owned(), go_type(place, r#type));
                Ok(None)
            }
        }
    }

    /// Values that read themselves (Go types with an UnmarshalJSON), and places without a type. The outer None means
    /// it is none of those.
    fn leaf(&mut self, node: &'a Node<'a>, r#type: &Type) -> Result<Option<Option<Value>>, Problem> {
        let text_only = |reader: &dyn Fn(&str) -> Result<Option<String>, String>| match node {
            Node::Null => Ok(None),
            Node::String(text) => reader(text).map(|found| found.map(Value::from)).map_err(Problem::Value),
            _ => Err(self.problem(node.noun().to_owned(), "string".to_owned())),
        };
        let value = match r#type {
            Type::Time => text_only(&super::time::time)?,
            Type::MicroTime => text_only(&super::time::micro_time)?,
            Type::Duration => text_only(&|text| scalar::duration(text).map(Some))?,
            Type::Quantity => match node {
                Node::Null => None,
                _ => Some(Value::from(scalar::quantity(node).map_err(Problem::Value)?)),
            },
            Type::IntOrString => match node {
                Node::Null => None,
                Node::String(text) => Some(Value::from(&**text)),
                Node::Number(text) => match scalar::integer_or_float(text, &Type::Int32) {
                    Some(value) => Some(value),
                    None => return Err(self.problem(format!("number {text}"), "int32".to_owned())),
                },
                _ => return Err(self.problem(node.noun().to_owned(), "int32".to_owned())),
            },
            Type::FieldsV1 | Type::Any | Type::RawExtension => match node {
                Node::Null => None,
                _ => Some(node.to_value()),
            },
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn list(&mut self, items: &'a [Node<'a>], element: &'a Type, place: Place<'a>) -> Result<Value, Problem> {
        let inner = Place { depth: place.depth + 1, ..place };
        let mut list = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.steps.push(Step::Index(index));
            let value = self.value(item, element, inner)?;
            self.steps.pop();
            list.push(value.unwrap_or_else(|| zero(place.schema, element)));
        }
        Ok(Value::Array(list))
    }

    fn map(
        &mut self,
        members: &'a [(std::borrow::Cow<'a, str>, Node<'a>)],
        element: &'a Type,
        place: Place<'a>,
    ) -> Result<Value, Problem> {
        let inner = Place { depth: place.depth + 1, ..place };
        let mut entries: Vec<(&str, Value)> = Vec::with_capacity(members.len());
        for (position, (key, node)) in members.iter().enumerate() {
            if self.strict && members[..position].iter().any(|(earlier, _)| earlier == key) {
                self.complain("duplicate field", key);
            }
            self.steps.push(Step::Key(key));
            let value = self.value(node, element, inner)?;
            self.steps.pop();
            entries.push((key, value.unwrap_or_else(|| zero(place.schema, element))));
        }
        // Go writes maps sorted; the sort is stable, so the last duplicate wins.
        entries.sort_by_key(|(a, _)| *a);
        let mut map = Map::with_capacity(entries.len());
        for (key, value) in entries {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    /// A schema inside of one of the union types: read by a decoder of its own, which reports no unknown fields.
    fn nested(&self, node: &'a Node<'a>, schema: Schema<'a>) -> Result<Value, Problem> {
        if !matches!(node, Node::Object(_) | Node::Null) {
            return Err(self.problem(node.noun().to_owned(), schema.object().go_type.to_string()));
        }
        walk(node, schema, false).map(|walked| walked.value).map_err(|problem| match problem {
            Problem::Type { value, wanted, field: inner, .. } => match self.problem(value, wanted) {
                Problem::Type { value, wanted, holder, field } => {
                    Problem::Type { value, wanted, holder, field: join(&field, &inner) }
                }
                other => other,
            },
            other => other,
        })
    }

    /// The names of `JSONSchemaPropsOrStringArray`.
    fn strings(&self, items: &[Node<'_>]) -> Result<Option<Value>, Problem> {
        let names: Result<Vec<Value>, Problem> = items
            .iter()
            .map(|item| match item {
                Node::String(text) => Ok(Value::from(&**text)),
                Node::Null => Ok(Value::from("")),
                other => Err(self.problem(other.noun().to_owned(), "string".to_owned())),
            })
            .collect();
        names.map(|names| (!names.is_empty()).then_some(Value::Array(names)))
    }

    fn mismatch(&mut self, value: String, wanted: String) {
        if self.saved.is_none() {
            self.saved = Some(self.problem(value, wanted));
        }
    }

    fn problem(&self, value: String, wanted: String) -> Problem {
        let mut names = Vec::new();
        let mut last = "";
        for step in &self.steps {
            if let Step::Field { holder, field } = step {
                names.extend(field.via.as_deref());
                names.push(&field.name);
                last = holder;
            }
        }
        Problem::Type { value, wanted, holder: last.to_owned(), field: names.join(".") }
    }

    fn complain(&mut self, what: &str, key: &str) {
        if !self.strict || self.complaints.len() >= MAX_STRICT {
            return;
        }
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Field { field: Field { name, .. }, .. } => push_name(&mut path, name),
                Step::Key(name) => push_name(&mut path, name),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        push_name(&mut path, key);
        let complaint = format!("{what} {}", quote(&path));
        if !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }
}

fn join(outer: &str, inner: &str) -> String {
    if inner.is_empty() { outer.to_owned() } else { format!("{outer}.{inner}") }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// The name of a Go type without its package.
fn type_name(go_type: &str) -> &str {
    go_type.rsplit('.').next().unwrap_or(go_type)
}

/// The Go type of a place, as `reflect` prints it.
fn go_type(place: Place<'_>, r#type: &Type) -> String {
    let mut named = place.field.go_type.as_deref();
    for _ in 0..place.depth {
        named = named.and_then(|text| text.strip_prefix("[]").or_else(|| text.strip_prefix("map[string]")));
    }
    named.map_or_else(|| derived_go_type(place.schema, r#type), str::to_owned)
}

fn derived_go_type(schema: Schema<'_>, r#type: &Type) -> String {
    match r#type {
        Type::Bool => "bool".to_owned(),
        Type::Int32 => "int32".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::Uint32 => "uint32".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Float64 => "float64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Bytes => "[]uint8".to_owned(),
        Type::Quantity => "resource.Quantity".to_owned(),
        Type::IntOrString => "intstr.IntOrString".to_owned(),
        Type::Time => "v1.Time".to_owned(),
        Type::MicroTime => "v1.MicroTime".to_owned(),
        Type::Duration => "v1.Duration".to_owned(),
        Type::FieldsV1 => "v1.FieldsV1".to_owned(),
        Type::RawExtension => "runtime.RawExtension".to_owned(),
        Type::Any => "v1.JSON".to_owned(),
        Type::OrBool(_) => "v1.JSONSchemaPropsOrBool".to_owned(),
        Type::OrArray(_) => "v1.JSONSchemaPropsOrArray".to_owned(),
        Type::OrStringArray(_) => "v1.JSONSchemaPropsOrStringArray".to_owned(),
        Type::Object(id) => schema.resolve(*id).object().go_type.to_string(),
        Type::List(element) => format!("[]{}", derived_go_type(schema, element)),
        Type::Map(element) => format!("map[string]{}", derived_go_type(schema, element)),
    }
}

/// Puts together what was found, sorted by position, and what Go writes of absent fields.
fn assemble(schema: Schema<'_>, found: Vec<(usize, Option<Value>)>) -> Value {
    let fields = &schema.object().fields;
    let mut object = Map::with_capacity(found.len());
    let mut put = |position: usize, slot: Option<Value>| {
        let field: &Field = &fields[position];
        if let Some(value) = present(schema, field, slot) {
            object.insert(field.key(), value);
        }
    };
    let mut unasked = schema.object().written_when_absent().peekable();
    for (position, slot) in found {
        while let Some(absent) = unasked.next_if(|absent| *absent < position) {
            put(absent, None);
        }
        unasked.next_if(|absent| *absent == position);
        put(position, slot);
    }
    unasked.for_each(|absent| put(absent, None));
    Value::Object(object)
}

/// What Go writes for a field; None when it writes nothing.
pub(crate) fn present(schema: Schema<'_>, field: &Field, slot: Option<Value>) -> Option<Value> {
    if field.pointer {
        return slot.or_else(|| (field.presence == Presence::Always).then_some(Value::Null));
    }
    let structure = field.r#type.is_structure();
    if slot.is_none() && field.presence == Presence::Always && field.r#type == Type::Bytes {
        return Some(Value::Null);
    }
    // An empty list or map becomes nil on its way through protobuf, unless it is a message of its own.
    let slot = slot.filter(|value| field.wrapped || !is_empty_collection(value, &field.r#type));
    match (field.presence, structure) {
        (Presence::OmitEmpty, false) | (Presence::OmitZero, false) => slot.filter(|value| !is_zero(value)),
        (Presence::OmitZero, true) => slot.filter(|value| *value != zero(schema, &field.r#type)),
        (Presence::Always | Presence::OmitEmpty, _) => Some(slot.unwrap_or_else(|| zero(schema, &field.r#type))),
    }
}

fn is_empty_collection(value: &Value, r#type: &Type) -> bool {
    match (r#type, value) {
        (Type::List(_), Value::Array(items)) => items.is_empty(),
        (Type::Map(_), Value::Object(members)) => members.is_empty(),
        _ => false,
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}

/// What Go writes for a zero value of a type that is not left out.
pub(crate) fn zero(schema: Schema<'_>, r#type: &Type) -> Value {
    match r#type {
        Type::Bool => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Float64 | Type::IntOrString => {
            number("0").map_or(Value::Null, Value::Number)
        }
        Type::String | Type::Bytes => Value::from(""),
        Type::Quantity => Value::from("0"),
        Type::Duration => Value::from("0s"),
        Type::Object(id) => zero_object(schema.resolve(*id)),
        Type::Time
        | Type::MicroTime
        | Type::FieldsV1
        | Type::Any
        | Type::RawExtension
        | Type::List(_)
        | Type::Map(_)
        | Type::OrBool(_)
        | Type::OrArray(_)
        | Type::OrStringArray(_) => Value::Null,
    }
}

pub(super) fn zero_object(schema: Schema<'_>) -> Value {
    assemble(schema, Vec::new())
}
