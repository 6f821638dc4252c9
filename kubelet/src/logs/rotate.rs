//! Keeps logs from filling the disk: renamed when too long, the oldest removed. Upstream: `logs.ContainerLogManager`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::kubelet::Kubelet;

/// Upstream: `containerLogMonitorInterval`.
const INTERVAL: Duration = Duration::from_secs(10);

/// Runs until shutdown.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let running = cri::api::ContainerStateValue { state: cri::api::ContainerState::ContainerRunning as i32 };
        let filter = cri::api::ContainerFilter { state: Some(running), ..Default::default() };
        // Folders tell sizes without a call a container; only what is too long is asked about.
        let Some(long) = long_logs(&kubelet.config.pod_logs_dir, kubelet.config.container_log_max_size) else {
            continue;
        };
        if long.is_empty() {
            continue;
        }
        let Ok(containers) = kubelet.cri.list_containers(Some(filter)).await else { continue };
        for container in containers {
            let Ok(answer) = kubelet.cri.container_status(&container.id, false).await else { continue };
            let path = answer.status.map(|status| status.log_path).unwrap_or_default();
            if !long.iter().any(|long| long.as_os_str() == path.as_str()) {
                continue;
            }
            let path = Path::new(&path);
            match rename(path, kubelet.config.container_log_max_files) {
                Ok(()) => {
                    if let Err(error) = kubelet.cri.reopen_container_log(&container.id).await {
                        tracing::warn!(%error, log = %path.display(), "log is not reopened");
                    }
                }
                Err(error) => tracing::warn!(%error, log = %path.display(), "log is not rotated"),
            }
        }
    }
}

/// The current logs (`N.log`) that are longer than `limit`.
fn long_logs(root: &Path, limit: u64) -> Option<Vec<std::path::PathBuf>> {
    let mut long = Vec::new();
    for pod in std::fs::read_dir(root).ok()?.flatten() {
        for container in std::fs::read_dir(pod.path()).into_iter().flatten().flatten() {
            for log in std::fs::read_dir(container.path()).into_iter().flatten().flatten() {
                let current = log.path().extension().is_some_and(|extension| extension == "log");
                if current && log.metadata().is_ok_and(|meta| meta.len() > limit) {
                    long.push(log.path());
                }
            }
        }
    }
    Some(long)
}

/// `0.log` becomes `0.log.20261120-100000`; of these the newest stay.
fn rename(path: &Path, max_files: usize) -> std::io::Result<()> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(&stamp);
    std::fs::rename(path, &name)?;
    let (Some(dir), Some(file)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let prefix = format!("{}.", file.to_string_lossy());
    let mut old: Vec<_> = std::fs::read_dir(dir)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    old.sort();
    let keep = max_files.saturating_sub(1);
    for path in &old[..old.len().saturating_sub(keep)] {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
