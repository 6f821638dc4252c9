//! The decoded object of an entry, kept beside its bytes for those that admission and authorization look at again and again.
//!
//! It takes some eight times the room of its JSON, so it goes when the object is written again, and what there may be very much of is
//! decoded for each look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use json::Value;
use store::Entry;

use super::resource::Resource;

/// Resources there may be very many of, or that are large: they are not kept.
const NOT_KEPT: [&str; 8] = [
    "configmaps",
    "controllerrevisions",
    "customresourcedefinitions",
    "endpointslices",
    "events",
    "pods",
    "replicasets",
    "secrets",
];

/// Slot: the object; nothing once it was given up.
#[derive(Default)]
struct Decoded(Mutex<Option<Arc<Value>>>);

impl Decoded {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Value>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object; None if it cannot be decoded.
pub(super) fn object(resource: &Resource, entry: &Entry) -> Option<Arc<Value>> {
    let decode = || json::from_slice(&entry.value).ok().map(Arc::new);
    if NOT_KEPT.contains(&resource.info.plural.as_ref()) {
        return decode();
    }
    let slot = entry.slot(|_| Decoded::default());
    if let Some(object) = slot.lock().clone() {
        return Some(object);
    }
    let object = decode()?;
    *slot.lock() = Some(Arc::clone(&object));
    Some(object)
}

/// Gives up the object of an entry that another has taken the place of.
pub(super) fn forget(entry: &Entry) {
    if let Some(decoded) = entry.made::<Decoded>() {
        *decoded.lock() = None;
    }
}

#[cfg(test)]
mod tests;
