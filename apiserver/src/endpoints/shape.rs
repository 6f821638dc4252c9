//! The shapes an object can be asked for in: itself, its metadata alone, rows of a table.
//! Upstream: handlers/response.go, printers/storage.

use api::status::Status;
use api::table::{Columns, IncludeObject, ListMeta, Options, partial_object_metadata};
use jiff::Timestamp;
use json::{Map, Value, json};

use super::negotiation::{Output, Shape};
use super::query::Query;
use crate::registry::apps::daemon_set::TEMPLATE_GENERATION;
use crate::registry::resource::Resource;

/// Upstream: metav1.TableOptions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TableOptions {
    pub(crate) include: IncludeObject,
    /// Later tables of one watch do not describe their columns again.
    pub(crate) without_columns: bool,
}

impl TableOptions {
    /// `?includeObject=`
    pub(crate) fn of(query: &Query) -> Result<TableOptions, Status> {
        let given = query.get("includeObject").unwrap_or_default();
        let include = IncludeObject::parse(given).ok_or_else(|| {
            let path = api::field::Path::new("includeObject");
            let error = api::field::Error::invalid(&path, given, "must be 'Metadata', 'Object', 'None', or empty");
            Status::bad_request(format!("Unable to convert to Table as requested: {error}"))
        })?;
        Ok(TableOptions { include, without_columns: false })
    }
}

/// Annotations of kinds in apps that hold what is a field of the internal kind.
const FIELDS_IN_ANNOTATIONS: [(&str, &str); 1] = [("DaemonSet", TEMPLATE_GENERATION)];

/// What is shown, and so which columns a table of it has.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Resource(&'a Resource),
    /// autoscaling/v1 Scale, whatever it is the scale of.
    Scale,
}

/// One object in the shape asked for.
pub(crate) fn object(
    resource: &Resource,
    object: Value,
    output: &Output,
    options: &TableOptions,
) -> Result<Value, Status> {
    shaped(Shown::Resource(resource), object, output, options)
}

/// A scale in the shape asked for.
pub(crate) fn scale(scale: Value, output: &Output, options: &TableOptions) -> Result<Value, Status> {
    shaped(Shown::Scale, scale, output, options)
}

fn shaped(shown: Shown<'_>, mut object: Value, output: &Output, options: &TableOptions) -> Result<Value, Status> {
    shown.forget_fields(std::slice::from_mut(&mut object), output.shape);
    match output.shape {
        Shape::Object => Ok(object),
        Shape::PartialObjectMetadata => Ok(partial_object_metadata(&object, output.shape_version)),
        Shape::PartialObjectMetadataList => {
            let message = format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list (*{})",
                shown.go_type()
            );
            Err(Status::failure(406, api::status::Reason::NotAcceptable, message))
        }
        Shape::Table => {
            let resource_version = api::meta::resource_version(&object).to_string();
            let list = ListMeta { resource_version, ..ListMeta::default() };
            Ok(shown.table(&[object], &list, options, output))
        }
    }
}

/// A kind as upstream's messages name its internal type: `core.Namespace`.
pub(super) fn go_type(resource: &Resource) -> String {
    if resource.is_custom() {
        return "unstructured.Unstructured".to_owned();
    }
    format!("{}.{}", api::decode::internal_package(&resource.info.group), resource.info.kind)
}

/// A list in the shape asked for.
pub(crate) fn list(
    resource: &Resource,
    mut items: Vec<Value>,
    metadata: Map,
    output: &Output,
    options: &TableOptions,
) -> Result<Value, Status> {
    Shown::Resource(resource).forget_fields(&mut items, output.shape);
    match output.shape {
        Shape::Table => {
            let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
            let list = ListMeta {
                resource_version: text("resourceVersion"),
                r#continue: text("continue"),
                remaining_item_count: metadata.get("remainingItemCount").and_then(Value::as_i64),
            };
            Ok(Shown::Resource(resource).table(&items, &list, options, output))
        }
        Shape::PartialObjectMetadata | Shape::PartialObjectMetadataList => {
            let items: Vec<Value> =
                items.iter().map(|item| partial_object_metadata(item, output.shape_version)).collect();
            Ok(json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": output.shape_version,
                "metadata": metadata,
                // Upstream appends to a list that is not there.
                "items": if items.is_empty() { Value::Null } else { items.into() },
            }))
        }
        Shape::Object => {
            // Items of custom resources name their type, those of built-in kinds do not.
            for item in items.iter_mut().filter(|_| !resource.is_custom()) {
                if let Some(fields) = item.as_object_mut() {
                    fields.shift_remove("kind");
                    fields.shift_remove("apiVersion");
                }
            }
            Ok(json!({
                "kind": resource.list_kind(),
                "apiVersion": resource.api_version,
                "metadata": metadata,
                "items": items,
            }))
        }
    }
}

impl Shown<'_> {
    /// Takes out of the metadata what is a field where upstream makes tables and metadata from: its internal objects.
    fn forget_fields(self, objects: &mut [Value], shape: Shape) {
        let Shown::Resource(resource) = self else { return };
        let own =
            FIELDS_IN_ANNOTATIONS.iter().filter(|(kind, _)| shape != Shape::Object && *kind == &*resource.info.kind);
        for (_, name) in own.filter(|_| resource.info.group.as_ref() == "apps") {
            objects.iter_mut().for_each(|object| api::meta::remove_annotation(object, name));
        }
    }

    fn go_type(self) -> String {
        match self {
            Shown::Resource(resource) => go_type(resource),
            Shown::Scale => "autoscaling.Scale".to_owned(),
        }
    }

    fn table(self, items: &[Value], list: &ListMeta, options: &TableOptions, output: &Output) -> Value {
        let options = Options {
            now: Timestamp::now(),
            include_object: options.include,
            headers: !options.without_columns,
            api_version: output.shape_version,
        };
        let (group, kind) = match self {
            Shown::Resource(resource) => match resource.as_custom() {
                Some(custom) => return custom.compiled().columns.table(items, list, &options),
                None => (resource.info.group.as_ref(), resource.info.kind.as_ref()),
            },
            Shown::Scale => ("autoscaling", "Scale"),
        };
        Columns::of(group, kind).table(items, list, &options)
    }
}
