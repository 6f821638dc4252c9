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
mod tests {
    use api::scheme::Scheme;
    use json::json;
    use store::{Txn, Window};

    use super::*;
    use crate::registry::codec;
    use crate::registry::resource::Resources;

    #[tokio::test]
    async fn an_object_is_kept_until_it_is_given_up_and_that_of_a_large_resource_is_not() {
        let resources = Resources::builtin(Scheme::builtin());
        let store = store::embedded::memory(Window::default(), codec::transform()).unwrap();
        let weak = async |plural: &str| {
            let resource = resources.get("", "v1", plural).unwrap();
            let key = resource.key("a", "b");
            let value =
                json!({"kind": resource.info.kind, "apiVersion": "v1", "metadata": {"name": "b", "namespace": "a"}});
            store.commit(Txn::create(key.as_str(), value.to_string(), None)).await.unwrap();
            let entry = store.snapshot().get(&key).unwrap();
            let kept = Arc::downgrade(&object(&resource, &entry).unwrap());
            (entry, kept)
        };
        let (service, kept) = weak("services").await;
        assert!(kept.upgrade().is_some());
        forget(&service);
        assert!(kept.upgrade().is_none());
        let (_pod, kept) = weak("pods").await;
        assert!(kept.upgrade().is_none());
    }
}
