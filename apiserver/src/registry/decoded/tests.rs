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
