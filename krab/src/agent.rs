//! `krab agent`: a node that joins a control plane elsewhere. Kubelet and kube-proxy in one process, with the settings
//! `krab server` gives its own node.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use component::Shutdown;
use component::flags::{Flag, FlagSet};

use crate::components;
use crate::node::{self, KubeletFiles};
use crate::process::{self, Parts};

const OWN: &[Flag] = &[
    Flag::flag_file("config", "YAML file with flag names as keys"),
    Flag::text("kubeconfig", "", "the node's way to the API server, as `krab certs node` writes it"),
    Flag::text("kube-proxy-kubeconfig", "", "kube-proxy's (default: kube-proxy.kubeconfig beside --kubeconfig)"),
    Flag::text("node-ip", "", "address of this node (default: that of the default route)"),
    Flag::list("cluster-dns", "10.96.0.10", "addresses of cluster DNS, for pods"),
    Flag::text("client-ca-file", "", "CA of those who may ask the kubelet (default: ca.crt beside --kubeconfig)"),
    Flag::text("tls-cert-file", "", "certificate of the kubelet's API (default: kubelet.crt beside --kubeconfig)"),
    Flag::text("tls-private-key-file", "", "its key (default: kubelet.key beside --kubeconfig)"),
    Flag::list("disable", "", "parts not to start: kube-proxy"),
];

/// All flags of `krab agent`.
pub(crate) fn flags() -> Vec<Flag> {
    [OWN, node::FLAGS, process::FLAGS].concat()
}

/// The settings of an agent.
#[derive(Debug)]
struct Options {
    node: node::Options,
    address: IpAddr,
    cluster_dns: Vec<IpAddr>,
    kubeconfig: PathBuf,
    /// None when the proxy is not to run.
    kube_proxy_kubeconfig: Option<PathBuf>,
    files: KubeletFiles,
}

impl Options {
    fn new(flags: &FlagSet) -> Result<Self> {
        let kubeconfig = flags.optional("kubeconfig").map(PathBuf::from);
        let kubeconfig =
            kubeconfig.context("--kubeconfig FILE is needed; `krab certs node` on the server writes it")?;
        let beside = |flag: &str, name: &str| {
            let usual = || kubeconfig.with_file_name(name);
            flags.optional(flag).map_or_else(usual, PathBuf::from)
        };
        let disabled = flags.list("disable");
        ensure!(disabled.iter().all(|part| *part == "kube-proxy"), "--disable: no such part; there is kube-proxy");
        let address = match flags.optional("node-ip") {
            Some(_) => flags.parse("node-ip")?,
            None => node::own_address(),
        };
        ensure!(!address.is_loopback(), "this machine has no network address but loopback: give --node-ip");
        let dns = flags.list("cluster-dns").into_iter();
        let existing = |path: PathBuf| Some(path).filter(|path| path.exists());
        let files = KubeletFiles {
            certificate: existing(beside("tls-cert-file", "kubelet.crt")),
            key: existing(beside("tls-private-key-file", "kubelet.key")),
            client_ca: existing(beside("client-ca-file", "ca.crt")),
        };
        Ok(Self {
            node: node::Options::new(flags)?,
            address,
            cluster_dns: dns
                .map(|ip| ip.parse().with_context(|| format!("--cluster-dns: {ip:?} is no address")))
                .collect::<Result<_>>()?,
            kube_proxy_kubeconfig: Some(beside("kube-proxy-kubeconfig", "kube-proxy.kubeconfig"))
                .filter(|_| disabled.is_empty()),
            files,
            kubeconfig,
        })
    }
}

/// Runs until a signal, or until something that cannot be done without has failed.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let options = Options::new(&flags)?;
    node::check_root()?;
    process::run(&flags, async |shutdown| serve(options, shutdown).await)
}

async fn serve(options: Options, shutdown: &Shutdown) -> Result<()> {
    let mut parts = Parts::new(shutdown);
    let client = components::client(Some(&options.kubeconfig.to_string_lossy()), None).await?;
    let config = options.node.kubelet(options.address, options.cluster_dns, options.files)?;
    components::kubelet::serve_health(&config, shutdown).await?;
    parts.start("kubelet", kubelet::run(config, client, shutdown.clone()));
    if let Some(path) = options.kube_proxy_kubeconfig {
        let client = components::client(Some(&path.to_string_lossy()), None).await?;
        let config = options.node.kube_proxy(options.address);
        components::kube_proxy::serve_health(&config, shutdown).await?;
        parts.start("kube-proxy", kube_proxy::run(config, client, shutdown.clone()));
    }
    parts.run().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &[&str]) -> Result<Options> {
        Options::new(&FlagSet::resolve(&flags(), line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn files_lie_beside_the_kubeconfig() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), "").unwrap();
        let kubeconfig = format!("--kubeconfig={}", folder.path().join("kubelet.kubeconfig").display());
        let found = options(&[&kubeconfig, "--node-ip=10.0.0.2"]).unwrap();
        assert_eq!(found.files.client_ca, Some(folder.path().join("ca.crt")));
        assert_eq!(found.files.certificate, None);
        assert_eq!(found.kube_proxy_kubeconfig, Some(folder.path().join("kube-proxy.kubeconfig")));
        let without = options(&[&kubeconfig, "--node-ip=10.0.0.2", "--disable=kube-proxy"]).unwrap();
        assert_eq!(without.kube_proxy_kubeconfig, None);
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        assert!(options(&[]).unwrap_err().to_string().contains("--kubeconfig"));
        assert!(options(&["--kubeconfig=/k", "--node-ip=127.0.0.1"]).unwrap_err().to_string().contains("--node-ip"));
    }
}
