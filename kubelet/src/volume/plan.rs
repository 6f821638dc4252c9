//! What a volume of the spec is made of: pure.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, Pod, PodCertificateProjection, Volume, VolumeProjection,
};

use super::Error;
use crate::pod::PodExt;
use crate::pod::objects::Kind;
use crate::resources::value;

/// One source of files.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    ConfigMap { name: String, items: Option<Vec<KeyToPath>>, optional: bool },
    Secret { name: String, items: Option<Vec<KeyToPath>>, optional: bool },
    DownwardApi { items: Vec<DownwardAPIVolumeFile> },
    Token { path: String, audience: Option<String>, expiration_seconds: i64 },
    TrustBundle(k8s_openapi::api::core::v1::ClusterTrustBundleProjection),
    Certificate(usize, PodCertificateProjection),
}

/// A volume whose files come from the API.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Files {
    /// The name in the volume's path.
    pub(super) plugin: &'static str,
    pub(super) default_mode: u32,
    pub(super) parts: Vec<Part>,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    EmptyDir { in_memory: bool, size: Option<i64>, mode: Option<u32> },
    HostPath { path: PathBuf, kind: String },
    Claim { name: String },
    Image { reference: String },
    Files(Files),
}

const DEFAULT_MODE: u32 = 0o644;

fn mode(mode: Option<i32>) -> u32 {
    mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(DEFAULT_MODE)
}

/// The volume's source.
pub(super) fn source(volume: &Volume) -> Result<Source, Error> {
    if let Some(source) = &volume.empty_dir {
        let size = source.size_limit.as_ref().map(value).filter(|size| *size > 0);
        let in_memory = match source.medium.as_deref() {
            None | Some("") => false,
            Some("Memory") => true,
            Some(_) => return Err(Error::Unsupported("emptyDir with huge pages")),
        };
        let mode = source.mode.and_then(|mode| u32::try_from(mode).ok());
        return Ok(Source::EmptyDir { in_memory, size, mode });
    }
    if let Some(source) = &volume.host_path {
        return Ok(Source::HostPath {
            path: source.path.clone().into(),
            kind: source.type_.clone().unwrap_or_default(),
        });
    }
    if let Some(source) = &volume.persistent_volume_claim {
        return Ok(Source::Claim { name: source.claim_name.clone() });
    }
    if volume.ephemeral.is_some() {
        return Ok(Source::Claim { name: String::new() });
    }
    if let Some(source) = &volume.image {
        return Ok(Source::Image { reference: source.reference.clone().unwrap_or_default() });
    }
    files(volume).map(Source::Files).ok_or_else(|| Error::Unsupported(plugin_name(volume)))
}

fn files(volume: &Volume) -> Option<Files> {
    if let Some(source) = &volume.config_map {
        let part = Part::ConfigMap {
            name: source.name.clone(),
            items: source.items.clone(),
            optional: source.optional.unwrap_or(false),
        };
        return Some(Files { plugin: "configmap", default_mode: mode(source.default_mode), parts: vec![part] });
    }
    if let Some(source) = &volume.secret {
        let part = Part::Secret {
            name: source.secret_name.clone().unwrap_or_default(),
            items: source.items.clone(),
            optional: source.optional.unwrap_or(false),
        };
        return Some(Files { plugin: "secret", default_mode: mode(source.default_mode), parts: vec![part] });
    }
    if let Some(source) = &volume.downward_api {
        let part = Part::DownwardApi { items: source.items.clone().unwrap_or_default() };
        return Some(Files { plugin: "downward-api", default_mode: mode(source.default_mode), parts: vec![part] });
    }
    let source = volume.projected.as_ref()?;
    let parts = source.sources.iter().flatten().enumerate();
    let parts = parts.filter_map(|(index, source)| projection(index, source)).collect();
    Some(Files { plugin: "projected", default_mode: mode(source.default_mode), parts })
}

fn projection(index: usize, source: &VolumeProjection) -> Option<Part> {
    if let Some(source) = &source.config_map {
        return Some(Part::ConfigMap {
            name: source.name.clone(),
            items: source.items.clone(),
            optional: source.optional.unwrap_or(false),
        });
    }
    if let Some(source) = &source.secret {
        return Some(Part::Secret {
            name: source.name.clone(),
            items: source.items.clone(),
            optional: source.optional.unwrap_or(false),
        });
    }
    if let Some(source) = &source.downward_api {
        return Some(Part::DownwardApi { items: source.items.clone().unwrap_or_default() });
    }
    if let Some(source) = &source.cluster_trust_bundle {
        return Some(Part::TrustBundle(source.clone()));
    }
    if let Some(source) = &source.pod_certificate {
        return Some(Part::Certificate(index, source.clone()));
    }
    let source = source.service_account_token.as_ref()?;
    Some(Part::Token {
        path: source.path.clone(),
        audience: source.audience.clone().filter(|audience| !audience.is_empty()),
        expiration_seconds: source.expiration_seconds.unwrap_or(3600),
    })
}

/// The name of a source that is not supported, for the error.
fn plugin_name(volume: &Volume) -> &'static str {
    if volume.csi.is_some() {
        "csi"
    } else if volume.nfs.is_some() {
        "nfs"
    } else if volume.iscsi.is_some() {
        "iscsi"
    } else if volume.git_repo.is_some() {
        "gitRepo"
    } else {
        "in-tree cloud"
    }
}

/// The ConfigMaps and Secrets that a pod's volumes show.
pub(super) fn references(pod: &Pod) -> Vec<(Kind, String)> {
    let files = pod.spec().volumes.iter().flatten().filter_map(files);
    let parts = files.flat_map(|files| files.parts);
    parts
        .filter_map(|part| match part {
            Part::ConfigMap { name, .. } => Some((Kind::ConfigMap, name)),
            Part::Secret { name, .. } => Some((Kind::Secret, name)),
            _ => None,
        })
        .collect()
}
