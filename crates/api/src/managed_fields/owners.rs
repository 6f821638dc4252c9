//! `metadata.managedFields` read and written: who owns which fields, by which operation, in which version, since when.
//! Upstream: managedfields/internal.DecodeManagedFields, EncodeObjectManagedFields and capmanagers.go.

use std::borrow::Cow;
use std::fmt;

use json::{Map, Value};

use super::element::BadElement;
use super::set::Set;
use crate::go_text;
use crate::meta;

/// As many managers may own fields by updates; the oldest of more are put together.
const MAX_UPDATERS: usize = 10;
/// The manager of those.
const OLD_UPDATES: &str = "ancient-changes";

/// How fields came to be owned. Apply sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply: the manager's whole intent.
    Apply,
    /// Any other write.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Name of the manager.
    pub manager: Cow<'a, str>,
    /// How it wrote.
    pub operation: Operation,
    /// The version the fields are named in.
    pub api_version: Cow<'a, str>,
    /// When it last changed something.
    pub time: Option<Cow<'a, str>>,
    /// The subresource it wrote through; "" is the object itself.
    pub subresource: Cow<'a, str>,
    /// What it owns.
    pub fields: Set<'a>,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Neither of the two.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// Absent.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// Absent.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    /// Not FieldsV1.
    #[error("invalid fieldsType {0:?} in managed fields entry {1}")]
    FieldsType(String, usize),
    /// FieldsV1 that is none.
    #[error("error decoding set: {0}")]
    Fields(#[from] BadElement),
}

impl<'a> Owner<'a> {
    fn decode(entry: &'a Value, position: usize) -> Result<Owner<'a>, Error> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err(Error::Operation),
        };
        if text("apiVersion").is_empty() {
            return Err(Error::ApiVersion);
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(Error::NoFieldsType(position)),
            other => return Err(Error::FieldsType(other.to_owned(), position)),
        }
        Ok(Owner {
            manager: text("manager").into(),
            operation,
            api_version: text("apiVersion").into(),
            time: entry.get("time").and_then(Value::as_str).map(Cow::Borrowed),
            subresource: text("subresource").into(),
            fields: entry.get("fieldsV1").map_or(Ok(Set::default()), Set::decode)?,
        })
    }

    fn encode(&self) -> Value {
        let mut entry = Map::with_capacity(7);
        let mut put = |field: &str, value: &str| {
            if !value.is_empty() {
                entry.insert(field, value.into());
            }
        };
        put("manager", &self.manager);
        put("operation", self.operation.as_str());
        put("apiVersion", &self.api_version);
        put("time", self.time.as_deref().unwrap_or_default());
        put("fieldsType", "FieldsV1");
        entry.insert("fieldsV1", self.fields.encode());
        if !self.subresource.is_empty() {
            entry.insert("subresource", self.subresource.as_ref().into());
        }
        Value::Object(entry)
    }

    /// Whether two entries are one manager's: an applier is the same in each version.
    pub fn is_same(&self, other: &Owner<'_>) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// What managers are sorted by in messages, and the oldest among those of one second.
    pub(super) fn identifier(&self) -> String {
        let mut out = String::from("{");
        let mut put = |field: &str, value: &str| {
            if !value.is_empty() {
                let comma = if out.len() > 1 { "," } else { "" };
                out.push_str(&format!("{comma}\"{field}\":{}", go_text::json_string(value)));
            }
        };
        put("manager", &self.manager);
        put("operation", self.operation.as_str());
        put("apiVersion", if self.operation == Operation::Apply { "" } else { &self.api_version });
        put("subresource", &self.subresource);
        out.push('}');
        out
    }

    fn order(&self) -> impl Ord + use<'_> {
        (self.operation, self.time.as_deref(), &self.manager, &self.api_version, &self.subresource)
    }
}

/// As conflicts name a manager.
impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&go_text::quote(&self.manager))?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {}", go_text::quote(&self.subresource))?;
        }
        if self.operation == Operation::Update {
            write!(f, " using {}", self.api_version)?;
        }
        Ok(())
    }
}

/// All owners of an object's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners<'a>(pub(super) Vec<Owner<'a>>);

impl<'a> Owners<'a> {
    /// Reads `metadata.managedFields`. Of two entries of one manager the later counts.
    pub fn of(object: &'a Value) -> Result<Owners<'a>, Error> {
        let entries = meta::metadata(object).and_then(|metadata| metadata.get("managedFields"));
        Owners::decode(entries.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default())
    }

    /// Reads a list of entries.
    pub fn decode(entries: &'a [Value]) -> Result<Owners<'a>, Error> {
        let mut owners = Owners(Vec::with_capacity(entries.len() + 1));
        for (position, entry) in entries.iter().enumerate() {
            owners.put(Owner::decode(entry, position)?);
        }
        Ok(owners)
    }

    /// Writes the entries in upstream's order; None when there are none.
    pub fn encode(mut self) -> Option<Value> {
        self.0.sort_by(|a, b| a.order().cmp(&b.order()));
        (!self.0.is_empty()).then(|| Value::Array(self.0.iter().map(Owner::encode).collect()))
    }

    /// Nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &Owner<'a>> {
        self.0.iter()
    }

    /// Sets a manager's entry.
    pub fn put(&mut self, owner: Owner<'a>) {
        match self.0.iter_mut().find(|own| own.is_same(&owner)) {
            Some(own) => *own = owner,
            None => self.0.push(owner),
        }
    }

    /// Adds an entry, another of the same manager or not.
    pub fn add(&mut self, owner: Owner<'a>) {
        self.0.push(owner);
    }

    /// Takes a manager's entry out.
    pub fn take(&mut self, owner: &Owner<'_>) -> Option<Owner<'a>> {
        let position = self.0.iter().position(|own| own.is_same(owner))?;
        Some(self.0.remove(position))
    }

    /// Puts the oldest updaters of a version together when there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<(Option<String>, String)> = (self.0.iter())
            .filter(|owner| owner.operation == Operation::Update)
            .map(|owner| (owner.time.as_deref().map(str::to_owned), owner.identifier()))
            .collect();
        if updaters.len() <= MAX_UPDATERS {
            return;
        }
        updaters.sort();
        let mut left = updaters.len();
        // The oldest of each version, which waits for a second one.
        let mut first: Vec<(Cow<'a, str>, String)> = Vec::new();
        for (_, identifier) in updaters {
            if left <= MAX_UPDATERS {
                break;
            }
            let Some(position) = self.0.iter().position(|owner| owner.identifier() == identifier) else { continue };
            let version = self.0[position].api_version.clone();
            let Some((_, oldest)) = first.iter().find(|(of, _)| *of == version) else {
                first.push((version, identifier));
                continue;
            };
            let newer = self.0.remove(position);
            let bucket = Owner {
                manager: OLD_UPDATES.into(),
                operation: Operation::Update,
                api_version: version,
                time: newer.time,
                subresource: "".into(),
                fields: newer.fields,
            };
            let into = self.0.iter().position(|owner| owner.is_same(&bucket));
            let into = into.or_else(|| self.0.iter().position(|owner| owner.identifier() == *oldest));
            if let Some(into) = into {
                let older = std::mem::replace(&mut self.0[into], bucket);
                let fields = std::mem::take(&mut self.0[into].fields);
                self.0[into].fields = fields.plus(older.fields);
            }
            left -= 1;
        }
    }
}
