//! What stands in the store for an object, both ways.
//!
//! A store of our own keeps the JSON that is served. One that others share is laid out as upstream does it: protobuf for built-in kinds,
//! JSON for what other servers of upstream's keep ([`IN_JSON`]), and for custom resources JSON or CBOR ([`Layout`]). Reading takes any of
//! these wherever it is found, in the storage version or in another that we know.
//!
//! Keys that belong to no resource (allocations, leases of servers) are nobody's objects and stay the bytes they are.
//! Upstream: server/storage.NewStorageCodec and what each server sets it to.

mod definition;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use api::decode::{FieldValidation, Target, normalize};
use api::protobuf::{self, Envelope};
use api::scheme::{ResourceInfo, Scheme};
use bytes::Bytes;
use json::Value;
use store::{Decoded, Draft, Revision, Transform, Undecodable};

use super::strategy::Strategy;
use super::{conversion, encode, list, terms};

const ROOT: &str = "/registry/";
/// What protobuf in a store begins with.
const MAGIC: &[u8] = b"k8s\0";

/// Groups whose objects upstream stores as JSON.
const IN_JSON: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// Kinds and the older versions upstream still stores them in, which differ from the storage version here in nothing but their name
/// and fields that nobody fills any more.
const SAME_FIELDS: [(&str, &str); 4] = [
    ("ClusterTrustBundle", "certificates.k8s.io/v1beta1"),
    ("DeviceTaintRule", "resource.k8s.io/v1beta2"),
    ("PodCertificateRequest", "certificates.k8s.io/v1beta1"),
    ("StorageVersionMigration", "storagemigration.k8s.io/v1beta1"),
];

/// What objects are stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// JSON, which is served as it stands.
    Own,
    /// As upstream does it.
    Upstream,
    /// As upstream does it with the feature gate CBORServingAndStorage: custom resources are CBOR.
    UpstreamCbor,
}

impl Layout {
    /// The layout of a store that is shared or not; `cbor` is the feature gate.
    pub(crate) fn of(shared: bool, cbor: bool) -> Layout {
        match (shared, cbor) {
            (false, _) => Layout::Own,
            (true, false) => Layout::Upstream,
            (true, true) => Layout::UpstreamCbor,
        }
    }
}

/// The transform a store must be opened with to be served by this crate.
pub fn transform() -> Arc<dyn Transform> {
    Arc::new(Objects)
}

/// An object of the storage version on its way into a store.
pub(crate) fn draft(object: &Value, layout: Layout) -> Result<Draft, protobuf::Error> {
    let json = encode::encode(object);
    let stored = if layout == Layout::Own {
        json.clone()
    } else {
        match stored_as(object) {
            StoredAs::Protobuf(schema) => protobuf::encode(object, schema)?.into(),
            StoredAs::Custom if layout == Layout::UpstreamCbor => without_revision(object).into(),
            StoredAs::Custom | StoredAs::Json => json.clone(),
        }
    };
    Ok(Draft { stored, ready: Some(Decoded { value: json, terms: terms::of_object(object) }) })
}

/// What is stored in another form than it is kept in: for moving between stores.
pub fn restore(key: &str, stored: &Bytes, shared: bool) -> Result<Bytes, Undecodable> {
    let Some(kept) = kept(key) else { return Ok(stored.clone()) };
    let object = read(kept, stored)?;
    let draft = draft(&object, Layout::of(shared, false)).map_err(|error| Undecodable(error.to_string()))?;
    Ok(draft.stored)
}

/// What upstream stores an object as.
enum StoredAs {
    Protobuf(api::schema::Schema<'static>),
    Json,
    Custom,
}

fn stored_as(object: &Value) -> StoredAs {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let api_version = text("apiVersion");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if IN_JSON.contains(&group) {
        return StoredAs::Json;
    }
    Scheme::builtin().kind(group, version, text("kind")).map_or(StoredAs::Custom, StoredAs::Protobuf)
}

/// An object in CBOR; the store knows its revision.
fn without_revision(object: &Value) -> Vec<u8> {
    let mut object = object.clone();
    if let Some(metadata) = api::meta::metadata_mut(&mut object) {
        metadata.shift_remove("resourceVersion");
    }
    api::cbor::encode_sorted(&object)
}

/// Decodes stored objects, and writes their revision into what is served.
#[derive(Debug)]
struct Objects;

impl Transform for Objects {
    fn decode(&self, key: &str, stored: &Bytes) -> Result<Decoded, Undecodable> {
        let kept = kept(key);
        if let Some(metadata) = encode::metadata(stored)
            && kept.is_none_or(|kept| encode::is_of(stored, &kept.api_version))
        {
            // Upstream ends what it stores in JSON with a line, which has no place in the line of an event.
            let value = stored.slice(..stored.trim_ascii_end().len());
            return Ok(Decoded { value, terms: terms::of(key, stored, metadata) });
        }
        match kept {
            Some(kept) => read(kept, stored).map(|object| decoded(&object)),
            None if is_custom(key) => custom(stored).map(|object| decoded(&object)),
            None => Ok(Decoded { value: stored.clone(), terms: Box::default() }),
        }
    }

    fn serve(&self, _key: &str, value: Bytes, mod_revision: Revision) -> Bytes {
        encode::serve(value, mod_revision)
    }

    fn serve_deleted(&self, _key: &str, served: &Bytes, revision: Revision) -> Bytes {
        encode::at_revision(served, revision)
    }
}

fn decoded(object: &Value) -> Decoded {
    Decoded { value: encode::encode(object), terms: terms::of_object(object) }
}

/// A built-in kind that is stored.
struct Kept {
    /// Its storage version.
    target: Target<'static>,
    api_version: String,
    strategy: &'static dyn Strategy,
}

/// An object of a built-in kind, in its storage version and with its defaults: some are not in protobuf, and older servers knew fewer.
fn read(kept: &Kept, stored: &Bytes) -> Result<Value, Undecodable> {
    let mut object = in_storage_version(kept, stored)?;
    api::default::apply(&mut object, kept.target.schema);
    kept.strategy.default(&mut object);
    Ok(object)
}

fn in_storage_version(kept: &Kept, stored: &Bytes) -> Result<Value, Undecodable> {
    let mut object = if stored.starts_with(MAGIC) { message(kept, stored)? } else { custom(stored)? };
    let (kind, found) = (kept.target.kind, object["apiVersion"].as_str().unwrap_or_default().to_owned());
    if found == kept.api_version {
        return Ok(object);
    }
    if (kind, found.as_str()) == (definition::KIND, definition::OLDER) {
        definition::to_v1(&mut object);
    } else if !SAME_FIELDS.contains(&(kind, &found)) {
        let conversion = conversion::between(&kept.api_version, &found, kind);
        (conversion.ok_or_else(|| unknown(&found, kind))?.to_storage)(&mut object);
    }
    object["apiVersion"] = kept.api_version.as_str().into();
    Ok(object)
}

/// An object in protobuf, in the version it says.
fn message(kept: &Kept, stored: &Bytes) -> Result<Value, Undecodable> {
    let refused = |error: protobuf::Error| Undecodable(error.to_string());
    let Envelope { api_version, kind, raw } = Envelope::read(stored).map_err(refused)?;
    if kind != kept.target.kind {
        return Err(unknown(&api_version, &kind));
    }
    let target = if api_version == kept.api_version || SAME_FIELDS.contains(&(&kind, &api_version)) {
        kept.target
    } else {
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let schema = Scheme::builtin().kind(group, version, &kind).ok_or_else(|| unknown(&api_version, &kind))?;
        Target { group, version, kind: kept.target.kind, schema }
    };
    let mut object = protobuf::decode(raw, target.schema).map_err(refused)?;
    object["apiVersion"] =
        if target.group.is_empty() { target.version.into() } else { [target.group, target.version].join("/").into() };
    object["kind"] = target.kind.into();
    // Which zero values are shown, and in which order, is said there.
    let object = normalize(&object, target, FieldValidation::Ignore);
    object.map(|decoded| decoded.object).map_err(|error| Undecodable(error.to_string()))
}

fn unknown(api_version: &str, kind: &str) -> Undecodable {
    Undecodable(format!("no kind {kind:?} of version {api_version:?} is known here"))
}

/// An object in JSON, or in CBOR: what upstream writes with the feature gate CBORServingAndStorage.
fn custom(stored: &Bytes) -> Result<Value, Undecodable> {
    let object = if stored.starts_with(api::cbor::MAGIC) {
        api::cbor::decode(stored).map_err(|error| error.to_string())
    } else {
        json::from_slice::<Value>(stored).map_err(|error| error.to_string())
    };
    match object {
        Ok(object)
            if object["metadata"].is_object() && object["kind"].is_string() && object["apiVersion"].is_string() =>
        {
            Ok(object)
        }
        Ok(_) => Err(Undecodable("couldn't get version/kind; it is not an object".to_owned())),
        Err(why) => Err(Undecodable(why)),
    }
}

/// The built-in kind a key belongs to.
fn kept(key: &str) -> Option<&'static Kept> {
    static BY_PREFIX: OnceLock<HashMap<&'static str, Kept>> = OnceLock::new();
    let by_prefix = BY_PREFIX.get_or_init(|| {
        let stored = Scheme::builtin().all_resources().filter(|info| !info.key_prefix.is_empty());
        let kept = |info: &'static ResourceInfo| {
            let (group, version) = (info.storage_group.as_ref(), info.storage_version.as_ref());
            let target = Target::builtin(group, version, &info.kind)?;
            let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            let strategy = list::strategy(group, &info.plural);
            Some((info.key_prefix.as_ref(), Kept { target, api_version, strategy }))
        };
        stored.filter_map(kept).collect()
    });
    let mut folders = key.get(ROOT.len()..)?.match_indices('/').take(2).map(|(at, _)| &key[..ROOT.len() + at]);
    folders.find_map(|folder| by_prefix.get(folder))
}

/// Custom resources lie under their group, whose name has a dot.
fn is_custom(key: &str) -> bool {
    key.strip_prefix(ROOT).and_then(|rest| rest.split_once('/')).is_some_and(|(group, _)| group.contains('.'))
}
