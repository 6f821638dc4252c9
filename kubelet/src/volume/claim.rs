//! PersistentVolumeClaims bound to paths of this node (hostPath and local volumes). Upstream: `volumemanager/populator`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;

use super::Error;
use crate::pod::PodExt;

/// The path of the volume that the claim is bound to.
pub(super) async fn resolve(client: &kube::Client, pod: &Pod, name: &str) -> Result<PathBuf, Error> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), pod.namespace());
    let Some(claim) = claims.get_opt(name).await? else {
        return Err(Error::NoObject { kind: "persistentvolumeclaim", name: name.to_owned() });
    };
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.clone()).unwrap_or_default();
    let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    if !bound || volume.is_empty() {
        return Err(Error::Claim(format!("PVC {}/{name} is not bound", pod.namespace())));
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let Some(found) = volumes.get_opt(&volume).await? else {
        return Err(Error::NoObject { kind: "persistentvolume", name: volume });
    };
    let spec = found.spec.unwrap_or_default();
    if spec.claim_ref.as_ref().and_then(|claim| claim.uid.as_ref()) != claim.metadata.uid.as_ref() {
        return Err(Error::Claim(format!("PV {volume} is bound to another claim than {}/{name}", pod.namespace())));
    }
    if let Some(source) = spec.host_path {
        let path = PathBuf::from(source.path);
        let checked = (path.clone(), source.type_.unwrap_or_default());
        super::local::blocking(move || super::host_path::check(&checked.0, &checked.1)).await?;
        return Ok(path);
    }
    if let Some(source) = spec.local {
        let path = PathBuf::from(source.path);
        return if path.is_dir() {
            Ok(path)
        } else {
            Err(Error::Claim(format!("path \"{}\" of local volume {volume} does not exist", path.display())))
        };
    }
    Err(Error::Unsupported("persistent volumes other than hostPath and local"))
}
