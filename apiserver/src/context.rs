//! What is known about one request below the filters: who asks, what for, when, and which other objects may be looked at.
//!
//! Strategies and admission plugins get a [`RequestContext`]; they never see sockets, headers or the store itself.
//! Upstream: k8s.io/apiserver/pkg/endpoints/request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::audit::Record;
use crate::authentication::UserInfo;

/// Read access to the newest committed objects, decoded in their storage version. Cheap: no I/O, no lock held.
pub trait Objects: Send + Sync {
    /// One object; `namespace` is "" for cluster-scoped resources.
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;
    /// All objects of a resource, of one namespace unless `namespace` is "".
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>>;
    /// The pods bound to a node, of one namespace unless `namespace` is "". Others are not looked at.
    fn pods_on(&self, node: &str, namespace: &str) -> Vec<Arc<Value>> {
        let mut pods = self.list("", "pods", namespace);
        pods.retain(|pod| pod["spec"]["nodeName"] == node);
        pods
    }
    /// An object of the storage version, as the store wants it: for what is written with another one.
    fn draft(&self, object: &Value) -> store::Draft {
        crate::registry::encode::encode(object).into()
    }
    /// When a raw key of the store was last written; zero if it is not there. For allocations, which are keys and no objects.
    fn key_revision(&self, key: &str) -> store::Revision {
        let _ = key;
        store::Revision::ZERO
    }
}

/// One request, as strategies and admission see it.
pub struct RequestContext {
    /// The user after impersonation.
    pub user: UserInfo,
    /// The resource addressed, parsed from the path.
    pub target: Target,
    /// The one clock reading of this request (creationTimestamp, deletionTimestamp, managedFields).
    pub now: Timestamp,
    /// `?dryRun=All`: everything happens, nothing is committed and nothing outside is touched.
    pub dry_run: bool,
    /// `?fieldManager=`, or the first part of User-Agent.
    pub field_manager: String,
    /// Other objects, for admission and for strategies that must look around.
    pub objects: Arc<dyn Objects>,
    warnings: Mutex<Vec<String>>,
    /// Where the audit log has a record of the request.
    pub(crate) audit: Option<Arc<Record>>,
}

/// What a resource request addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// API group, "" for core.
    pub group: String,
    /// API version of the URL.
    pub version: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource or "".
    pub subresource: String,
    /// Namespace or "".
    pub namespace: String,
    /// Object name or "".
    pub name: String,
}

impl RequestContext {
    /// A context at the present time, not a dry run.
    pub fn new(user: UserInfo, target: Target, objects: Arc<dyn Objects>) -> RequestContext {
        RequestContext {
            user,
            target,
            now: Timestamp::now(),
            dry_run: false,
            field_manager: String::new(),
            objects,
            warnings: Mutex::default(),
            audit: None,
        }
    }

    /// The same request about one object of a collection; warnings are its own.
    pub(crate) fn for_object(&self, namespace: &str, name: &str) -> RequestContext {
        let target = Target { namespace: namespace.to_string(), name: name.to_string(), ..self.target.clone() };
        RequestContext {
            now: self.now,
            audit: self.audit.clone(),
            dry_run: self.dry_run,
            field_manager: self.field_manager.clone(),
            ..RequestContext::new(self.user.clone(), target, Arc::clone(&self.objects))
        }
    }

    /// Adds a line sent back as a `Warning: 299` header. Repeats are dropped.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Shows the audit log the object the request is about.
    pub(crate) fn audited(&self, object: &Value) {
        if let Some(record) = &self.audit {
            record.request_object(object);
        }
    }

    /// As [`Self::audited`], of a body that is no object by itself: a patch.
    pub(crate) fn audited_text(&self, text: &[u8]) {
        if let Some(record) = &self.audit {
            record.request_text(text);
        }
    }

    /// Adds an annotation to the request's audit event, where there is one. Upstream: audit.AddAuditAnnotation.
    pub fn audit_annotation(&self, key: &str, value: impl Into<String>) {
        if let Some(record) = &self.audit {
            record.annotate(key, value);
        }
    }

    /// The warnings so far, taken out.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `now` as metav1.Time writes it: whole seconds, UTC.
    pub fn timestamp(&self) -> String {
        format_time(self.now)
    }
}

/// metav1.Time's form: RFC 3339, whole seconds, `Z`.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("user", &self.user)
            .field("target", &self.target)
            .field("now", &self.now)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
