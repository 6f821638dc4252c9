//! `krab store migrate`: from the embedded store to etcd and back.
//!
//! Revisions go on above the old ones, so that no client ever sees one twice: an embedded store is made at the revision etcd has; etcd's,
//! which only writes can raise, is raised by writes. The old store is left as it is.

#![allow(clippy::print_stdout, reason = "this is the command's answer to its user")]

use std::sync::Arc;

use ::store::{AsStored, Entry, Operation, Revision, Store, Timestamp, Txn, embedded};
use anyhow::{Context, Result, bail, ensure};
use component::flags::{Flag, FlagSet};
use futures::{StreamExt, TryStreamExt, stream};

use crate::storage::{self, Storage, now};
use crate::store::{DATA_DIR, HELP};

/// Upstream etcd takes 128 operations in a transaction.
const AT_ONCE: usize = 100;
/// How many writes are on their way while etcd's revision is raised, and how many are made at most: some minutes' worth.
const IN_FLIGHT: usize = 256;
const RAISE_MAX: u64 = 2_000_000;
const RAISED: &str = "/registry/krab/revision";
/// What etcd does not tell is when a key expires: Events get as long as a new one has.
const EVENTS: &str = "/registry/events/";
const EVENT_TTL_MILLISECONDS: u64 = 3_600_000;

pub(crate) fn flags() -> Vec<Flag> {
    let to = Flag::text(
        "to",
        "",
        "where objects go: etcd (--etcd-servers) or embedded (--data-dir); the other has them now",
    );
    [&[to, DATA_DIR, HELP], storage::FLAGS].concat()
}

/// Copies every object.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let etcd = Storage::new(&flags)?;
    ensure!(matches!(etcd, Storage::Etcd(_)), "give --etcd-servers: the etcd to migrate to or from");
    let dir = crate::server::data_dir(&flags).join("store");
    let folder = Storage::Embedded(dir.clone());
    blocking(async {
        let (from, to) = match flags.optional("to") {
            Some("etcd") => {
                ensure!(dir.join(embedded::FILE).exists(), "there is no store in {}: give --data-dir", dir.display());
                let (from, to) = (folder.open_as(Arc::new(AsStored)).await?, etcd.open_as(Arc::new(AsStored)).await?);
                ensure!(to.snapshot().is_empty(), "etcd has objects under --etcd-prefix already: nothing was copied");
                raise(&to, from.revision()).await?;
                (from, to)
            }
            Some("embedded") => {
                let from = etcd.open_as(Arc::new(AsStored)).await?;
                embedded::create_at(&dir, from.revision()).context("nothing was copied")?;
                (from, folder.open_as(Arc::new(AsStored)).await?)
            }
            _ => bail!("--to etcd or --to embedded is needed"),
        };
        copy(&from, &to).await?;
        println!("{} objects were copied; revisions go on at {}", from.snapshot().len(), to.revision());
        from.close().await?;
        to.close().await?;
        Ok(())
    })
}

/// Does what a command waits for.
pub(crate) fn blocking<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new().context("cannot start a runtime")?.block_on(work)
}

async fn copy(from: &Store, to: &Store) -> Result<()> {
    let (state, shared, now) = (from.snapshot(), to.is_shared(), now());
    let mut waiting = Vec::with_capacity(AT_ONCE);
    for entry in state.range("", None).filter(|entry| &*entry.key != RAISED) {
        waiting.push(put(entry, shared, now));
        if waiting.len() == AT_ONCE {
            to.commit(Txn { compare: Vec::new(), operations: std::mem::take(&mut waiting) }).await?;
        }
    }
    if !waiting.is_empty() {
        to.commit(Txn { compare: Vec::new(), operations: waiting }).await?;
    }
    Ok(())
}

/// An object for the other store, in its form. What cannot be read is copied as it is, and said.
fn put(entry: &Entry, shared: bool, now: Timestamp) -> Operation {
    let value = apiserver::restore(&entry.key, &entry.value, shared).unwrap_or_else(|reason| {
        println!("{} cannot be read and is copied as it is: {reason}", entry.key);
        entry.value.clone()
    });
    let event = entry.key.starts_with(EVENTS).then(|| Timestamp(now.0 + EVENT_TTL_MILLISECONDS));
    Operation::Put { key: entry.key.clone(), value: value.into(), expires: entry.expires.or(event) }
}

/// Brings etcd to a revision not below `revision`.
async fn raise(etcd: &Store, revision: Revision) -> Result<()> {
    let missing = revision.0.saturating_sub(etcd.revision().0);
    if missing == 0 {
        return Ok(());
    }
    ensure!(
        missing <= RAISE_MAX,
        "etcd is at revision {}, the store at {revision}: too far for writes. Bring etcd there before: \
         etcdutl snapshot restore SNAPSHOT --bump-revision {missing} --mark-compacted",
        etcd.revision()
    );
    println!("raising etcd's revision from {} to {revision}", etcd.revision());
    let write = |_| {
        let operations = vec![Operation::Put { key: RAISED.into(), value: "raised".into(), expires: None }];
        etcd.commit(Txn { compare: Vec::new(), operations })
    };
    stream::iter(0..missing).map(write).buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await?;
    etcd.commit(Txn { compare: Vec::new(), operations: vec![Operation::Delete { key: RAISED.into() }] }).await?;
    Ok(())
}
