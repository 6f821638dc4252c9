//! The JSON of an object as a store of our own keeps it and as the view serves it: they differ only in `metadata.resourceVersion`.
//!
//! Stored objects carry no resourceVersion (the store knows it). [`serve`] writes it in once, when an entry
//! enters the view; from then on GET, LIST and every watcher send those bytes. For the splice to be a scan of a few bytes,
//! [`encode`] always begins an object with `{"kind":K,"apiVersion":V,"metadata":{`; objects written by others in another
//! order are rewritten on entry (`codec`).

use bytes::Bytes;
use json::Value;
use store::Revision;

const METADATA: &[u8] = b"\"metadata\":{";
const RESOURCE_VERSION: &[u8] = b"\"resourceVersion\":\"";

/// The stored bytes of an object; its resourceVersion is left out.
pub fn encode(object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    write_object(&mut out, object, None);
    out.into_boxed_slice().into()
}

/// The served bytes of an object that is not in the store (dry runs); its own resourceVersion is kept.
pub fn encode_served(object: &Value) -> Bytes {
    let version = object.get("metadata").and_then(|metadata| metadata.get("resourceVersion")).and_then(Value::as_str);
    let mut out = Vec::with_capacity(1024);
    write_object(&mut out, object, version);
    out.into()
}

fn write_object(out: &mut Vec<u8>, object: &Value, version: Option<&str>) {
    let Some(fields) = object.as_object() else {
        write(out, object);
        return;
    };
    out.extend_from_slice(b"{\"kind\":");
    write(out, fields.get("kind").unwrap_or(&Value::Null));
    out.extend_from_slice(b",\"apiVersion\":");
    write(out, fields.get("apiVersion").unwrap_or(&Value::Null));
    out.extend_from_slice(b",\"metadata\":{");
    let mut first = true;
    if let Some(version) = version {
        out.extend_from_slice(RESOURCE_VERSION);
        out.extend_from_slice(version.as_bytes());
        out.push(b'"');
        first = false;
    }
    if let Some(metadata) = fields.get("metadata").and_then(Value::as_object) {
        for (key, value) in metadata.iter().filter(|(key, _)| *key != "resourceVersion") {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_key(out, key);
            write(out, value);
        }
    }
    out.push(b'}');
    for (key, value) in fields.iter().filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion" | "metadata")) {
        out.push(b',');
        write_key(out, key);
        write(out, value);
    }
    out.push(b'}');
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    json::to_writer(&mut *out, key).expect("writing to memory does not fail");
    out.push(b':');
}

fn write(out: &mut Vec<u8>, value: &Value) {
    json::to_writer(out, value).expect("writing to memory does not fail");
}

/// The bytes to serve at a revision; what does not begin like an object of ours is left as it is.
pub fn serve(value: Bytes, revision: Revision) -> Bytes {
    match metadata_start(&value) {
        Some(at) => splice(&value, at, at, revision),
        None => value,
    }
}

/// Where the metadata of an object begin, `{` included, when it begins the way [`encode`] writes it.
pub(super) fn metadata(bytes: &[u8]) -> Option<usize> {
    metadata_start(bytes).map(|at| at - 1)
}

/// True if an object that begins the way [`encode`] writes it is of this version.
pub(super) fn is_of(bytes: &[u8], api_version: &str) -> bool {
    const NAME: &[u8] = b",\"apiVersion\":\"";
    let version = string_field(bytes, 0, b"{\"kind\":\"").and_then(|at| bytes.get(at..)?.strip_prefix(NAME));
    version
        .is_some_and(|rest| rest.strip_prefix(api_version.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"')))
}

/// Served bytes with another resource version.
pub fn at_revision(served: &Bytes, revision: Revision) -> Bytes {
    let Some(at) = metadata_start(served) else { return served.clone() };
    let Some(rest) = served[at..].strip_prefix(RESOURCE_VERSION) else { return served.clone() };
    let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return served.clone() };
    let mut after = at + RESOURCE_VERSION.len() + end + 1;
    if served.get(after) == Some(&b',') {
        after += 1;
    }
    splice(served, at, after, revision)
}

/// The place behind `"metadata":{`, when the object begins the way [`encode`] writes it.
fn metadata_start(bytes: &[u8]) -> Option<usize> {
    let mut at = string_field(bytes, 0, b"{\"kind\":\"")?;
    at = string_field(bytes, at, b",\"apiVersion\":\"")?;
    let rest = bytes.get(at..)?.strip_prefix(b",")?;
    rest.starts_with(METADATA).then_some(at + 1 + METADATA.len())
}

/// Skips `name` and the string value that follows; values with escapes are not ours.
fn string_field(bytes: &[u8], at: usize, name: &[u8]) -> Option<usize> {
    let rest = bytes.get(at..)?.strip_prefix(name)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then_some(at + name.len() + end + 1)
}

/// `bytes[..from]`, the resource version, `bytes[to..]`.
fn splice(bytes: &[u8], from: usize, to: usize, revision: Revision) -> Bytes {
    let number = revision.0.to_string();
    let mut out = Vec::with_capacity(bytes.len() - (to - from) + RESOURCE_VERSION.len() + number.len() + 2);
    out.extend_from_slice(&bytes[..from]);
    out.extend_from_slice(RESOURCE_VERSION);
    out.extend_from_slice(number.as_bytes());
    out.push(b'"');
    if bytes.get(to) != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(&bytes[to..]);
    out.into_boxed_slice().into()
}

/// An object's bytes without its leading kind and apiVersion, as typed lists hold them: the part after `{`.
pub fn without_type(bytes: &[u8]) -> Option<&[u8]> {
    metadata_start(bytes).map(|at| &bytes[at - METADATA.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use json::json;

    fn served(object: &Value, revision: u64) -> Bytes {
        serve(encode(object), Revision(revision))
    }

    #[test]
    fn the_served_bytes_hold_the_revision_and_the_stored_do_not() {
        let object = json!({"apiVersion": "v1", "spec": {"a": 1}, "metadata": {"name": "x", "resourceVersion": "3"}, "kind": "Pod"});
        assert_eq!(encode(&object), r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"spec":{"a":1}}"#);
        let served = served(&object, 42);
        assert_eq!(
            served,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"42","name":"x"},"spec":{"a":1}}"#
        );
        let deleted = at_revision(&served, Revision(1000));
        assert_eq!(
            deleted,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"1000","name":"x"},"spec":{"a":1}}"#
        );
    }

    #[test]
    fn empty_metadata_is_spliced_too() {
        let served = served(&json!({"kind": "A", "apiVersion": "v1", "metadata": {}}), 7);
        assert_eq!(served, r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"7"}}"#);
        let deleted = at_revision(&served, Revision(8));
        assert_eq!(deleted, r#"{"kind":"A","apiVersion":"v1","metadata":{"resourceVersion":"8"}}"#);
    }

    #[test]
    fn list_items_lose_their_type() {
        let served = served(&json!({"kind": "A", "apiVersion": "v1", "metadata": {"name": "n"}}), 7);
        assert_eq!(without_type(&served).unwrap(), br#""metadata":{"resourceVersion":"7","name":"n"}}"#);
    }
}
