//! How many watch what: who writes pays a seat for them ([`super::work`]).
//!
//! Watches of pods of one node are left out: an event is sorted by node before it reaches them.
//! Upstream: k8s.io/apiserver/pkg/util/flowcontrol.WatchTracker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::filters::request_info::RequestInfo;

/// What is watched: a resource, a namespace of it, or one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Watched {
    group: String,
    resource: String,
    namespace: String,
    name: String,
}

impl Watched {
    fn of(info: &RequestInfo) -> Watched {
        Watched {
            group: info.api_group.clone(),
            resource: info.resource.clone(),
            namespace: info.namespace.clone(),
            name: info.name.clone(),
        }
    }
}

/// The number of watches by what they watch. None is there with nobody left.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<Watched, u32>>);

impl Watchers {
    /// Counts a watch until what is returned is dropped.
    pub(super) fn count(self: &Arc<Self>, info: &RequestInfo) -> Option<Watching> {
        if is_sorted_out(info) {
            return None;
        }
        let what = Watched::of(info);
        *self.locked().entry(what.clone()).or_default() += 1;
        Some(Watching { watchers: Arc::clone(self), what })
    }

    /// Those a write tells of it.
    pub(super) fn interested(&self, info: &RequestInfo) -> u32 {
        let counts = self.locked();
        if counts.is_empty() {
            return 0;
        }
        // The object itself, then what holds it; each counts once.
        let mut what = Watched::of(info);
        let count = |what: &Watched| counts.get(what).copied().unwrap_or_default();
        let mut sum = count(&what);
        if !std::mem::take(&mut what.name).is_empty() {
            sum += count(&what);
        }
        if !std::mem::take(&mut what.namespace).is_empty() {
            sum += count(&what);
        }
        sum
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Watched, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Upstream: builtinIndexes. Those of a name are found by their name already.
fn is_sorted_out(info: &RequestInfo) -> bool {
    let node = info.field_selector.split(',').find_map(|term| term.strip_prefix("spec.nodeName="));
    info.resource == "pods" && node.is_some_and(|node| !node.trim_start_matches('=').is_empty())
}

/// A watch that is counted.
#[derive(Debug)]
pub(crate) struct Watching {
    watchers: Arc<Watchers>,
    what: Watched,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counts = self.watchers.locked();
        if let Some(count) = counts.get_mut(&self.what) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::query::Query;

    fn info(target: &str) -> RequestInfo {
        let uri: http::Uri = target.parse().unwrap();
        let query = Query::parse(uri.query().unwrap_or_default());
        RequestInfo::parse(&http::Method::GET, &uri, &query).unwrap()
    }

    #[test]
    fn a_write_is_told_to_who_watches_all_of_it_its_namespace_or_itself() {
        let watchers = Arc::new(Watchers::default());
        let targets = [
            "/api/v1/pods?watch=1",
            "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D",
            "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn",
            "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D%3Dn",
            "/api/v1/namespaces/a/pods?watch=1",
            "/api/v1/namespaces/a/pods?watch=1&fieldSelector=metadata.name%3Dp",
            "/api/v1/namespaces/b/pods?watch=1",
            "/apis/x.io/v1/namespaces/a/pods?watch=1",
        ];
        let counted: Vec<_> = targets.iter().filter_map(|target| watchers.count(&info(target))).collect();
        assert_eq!(counted.len(), 6);
        let told = |target| watchers.interested(&info(target));
        assert_eq!(told("/api/v1/namespaces/a/pods/p"), 4);
        assert_eq!(told("/api/v1/namespaces/a/pods/q"), 3);
        assert_eq!(told("/api/v1/namespaces/c/pods/p"), 2);
        assert_eq!(told("/api/v1/namespaces/a/secrets/p"), 0);
        drop(counted);
        assert_eq!(told("/api/v1/namespaces/a/pods/p"), 0);
        assert!(watchers.locked().is_empty());
    }
}
