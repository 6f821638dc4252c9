//! The columns of every built-in kind.
//!
//! One table a file, by area; the files beside them hold the cells that need a function. [`of`] looks through all of them.

mod cluster;
mod core;
mod networking;
mod pods;
mod workloads;

mod admission;
mod cells;

use super::Context;
use super::cell::Cell;
use json::{Value, json};
use std::cmp::Ordering;

/// The columns of a kind and what its rows have beside cells.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) columns: &'static [Column],
    /// Cells after those of the columns: upstream prints one too many for a kind.
    pub(crate) surplus: &'static [Cell],
    /// A row's conditions.
    pub(crate) conditions: Option<fn(&Value) -> Option<Value>>,
    /// A word about the whole list, for its cells.
    pub(crate) note: Option<fn(&[&Value]) -> String>,
    /// The order of a list's rows, where it is not the list's own.
    pub(crate) order: Option<fn(&Value, &Value) -> Ordering>,
}

/// A column. Upstream: metav1.TableColumnDefinition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) r#type: &'static str,
    pub(crate) format: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub(crate) priority: i32,
    pub(crate) cell: Cell,
}

const fn kind(group: &'static str, kind: &'static str, columns: &'static [Column]) -> Kind {
    Kind { group, kind, columns, surplus: &[], conditions: None, note: None, order: None }
}

const fn string(name: &'static str, cell: Cell) -> Column {
    Column { name, r#type: "string", format: "", priority: 0, cell }
}

const fn integer(name: &'static str, cell: Cell) -> Column {
    Column { name, r#type: "integer", format: "", priority: 0, cell }
}

const fn boolean(name: &'static str, cell: Cell) -> Column {
    Column { name, r#type: "boolean", format: "", priority: 0, cell }
}

/// Shown with `-o wide` only.
const fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

const fn named(column: Column) -> Column {
    Column { format: "name", ..column }
}

const NAME: Column = named(string("Name", Cell::Text("metadata.name")));
const AGE: Column = string("Age", Cell::Since("metadata.creationTimestamp", "<unknown>"));
const CREATED_AT: Column = Column {
    name: "Created At",
    r#type: "date",
    format: "",
    priority: 0,
    cell: Cell::TextOr("metadata.creationTimestamp", "0001-01-01T00:00:00Z"),
};
const CONTAINERS: Column = wide(string("Containers", Cell::JoinField("spec.template.spec.containers", "name")));
const IMAGES: Column = wide(string("Images", Cell::JoinField("spec.template.spec.containers", "image")));
const SELECTOR: Column = wide(string("Selector", Cell::LabelSelector("spec.selector")));
const SELECTED_LABELS: Column = wide(string("Selector", Cell::Labels("spec.selector")));
/// Pods wanted, there and ready, of what counts replicas.
const DESIRED: Column = integer("Desired", Cell::Integer("spec.replicas"));
const CURRENT: Column = integer("Current", Cell::Integer("status.replicas"));
const READY: Column = integer("Ready", Cell::Integer("status.readyReplicas"));
const READY_OF_DESIRED: Column = string("Ready", Cell::Ratio("status.readyReplicas", "spec.replicas"));
const STORAGE_CLASS: Column = string("StorageClass", Cell::Call(cells::storage_class));
const VOLUME_STATUS: Column = string("Status", Cell::Call(cells::phase_or_terminating));
const VOLUME_ATTRIBUTES_CLASS: Column =
    string("VolumeAttributesClass", Cell::TextOr("spec.volumeAttributesClassName", "<unset>"));
const VOLUME_MODE: Column = wide(string("VolumeMode", Cell::TextOr("spec.volumeMode", "<unset>")));

/// Kinds without columns of their own. Upstream: rest.NewDefaultTableConvertor.
static DEFAULT: Kind = kind("", "", &[NAME, CREATED_AT]);

const TABLES: &[&[Kind]] = &[core::KINDS, workloads::KINDS, networking::KINDS, cluster::KINDS, admission::KINDS];

/// The columns of a kind, by default name and creation time.
pub(crate) fn of(group: &str, kind: &str) -> &'static Kind {
    TABLES.iter().copied().flatten().find(|k| k.group == group && k.kind == kind).unwrap_or(&DEFAULT)
}

impl Kind {
    /// Has it no columns of its own?
    pub(crate) fn is_default(&self) -> bool {
        self.kind.is_empty()
    }

    pub(crate) fn cells(&self, object: &Value, context: &Context<'_>) -> Vec<Value> {
        let columns = self.columns.iter().map(|column| &column.cell);
        columns.chain(self.surplus).map(|cell| cell.value(object, context)).collect()
    }
}

impl Column {
    pub(crate) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.r#type,
            "format": self.format,
            "description": "",
            "priority": self.priority,
        })
    }
}

/// Every kind with columns of its own.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static Kind> {
    TABLES.iter().copied().flatten()
}
