//! `krab kube-proxy`, or krab called `kube-proxy`. Upstream: cmd/kube-proxy.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use component::Shutdown;
use component::flags::{Flag, FlagSet, Kind};
use hyper::StatusCode;
use k8s_openapi::api::core::v1::Node;
use kube::Api;

use super::{EVERYWHERE, FieldFlag, Shape, field_flag};
use crate::health::{self, Route};
use crate::{files, node, process};

/// Between two questions for the Node object that says this node's addresses.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Flags that no field stands for, or that have no effect.
const OWN: &[Flag] = &[
    Flag::text(
        "config",
        "",
        "KubeProxyConfiguration file; with it, flags that are fields are ignored, as upstream does",
    ),
    Flag::text("kubeconfig", "", "how to reach the API server"),
    Flag::text("master", "", "address of the API server, over the kubeconfig's"),
    Flag::text("hostname-override", "", "name of this node (default: the machine's name)"),
    Flag::inert("cleanup", Kind::Bool),
    Flag::inert("config-sync-period", Kind::Text),
    Flag::inert("conntrack-max-per-core", Kind::Text),
    Flag::inert("conntrack-min", Kind::Text),
    Flag::inert("conntrack-tcp-be-liberal", Kind::Bool),
    Flag::inert("conntrack-tcp-timeout-close-wait", Kind::Text),
    Flag::inert("conntrack-tcp-timeout-established", Kind::Text),
    Flag::inert("conntrack-udp-timeout", Kind::Text),
    Flag::inert("conntrack-udp-timeout-stream", Kind::Text),
    Flag::inert("feature-gates", Kind::Text),
    Flag::inert("healthz-port", Kind::Text),
    Flag::inert("init-only", Kind::Bool),
    Flag::inert("iptables-localhost-nodeports", Kind::Bool),
    Flag::inert("iptables-masquerade-bit", Kind::Text),
    Flag::inert("iptables-min-sync-period", Kind::Text),
    Flag::inert("iptables-sync-period", Kind::Text),
    Flag::inert("ipvs-exclude-cidrs", Kind::List),
    Flag::inert("ipvs-min-sync-period", Kind::Text),
    Flag::inert("ipvs-scheduler", Kind::Text),
    Flag::inert("ipvs-strict-arp", Kind::Bool),
    Flag::inert("ipvs-sync-period", Kind::Text),
    Flag::inert("ipvs-tcp-timeout", Kind::Text),
    Flag::inert("ipvs-tcpfin-timeout", Kind::Text),
    Flag::inert("ipvs-udp-timeout", Kind::Text),
    Flag::inert("kube-api-burst", Kind::Text),
    Flag::inert("kube-api-content-type", Kind::Text),
    Flag::inert("kube-api-qps", Kind::Text),
    Flag::inert("metrics-port", Kind::Text),
    Flag::inert("oom-score-adj", Kind::Text),
    Flag::inert("pod-bridge-interface", Kind::Text),
    Flag::inert("pod-interface-name-prefix", Kind::Text),
    Flag::inert("show-hidden-metrics-for-version", Kind::Text),
    Flag::inert("write-config-to", Kind::Text),
];

/// Flags that are fields of KubeProxyConfiguration.
const FIELDS: &[FieldFlag] = &[
    field_flag("bind-address", "bindAddress", Shape::Text),
    field_flag("bind-address-hard-fail", "bindAddressHardFail", Shape::Switch),
    field_flag("cluster-cidr", "clusterCIDR", Shape::Text),
    field_flag("detect-local-mode", "detectLocalMode", Shape::Text),
    field_flag("healthz-bind-address", "healthzBindAddress", Shape::Text),
    field_flag("masquerade-all", "nftables.masqueradeAll", Shape::Switch),
    field_flag("metrics-bind-address", "metricsBindAddress", Shape::Text),
    field_flag("nodeport-addresses", "nodePortAddresses", Shape::List),
    field_flag("profiling", "enableProfiling", Shape::Switch),
    field_flag("proxy-mode", "mode", Shape::Text),
];

/// All flags of kube-proxy.
pub(crate) fn flags() -> Vec<Flag> {
    [OWN, EVERYWHERE].concat().into_iter().chain(FIELDS.iter().map(FieldFlag::flag)).collect()
}

/// Runs the proxy until a signal.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let (mut config, ineffective) = config(&flags)?;
    process::run(&flags, async |shutdown| {
        files::warn_without_effect(Path::new(flags.text("config")), &ineffective);
        let kubeconfig = flags.optional("kubeconfig").or(config.kubeconfig.as_deref());
        let client = super::client(kubeconfig, flags.optional("master")).await?;
        serve_health(&config, shutdown).await?;
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            addresses = addresses_of(&client, &config.node_name) => config.node_ips = addresses,
        }
        Ok(kube_proxy::run(config, client, shutdown.clone()).await?)
    })
}

/// The ports that probes and scrapers ask.
pub(crate) async fn serve_health(config: &kube_proxy::Config, shutdown: &Shutdown) -> Result<()> {
    if let Some(address) = config.healthz_bind_address {
        let routes = vec![Route::healthy("/healthz"), Route::healthy("/livez")];
        health::serve("kube-proxy health", address, routes, shutdown).await?;
    }
    if let Some(address) = config.metrics_bind_address {
        let mode = Route::new("/proxyMode", || (StatusCode::OK, "nftables".to_owned()));
        health::serve("kube-proxy metrics", address, vec![Route::healthy("/healthz"), mode], shutdown).await?;
    }
    Ok(())
}

/// The addresses the Node object tells; waits until there is one that tells any.
async fn addresses_of(client: &kube::Client, name: &str) -> Vec<IpAddr> {
    let nodes: Api<Node> = Api::all(client.clone());
    loop {
        match nodes.get_opt(name).await {
            Ok(node) => {
                let addresses = node.and_then(|node| node.status).and_then(|status| status.addresses);
                let internal =
                    addresses.unwrap_or_default().into_iter().filter(|address| address.type_ == "InternalIP");
                let found: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
                if !found.is_empty() {
                    return found;
                }
                tracing::info!(node = name, "waiting for the node's addresses");
            }
            Err(error) => tracing::warn!(%error, node = name, "cannot read the node"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// The file alone, or the flags: upstream ignores the ones when there is the other.
fn config(flags: &FlagSet) -> Result<(kube_proxy::Config, Vec<String>)> {
    let mut config = kube_proxy::Config::default();
    let ineffective = match flags.optional("config").map(PathBuf::from) {
        Some(path) => {
            let applied = config.apply_file(&files::read(&path)?);
            applied.with_context(|| format!("cannot use {}", path.display()))?
        }
        None => config.apply_fields(&super::fields(FIELDS, flags)?)?,
    };
    if let Some(name) = flags.optional("hostname-override") {
        config.node_name = name.to_owned();
    }
    if config.node_name.is_empty() {
        config.node_name = node::machine_name().context("give --hostname-override")?;
    }
    config.node_name = config.node_name.trim().to_lowercase();
    Ok((config, ineffective))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<(kube_proxy::Config, Vec<String>)> {
        config(&FlagSet::resolve(&flags(), line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn flags_are_fields_unless_there_is_a_file() {
        let line = ["--cluster-cidr=10.1.0.0/16", "--masquerade-all", "--hostname-override=A", "--proxy-mode=ipvs"];
        let (config, ineffective) = read(&line).unwrap();
        assert_eq!((config.cluster_cidr.len(), config.masquerade_all, config.node_name.as_str()), (1, true, "a"));
        assert_eq!(ineffective, ["mode"]);

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.yaml");
        std::fs::write(&file, "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n").unwrap();
        let (config, _) = read(&[line[0], line[2], &format!("--config={}", file.display())]).unwrap();
        assert_eq!((config.cluster_cidr.len(), config.node_name.as_str()), (0, "a"));
    }

    #[test]
    fn every_field_flag_names_a_field() {
        for row in FIELDS {
            let refused = read(&[&format!("--{}=1", row.flag)]).err().map(|error| format!("{error:#}"));
            assert!(!refused.as_ref().is_some_and(|text| text.contains("unknown field")), "{}: {refused:?}", row.flag);
        }
    }
}
