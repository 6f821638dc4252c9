//! Which objects of a resource a list, watch or deletecollection is about.
//!
//! Where a selection insists on one value of a label or of an indexed field, only the objects that have it are looked at
//! (`terms.rs`), and where it asks for nothing else not even they. Labels and selectable fields are read from an entry's bytes once and kept in its slots, so the cost of the
//! rest is a comparison per object, not a decode.
//! Upstream: storage.SelectionPredicate.

use api::selector::field::{self, Supported};
use api::selector::label;
use api::status::Status;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Entry, Snapshot, Term};

use super::resource::Resource;
use super::terms;
use crate::apiextensions::stored;
use crate::context::Objects;
use crate::endpoints::options::ListOptions;

/// A label and a field selector, checked against the resource.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    labels: label::Selector,
    fields: field::Selector,
    /// Set when a field selector asks for one name.
    name: Option<String>,
    /// Set when a field selector asks for one namespace.
    namespace: Option<String>,
    /// Some field beyond name and namespace is compared.
    looks_inside: bool,
    /// What every selected object has.
    term: Option<Term>,
    /// Whatever has the term is selected.
    term_says_all: bool,
}

/// Slot: the labels of an entry.
struct Labels(BTreeMap<String, String>);

/// Slot: the selectable fields of an entry.
struct Fields(Vec<(&'static str, String)>);

impl Selection {
    /// Of a request; `name` is that of the path (`/watch/` of one object).
    pub fn new(resource: &Resource, options: &ListOptions, name: &str) -> Result<Selection, Status> {
        let info = &resource.info;
        let supported = match resource.as_custom() {
            Some(custom) => Supported::custom(info.namespaced, custom.version().selectable.iter().map(String::as_str)),
            None => Supported::of(&info.group, &info.version, &info.kind),
        };
        let fields = options
            .field_selector
            .clone()
            .convert(&supported)
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let fields = if name.is_empty() {
            fields
        } else if fields.is_everything() {
            field::Selector::equal("metadata.name", name)
        } else if fields.requires_exact_match("metadata.name") == Some(name) {
            fields
        } else {
            return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
        };
        let term = terms::wanted(resource, &options.label_selector, &fields);
        Ok(Selection {
            name: fields.requires_exact_match("metadata.name").map(str::to_string),
            namespace: fields
                .requires_exact_match("metadata.namespace")
                .filter(|namespace| api::names::is_dns1123_label(namespace).is_empty())
                .map(str::to_string),
            looks_inside: fields
                .terms()
                .iter()
                .any(|term| !matches!(term.field.as_str(), "metadata.name" | "metadata.namespace")),
            term,
            term_says_all: term.is_some() && options.label_selector.requirements().len() + fields.terms().len() == 1,
            labels: options.label_selector.clone(),
            fields,
        })
    }

    /// Does it select everything?
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// The one name it asks for.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the keys of all selected objects begin with; `namespace` is the request's, "" for all, and then that of a field
    /// selector counts. Upstream: registry.Store.ListPredicate, WatchPredicate.
    pub fn prefix(&self, resource: &Resource, namespace: &str) -> String {
        let selected = self.namespace.as_deref().filter(|_| namespace.is_empty());
        resource.list_prefix(selected.unwrap_or(namespace))
    }

    /// The selected objects of a snapshot whose keys begin with `prefix`, in key order; only those after `start_after`, if it is given.
    pub fn among<'a>(
        &'a self,
        resource: &'a Resource,
        snapshot: &'a Snapshot,
        prefix: &'a str,
        start_after: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Entry>> + Send + 'a> {
        match self.term {
            Some(term) if self.term_says_all => Box::new(snapshot.find(term, prefix, start_after)),
            Some(term) => {
                Box::new(snapshot.find(term, prefix, start_after).filter(move |entry| self.matches(resource, entry)))
            }
            None if self.is_everything() => Box::new(snapshot.range(prefix, start_after)),
            None => Box::new(snapshot.range(prefix, start_after).filter(move |entry| self.matches(resource, entry))),
        }
    }

    /// Makes [`Selection::matches`] answer for these entries: fields of custom resources may take a webhook to be known.
    ///
    /// # Errors
    /// What the webhook, or what is wrong with it, says.
    pub(crate) async fn prepare(
        &self,
        resource: &Resource,
        entries: impl Iterator<Item = &Arc<Entry>>,
        services: &dyn Objects,
    ) -> Result<(), Status> {
        match resource.as_custom() {
            Some(custom) if self.looks_inside => stored::learn(custom, entries, services).await,
            _ => Ok(()),
        }
    }

    /// Is this entry selected? Not to be asked of the last value of what was deleted.
    pub fn matches(&self, resource: &Resource, entry: &Entry) -> bool {
        self.term.is_none_or(|term| entry.has(term))
            && (self.term_says_all || self.matches_fields(resource, entry) && self.matches_labels(entry))
    }

    fn matches_labels(&self, entry: &Entry) -> bool {
        self.labels.is_everything() || self.labels.matches(&entry.slot(read_labels).0)
    }

    fn matches_fields(&self, resource: &Resource, entry: &Entry) -> bool {
        if self.fields.is_everything() {
            return true;
        }
        let (namespace, name) = split_key(resource, &entry.key);
        if self.name.as_deref().is_some_and(|wanted| wanted != name) {
            return false;
        }
        if !self.looks_inside {
            return self.fields.matches_fields(&[("metadata.name", name), ("metadata.namespace", namespace)]);
        }
        match resource.as_custom() {
            Some(custom) => self.fields.matches_fields(&stored::selectable(custom, entry, namespace, name)),
            None => self.fields.matches_fields(&entry.slot(|entry| read_fields(resource, entry)).0),
        }
    }
}

/// Namespace ("" if none) and name in a key of the resource.
pub fn split_key<'a>(resource: &Resource, key: &'a str) -> (&'a str, &'a str) {
    let rest = key.get(resource.prefix.len()..).unwrap_or_default();
    if resource.info.namespaced { rest.split_once('/').unwrap_or(("", rest)) } else { ("", rest) }
}

fn read_labels(entry: &Entry) -> Labels {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        labels: Option<BTreeMap<String, String>>,
    }
    let object = json::from_slice::<Object>(&entry.value);
    Labels(object.ok().and_then(|object| object.metadata.labels).unwrap_or_default())
}

fn read_fields(resource: &Resource, entry: &Entry) -> Fields {
    Fields(field::fields_in(&resource.info.storage_group, &resource.info.kind, &entry.value))
}
