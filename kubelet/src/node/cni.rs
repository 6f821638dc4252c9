//! Pod networking out of the box: a conflist for the bridge plugin, written when the folder holds none.
//!
//! The file sorts last, so that the configuration any CNI add-on installs comes before it and takes over; it is rewritten when the node's
//! pod range changes, and only while it is the one in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::Config;
use crate::kubelet::Kubelet;

/// The name of our file.
const FILE: &str = "99-krab.conflist";

/// Runs until shutdown: writes the file as soon as the pod range is known.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let Some(dir) = kubelet.config.cni_conf_dir.clone() else { return };
    let mut written: Option<Vec<String>> = None;
    let mut nodes = kubelet.node.subscribe();
    if let Some(range) = kubelet.config.pod_cidr.clone() {
        written = write_for(&kubelet, &dir, vec![range]).await.or(written);
    }
    while let Some(change) = nodes.next().await {
        let spec = change.object().spec.clone().unwrap_or_default();
        let ranges = spec.pod_cidrs.filter(|ranges| !ranges.is_empty()).or(spec.pod_cidr.map(|range| vec![range]));
        let Some(ranges) = ranges else { continue };
        if written.as_ref() != Some(&ranges) {
            written = write_for(&kubelet, &dir, ranges).await.or(written);
        }
    }
}

async fn write_for(kubelet: &Kubelet, dir: &Path, ranges: Vec<String>) -> Option<Vec<String>> {
    match write(&kubelet.config, dir, &ranges) {
        Ok(Some(path)) => {
            tracing::info!(file = %path.display(), ranges = ranges.join(","), "pod network is configured")
        }
        Ok(None) => tracing::info!(dir = %dir.display(), "pod network is configured by another file"),
        Err(error) => {
            tracing::error!(%error, dir = %dir.display(), "pod network is not configured");
            return None;
        }
    }
    if let Some(first) = ranges.first() {
        let _ = kubelet.cri.update_runtime_config(first).await;
    }
    kubelet.look_at_runtime.notify_one();
    Some(ranges)
}

/// Writes our file unless another is there.
fn write(config: &Config, dir: &Path, ranges: &[String]) -> std::io::Result<Option<PathBuf>> {
    std::fs::create_dir_all(dir)?;
    let is_configuration = |path: &Path| {
        path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "conf" | "conflist" | "json"))
    };
    let others =
        std::fs::read_dir(dir)?.flatten().any(|entry| entry.file_name() != FILE && is_configuration(&entry.path()));
    if others {
        return Ok(None);
    }
    let path = dir.join(FILE);
    let text = format!("{:#}\n", conflist(config, ranges));
    if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(Some(path));
    }
    // The runtime watches the folder and must never see half a file.
    let temporary = dir.join(format!(".{FILE}.tmp"));
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, &path)?;
    Ok(Some(path))
}

fn conflist(config: &Config, ranges: &[String]) -> serde_json::Value {
    let subnets: Vec<_> = ranges.iter().map(|range| json!([{ "subnet": range }])).collect();
    let routes: Vec<_> =
        ranges.iter().map(|range| json!({ "dst": if range.contains(':') { "::/0" } else { "0.0.0.0/0" } })).collect();
    let mut ipam = json!({ "type": "host-local", "ranges": subnets, "routes": routes });
    if let Some(dir) = &config.cni_data_dir {
        ipam["dataDir"] = json!(dir);
    }
    let mut bridge = json!({
        "type": "bridge",
        "bridge": config.cni_bridge,
        "isGateway": true,
        "ipMasq": true,
        "hairpinMode": true,
        "ipam": ipam,
    });
    if config.cni_mtu > 0 {
        bridge["mtu"] = json!(config.cni_mtu);
    }
    json!({
        "cniVersion": "0.4.0",
        "name": "krab",
        "plugins": [bridge, { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_configuration_wins() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::default();
        let ranges = ["10.244.0.0/24".to_owned()];
        let path = write(&config, dir.path(), &ranges).unwrap().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.0.0/24");
        std::fs::write(dir.path().join("10-calico.conflist"), "{}").unwrap();
        assert_eq!(write(&config, dir.path(), &["10.1.0.0/24".to_owned()]).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
