//! The node in the same process: kubelet, kube-proxy and DNS with their settings, and waiting until the node is Ready.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use apiserver::ControlPlane;
use apiserver::authentication::UserInfo;
use apiserver::pki::Pki;
use component::Shutdown;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};

use super::flags::Options;
use super::progress::Progress;
use super::{cluster_dns, system};
use crate::node::KubeletFiles;
use crate::process::Parts;

/// After this long the user is told what the wait is for.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// Starts the node's parts.
pub(super) async fn start(options: &Options, plane: &ControlPlane, pki: &Pki, parts: &mut Parts) -> Result<()> {
    // Pods and Services are reached behind an address of the node's own.
    if options.advertise.is_loopback() {
        bail!("this machine has no network address but loopback: give --advertise-address, or run with --disable-node");
    }
    let name = &options.node.name;
    let config = kubelet_config(options, pki)?;
    let user = UserInfo::new(format!("system:node:{name}"), &["system:nodes"]);
    parts.start("kubelet", kubelet::run(config, plane.server.client(user), parts.shutdown()));
    if options.runs("kube-proxy") {
        let client = plane.server.client(system("kube-proxy"));
        parts
            .start("kube-proxy", kube_proxy::run(options.node.kube_proxy(options.advertise), client, parts.shutdown()));
    }
    if options.runs("dns")
        && let Some(service_ip) = options.dns_address()
    {
        let admin = plane.server.client(UserInfo::new("system:apiserver", &["system:masters"]));
        cluster_dns::publish(&admin, service_ip, options.advertise).await.context("cannot publish cluster DNS")?;
        let config = dns::Config {
            listen: vec![SocketAddr::new(options.advertise, cluster_dns::PORT)],
            cluster_domain: options.node.cluster_domain.clone(),
            ..dns::Config::default()
        };
        parts.start("dns", dns::run(config, admin, parts.shutdown()));
    }
    Ok(())
}

fn kubelet_config(options: &Options, pki: &Pki) -> Result<kubelet::Config> {
    // Issued into the folder; the kubelet reads the files.
    pki.kubelet_serving(&options.node.name, &[options.advertise], SystemTime::now())?;
    let dns = options.dns_address().filter(|_| options.runs("dns")).into_iter().collect();
    let folder = options.data_dir.join("pki");
    let files = KubeletFiles {
        certificate: Some(folder.join("kubelet.crt")),
        key: Some(folder.join("kubelet.key")),
        client_ca: Some(folder.join("ca.crt")),
    };
    options.node.kubelet(options.advertise, dns, files)
}

/// Waits for the node's Ready condition, saying what is missing if that takes a while.
pub(super) async fn wait_until_ready(
    plane: &ControlPlane,
    name: &str,
    progress: &Progress,
    shutdown: &Shutdown,
) -> Result<()> {
    let client = plane.server.client(UserInfo::new("system:apiserver", &["system:masters"]));
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut nodes =
        std::pin::pin!(watcher::watcher(Api::<Node>::all(client), config).default_backoff().applied_objects());
    let mut reason = "the kubelet has not registered the node yet (is the container runtime running?)".to_owned();
    let mut tell = tokio::time::interval(TELL_AFTER);
    tell.tick().await;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = tell.tick() => progress.waiting(&format!("waiting for node {name}: {reason}")),
            Some(node) = nodes.next() => {
                let Ok(node) = node else { continue };
                let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
                let Some(ready) = conditions.into_iter().find(|condition| condition.type_ == "Ready") else { continue };
                if ready.status == "True" {
                    return Ok(());
                }
                reason = ready.message.or(ready.reason).unwrap_or(reason);
            }
        }
    }
}
