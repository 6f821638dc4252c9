//! The columns of custom resources: `additionalPrinterColumns`, each a JSONPath.
//!
//! Upstream: apiextensions-apiserver/pkg/registry/customresource/tableconvertor.

use super::Context;
use super::cell::since;
use super::jsonpath::{self, JsonPath};
use crate::go_text;
use crate::meta;
use json::{Value, json};

/// A column whose path cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized column definition {}", go_text::quote(.path))]
pub struct Error {
    /// The path.
    pub path: String,
    /// Why.
    #[source]
    pub source: jsonpath::Error,
}

/// Compiled columns; the name comes before them.
#[derive(Debug)]
pub(super) struct Columns(Vec<Column>);

#[derive(Debug)]
struct Column {
    name: String,
    r#type: String,
    format: String,
    description: String,
    priority: i64,
    path: JsonPath,
}

impl Columns {
    pub(super) fn compile(additional: Option<&Value>) -> Result<Columns, Error> {
        let age = json!([{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]);
        let columns = additional.and_then(Value::as_array).filter(|columns| !columns.is_empty());
        let columns = columns.or(age.as_array()).into_iter().flatten();
        columns.map(Column::compile).collect::<Result<_, _>>().map(Columns)
    }

    pub(super) fn definitions(&self) -> Value {
        let name = json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
        let others = self.0.iter().map(|column| {
            json!({
                "name": column.name,
                "type": column.r#type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            })
        });
        std::iter::once(name).chain(others).collect()
    }

    pub(super) fn cells(&self, object: &Value, context: &Context<'_>) -> Vec<Value> {
        let name = Value::from(meta::name(object));
        std::iter::once(name).chain(self.0.iter().map(|column| column.cell(object, context))).collect()
    }
}

impl Column {
    fn compile(column: &Value) -> Result<Column, Error> {
        let text = |key: &str| column.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let path = text("jsonPath");
        let description = match text("description") {
            given if given.is_empty() => format!("Custom resource definition column (in JSONPath format): {path}"),
            given => given,
        };
        let compiled = JsonPath::parse(&path).map_err(|source| Error { path, source })?;
        Ok(Column {
            name: text("name"),
            r#type: text("type"),
            format: text("format"),
            description,
            priority: column.get("priority").and_then(Value::as_i64).unwrap_or_default(),
            path: compiled,
        })
    }

    /// The first value the path finds, as the column's type; null if there is none or it is of another.
    fn cell(&self, object: &Value, context: &Context<'_>) -> Value {
        let found = self.path.find(object);
        let Some(value) = found.ok().and_then(|values| values.into_iter().next()) else { return Value::Null };
        match (self.r#type.as_str(), value.as_ref()) {
            ("string", Value::Array(_) | Value::Object(_)) => go_text::json(&value).into(),
            ("string", Value::Null) => "<no value>".into(),
            ("string", value) => go_text::percent_v(value).into(),
            ("integer", Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer.into(),
                (None, Some(float)) => (float as i64).into(),
                (None, None) => Value::Null,
            },
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.into_owned(),
            ("date", Value::String(time)) => match meta::time::parse(time) {
                Some(_) => since(Some(&value), context.now).into(),
                None => "<invalid>".into(),
            },
            _ => Value::Null,
        }
    }
}
