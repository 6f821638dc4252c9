//! A transaction in etcd's terms, and what its answer means. Pure.
//!
//! etcd runs the first branch if all compares hold; the second reads the keys that were compared, so that a refusal says what is there
//! without a second request.

use std::sync::Arc;

use etcd_client::{
    Compare as EtcdCompare, CompareOp, GetOptions, PutOptions, Txn as EtcdTxn, TxnOp, TxnOpResponse, TxnResponse,
};

use super::keys::Keys;
use super::members::{mod_revision, number, revision};
use crate::{Compare, Error, ErrorKind, Operation, Revision, Txn};

/// The transaction for etcd. `lease` has that of each operation: 0 for what does not expire.
pub(super) fn request(txn: &Txn, keys: &Keys, leases: &[i64]) -> EtcdTxn {
    let compares = conditions(txn).into_iter().map(|condition| condition.request(keys));
    let operations = txn.operations.iter().zip(leases).map(|(operation, lease)| match operation {
        Operation::Put { key, value, .. } => {
            let options = (*lease != 0).then(|| PutOptions::new().with_lease(*lease));
            TxnOp::put(keys.outward(key), &value.stored[..], options)
        }
        Operation::Delete { key } => TxnOp::delete(keys.outward(key), None),
    });
    let found = conditions(txn)
        .into_iter()
        .map(|condition| TxnOp::get(keys.outward(condition.key()), Some(GetOptions::new().with_keys_only())));
    EtcdTxn::new()
        .when(compares.collect::<Vec<_>>())
        .and_then(operations.collect::<Vec<_>>())
        .or_else(found.collect::<Vec<_>>())
}

/// The revision of a commit that was taken, or why it was refused.
pub(super) fn outcome(txn: &Txn, answer: &TxnResponse) -> Result<Revision, Error> {
    if answer.succeeded() {
        return Ok(answer.header().map(|header| revision(header.revision())).unwrap_or_default());
    }
    let found = answer.op_responses().into_iter().map(|response| match response {
        TxnOpResponse::Get(get) => get.kvs().first().map(mod_revision).unwrap_or_default(),
        _ => Revision::ZERO,
    });
    let refused = conditions(txn).into_iter().zip(found).find_map(|(condition, found)| condition.refusal(found));
    // The branch of a refusal is only taken when a condition does not hold.
    Err(refused.unwrap_or_else(|| Error::new(ErrorKind::Conflict)))
}

/// What must hold, in the order in which refusals are looked for.
enum Condition<'a> {
    At(&'a Arc<str>, Revision),
    /// What is to be deleted must be there.
    Present(&'a Arc<str>),
}

fn conditions(txn: &Txn) -> Vec<Condition<'_>> {
    let compares = txn.compare.iter().map(|Compare::ModRevision { key, revision }| Condition::At(key, *revision));
    let deletions = txn.operations.iter().filter_map(|operation| match operation {
        Operation::Delete { key } => Some(Condition::Present(key)),
        Operation::Put { .. } => None,
    });
    compares.chain(deletions).collect()
}

impl Condition<'_> {
    fn key(&self) -> &Arc<str> {
        match self {
            Condition::At(key, _) | Condition::Present(key) => key,
        }
    }

    fn request(&self, keys: &Keys) -> EtcdCompare {
        let key = keys.outward(self.key());
        match self {
            Condition::At(_, revision) => EtcdCompare::mod_revision(key, CompareOp::Equal, number(*revision)),
            Condition::Present(_) => EtcdCompare::version(key, CompareOp::Greater, 0),
        }
    }

    fn refusal(&self, found: Revision) -> Option<Error> {
        match self {
            Condition::At(key, wanted) => (found != *wanted).then(|| Error::compare_failed(key, found, *wanted)),
            Condition::Present(key) => {
                (found == Revision::ZERO).then(|| Error::new(ErrorKind::KeyNotFound).on(Arc::clone(key)))
            }
        }
    }
}
