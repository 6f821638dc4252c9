//! Custom resources as they are stored and as they are worked on.
//!
//! What comes from the store may have been written under another schema: it is pruned and defaulted by the schema of the
//! version it was stored in, then brought to the version of the request. Most objects need none of it, and an entry
//! remembers that: its bytes are then sent as they are ([`is_as_served`]).
//! Upstream: crdConversionRESTOptionsGetter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::meta;
use api::status::Status;
use api::structural;
use serde_json::Value;
use store::Entry;

use super::convert;
use super::custom_resource::CustomResource;
use super::definition::Conversion;
use crate::context::Objects;
use crate::registry::store::decode;

/// Slot: under which state of which definition the entry was looked at, and whether reading it changes anything.
struct Looked {
    identity: (String, i64),
    version: String,
    as_served: bool,
}

/// Are an entry's bytes what a reader of this version is to get?
pub(crate) fn is_as_served(custom: &CustomResource, entry: &Entry) -> bool {
    let definition = custom.definition();
    let api_version = definition.api_version(custom.position());
    let look = |entry: &Entry| {
        let read = decode(entry).ok();
        let own = read.as_ref().is_some_and(|object| meta::api_version(object) == api_version);
        let as_served = own
            && read.is_some_and(|object| {
                let mut settled = object.clone();
                settle(custom, &mut settled);
                settled == object
            });
        Looked { identity: definition.identity.clone(), version: api_version.clone(), as_served }
    };
    let kept = entry.slot(look);
    if kept.identity == definition.identity && kept.version == api_version {
        return kept.as_served;
    }
    look(entry).as_served
}

/// Prunes and defaults an object by the schema of the version it is in.
fn settle(custom: &CustomResource, object: &mut Value) {
    let definition = custom.definition();
    let own = meta::api_version(object).rsplit('/').next().and_then(|version| definition.position(version));
    let Some(own) = own else { return };
    let node = definition.compiled(own).node.as_ref();
    structural::prune(object, node, true, false);
    structural::drop_nulls(object, node);
    structural::default(object, node);
}

/// An entry's object in the version of the request.
///
/// # Errors
/// It cannot be decoded or converted.
pub(crate) async fn read(custom: &CustomResource, entry: &Entry, services: &dyn Objects) -> Result<Value, Status> {
    read_one(custom, decode(entry)?, services).await
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
    let mut object = written.pop().ok_or_else(|| Status::internal_error(&"a conversion lost an object"))?;
    let node = definition.compiled(storage).node.as_ref();
    structural::prune(&mut object, node, true, false);
    structural::drop_nulls(&mut object, node);
    Ok(object)
}

/// May a webhook have to be asked to read an entry?
pub(crate) fn asks(custom: &CustomResource) -> bool {
    matches!(custom.definition().conversion, Conversion::Webhook(_))
}

/// Brings an object to a version without asking anybody; None where a webhook would have to be asked.
pub(crate) fn rename(custom: &CustomResource, object: &mut Value) -> Option<()> {
    convert::rename(custom.definition(), std::slice::from_mut(object), custom.position())
}

/// An entry's object in a version, without asking anybody; None where a webhook would have to be asked.
pub(crate) fn read_now(custom: &CustomResource, entry: &Entry) -> Option<Value> {
    let mut object = decode(entry).ok()?;
    settle(custom, &mut object);
    rename(custom, &mut object)?;
    Some(object)
}

/// Slot: what an entry can be selected by in the versions that were asked for, under one state of its definition.
#[derive(Default)]
struct Selectable {
    identity: (String, i64),
    by_version: HashMap<usize, Arc<[String]>>,
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
    let unknown = |entry: &&Arc<Entry>| known(custom, entry).is_none() && !is_as_served(custom, entry);
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
    let slot = entry.slot(|_| Mutex::<Selectable>::default());
    let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let identity = &custom.definition().identity;
    if known.identity != *identity {
        *known = Selectable { identity: identity.clone(), by_version: HashMap::new() };
    }
    known.by_version.insert(custom.position(), Arc::clone(&values));
    values
}

fn known(custom: &CustomResource, entry: &Entry) -> Option<Arc<[String]>> {
    let slot = entry.slot(|_| Mutex::<Selectable>::default());
    let known = slot.lock().unwrap_or_else(PoisonError::into_inner);
    (known.identity == custom.definition().identity).then(|| known.by_version.get(&custom.position()).cloned())?
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
    let values = known(custom, entry).or_else(read);
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
