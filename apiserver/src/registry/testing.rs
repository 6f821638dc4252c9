//! Objects and requests for the tests of strategies, authorizers and admission plugins.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::meta;
use json::Value;

use crate::authentication::UserInfo;
use crate::context::{Objects, RequestContext, Target};

/// Objects by (resource, namespace, name); the resource is the plural of their kind, whatever the group.
#[derive(Debug, Default)]
pub(crate) struct Fixture(BTreeMap<(String, String, String), Arc<Value>>);

impl Fixture {
    pub(crate) fn new(objects: impl IntoIterator<Item = Value>) -> Fixture {
        let key = |object: &Value| {
            (plural(meta::kind(object)), meta::namespace(object).to_owned(), meta::name(object).to_owned())
        };
        Fixture(objects.into_iter().map(|object| (key(&object), Arc::new(object))).collect())
    }
}

fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    match kind.as_str() {
        "endpoints" => kind,
        _ if kind.ends_with("ss") => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

impl Objects for Fixture {
    fn get(&self, _group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.get(&(resource.to_owned(), namespace.to_owned(), name.to_owned())).cloned()
    }

    fn list(&self, _group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        let wanted = |key: &(String, String, String)| key.0 == resource && (namespace.is_empty() || key.1 == namespace);
        self.0.iter().filter(|(key, _)| wanted(key)).map(|(_, object)| object.clone()).collect()
    }
}

/// A request of a member of system:masters on `resource` (`pods`, `deployments.apps`, `pods/status`), over `objects`.
pub(crate) fn context(
    resource: &str,
    namespace: &str,
    name: &str,
    objects: impl IntoIterator<Item = Value>,
) -> RequestContext {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let target = Target {
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    RequestContext::new(UserInfo::new("admin", &["system:masters"]), target, Arc::new(Fixture::new(objects)))
}
