//! Which API servers live: each keeps a key of its own in the store they share, under a lease that ends soon after its server.
//!
//! Key and value are upstream's, so its servers and ours count each other. Nothing is here where the store is nobody else's.
//! Upstream: reconcilers.Leases.

use std::net::IpAddr;
use std::time::Duration;

use api::protobuf::{self, Envelope};
use api::scheme::Scheme;
use jiff::Timestamp;
use json::{Value, json};
use store::{Draft, Error, ErrorKind, Operation, Snapshot, Store, Txn};

use crate::registry::fields::{items, text};

/// What the keys begin with.
pub(super) const PREFIX: &str = "/registry/masterleases/";
/// How long a server counts as alive after its last sign. Upstream: controlplane.DefaultEndpointReconcilerTTL.
const TTL: Duration = Duration::from_secs(15);

/// The addresses of all that live, each once, sorted as text like upstream's lists of keys.
pub(super) fn addresses(snapshot: &Snapshot) -> Vec<IpAddr> {
    snapshot.range(PREFIX, None).filter_map(|entry| address(&read(&entry.value)?)).collect()
}

/// Does this server count as alive, from before its start as well?
pub(super) fn is_alive(snapshot: &Snapshot, own: IpAddr) -> bool {
    snapshot.get(&key(own)).is_some()
}

/// Says that this server lives.
pub(super) async fn renew(store: &Store, own: IpAddr, now: Timestamp) -> Result<(), Error> {
    let last = store.snapshot().get(&key(own)).and_then(|entry| read(&entry.value));
    let generation = last.as_ref().and_then(|last| last["metadata"]["generation"].as_i64()).unwrap_or_default();
    let Some(value) = write(own, generation + 1) else { return Ok(()) };
    let ends = now.as_millisecond().saturating_add_unsigned(u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX));
    let expires = Some(store::Timestamp(u64::try_from(ends).unwrap_or_default()));
    // Whatever is there was said by this server: nobody else uses its address.
    let operations = vec![Operation::Put { key: key(own).into(), value, expires }];
    store.commit(Txn { compare: Vec::new(), operations }).await.map(drop)
}

/// Says that this server is about to end.
pub(super) async fn remove(store: &Store, own: IpAddr) -> Result<(), Error> {
    let operations = vec![Operation::Delete { key: key(own).into() }];
    match store.commit(Txn { compare: Vec::new(), operations }).await {
        Err(error) if error.kind == ErrorKind::KeyNotFound => Ok(()),
        answer => answer.map(drop),
    }
}

fn key(own: IpAddr) -> String {
    format!("{PREFIX}{own}")
}

/// An Endpoints object with one address. The generation only makes each renewal differ from the one before, as upstream's stores want it.
fn write(own: IpAddr, generation: i64) -> Option<Draft> {
    let object = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"generation": generation},
        "subsets": [{"addresses": [{"ip": own.to_string()}]}],
    });
    // It is no object of the API: the bytes are kept as they are.
    Some(protobuf::encode(&object, Scheme::builtin().kind("", "v1", "Endpoints")?).ok()?.into())
}

fn read(stored: &[u8]) -> Option<Value> {
    let envelope = Envelope::read(stored).ok()?;
    protobuf::decode(envelope.raw, Scheme::builtin().kind("", "v1", "Endpoints")?).ok()
}

fn address(object: &Value) -> Option<IpAddr> {
    let subset = items(object, "subsets").first()?;
    text(items(subset, "addresses").first()?, "ip").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kube-apiserver v1.37 wrote for 192.0.2.1.
    const UPSTREAM: &[u8] =
        b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Endpoints\x12\x23\x0a\x10\x0a\0\x12\0\x1a\0\"\0*\x002\x008\x01B\0\
        \x12\x0f\x0a\x0d\x0a\x09192.0.2.1\x1a\0\x1a\0\"\0";

    #[test]
    fn a_lease_is_written_as_upstream_writes_it() {
        let own = "192.0.2.1".parse().unwrap();
        let written = write(own, 1).unwrap().stored;
        assert_eq!(read(&written), read(UPSTREAM));
        assert_eq!(read(UPSTREAM).as_ref().and_then(address), Some(own));
        assert_eq!(key(own), "/registry/masterleases/192.0.2.1");
    }

    #[test]
    fn what_is_no_lease_names_no_address() {
        assert!(read(b"{}").is_none());
        assert_eq!(address(&json!({"subsets": [{"addresses": []}]})), None);
    }
}
