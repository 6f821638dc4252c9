//! An etcd that is asked for the same writes as krab's, by a client that does nothing else: what a write costs etcd itself.
//!
//! Keys and values are those krab wrote, the transactions those an API server sends, and one watch hears of all of them, as that of any
//! API server does. Nothing else is asked: no reads, no leases, no compaction, and nobody is waited for but etcd.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, ConnectOptions, GetOptions, KvClient, Txn, TxnOp, WatchOptions};
use futures::{StreamExt, TryStreamExt, stream};

use crate::api::SETTLE;
use crate::control_plane::{self, PODS};
use crate::process::Server;

/// How many objects are read at a time.
const PAGE: i64 = 500;
/// What an API server watches.
const ALL: &str = "/registry/";

/// What is done to each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Create,
    Update,
    /// In two steps, as it is with pods: marked, which watches are told, and then removed.
    Delete,
}

pub(crate) struct BareEtcd {
    server: Server,
    client: Client,
    objects: Vec<Object>,
    /// Outlives the process that writes into it.
    _folder: tempfile::TempDir,
}

struct Object {
    key: Vec<u8>,
    value: Vec<u8>,
    /// Of its last write; 0: it is not there.
    revision: i64,
}

impl BareEtcd {
    /// Starts one.
    pub(crate) async fn start(programs: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (server, url) = control_plane::etcd(programs, folder.path())?;
        let mut client = connect(&url).await?;
        let options = WatchOptions::new().with_prefix().with_progress_notify();
        let mut watch = client.watch(ALL, Some(options)).await?;
        // Ends with the etcd.
        component::spawn("bare watch", async move { while let Ok(Some(_)) = watch.message().await {} });
        Ok(Self { server, client, objects: Vec::new(), _folder: folder })
    }

    /// Takes over what is to be written from the etcd that krab wrote it to, as it is there now.
    pub(crate) async fn learn(&mut self, url: &str) -> Result<()> {
        let mut theirs = connect(url).await?;
        let (mut from, end) = (PODS.as_bytes().to_vec(), [&PODS.as_bytes()[..PODS.len() - 1], b"0"].concat());
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            let page = theirs.get(from, Some(options)).await?;
            for found in page.kvs() {
                let value = found.value().to_vec();
                match self.objects.binary_search_by(|object| object.key.as_slice().cmp(found.key())) {
                    Ok(known) => self.objects[known].value = value,
                    Err(place) => self.objects.insert(place, Object { key: found.key().to_vec(), value, revision: 0 }),
                }
            }
            match page.kvs().last().filter(|_| page.more()) {
                Some(last) => from = [last.key(), &[0]].concat(),
                None => return Ok(()),
            }
        }
    }

    /// CPU time of one such write, in seconds, with so many under way at a time.
    pub(crate) async fn cost(&mut self, write: Write, clients: usize) -> Result<f64> {
        ensure!(!self.objects.is_empty(), "krab's etcd has no pods: the bare etcd has nothing to write");
        let before = self.server.cpu()?;
        let client = &self.client;
        let revisions: Vec<i64> = stream::iter(&self.objects)
            .map(|object| object.write(write, client.kv_client()))
            .buffered(clients)
            .try_collect()
            .await?;
        tokio::time::sleep(SETTLE).await;
        let spent = self.server.cpu()?.saturating_sub(before);
        for (object, revision) in self.objects.iter_mut().zip(revisions) {
            object.revision = revision;
        }
        Ok(spent.as_secs_f64() / self.objects.len() as f64)
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.server.stop()
    }
}

impl Object {
    /// The revision of the object afterwards.
    async fn write(&self, write: Write, mut client: KvClient) -> Result<i64> {
        let put = TxnOp::put(self.key.clone(), self.value.clone(), None);
        let revision = self.commit(put, self.revision, &mut client).await?;
        if write != Write::Delete {
            return Ok(revision);
        }
        self.commit(TxnOp::delete(self.key.clone(), None), revision, &mut client).await?;
        Ok(0)
    }

    /// The transaction an API server sends: only if nobody else wrote meanwhile; else which revision is there.
    async fn commit(&self, operation: TxnOp, revision: i64, client: &mut KvClient) -> Result<i64> {
        let found = TxnOp::get(self.key.clone(), Some(GetOptions::new().with_keys_only()));
        let txn = Txn::new()
            .when([Compare::mod_revision(self.key.clone(), CompareOp::Equal, revision)])
            .and_then([operation])
            .or_else([found]);
        let answer = client.txn(txn).await?;
        ensure!(answer.succeeded(), "the bare etcd refused a write");
        Ok(answer.header().context("an answer of etcd without a header")?.revision())
    }
}

/// A client of an etcd that may just have been started.
async fn connect(url: &str) -> Result<Client> {
    let begun = std::time::Instant::now();
    loop {
        let mut client = Client::connect([url], Some(ConnectOptions::new().with_require_leader(true))).await?;
        match client.status().await {
            Ok(_) => return Ok(client),
            Err(error) if begun.elapsed() > Duration::from_secs(20) => {
                return Err(error).context("etcd does not start");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
