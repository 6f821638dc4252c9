//! `meta.k8s.io/v1 Table`: what `kubectl get` prints, computed by the server.
//!
//! [`Columns::of`] gives a built-in kind's columns, [`Columns::custom`] those of a custom resource; [`Columns::table`] makes
//! the whole answer and [`Columns::row`] one row, for watches. A kind's columns are data: a list of names, types and
//! [`cell::Cell`] expressions in `columns/`; only cells no expression can say are functions. The caller passes the present
//! in, since ages are relative to it.
//!
//! Objects come in their storage version (autoscaling/v2 above all); events may be in either of theirs.
//!
//! Column descriptions are left empty: upstream's are API documentation, and clients do not read them.
//!
//! Upstream: pkg/printers/internalversion, apiextensions' tableconvertor, endpoints/handlers/response.go.

mod cell;
mod columns;
mod custom;
pub mod jsonpath;

use jiff::Timestamp;
use json::{Map, Value, json};

pub use custom::Error;

/// What each row carries of its object. Upstream: metav1.IncludeObjectPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata, as a PartialObjectMetadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter; empty is the default. None if it is unknown.
    pub fn parse(text: &str) -> Option<IncludeObject> {
        match text {
            "" | "Metadata" => Some(IncludeObject::Metadata),
            "None" => Some(IncludeObject::None),
            "Object" => Some(IncludeObject::Object),
            _ => None,
        }
    }
}

/// How a table is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What ages are relative to.
    pub now: Timestamp,
    /// What rows carry.
    pub include_object: IncludeObject,
    /// Whether columns are described; off after the first event of a watch.
    pub headers: bool,
    /// `apiVersion` of the table and of the metadata in it: meta.k8s.io/v1, or v1beta1 which is the same.
    pub api_version: &'static str,
}

/// The list's own metadata, which the table takes over.
#[derive(Clone, Debug, Default)]
pub struct ListMeta {
    /// `resourceVersion` of the list, or of the one object.
    pub resource_version: String,
    /// Token of the next page; empty at the end.
    pub r#continue: String,
    /// How many objects come after this page.
    pub remaining_item_count: Option<i64>,
}

/// The columns of a kind.
#[derive(Debug)]
pub struct Columns {
    source: Source,
}

#[derive(Debug)]
enum Source {
    BuiltIn(&'static columns::Kind),
    Custom(custom::Columns),
}

/// What a cell may need beyond its object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    /// A word about the whole list, which a kind may compute first (the storage class in effect by default).
    pub(crate) note: &'a str,
}

impl Columns {
    /// The columns of a built-in kind: its own, or name and creation time.
    pub fn of(group: &str, kind: &str) -> Columns {
        Columns { source: Source::BuiltIn(columns::of(group, kind)) }
    }

    /// The columns of a custom resource's version, from `additionalPrinterColumns`; none given is name and age.
    pub fn custom(additional: Option<&Value>) -> Result<Columns, Error> {
        Ok(Columns { source: Source::Custom(custom::Columns::compile(additional)?) })
    }

    /// A table of these objects.
    pub fn table<'a>(&self, objects: impl IntoIterator<Item = &'a Value>, list: &ListMeta, options: &Options) -> Value {
        let mut objects: Vec<&Value> = objects.into_iter().collect();
        if let Source::BuiltIn(columns::Kind { order: Some(order), .. }) = self.source {
            objects.sort_by(|a, b| order(a, b));
        }
        let note = match &self.source {
            Source::BuiltIn(kind) => kind.note.map(|note| note(&objects)).unwrap_or_default(),
            Source::Custom(_) => String::new(),
        };
        let context = Context { now: options.now, note: &note };
        let rows: Vec<Value> = objects.into_iter().map(|object| self.row_in(object, options, &context)).collect();
        let mut table = self.wrap(rows, list, options);
        if let Source::BuiltIn(kind) = self.source
            && kind.is_default()
            && table["rows"] == json!([])
        {
            // Upstream's default convertor makes its rows as they come.
            table["rows"] = Value::Null;
        }
        table
    }

    /// A table of one object, as GET and each event of a watch answer.
    pub fn table_of_one(&self, object: &Value, options: &Options) -> Value {
        let resource_version = crate::meta::resource_version(object).to_owned();
        let rows = vec![self.row(object, options)];
        self.wrap(rows, &ListMeta { resource_version, ..ListMeta::default() }, options)
    }

    /// One row.
    pub fn row(&self, object: &Value, options: &Options) -> Value {
        self.row_in(object, options, &Context { now: options.now, note: "" })
    }

    /// The column definitions.
    pub fn definitions(&self) -> Value {
        match &self.source {
            Source::BuiltIn(kind) => kind.columns.iter().map(columns::Column::definition).collect(),
            Source::Custom(columns) => columns.definitions(),
        }
    }

    fn row_in(&self, object: &Value, options: &Options, context: &Context<'_>) -> Value {
        let mut row = Map::new();
        let (cells, conditions) = match &self.source {
            Source::BuiltIn(kind) => {
                (kind.cells(object, context), kind.conditions.and_then(|conditions| conditions(object)))
            }
            Source::Custom(columns) => (columns.cells(object, context), None),
        };
        row.insert("cells", Value::Array(cells));
        if let Some(conditions) = conditions {
            row.insert("conditions", conditions);
        }
        row.insert(
            "object".to_owned(),
            match options.include_object {
                IncludeObject::Object => object.clone(),
                IncludeObject::None if !ends_initial_events(object) => Value::Null,
                IncludeObject::None | IncludeObject::Metadata => partial_object_metadata(object, options.api_version),
            },
        );
        Value::Object(row)
    }

    fn wrap(&self, rows: Vec<Value>, list: &ListMeta, options: &Options) -> Value {
        let mut metadata = Map::new();
        if !list.resource_version.is_empty() {
            metadata.insert("resourceVersion", list.resource_version.clone().into());
        }
        if !list.r#continue.is_empty() {
            metadata.insert("continue", list.r#continue.clone().into());
        }
        if let Some(count) = list.remaining_item_count {
            metadata.insert("remainingItemCount", count.into());
        }
        let definitions = if options.headers { self.definitions() } else { Value::Null };
        json!({
            "kind": "Table",
            "apiVersion": options.api_version,
            "metadata": metadata,
            "columnDefinitions": definitions,
            "rows": rows,
        })
    }
}

/// The bookmark that ends what a watch began with says so in its metadata, which then nobody can do without.
fn ends_initial_events(object: &Value) -> bool {
    object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
}

/// An object's metadata alone, as a PartialObjectMetadata of a version of `meta.k8s.io`.
///
/// Upstream: metav1.PartialObjectMetadata, endpoints/handlers.asPartialObjectMetadata.
pub fn partial_object_metadata(object: &Value, api_version: &str) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    json!({"kind": "PartialObjectMetadata", "apiVersion": api_version, "metadata": metadata})
}

#[cfg(test)]
mod tests;
