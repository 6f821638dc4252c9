//! The protobuf message of a stored object: made when it is first asked for, kept beside the JSON it is made of.
//!
//! Whoever reads in protobuf reads again and again (caches of controllers, kubelets), and everybody gets the same bytes.
//! They go when the entry goes, and are about two thirds of its JSON. What is served in another version than it is stored
//! in is made anew each time.

use api::{meta, protobuf};
use api::status::Status;
use bytes::Bytes;
use json::Value;
use store::Entry;

use super::resource::Resource;
use super::store::{Engine, decode};

/// Slot: the message, or why there is none.
struct Message(Result<Bytes, Status>);

/// The message of an entry in the served version.
pub(crate) fn message(resource: &Resource, entry: &Entry) -> Result<Bytes, Status> {
    kept(resource, entry, || {
        let mut object = decode(entry)?;
        Engine::from_storage(resource, &mut object);
        of_object(resource, &object)
    })
}

/// The same, out of the object that the entry is of, at whatever resourceVersion.
pub(crate) fn message_of(resource: &Resource, entry: &Entry, mut object: Value) -> Result<Bytes, Status> {
    kept(resource, entry, || {
        meta::set_resource_version(&mut object, &entry.mod_revision.0.to_string());
        Engine::from_storage(resource, &mut object);
        of_object(resource, &object)
    })
}

fn kept(
    resource: &Resource,
    entry: &Entry,
    make: impl FnOnce() -> Result<Bytes, Status>,
) -> Result<Bytes, Status> {
    if resource.conversion.is_some() { make() } else { entry.slot(|_| Message(make())).0.clone() }
}

/// The message of an object in the served version.
pub(crate) fn of_object(resource: &Resource, object: &Value) -> Result<Bytes, Status> {
    let schema = resource.schema().ok_or_else(|| not_marshalable(&resource.info.kind))?;
    protobuf::encode_message(object, schema).map(Bytes::from).map_err(|error| Status::internal_error(&error))
}

/// Upstream: runtime/serializer/protobuf.errNotMarshalable.
pub(crate) fn not_marshalable(kind: &str) -> Status {
    let message = format!(
        "object {kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
    );
    Status::failure(406, api::status::Reason::NotAcceptable, message)
}
