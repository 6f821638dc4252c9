//! The one generic engine: every verb on every resource, on `store::Store` and the schema table.
//!
//! [`Engine`] reads ([`Engine::get`], [`Engine::snapshot`]) and writes (`create.rs`, `update.rs`, `delete.rs`). A write is
//! read, decide, compare-and-set: when another writer came between, it begins anew on what is there now. Nothing is locked,
//! nothing is held across an await but the request's own data; a request dropped midway has either committed or not.
//! Upstream: k8s.io/apiserver/pkg/registry/generic/registry.Store.

mod create;
mod delete;
mod metrics;
#[cfg(test)]
mod tests;
mod update;

pub use delete::Deleted;
pub(crate) use delete::check_preconditions;
pub use update::{Change, Mode, Present, Shown, Update};

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use api::decode::{Expected, FieldValidation};
use api::field::ErrorList;
use api::meta::{self, GroupKind};
use api::status::Status;
use bytes::Bytes;
use json::Value;
use store::{Committed, Draft, Entry, ErrorKind, Revision, Snapshot, Store, Timestamp, Txn, Unreadable};

use self::metrics::{Asked, Metrics};
use super::resource::{Resource, Resources};
use super::{codec, decoded, encode, protobuf, terms};
use crate::admission::Chain;
use crate::apiextensions::stored;
use crate::context::{Objects, RequestContext};

/// Upstream: genericregistry.OptimisticLockErrorMsg.
pub const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// How often a write begins anew because others wrote in between.
const ATTEMPTS: usize = 64;

/// See the module header.
#[derive(Debug)]
pub struct Engine {
    /// Where everything is.
    pub store: Arc<Store>,
    /// What is served.
    pub resources: Resources,
    /// Admission plugins.
    pub admission: Chain,
    /// Are custom resources CBOR in a store that others share? Upstream: the feature gate CBORServingAndStorage.
    pub cbor: bool,
    /// How the store's log does.
    pub(crate) metrics: Metrics,
}

/// An object to be sent, in its storage version.
#[derive(Debug, Clone)]
pub enum Served {
    /// From the store: its bytes are sent as they are.
    Entry(Arc<Entry>),
    /// The same, just written, and the object that was written, at whatever resourceVersion: nobody has to decode it again.
    Written(Arc<Entry>, Value),
    /// Not in the store: of a dry run, or computed.
    Object(Value),
}

impl Served {
    /// The JSON bytes of the object, storage version.
    pub fn bytes(&self) -> Bytes {
        match self {
            Served::Entry(entry) | Served::Written(entry, _) => entry.value.clone(),
            Served::Object(object) => encode::encode_served(object),
        }
    }

    /// The decoded object, storage version.
    pub fn to_value(&self) -> Result<Value, Status> {
        match self {
            Served::Entry(entry) | Served::Written(entry, _) => decode(entry),
            Served::Object(object) => Ok(object.clone()),
        }
    }

    /// The entry of an object that is in the store.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Served::Entry(entry) | Served::Written(entry, _) => Some(entry),
            Served::Object(_) => None,
        }
    }
}

/// Who finds out who owns the fields of an object that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The engine, from what changed.
    Tracked,
    /// An apply did: the entries are right, and the object may be created whatever its strategy says of updates.
    Applied,
    /// Nobody: the server itself writes, or who wrote has put the entries right.
    Kept,
}

/// What a write did.
#[derive(Debug)]
pub struct Written {
    /// The object afterwards.
    pub served: Served,
    /// Is it new?
    pub created: bool,
}

impl Engine {
    /// Serves the built-in resources from a store that was opened with [`crate::transform`].
    pub fn new(store: Arc<Store>, admission: Chain) -> Arc<Engine> {
        Engine::of(store, Resources::builtin(api::scheme::Scheme::builtin()), admission, false)
    }

    /// Serves these resources from such a store; see [`Engine::cbor`].
    pub fn of(store: Arc<Store>, resources: Resources, admission: Chain, cbor: bool) -> Arc<Engine> {
        Arc::new(Engine { store, resources, admission, cbor, metrics: Metrics::default() })
    }

    /// The newest object under a name, not older than every acknowledged write.
    pub async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Entry>, Status> {
        let key = resource.key(namespace, name);
        let snapshot = self.consistent(resource).await?;
        snapshot.get(&key).ok_or_else(|| missing(resource, &snapshot, &key, name))
    }

    /// A snapshot that shows every write acknowledged before the call.
    pub async fn consistent(&self, resource: &Resource) -> Result<Snapshot, Status> {
        let asking = self.store.consistent();
        let answer = if self.store.is_shared() {
            self.timed(Asked::CurrentRevision, resource, asking).await
        } else {
            asking.await
        };
        answer.map_err(|error| storage_error(resource, "", "get", &error))
    }

    /// Every write of an object goes to the store here.
    async fn commit(&self, asked: Asked, resource: &Resource, txn: Txn) -> Result<Committed, store::Error> {
        self.timed(asked, resource, self.store.commit(txn)).await
    }

    async fn timed<T>(
        &self,
        asked: Asked,
        resource: &Resource,
        asking: impl Future<Output = Result<T, store::Error>>,
    ) -> Result<T, store::Error> {
        let began = Instant::now();
        let answer = asking.await;
        self.metrics.asked(asked, resource, began.elapsed(), &answer);
        answer
    }

    /// An entry's object in the version it is worked on in: the stored one, or that of the request for custom resources.
    pub async fn read(&self, resource: &Resource, entry: &Entry) -> Result<Value, Status> {
        match resource.as_custom() {
            None => decode(entry),
            Some(custom) => stored::read(custom, entry, self).await,
        }
    }

    /// An entry as it is to be sent.
    pub async fn served(&self, resource: &Resource, entry: Arc<Entry>) -> Result<Served, Status> {
        match resource.as_custom() {
            Some(custom) if !stored::is_as_served(custom, &entry) => {
                stored::read(custom, &entry, self).await.map(Served::Object)
            }
            _ => Ok(Served::Entry(entry)),
        }
    }

    /// The form of an object that goes into the store.
    async fn written<'a>(&self, resource: &Resource, object: &'a Value) -> Result<Cow<'a, Value>, Status> {
        Ok(self.converted(resource, object).await?.map_or(Cow::Borrowed(object), Cow::Owned))
    }

    /// The same where it is another than the object.
    async fn converted(&self, resource: &Resource, object: &Value) -> Result<Option<Value>, Status> {
        match resource.as_custom() {
            Some(custom) if !resource.is_storage_version() => {
                stored::write(custom, object.clone(), self).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// An object of the storage version on its way into the store.
    pub(crate) fn drafted(&self, object: &Value) -> Draft {
        let layout = codec::Layout::of(self.store.is_shared(), self.cbor);
        // What has no place in protobuf is refused when it is validated; as JSON it is read by everybody.
        codec::draft(object, layout).unwrap_or_else(|error| {
            tracing::error!(%error, name = meta::name(object), "an object cannot be stored as protobuf");
            encode::encode(object).into()
        })
    }

    /// What a write made, as it is to be sent: what the store has of it, not what it was given.
    async fn outcome(&self, resource: &Resource, object: Value, entry: Option<Arc<Entry>>) -> Result<Served, Status> {
        match entry {
            Some(entry) if resource.is_custom() => self.served(resource, entry).await,
            Some(entry) => Ok(Served::Written(entry, object)),
            None => Ok(Served::Object(object)),
        }
    }

    /// What a write that is not made would have made, as it would be sent.
    async fn as_if_written(&self, resource: &Resource, object: Value) -> Result<Served, Status> {
        let Some(custom) = resource.as_custom() else { return Ok(Served::Object(object)) };
        let written = self.written(resource, &object).await?.into_owned();
        stored::read_one(custom, written, self).await.map(Served::Object)
    }

    /// The stored form of an object of the served version.
    pub fn to_storage(resource: &Resource, object: &mut Value) {
        if let Some(conversion) = &resource.conversion {
            (conversion.to_storage)(object);
            set_api_version(object, &resource.storage_api_version);
            as_written(object, resource.storage_target().map(Expected::Typed));
        }
    }

    /// The served form of a stored object.
    pub fn from_storage(resource: &Resource, object: &mut Value) {
        if let Some(conversion) = &resource.conversion {
            (conversion.from_storage)(object);
            set_api_version(object, &resource.api_version);
            as_written(object, resource.decode_target());
        }
    }

    /// Constant defaults, then those that depend on other fields.
    pub(crate) fn apply_defaults(resource: &Resource, object: &mut Value) {
        if let Some(schema) = resource.storage_schema() {
            api::default::apply(object, schema);
        }
        resource.strategy.default(object);
    }

    /// When an object written now disappears.
    fn expires(resource: &Resource, ctx: &RequestContext) -> Option<Timestamp> {
        let ttl = resource.rules.time_to_live?;
        let now = u64::try_from(ctx.now.as_millisecond()).unwrap_or_default();
        Some(Timestamp(now + u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Brings a converted object into the form its version is written in: order, zero values, nothing empty.
fn as_written(object: &mut Value, target: Option<Expected<'_>>) {
    if let Some(target) = target
        && let Ok(decoded) = api::decode::normalize(object, target, FieldValidation::Ignore)
    {
        *object = decoded.object;
    }
}

fn set_api_version(object: &mut Value, api_version: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion", api_version.into());
    }
}

/// The object of an entry, its resourceVersion included. What cannot be read is reported by its key, never dropped.
pub fn decode(entry: &Entry) -> Result<Value, Status> {
    json::from_slice(&entry.value).map_err(|error| {
        let mut status = Status::internal_error(&format!("unable to decode the stored object {}: {error}", entry.key));
        status.reason = api::status::Reason::StorageReadError;
        status
    })
}

/// Refuses an object, which is in the storage version: of a kind that two groups serve it names the storage version's group.
/// Upstream: rest.BeforeCreate, rest.BeforeUpdate.
fn invalid(resource: &Resource, object: &Value, errors: &ErrorList) -> Status {
    let group = meta::api_version(object).split_once('/').map_or("", |(group, _)| group);
    // A custom resource may be of a wrong kind, which is told here.
    let kind = if resource.is_custom() { meta::kind(object) } else { &resource.info.kind };
    Status::invalid(&GroupKind::new(group, kind), meta::name(object), errors)
}

/// What is said of an object that is not in a snapshot: it is not there, or it cannot be read. Upstream: storage.NewCorruptObjError.
pub(crate) fn missing(resource: &Resource, snapshot: &Snapshot, key: &str, name: &str) -> Status {
    match snapshot.unreadable(key).find(|object| &*object.key == key) {
        Some(object) => Status::internal_error(&unreadable(object)),
        None => Status::not_found(&resource.group_resource(), name),
    }
}

/// What is wrong with an object that cannot be read.
pub(crate) fn unreadable(object: &Unreadable) -> String {
    let Unreadable { key, reason, .. } = object;
    format!("StorageError: corrupt object, Code: 7, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {reason}")
}

/// What the store says, as clients hear it. Upstream: storage/errors.Interpret*Error.
pub fn storage_error(resource: &Resource, name: &str, operation: &str, error: &store::Error) -> Status {
    let group_resource = resource.group_resource();
    match error.kind {
        ErrorKind::KeyNotFound => Status::not_found(&group_resource, name),
        ErrorKind::KeyExists => Status::already_exists(&group_resource, name),
        ErrorKind::Conflict => Status::conflict(&group_resource, name, &MODIFIED),
        ErrorKind::Compacted => Status::resource_expired(format!("too old resource version: {}", error.revision.0)),
        ErrorKind::FutureRevision => Status::timeout("Too large resource version", 1),
        ErrorKind::Unreachable | ErrorKind::Timeout => {
            tracing::warn!(%error, operation, resource = %group_resource, "the store does not answer");
            Status::server_timeout(&group_resource, operation, 2)
        }
        ErrorKind::Invalid
        | ErrorKind::Corrupt
        | ErrorKind::Diverged
        | ErrorKind::Unsupported
        | ErrorKind::Locked
        | ErrorKind::NoSpace
        | ErrorKind::SyncFailed => {
            tracing::error!(%error, operation, resource = %group_resource, "the store refuses");
            Status::internal_error(error)
        }
    }
}

/// What was derived from an entry that another has taken the place of is given up: who has yet to see it is late, and few.
fn forget(superseded: &Entry) {
    protobuf::forget(superseded);
    decoded::forget(superseded);
}

impl Objects for Engine {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let resource = self.resources.stored(group, resource)?;
        decoded::object(&resource, &*self.store.snapshot().get(&resource.key(namespace, name))?)
    }

    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Value>> {
        let Some(resource) = self.resources.stored(group, resource) else { return Vec::new() };
        let prefix = resource.list_prefix(namespace);
        let snapshot = self.store.snapshot();
        // Most namespaces have none of what admission asks for at each write; that is known without a walk.
        if snapshot.count(&prefix) == 0 {
            return Vec::new();
        }
        snapshot.range(&prefix, None).filter_map(|entry| decoded::object(&resource, entry)).collect()
    }

    fn pods_on(&self, node: &str, namespace: &str) -> Vec<Arc<Value>> {
        let Some(resource) = self.resources.stored("", "pods") else { return Vec::new() };
        let snapshot = self.store.snapshot();
        let prefix = resource.list_prefix(namespace);
        let found =
            snapshot.find(terms::bound_to(node), &prefix, None).filter_map(|entry| decoded::object(&resource, entry));
        // Two nodes may share a term.
        found.filter(|pod| pod["spec"]["nodeName"] == node).collect()
    }

    fn draft(&self, object: &Value) -> Draft {
        self.drafted(object)
    }

    fn resources_of(&self, api_version: &str, kind: &str) -> Vec<Arc<Resource>> {
        self.resources.current().of_kind(api_version, kind).cloned().collect()
    }

    fn key_revision(&self, key: &str) -> Revision {
        self.store.snapshot().get(key).map_or(Revision::ZERO, |entry| entry.mod_revision)
    }
}

/// Is anything but these fields different?
fn content_differs(new: &Value, old: &Value, uncounted: &[&str]) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return new != old };
    let counted = |key: &&json::Text| !uncounted.contains(&key.as_str());
    new.keys().filter(counted).count() != old.keys().filter(counted).count()
        || new.iter().filter(|(key, _)| counted(key)).any(|(key, value)| old.get(key) != Some(value))
}

/// The revision in an object's metadata: None when it is absent or empty.
fn resource_version(object: &Value) -> Option<&str> {
    Some(meta::resource_version(object)).filter(|version| !version.is_empty())
}

/// Revisions as clients write them.
pub fn parse_resource_version(text: &str) -> Result<Revision, String> {
    if text.is_empty() {
        return Ok(Revision(0));
    }
    parse_revision(text).map_err(|why| format!("resourceVersion: Invalid value: {}: {why}", api::go_text::quote(text)))
}

/// A revision that must be one, or what Go says.
fn parse_revision(text: &str) -> Result<Revision, String> {
    text.parse::<u64>().map(Revision).map_err(|error| {
        let overflow = matches!(error.kind(), std::num::IntErrorKind::PosOverflow);
        let why = if overflow { "value out of range" } else { "invalid syntax" };
        format!("strconv.ParseUint: parsing {}: {why}", api::go_text::quote(text))
    })
}
