//! The mounts of a container: its volumes, /etc/hosts, the termination log. Upstream: `kubelet.makeMounts`.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cri::api;
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use super::{Error, Mounted, Volumes, io_at, sub_path};
use crate::pod::env::expand;
use crate::pod::{PodExt, hosts};

/// What mounts need beside pod and container.
#[derive(Debug, Clone)]
pub(crate) struct MountInputs {
    pub(crate) pod_dir: PathBuf,
    pub(crate) volumes: Volumes,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) pod_ips: Vec<String>,
    pub(crate) cluster_domain: String,
}

/// All mounts of a container. Makes the files and bindings behind them.
pub(crate) fn container_mounts(
    pod: &Pod,
    container: &Container,
    inputs: &MountInputs,
) -> Result<Vec<api::Mount>, Error> {
    let env: HashMap<&str, &str> = inputs.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut mounts = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        mounts.push(volume_mount(container, mount, index, inputs, &env)?);
    }
    let has = |mounts: &[api::Mount], path: &str| mounts.iter().any(|mount| mount.container_path == path);
    if !has(&mounts, "/etc/hosts") {
        mounts.push(hosts_mount(pod, inputs)?);
    }
    let log = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    if !log.is_empty() {
        mounts.push(termination_log(container, log, &inputs.pod_dir)?);
    }
    Ok(mounts)
}

fn volume_mount(
    container: &Container,
    mount: &VolumeMount,
    index: usize,
    inputs: &MountInputs,
    env: &HashMap<&str, &str>,
) -> Result<api::Mount, Error> {
    let volume =
        inputs.volumes.get(&mount.name).ok_or_else(|| Error::NoObject { kind: "volume", name: mount.name.clone() })?;
    let container_path =
        if mount.mount_path.starts_with('/') { mount.mount_path.clone() } else { format!("/{}", mount.mount_path) };
    let readonly = mount.read_only.unwrap_or(false);
    let part = sub_path_of(mount, container, env)?;
    let propagation = match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => api::MountPropagation::PropagationHostToContainer,
        Some("Bidirectional") => api::MountPropagation::PropagationBidirectional,
        _ => api::MountPropagation::PropagationPrivate,
    };
    let mut result = api::Mount {
        container_path,
        readonly,
        propagation: propagation as i32,
        recursive_read_only: readonly && mount.recursive_read_only.as_deref() == Some("Enabled"),
        ..api::Mount::default()
    };
    match volume {
        Mounted::Image(reference) => {
            result.image = Some(api::ImageSpec { image: reference.clone(), ..api::ImageSpec::default() });
            result.readonly = true;
        }
        Mounted::Path(path) => {
            let path = match part {
                None => path.clone(),
                Some(part) => {
                    let target = inputs
                        .pod_dir
                        .join("volume-subpaths")
                        .join(&mount.name)
                        .join(&container.name)
                        .join(index.to_string());
                    sub_path::bind(path, &part, target).map_err(|source| Error::SubPath {
                        mount: mount.name.clone(),
                        container: container.name.clone(),
                        source,
                    })?
                }
            };
            // A path of the host that is not there becomes a folder, as it always has.
            if !path.exists() {
                fs::create_dir_all(&path).map_err(io_at(&path))?;
            }
            result.host_path = path.to_string_lossy().into_owned();
        }
    }
    Ok(result)
}

/// subPath, or subPathExpr with its variables replaced; every one must be known.
fn sub_path_of(mount: &VolumeMount, container: &Container, env: &HashMap<&str, &str>) -> Result<Option<String>, Error> {
    if let Some(part) = mount.sub_path.as_deref().filter(|part| !part.is_empty()) {
        return Ok(Some(part.to_owned()));
    }
    let Some(expression) = mount.sub_path_expr.as_deref().filter(|expression| !expression.is_empty()) else {
        return Ok(None);
    };
    let unknown = std::cell::Cell::new(false);
    let part = expand(expression, |name| {
        let value = env.get(name).copied();
        unknown.set(unknown.get() || value.is_none());
        value
    });
    if unknown.get() || part.starts_with('/') || part.split('/').any(|segment| segment == "..") {
        return Err(Error::SubPath {
            mount: mount.name.clone(),
            container: container.name.clone(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("bad subPathExpr {expression:?}")),
        });
    }
    Ok(Some(part).filter(|part| !part.is_empty()))
}

fn hosts_mount(pod: &Pod, inputs: &MountInputs) -> Result<api::Mount, Error> {
    let path = inputs.pod_dir.join("etc-hosts");
    let text = if pod.host_network() {
        hosts::host_network_hosts_file(pod, &fs::read_to_string("/etc/hosts").unwrap_or_default())
    } else {
        hosts::hosts_file(pod, &inputs.pod_ips, &inputs.cluster_domain)
    };
    fs::create_dir_all(&inputs.pod_dir).map_err(io_at(&inputs.pod_dir))?;
    fs::write(&path, text).map_err(io_at(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(io_at(&path))?;
    Ok(bind(&path, "/etc/hosts"))
}

/// An empty file for the container's last words, a new one each time.
fn termination_log(container: &Container, at: &str, pod_dir: &Path) -> Result<api::Mount, Error> {
    let dir = pod_dir.join("containers").join(&container.name);
    fs::create_dir_all(&dir).map_err(io_at(&dir))?;
    let path = dir.join(format!("{:08x}", rand::random::<u32>()));
    fs::write(&path, b"").map_err(io_at(&path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(io_at(&path))?;
    Ok(bind(&path, at))
}

fn bind(host: &Path, container: &str) -> api::Mount {
    api::Mount {
        container_path: container.to_owned(),
        host_path: host.to_string_lossy().into_owned(),
        ..api::Mount::default()
    }
}
