//! What a node needs to be told, whether it runs beside the control plane (`krab server`) or joins one (`krab agent`).

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use component::flags::{Flag, FlagSet};
use ipnet::IpNet;

use crate::files;

/// The flags about the node.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::text("node-name", "", "name of this node (default: the machine's name)"),
    Flag::text("container-runtime-endpoint", "unix:///run/containerd/containerd.sock", "socket of containerd or CRI-O"),
    Flag::text("kubelet-port", "10250", "port of the kubelet's API"),
    Flag::text("kubelet-root-dir", "/var/lib/kubelet", "where the volumes of pods are"),
    Flag::text("kubelet-config", "", "KubeletConfiguration file; what it sets wins over what krab would choose"),
    Flag::text("pod-logs-dir", "/var/log/pods", "where the logs of pods are"),
    Flag::text("cgroup-root", "/", "cgroup below which pods' cgroups are made"),
    Flag::text("cni-conf-dir", "/etc/cni/net.d", "a network configuration is written here if it holds none"),
    Flag::text("cluster-cidr", "10.244.0.0/16", "addresses of pods"),
    Flag::text("cluster-domain", "cluster.local", "DNS domain of the cluster"),
];

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) cluster_cidr: IpNet,
    pub(crate) cluster_domain: String,
    runtime: String,
    kubelet_port: u16,
    kubelet_root: PathBuf,
    /// The text of `--kubelet-config`, with its path for messages.
    kubelet_config: Option<(PathBuf, String)>,
    pod_logs: PathBuf,
    cgroup_root: String,
    cni_conf_dir: PathBuf,
}

impl Options {
    pub(crate) fn new(flags: &FlagSet) -> Result<Self> {
        let name = match flags.optional("node-name") {
            Some(name) => name.to_owned(),
            None => machine_name().context("give --node-name")?,
        };
        let kubelet_config = flags.optional("kubelet-config").map(PathBuf::from);
        Ok(Self {
            name,
            cluster_cidr: flags.parse("cluster-cidr")?,
            cluster_domain: flags.text("cluster-domain").to_owned(),
            runtime: flags.text("container-runtime-endpoint").to_owned(),
            kubelet_port: flags.parse("kubelet-port")?,
            kubelet_root: flags.text("kubelet-root-dir").into(),
            kubelet_config: match kubelet_config {
                Some(path) => Some((path.clone(), files::read(&path)?)),
                None => None,
            },
            pod_logs: flags.text("pod-logs-dir").into(),
            cgroup_root: flags.text("cgroup-root").to_owned(),
            cni_conf_dir: flags.text("cni-conf-dir").into(),
        })
    }

    /// The kubelet's settings; `identity` names its certificate, its key, and the CA of its clients.
    pub(crate) fn kubelet(
        &self,
        address: IpAddr,
        cluster_dns: Vec<IpAddr>,
        identity: KubeletFiles,
    ) -> Result<kubelet::Config> {
        let mut config = kubelet::Config {
            node_name: self.name.clone(),
            node_ip: Some(address),
            root_dir: self.kubelet_root.clone(),
            pod_logs_dir: self.pod_logs.clone(),
            container_runtime_endpoint: self.runtime.clone(),
            cluster_dns,
            cluster_domain: self.cluster_domain.clone(),
            port: self.kubelet_port,
            tls_cert_file: identity.certificate,
            tls_private_key_file: identity.key,
            client_ca_file: identity.client_ca,
            cni_conf_dir: Some(self.cni_conf_dir.clone()),
            cgroup_root: self.cgroup_root.clone(),
            ..kubelet::Config::default()
        };
        if let Some((path, text)) = &self.kubelet_config {
            let ineffective = config.apply_file(text).with_context(|| format!("cannot use {}", path.display()))?;
            files::warn_without_effect(path, &ineffective);
        }
        Ok(config)
    }

    /// kube-proxy's settings.
    pub(crate) fn kube_proxy(&self, address: IpAddr) -> kube_proxy::Config {
        kube_proxy::Config {
            node_name: self.name.clone(),
            node_ips: vec![address],
            cluster_cidr: vec![self.cluster_cidr],
            ..kube_proxy::Config::default()
        }
    }
}

/// Files of the kubelet's HTTPS API.
#[derive(Clone, Debug, Default)]
pub(crate) struct KubeletFiles {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
}

/// Refuses to be a node where that cannot work.
pub(crate) fn check_root() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "a node needs root (network, cgroups, containers): run as root, or with --disable-node for a control plane alone"
        );
    }
    Ok(())
}

/// Upstream's rule: the machine's name in lower case.
pub(crate) fn machine_name() -> Result<String> {
    let name = hostname::get().context("cannot read the machine's name")?;
    Ok(name.to_string_lossy().trim().to_lowercase())
}

/// The address packets to elsewhere would leave from. Nothing is sent: a UDP socket is only pointed at an address.
pub(crate) fn own_address() -> IpAddr {
    let probe = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // TEST-NET-1: routed like the rest of the world, owned by no one.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    probe().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
