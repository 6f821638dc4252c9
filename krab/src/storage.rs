//! Where objects are kept: in a folder of this machine, or in an etcd that others may share. The only place that names a backend, with
//! the commands of `store`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::store::{Store, Timestamp, Transform, embedded, etcd};
use anyhow::{Context, Result, ensure};
use component::duration::GoDuration;
use component::flags::{Flag, FlagSet};

use crate::{files, server};

/// Upstream's flags of etcd. Upstream: apiserver/pkg/server/options.EtcdOptions.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("etcd-servers", "", "URLs of etcd's members; without them objects are kept in the data directory"),
    Flag::text("etcd-cafile", "", "authority of etcd's certificates"),
    Flag::text("etcd-certfile", "", "certificate to show to etcd"),
    Flag::text("etcd-keyfile", "", "its key"),
    Flag::text("etcd-prefix", "/registry", "what all keys in etcd begin with"),
    Flag::text(
        "etcd-compaction-interval",
        "5m",
        "how often etcd is told to forget old history, by one server for all; 0 leaves that to others",
    ),
];

/// What the flags say.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// A folder of this machine.
    Embedded(PathBuf),
    /// An etcd cluster.
    Etcd(Box<etcd::Config>),
}

impl Storage {
    pub(crate) fn new(flags: &FlagSet) -> Result<Storage> {
        let servers: Vec<String> = flags.list("etcd-servers").into_iter().map(str::to_owned).collect();
        if servers.is_empty() {
            return Ok(Storage::Embedded(server::data_dir(flags).join("store")));
        }
        let read = |name: &str| flags.optional(name).map(|file| files::read(file.as_ref())).transpose();
        let (ca, certificate, key) = (read("etcd-cafile")?, read("etcd-certfile")?, read("etcd-keyfile")?);
        let encrypted = servers.iter().any(|url| url.starts_with("https://"));
        ensure!(
            !encrypted || ca.is_some(),
            "--etcd-servers has https URLs: give --etcd-cafile, the authority of etcd's certificates"
        );
        ensure!(
            certificate.is_some() == key.is_some(),
            "--etcd-certfile and --etcd-keyfile belong together: give both"
        );
        let GoDuration(compaction_interval) = flags.parse("etcd-compaction-interval")?;
        let tls = etcd::Tls {
            ca: ca.map(String::into_bytes),
            identity: certificate.zip(key).map(|(certificate, key)| (certificate.into_bytes(), key.into_bytes())),
        };
        let prefix = format!("/{}", flags.text("etcd-prefix").trim_matches('/'));
        Ok(Storage::Etcd(Box::new(etcd::Config {
            tls,
            prefix,
            compaction_interval,
            ..etcd::Config::new(servers, now())
        })))
    }

    /// Opens the store, to be served by the API server.
    pub(crate) async fn open(&self) -> Result<Store> {
        self.open_as(apiserver::transform()).await
    }

    /// Opens the store with values in a form of one's choice.
    pub(crate) async fn open_as(&self, transform: Arc<dyn Transform>) -> Result<Store> {
        let storage = self.clone();
        let opening = tokio::task::spawn_blocking(move || match storage {
            Storage::Embedded(dir) => embedded::open(embedded::Config { transform, ..embedded::Config::new(dir) }),
            Storage::Etcd(config) => etcd::open(etcd::Config { transform, now: now(), ..*config }),
        });
        Ok(opening.await.context("interrupted while opening the store")??)
    }
}

/// The time, as stores want it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(line: &[&str]) -> Result<Storage> {
        let table = [FLAGS, &[Flag::text("data-dir", "", "")]].concat();
        Storage::new(&FlagSet::resolve(&table, line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn etcd_is_used_where_it_is_named() {
        assert!(matches!(storage(&["--data-dir=/d"]).unwrap(), Storage::Embedded(dir) if dir.ends_with("d/store")));
        let line = ["--etcd-servers=http://a:2379,http://b:2379", "--etcd-prefix=x", "--etcd-compaction-interval=0"];
        let Storage::Etcd(config) = storage(&line).unwrap() else { panic!("not etcd") };
        assert_eq!((config.endpoints.len(), config.prefix.as_str()), (2, "/x"));
        assert!(config.compaction_interval.is_zero());
    }

    #[test]
    fn half_a_proof_is_refused_with_what_to_do() {
        let refusal = |line: &[&str]| storage(line).unwrap_err().to_string();
        assert!(refusal(&["--etcd-servers=https://a:2379"]).contains("give --etcd-cafile"));
        let file = tempfile::NamedTempFile::new().unwrap();
        let certificate = format!("--etcd-certfile={}", file.path().display());
        assert!(refusal(&["--etcd-servers=http://a:2379", &certificate]).contains("give both"));
    }
}
