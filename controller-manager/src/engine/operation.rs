//! What a controller wants done, as values: the language of every plan.
//!
//! A plan holds operations in the order they must happen. They are printable (tests compare them as YAML), carry whole
//! objects as JSON and say which event to record when they succeed or fail. Nothing here talks to the API server:
//! [`super::apply::Applier`] does.

use std::borrow::Cow;
use std::time::Duration;

use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};

/// A resource as the API server addresses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: Cow<'static, str>,
    /// Version within the group.
    pub version: Cow<'static, str>,
    /// Plural name, as in the URL.
    pub plural: Cow<'static, str>,
    /// Kind, as in an object's `kind` field.
    pub kind: Cow<'static, str>,
}

impl Resource {
    /// The resource of a typed kind.
    pub const fn of<K: k8s_openapi::Resource>() -> Self {
        Self {
            group: Cow::Borrowed(K::GROUP),
            version: Cow::Borrowed(K::VERSION),
            plural: Cow::Borrowed(K::URL_PATH_SEGMENT),
            kind: Cow::Borrowed(K::KIND),
        }
    }

    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The URL path of the collection (empty `name`) or of one object, below `namespace` unless that is empty.
    pub fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        for segment in [&*self.plural, name, subresource] {
            if !segment.is_empty() {
                path.push('/');
                path.push_str(segment);
            }
        }
        path
    }
}

/// How a patch body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/merge-patch+json`
    Merge,
    /// `application/json-patch+json`
    Json,
}

impl PatchKind {
    /// The media type sent with the patch.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// `DeleteOptions`, the part controllers use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Delete only the object with this uid.
    pub uid: Option<String>,
    /// Delete only this version of the object.
    pub resource_version: Option<String>,
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: Option<&'static str>,
    /// Overrides the pod's grace period.
    pub grace_period_seconds: Option<i64>,
}

impl DeleteOptions {
    /// The request body.
    pub fn body(&self) -> Value {
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1"});
        if let Some(seconds) = self.grace_period_seconds {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        if let Some(policy) = self.propagation {
            body["propagationPolicy"] = json!(policy);
        }
        if let Some(uid) = &self.uid {
            body["preconditions"]["uid"] = json!(uid);
        }
        if let Some(rv) = &self.resource_version {
            body["preconditions"]["resourceVersion"] = json!(rv);
        }
        body
    }
}

/// One request that changes state.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// POST.
    Create {
        /// What to create.
        object: Value,
    },
    /// PUT of the whole object, under its resourceVersion.
    Update {
        /// The new object.
        object: Value,
    },
    /// PATCH.
    Patch {
        /// How to read `body`.
        kind: PatchKind,
        /// The patch.
        body: Value,
    },
    /// DELETE.
    Delete {
        /// Preconditions, propagation and grace.
        options: DeleteOptions,
    },
}

/// An event of the core API, to be recorded about `regarding`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The object it is about.
    pub regarding: ObjectReference,
    /// `Warning` if true, else `Normal`.
    pub warning: bool,
    /// Upstream's reason.
    pub reason: &'static str,
    /// Upstream's message. In an [`Announce`], `{name}` and `{error}` are filled in from the outcome.
    pub message: String,
}

/// Events that depend on how a write went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announce {
    /// Recorded when the write succeeds.
    pub success: Option<Box<Event>>,
    /// Recorded when it fails, unless the namespace is being terminated or the object is already gone.
    pub failure: Option<Box<Event>>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Change an object.
    Write(Write),
    /// Record an event.
    Event(Event),
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The resource addressed.
    pub resource: Resource,
    /// Its namespace, empty for cluster-scoped ones.
    pub namespace: String,
    /// The object's name; empty when created under a generated name.
    pub name: String,
    /// The subresource, or empty.
    pub subresource: &'static str,
    /// What to do.
    pub action: Action,
    /// Which events follow.
    pub announce: Announce,
}

impl Write {
    fn on<K: Metadata<Ty = ObjectMeta>>(metadata: &ObjectMeta, subresource: &'static str, action: Action) -> Self {
        Self {
            resource: Resource::of::<K>(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            subresource,
            action,
            announce: Announce::default(),
        }
    }

    /// Creates `object`.
    pub fn create<K: Metadata<Ty = ObjectMeta> + Serialize>(object: &K) -> Self {
        Self::on::<K>(object.metadata(), "", Action::Create { object: to_value(object) })
    }

    /// Replaces `object`.
    pub fn update<K: Metadata<Ty = ObjectMeta> + Serialize>(object: &K) -> Self {
        Self::on::<K>(object.metadata(), "", Action::Update { object: to_value(object) })
    }

    /// Replaces the status of `object`.
    pub fn update_status<K: Metadata<Ty = ObjectMeta> + Serialize>(object: &K) -> Self {
        Self::on::<K>(object.metadata(), "status", Action::Update { object: to_value(object) })
    }

    /// Patches the object `metadata` names.
    pub fn patch<K: Metadata<Ty = ObjectMeta>>(metadata: &ObjectMeta, kind: PatchKind, body: Value) -> Self {
        Self::on::<K>(metadata, "", Action::Patch { kind, body })
    }

    /// Patches the status of the object `metadata` names.
    pub fn patch_status<K: Metadata<Ty = ObjectMeta>>(metadata: &ObjectMeta, kind: PatchKind, body: Value) -> Self {
        Self::on::<K>(metadata, "status", Action::Patch { kind, body })
    }

    /// Deletes the object `metadata` names, whatever its uid.
    pub fn delete<K: Metadata<Ty = ObjectMeta>>(metadata: &ObjectMeta) -> Self {
        Self::delete_with::<K>(metadata, DeleteOptions::default())
    }

    /// Deletes the object `metadata` names under `options`.
    pub fn delete_with<K: Metadata<Ty = ObjectMeta>>(metadata: &ObjectMeta, options: DeleteOptions) -> Self {
        Self::on::<K>(metadata, "", Action::Delete { options })
    }

    /// Records `event` once the write succeeded.
    pub fn announce_success(mut self, event: Event) -> Self {
        self.announce.success = Some(Box::new(event));
        self
    }

    /// Records `event` if the write fails.
    pub fn announce_failure(mut self, event: Event) -> Self {
        self.announce.failure = Some(Box::new(event));
        self
    }
}

impl From<Write> for Operation {
    fn from(write: Write) -> Self {
        Self::Write(write)
    }
}

impl From<Event> for Operation {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

/// What `plan` returns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Steps, in order; the first that fails ends the plan.
    pub operations: Vec<Operation>,
    /// Look again after this time even if nothing changes.
    pub requeue_after: Option<Duration>,
}

impl Plan {
    /// Adds a step.
    pub fn push(&mut self, operation: impl Into<Operation>) {
        self.operations.push(operation.into());
    }

    /// Asks to be run again after `duration`, or sooner if already asked for.
    pub fn requeue_after(&mut self, duration: Duration) {
        self.requeue_after = Some(self.requeue_after.map_or(duration, |earlier| earlier.min(duration)));
    }
}

/// A typed object as JSON.
pub fn to_value<T: Serialize>(object: &T) -> Value {
    serde_json::to_value(object).expect("API types have string keys and serialise to JSON")
}
