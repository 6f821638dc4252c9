//! The shapes an object can be asked for in: itself, its metadata alone, rows of a table.
//! Upstream: handlers/response.go, printers/storage.

use api::status::Status;
use serde_json::{Map, Value, json};

use super::negotiation::{Output, Shape};
use super::query::Query;
use crate::registry::resource::Resource;

/// What rows hold besides their cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// PartialObjectMetadata.
    #[default]
    Metadata,
    /// The object.
    Object,
    /// Nothing.
    None,
}

/// Upstream: metav1.TableOptions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TableOptions {
    pub(crate) include: Include,
    /// Later tables of one watch do not describe their columns again.
    pub(crate) without_columns: bool,
}

impl TableOptions {
    /// `?includeObject=`
    pub(crate) fn of(query: &Query) -> Result<TableOptions, Status> {
        let include = match query.get("includeObject").unwrap_or_default() {
            "" | "Metadata" => Include::Metadata,
            "Object" => Include::Object,
            "None" => Include::None,
            other => {
                let other = api::go_text::quote(other);
                return Err(Status::bad_request(format!("unrecognized includeObject value: {other}")));
            }
        };
        Ok(TableOptions { include, without_columns: false })
    }
}

/// One object in the shape asked for.
pub(crate) fn object(
    resource: &Resource,
    object: Value,
    output: &Output,
    options: &TableOptions,
) -> Result<Value, Status> {
    match output.shape {
        Shape::Object => Ok(object),
        Shape::PartialObjectMetadata => Ok(partial(&object)),
        Shape::PartialObjectMetadataList => {
            let kind = &resource.info.kind;
            let message =
                format!("you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})");
            Err(Status::failure(406, api::status::Reason::NotAcceptable, message))
        }
        Shape::Table => {
            let mut metadata = Map::new();
            if let Some(version) = object["metadata"].get("resourceVersion") {
                metadata.insert("resourceVersion".to_string(), version.clone());
            }
            Ok(table(resource, vec![object], metadata, options))
        }
    }
}

/// A list in the shape asked for.
pub(crate) fn list(
    resource: &Resource,
    mut items: Vec<Value>,
    metadata: Map<String, Value>,
    output: &Output,
    options: &TableOptions,
) -> Result<Value, Status> {
    match output.shape {
        Shape::Table => Ok(table(resource, items, metadata, options)),
        Shape::PartialObjectMetadata | Shape::PartialObjectMetadataList => Ok(json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": items.iter().map(partial).collect::<Vec<_>>(),
        })),
        Shape::Object => {
            for item in &mut items {
                if let Some(fields) = item.as_object_mut() {
                    fields.shift_remove("kind");
                    fields.shift_remove("apiVersion");
                }
            }
            Ok(json!({
                "kind": format!("{}List", resource.info.kind),
                "apiVersion": resource.api_version,
                "metadata": metadata,
                "items": items,
            }))
        }
    }
}

fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").unwrap_or(&Value::Null),
    })
}

fn table(resource: &Resource, items: Vec<Value>, metadata: Map<String, Value>, options: &TableOptions) -> Value {
    let columns = json!([
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        {"name": "Created At", "type": "date", "format": "", "description": "", "priority": 0},
    ]);
    let _ = resource;
    let rows: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let mut row = Map::new();
            let cells = json!([item["metadata"]["name"], item["metadata"]["creationTimestamp"]]);
            row.insert("cells".to_string(), cells);
            match options.include {
                Include::Metadata => row.insert("object".to_string(), partial(&item)),
                Include::Object => row.insert("object".to_string(), item),
                Include::None => None,
            };
            Value::Object(row)
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": if options.without_columns { json!([]) } else { columns },
        "rows": rows,
    })
}
