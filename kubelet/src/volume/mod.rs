//! Volumes of pods: made before the containers, kept up to date with the API, removed with the pod. Upstream: `volumemanager`, `volume/*`.
//!
//! A pod's volumes live in upstream's places, `<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>`, so that what a kubelet before us
//! made is found again. [`plan`] says what a volume is (pure), [`payload`] what its files hold, [`atomic_writer`] puts them there,
//! [`mounts`] hands them to containers.

pub(crate) mod atomic_writer;
mod claim;
mod host_path;
mod local;
pub(crate) mod mounts;
pub(crate) mod payload;
mod plan;
mod pod_certificate;
pub(crate) mod sub_path;
mod token;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::Informer;
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::Config;
use crate::pod::PodExt;
use crate::pod::fields::NodeFacts;
use crate::pod::objects::Objects;

use plan::Source;

/// Why a volume is not there. The texts are those of upstream's FailedMount events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{kind} \"{name}\" not found")]
    NoObject { kind: &'static str, name: String },
    #[error("references non-existent {kind} key: {key}")]
    NoKey { kind: &'static str, key: String },
    #[error("hostPath type check failed: {0}")]
    HostPathType(String),
    #[error("no volume plugin matched: {0} volumes are not supported by this node")]
    Unsupported(&'static str),
    #[error("{0}")]
    Claim(String),
    #[error(transparent)]
    Field(#[from] crate::pod::fields::Error),
    #[error("invalid path {0:?} in volume")]
    BadPath(String),
    #[error("pod certificate: {0}")]
    Certificate(String),
    #[error("failed to fetch token: {0}")]
    Token(String),
    #[error("failed to prepare subPath for volumeMount \"{mount}\" of container \"{container}\": {source}")]
    SubPath {
        mount: String,
        container: String,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Api(#[from] Box<kube::Error>),
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    Volume {
        volume: String,
        #[source]
        source: Box<Error>,
    },
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// A volume that is ready to be mounted into containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mounted {
    /// At this path of the host.
    Path(PathBuf),
    /// An image that the runtime mounts.
    Image(String),
}

/// Name to volume.
pub(crate) type Volumes = HashMap<String, Mounted>;

/// Makes and removes pods' volumes.
pub(crate) struct VolumeManager {
    config: Arc<Config>,
    client: kube::Client,
    objects: Arc<Objects>,
    tokens: token::Tokens,
    certificates: pod_certificate::Certificates,
}

impl std::fmt::Debug for VolumeManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolumeManager").finish_non_exhaustive()
    }
}

impl VolumeManager {
    pub(crate) fn new(config: Arc<Config>, client: kube::Client, node: Informer<Node>, objects: Arc<Objects>) -> Self {
        let certificates = pod_certificate::Certificates::new(client.clone(), node, &config.node_name);
        Self { config, tokens: token::Tokens::new(client.clone()), certificates, client, objects }
    }

    fn volume_dir(&self, uid: &str, plugin: &str, name: &str) -> PathBuf {
        self.config.pod_dir(uid).join("volumes").join(format!("kubernetes.io~{plugin}")).join(name)
    }

    /// Makes all volumes of a pod, or brings the contents of those that are there up to date. Idempotent.
    pub(crate) async fn set_up(&self, pod: &Pod, node: &NodeFacts, pod_ips: &[String]) -> Result<Volumes, Error> {
        let mut volumes = Volumes::new();
        for volume in pod.spec().volumes.iter().flatten() {
            let mounted = self.set_up_one(pod, volume, node, pod_ips).await;
            let mounted =
                mounted.map_err(|source| Error::Volume { volume: volume.name.clone(), source: Box::new(source) })?;
            volumes.insert(volume.name.clone(), mounted);
        }
        Ok(volumes)
    }

    async fn set_up_one(
        &self,
        pod: &Pod,
        volume: &k8s_openapi::api::core::v1::Volume,
        node: &NodeFacts,
        pod_ips: &[String],
    ) -> Result<Mounted, Error> {
        let source = plan::source(volume)?;
        match source {
            Source::EmptyDir { in_memory, size, mode } => {
                let dir = self.volume_dir(pod.uid(), "empty-dir", &volume.name);
                let group = fs_group(pod);
                local::blocking(move || local::empty_dir(&dir, in_memory, size, mode, group).map(|()| dir))
                    .await
                    .map(Mounted::Path)
            }
            Source::HostPath { path, kind } => {
                local::blocking(move || host_path::check(&path, &kind).map(|()| path)).await.map(Mounted::Path)
            }
            Source::Claim { name } => claim::resolve(&self.client, pod, &name).await.map(Mounted::Path),
            Source::Image { reference } => Ok(Mounted::Image(reference)),
            Source::Files(files) => {
                let gathered = payload::Gather {
                    pod,
                    objects: &self.objects,
                    tokens: &self.tokens,
                    certificates: &self.certificates,
                    volume: &volume.name,
                    node,
                    pod_ips,
                    default_mode: files.default_mode,
                };
                let contents = gathered.all(&files.parts).await?;
                let dir = self.volume_dir(pod.uid(), files.plugin, &volume.name);
                let group = fs_group(pod);
                let in_memory = files.plugin != "configmap";
                local::blocking(move || {
                    local::files_dir(&dir, in_memory)?;
                    atomic_writer::write(&dir, &contents, group)?;
                    Ok(dir)
                })
                .await
                .map(Mounted::Path)
            }
        }
    }

    /// Whether anything in the pod's volumes can change while it runs.
    pub(crate) fn changes(pod: &Pod) -> bool {
        let volumes = pod.spec().volumes.iter().flatten();
        volumes.into_iter().any(|volume| matches!(plan::source(volume), Ok(Source::Files(_))))
    }

    /// The ConfigMaps and Secrets whose changes reach the pod's volumes.
    pub(crate) fn references(pod: &Pod) -> Vec<(crate::pod::objects::Kind, String)> {
        plan::references(pod)
    }

    /// When the pod's tokens and certificates have to be renewed.
    pub(crate) fn next_refresh(&self, pod: &Pod) -> Option<jiff::Timestamp> {
        let both = [self.tokens.next_refresh(pod.uid()), self.certificates.next_refresh(pod.uid())];
        both.into_iter().flatten().min()
    }

    /// Removes a pod's volumes and then its whole directory. Files of host paths are never touched: nothing below the pod's directory
    /// is followed across a mount that could not be unmounted.
    pub(crate) async fn tear_down(&self, uid: &str) -> Result<(), Error> {
        self.tokens.forget(uid);
        self.certificates.forget(uid);
        let dir = self.config.pod_dir(uid);
        local::blocking(move || local::remove_pod_dir(&dir)).await
    }

    /// The uids of all pods that have a directory: what a kubelet before us left.
    pub(crate) fn pod_dirs(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.config.root_dir.join("pods")) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

fn fs_group(pod: &Pod) -> Option<u32> {
    let context = pod.spec().security_context.as_ref()?;
    context.fs_group.and_then(|group| u32::try_from(group).ok())
}
