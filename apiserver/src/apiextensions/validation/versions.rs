//! What a version says beside its schema, by itself or with all others.

use std::collections::BTreeSet;

use api::field::{Error, ErrorList, Path};
use api::go_text::is_print;
use api::structural::{Kind, Node};
use json::Value;

use super::{Hoisted, schema};
use crate::registry::fields::At;

/// Types of columns.
const COLUMN_TYPES: &str = "boolean,date,integer,number,string";
/// Formats of columns.
const COLUMN_FORMATS: &str = "byte,date,date-time,double,float,int32,int64,password";
/// How many fields can be selected by.
const MAX_SELECTABLE: usize = 8;

/// What one version says for itself. Upstream: validateCustomResourceDefinitionVersion.
pub(super) fn validate(version: &At<'_>, hoisted: &Hoisted<'_>, errors: &mut ErrorList) {
    deprecation(version, errors);
    let own = |field| hoisted.common(field).is_none();
    if own("schema") {
        let has_status = version.get("subresources")["status"].is_object();
        schema::validate(&version.field("schema"), has_status, errors);
    }
    if own("subresources") {
        scale(&version.field("subresources"), errors);
    }
    if own("additionalPrinterColumns") {
        version.field("additionalPrinterColumns").items().for_each(|column| self::column(&column, errors));
    }
    if own("selectableFields") {
        let schema = &version.get("schema")["openAPIV3Schema"];
        if own("schema") && schema.is_object() {
            selectable(&version.field("selectableFields"), schema, errors);
        } else if !version.field("selectableFields").slice().is_empty() {
            let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
            errors.push(Error::invalid(&version.path.child("selectableFields"), "", detail));
        }
    }
}

/// What all versions say alike.
pub(super) fn validate_common(spec: &At<'_>, hoisted: &Hoisted<'_>, errors: &mut ErrorList) {
    let common = |field: &'static str, shown: &'static str| {
        hoisted.common(field).map(|value| At::new(value, spec.path.child(shown)))
    };
    let has_status = hoisted.versions.slice().iter().any(|version| version["subresources"]["status"].is_object());
    let schema = common("schema", "validation");
    if let Some(schema) = &schema {
        self::schema::validate(schema, has_status, errors);
    }
    if let Some(subresources) = common("subresources", "subresources") {
        scale(&subresources, errors);
    }
    if let Some(columns) = common("additionalPrinterColumns", "additionalPrinterColumns") {
        columns.items().for_each(|column| self::column(&column, errors));
    }
    if let Some(fields) = common("selectableFields", "selectableFields").filter(|fields| !fields.slice().is_empty()) {
        match schema.map(|schema| schema.get("openAPIV3Schema")).filter(|schema| schema.is_object()) {
            Some(schema) => selectable(&fields, schema, errors),
            None => {
                errors.push(Error::invalid(&fields.path, "", "may only be set when validations.schema is included"))
            }
        }
    }
}

fn deprecation(version: &At<'_>, errors: &mut ErrorList) {
    let warning = version.field("deprecationWarning");
    if !warning.is_set() {
        return;
    }
    let text = warning.str();
    if version.get("deprecated") != &Value::Bool(true) {
        errors.push(warning.invalid_str("can only be set for deprecated versions"));
        return;
    }
    if text.len() > 256 {
        errors.push(warning.invalid_str("must be <= 256 characters long"));
    }
    if text.is_empty() {
        errors.push(warning.invalid_str("must not be an empty string"));
    }
    if let Some((index, _)) = text.char_indices().find(|(_, c)| !is_print(*c)) {
        errors.push(warning.invalid_str(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        )));
    }
}

/// Upstream: ValidateCustomResourceDefinitionSubresources.
fn scale(subresources: &At<'_>, errors: &mut ErrorList) {
    let scale = subresources.field("scale");
    if !scale.is_set() {
        return;
    }
    let mut path = |field: &'static str, under: &[&str], words: &str, required: bool| {
        let text = scale.text(field);
        let place = subresources.path.child(format!("scale.{field}"));
        if text.is_empty() {
            if required {
                errors.push(Error::required(&place, ""));
            }
        } else if !text.starts_with('.') {
            errors.push(Error::invalid(&place, text, "must be a simple json path starting with ."));
        } else if !under.iter().any(|prefix| text.starts_with(prefix)) {
            errors.push(Error::invalid(&place, text, format!("should be a json path under {words}")));
        }
    };
    path("specReplicasPath", &[".spec."], ".spec", true);
    path("statusReplicasPath", &[".status."], ".status", true);
    path("labelSelectorPath", &[".spec.", ".status."], "either .spec or .status", false);
}

/// Upstream: ValidateCustomResourceColumnDefinition.
fn column(column: &At<'_>, errors: &mut ErrorList) {
    if column.text("name").is_empty() {
        errors.push(column.field("name").required(""));
    }
    let one_of = |names: &str| format!("must be one of {names}");
    let r#type = column.field("type");
    if r#type.is_empty() {
        errors.push(r#type.required(one_of(COLUMN_TYPES)));
    } else if !COLUMN_TYPES.split(',').any(|known| known == r#type.str()) {
        errors.push(r#type.invalid_str(one_of(COLUMN_TYPES)));
    }
    let format = column.field("format");
    if !format.is_empty() && !COLUMN_FORMATS.split(',').any(|known| known == format.str()) {
        errors.push(format.invalid_str(one_of(COLUMN_FORMATS)));
    }
    let (path, place) = (column.text("jsonPath"), column.path.child("JSONPath"));
    if path.is_empty() {
        errors.push(Error::required(&place, ""));
    } else if !path.starts_with('.') {
        errors.push(Error::invalid(&place, path, "must be a simple json path starting with ."));
    }
}

/// Upstream: ValidateCustomResourceSelectableFields.
fn selectable(fields: &At<'_>, schema: &Value, errors: &mut ErrorList) {
    // What is wrong with the schema is told of the schema.
    let Ok(root) = Node::compile(schema) else { return };
    let mut seen = BTreeSet::new();
    for field in fields.items() {
        let path = field.field("jsonPath");
        if path.is_empty() {
            errors.push(path.required(""));
            continue;
        }
        let steps = path.str().strip_prefix('.').map(|rest| rest.split('.').collect::<Vec<&str>>());
        let found = steps.as_ref().filter(|steps| !path.str().contains('[') && !steps.contains(&""));
        let Some(node) = found.and_then(|steps| steps.iter().try_fold(&root, |node, step| node.field(step))) else {
            errors.push(path.invalid_str("is an invalid path: does not refer to a valid field"));
            continue;
        };
        if path.str().starts_with(".metadata") {
            errors.push(path.invalid_str("must not point to fields in metadata"));
        }
        if !matches!(node.kind, Some(Kind::String | Kind::Boolean | Kind::Integer)) {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                          formats are allowed.";
            errors.push(path.invalid_str(detail));
        }
        if !seen.insert(path.str()) {
            errors.push(path.duplicate());
        }
    }
    if seen.len() > MAX_SELECTABLE {
        let path: &Path = &fields.path;
        errors.push(Error::too_many(path, Some(seen.len()), MAX_SELECTABLE));
    }
}
