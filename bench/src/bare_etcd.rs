//! An etcd that is asked for the same writes as krab's, by a client that does nothing else: what a write costs etcd itself.
//!
//! Keys and values are those krab wrote. Nobody watches, and nothing is read but what a transaction says of a key that is in its way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, GetOptions, Txn, TxnOp};
use futures::{StreamExt, TryStreamExt, stream};

use crate::api::SETTLE;
use crate::control_plane::{self, PODS};
use crate::process::Server;

/// How many objects are read at a time.
const PAGE: i64 = 500;

/// What is done to each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Create,
    Update,
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
        Ok(Self { server, client: connect(&url).await?, objects: Vec::new(), _folder: folder })
    }

    /// Takes over what is to be written from the etcd that krab wrote it to.
    pub(crate) async fn learn(&mut self, url: &str) -> Result<()> {
        let mut theirs = connect(url).await?;
        let (mut from, end) = (PODS.as_bytes().to_vec(), [&PODS.as_bytes()[..PODS.len() - 1], b"0"].concat());
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            let page = theirs.get(from, Some(options)).await?;
            let object = |found: &etcd_client::KeyValue| Object {
                key: found.key().to_vec(),
                value: found.value().to_vec(),
                revision: 0,
            };
            self.objects.extend(page.kvs().iter().map(object));
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
            .map(|object| object.write(write, client.clone()))
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
    /// The transaction an API server sends: only if nobody else wrote meanwhile; else what is there.
    async fn write(&self, write: Write, mut client: Client) -> Result<i64> {
        let key = self.key.clone();
        let operation = match write {
            Write::Create | Write::Update => TxnOp::put(key.clone(), self.value.clone(), None),
            Write::Delete => TxnOp::delete(key.clone(), None),
        };
        let txn = Txn::new()
            .when([Compare::mod_revision(key.clone(), CompareOp::Equal, self.revision)])
            .and_then([operation])
            .or_else([TxnOp::get(key, None)]);
        let answer = client.txn(txn).await?;
        ensure!(answer.succeeded(), "the bare etcd refused a write");
        let revision = answer.header().context("an answer of etcd without a header")?.revision();
        Ok(if write == Write::Delete { 0 } else { revision })
    }
}

/// A client of an etcd that may just have been started.
async fn connect(url: &str) -> Result<Client> {
    let begun = std::time::Instant::now();
    loop {
        let mut client = Client::connect([url], None).await?;
        match client.status().await {
            Ok(_) => return Ok(client),
            Err(error) if begun.elapsed() > Duration::from_secs(20) => {
                return Err(error).context("etcd does not start");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
