//! Custom resources as they are stored and as they are worked on.
//!
//! What comes from the store may have been written under another schema: it is pruned and defaulted by the schema of the
//! version it was stored in, then brought to the version of the request. Most objects need none of it, and an entry
//! remembers that: its bytes are then sent as they are ([`is_as_served`]).
//! Upstream: crdConversionRESTOptionsGetter.

use std::sync::{Arc, Mutex, PoisonError};

use api::meta;
use api::status::Status;
use api::structural;
use json::Value;
use store::Entry;

use super::convert;
use super::custom_resource::CustomResource;
use super::definition::Conversion;
use crate::context::Objects;
use crate::registry::store::decode;

/// Slot: what is known of an entry under one state of its definition, by version.
#[derive(Default)]
struct Known {
    identity: (String, i64),
    by_version: Vec<(usize, Facts)>,
}

/// What is known of an entry in one version.
#[derive(Clone, Default)]
struct Facts {
    /// Are its bytes what a reader of this version is to get?
    as_served: Option<bool>,
    /// What it can be selected by.
    selected_by: Option<Arc<[String]>>,
}

/// What is known of an entry in the version of the request, after `note` was told what is new.
fn known(custom: &CustomResource, entry: &Entry, note: impl FnOnce(&mut Facts)) -> Facts {
    let slot = entry.slot(|_| Mutex::<Known>::default());
    let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let identity = &custom.definition().identity;
    if known.identity != *identity {
        *known = Known { identity: identity.clone(), by_version: Vec::new() };
    }
    let version = custom.position();
    let position = known.by_version.iter().position(|(other, _)| *other == version).unwrap_or_else(|| {
        known.by_version.push((version, Facts::default()));
        known.by_version.len() - 1
    });
    let facts = &mut known.by_version[position].1;
    note(facts);
    facts.clone()
}

/// Are an entry's bytes what a reader of this version is to get? Found out once an entry and version.
pub(crate) fn is_as_served(custom: &CustomResource, entry: &Entry) -> bool {
    if let Some(as_served) = known(custom, entry, |_| {}).as_served {
        return as_served;
    }
    let api_version = custom.definition().api_version(custom.position());
    let as_served = decode(entry).is_ok_and(|object| {
        meta::api_version(&object) == api_version && {
            let mut settled = object.clone();
            settle(custom, &mut settled);
            settled == object
        }
    });
    known(custom, entry, |facts| facts.as_served = Some(as_served));
    as_served
}

/// Prunes and defaults an object by the schema of the version it is in.
fn settle(custom: &CustomResource, object: &mut Value) {
    let definition = custom.definition();
    let own = meta::api_version(object).rsplit('/').next().and_then(|version| definition.position(version));
    let Some(own) = own else { return };
    convert::coerce(definition, object, own);
    structural::default(object, definition.compiled(own).node.as_ref());
}

/// An entry's object in the version of the request.
///
/// # Errors
/// It cannot be decoded or converted.
pub(crate) async fn read(custom: &CustomResource, entry: &Entry, services: &dyn Objects) -> Result<Value, Status> {
    let object = decode(entry)?;
    if is_as_served(custom, entry) { Ok(object) } else { read_one(custom, object, services).await }
}

/// The same for objects as they were decoded, all at once.
///
/// # Errors
/// They cannot be converted.
pub(crate) async fn read_all(
    custom: &CustomResource,
    objects: Vec<Value>,
    services: &dyn Objects,
) -> Result<Vec<Value>, Status> {
    settled(custom, objects, services, true).await
}

/// The same for one object.
///
/// # Errors
/// It cannot be converted.
pub(crate) async fn read_one(custom: &CustomResource, object: Value, services: &dyn Objects) -> Result<Value, Status> {
    let mut read = settled(custom, vec![object], services, false).await?;
    read.pop().ok_or_else(|| Status::internal_error(&"a conversion lost an object"))
}

async fn settled(
    custom: &CustomResource,
    mut objects: Vec<Value>,
    services: &dyn Objects,
    as_list: bool,
) -> Result<Vec<Value>, Status> {
    objects.iter_mut().for_each(|object| settle(custom, object));
    convert::convert(custom.definition(), objects, custom.position(), services, as_list).await
}

/// The stored form of an object of the request's version.
///
/// # Errors
/// It cannot be converted.
pub(crate) async fn write(custom: &CustomResource, object: Value, services: &dyn Objects) -> Result<Value, Status> {
    let definition = custom.definition();
    let storage = definition.storage_position();
    if storage == custom.position() {
        return Ok(object);
    }
    let mut written = convert::convert(definition, vec![object], storage, services, false).await?;
    written.pop().ok_or_else(|| Status::internal_error(&"a conversion lost an object"))
}

/// May a webhook have to be asked to read an entry?
pub(crate) fn asks(custom: &CustomResource) -> bool {
    matches!(custom.definition().conversion, Conversion::Webhook(_))
}

/// An object in the version at a position, otherwise as it is, without asking anybody; None where a webhook would have to be
/// asked.
pub(crate) fn renamed(custom: &CustomResource, object: &Value, version: usize) -> Option<Value> {
    let mut object = object.clone();
    convert::rename(custom.definition(), std::slice::from_mut(&mut object), version)?;
    Some(object)
}

/// The same where a webhook has to be asked.
///
/// # Errors
/// It cannot be converted.
pub(crate) async fn convert_one(
    custom: &CustomResource,
    object: Value,
    version: usize,
    services: &dyn Objects,
) -> Result<Value, Status> {
    let mut converted = convert::ask(custom.definition(), vec![object], version, services, false).await?;
    converted.pop().ok_or_else(|| Status::internal_error(&"a conversion lost an object"))
}

/// An entry's object in a version, without asking anybody; None where a webhook would have to be asked.
pub(crate) fn read_now(custom: &CustomResource, entry: &Entry) -> Option<Value> {
    let mut object = decode(entry).ok()?;
    settle(custom, &mut object);
    convert::rename(custom.definition(), std::slice::from_mut(&mut object), custom.position())?;
    convert::coerce(custom.definition(), &mut object, custom.position());
    Some(object)
}

/// Has a webhook say what entries can be selected by in the version of the request, before [`selectable`] is asked. Entries that
/// it was asked about before, and those that need no webhook, cost a look.
///
/// # Errors
/// They cannot be converted.
pub(crate) async fn learn(
    custom: &CustomResource,
    entries: impl Iterator<Item = &Arc<Entry>>,
    services: &dyn Objects,
) -> Result<(), Status> {
    if !asks(custom) || custom.version().selectable.is_empty() {
        return Ok(());
    }
    let unknown =
        |entry: &&Arc<Entry>| known(custom, entry, |_| {}).selected_by.is_none() && !is_as_served(custom, entry);
    let entries: Vec<Arc<Entry>> = entries.filter(unknown).cloned().collect();
    if entries.is_empty() {
        return Ok(());
    }
    let objects = entries.iter().map(|entry| decode(entry)).collect::<Result<_, _>>()?;
    let read = read_all(custom, objects, services).await?;
    entries.iter().zip(&read).for_each(|(entry, object)| drop(remember(custom, entry, object)));
    Ok(())
}

/// Keeps what an entry can be selected by, given what it is in the version of the request.
pub(crate) fn remember(custom: &CustomResource, entry: &Entry, object: &Value) -> Arc<[String]> {
    let values: Arc<[String]> = custom.version().selectable.iter().map(|path| selected_by(object, path)).collect();
    known(custom, entry, |facts| facts.selected_by = Some(Arc::clone(&values)));
    values
}

/// The values of all fields an entry can be selected by, in the version of the request; read once for all who ask. Where that
/// takes a webhook, they are empty unless it was asked: [`learn`], [`remember`].
pub(crate) fn selectable<'a>(
    custom: &'a CustomResource,
    entry: &Entry,
    namespace: &'a str,
    name: &'a str,
) -> Vec<(&'a str, String)> {
    let read = || read_now(custom, entry).map(|object| remember(custom, entry, &object));
    let values = known(custom, entry, |_| {}).selected_by.or_else(read);
    let value = |index: usize| values.as_ref().and_then(|values| values.get(index)).cloned().unwrap_or_default();
    let own = custom.version().selectable.iter().enumerate().map(|(index, path)| (path.as_str(), value(index)));
    [("metadata.name", name.to_owned()), ("metadata.namespace", namespace.to_owned())].into_iter().chain(own).collect()
}

fn selected_by(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |value, step| value.get(step)) {
        None | Some(Value::Null) => String::new(),
        Some(value) => api::go_text::percent_v(value),
    }
}
