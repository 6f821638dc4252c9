//! What a kubelet is told before it starts. Names are KubeletConfiguration's, in snake case.

mod configz;
mod file;
mod threshold;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use threshold::Threshold;

/// The kubelet's configuration. Upstream: `kubelet.config.k8s.io/v1beta1.KubeletConfiguration` and the flags beside it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Node object's name. Upstream: `--hostname-override`, else the machine's name in lower case.
    pub node_name: String,
    /// The address to report; found from the default route when absent. Upstream: `--node-ip`.
    pub node_ip: Option<IpAddr>,
    /// Labels to register with. Upstream: `--node-labels`.
    pub node_labels: BTreeMap<String, String>,
    /// Taints to register with, as `key=value:effect`. Upstream: `registerWithTaints`.
    pub register_with_taints: Vec<String>,
    /// Where pods' directories are. Upstream: `--root-dir`, `/var/lib/kubelet`.
    pub root_dir: PathBuf,
    /// Where container logs are. Upstream: `podLogsDir`.
    pub pod_logs_dir: PathBuf,
    /// Symbolic links to the logs, one a container, for log collectors. `None` makes none. Upstream: `/var/log/containers`.
    pub container_logs_dir: Option<PathBuf>,
    /// Where Localhost seccomp profiles are. Upstream: `<root-dir>/seccomp`.
    pub seccomp_dir: Option<PathBuf>,
    /// `unix:///path` of the container runtime. Upstream: `containerRuntimeEndpoint`.
    pub container_runtime_endpoint: String,
    /// DNS servers for pods with policy ClusterFirst. Upstream: `clusterDNS`.
    pub cluster_dns: Vec<IpAddr>,
    /// Upstream: `clusterDomain`.
    pub cluster_domain: String,
    /// The host's resolver configuration. Upstream: `resolvConf`.
    pub resolv_conf: PathBuf,
    /// Where the HTTPS API listens. Upstream: `address`.
    pub address: IpAddr,
    /// Port of the HTTPS API. Upstream: `port`; 0 turns the API off.
    pub port: u16,
    /// Where `/healthz` is answered without TLS. Upstream: `healthzBindAddress`.
    pub healthz_bind_address: IpAddr,
    /// Upstream: `healthzPort`; 0 turns it off.
    pub healthz_port: u16,
    /// PEM certificate chain of the HTTPS API; one signed by itself is made when absent. Upstream: `tlsCertFile`.
    pub tls_cert_file: Option<PathBuf>,
    /// PEM key of the HTTPS API. Upstream: `tlsPrivateKeyFile`.
    pub tls_private_key_file: Option<PathBuf>,
    /// PEM certificates of the CA that signs clients. Upstream: `authentication.x509.clientCAFile`.
    pub client_ca_file: Option<PathBuf>,
    /// Whether bearer tokens are checked by TokenReview. Upstream: `authentication.webhook.enabled`.
    pub authentication_webhook: bool,
    /// CNI's configuration folder: a conflist is written here if it holds none. `None` leaves the network to the runtime.
    pub cni_conf_dir: Option<PathBuf>,
    /// Where host-local keeps its reservations; CNI's default when absent.
    pub cni_data_dir: Option<PathBuf>,
    /// Name of the bridge in the conflist that is written.
    pub cni_bridge: String,
    /// Largest packet in pod networks; CNI's default when 0.
    pub cni_mtu: u32,
    /// Used for CNI until the Node has a podCIDR. Upstream: `podCIDR`.
    pub pod_cidr: Option<String>,
    /// Upstream: `maxPods`.
    pub max_pods: u32,
    /// Cgroup under which `kubepods` is made, "/" for the root. Upstream: `cgroupRoot`.
    pub cgroup_root: String,
    /// Whether pods' cgroups are made at all. Upstream: `cgroupsPerQOS`.
    pub cgroups_per_qos: bool,
    /// Largest number of processes in a pod; no limit when absent or -1. Upstream: `podPidsLimit`.
    pub pod_pids_limit: Option<i64>,
    /// Whether CPU limits become CFS quotas. Upstream: `cpuCFSQuota`.
    pub cpu_cfs_quota: bool,
    /// Taken from the node's capacity before pods get theirs. Upstream: `systemReserved` + `kubeReserved`.
    pub reserved: BTreeMap<String, String>,
    /// Upstream: `evictionHard["memory.available"]`; lowers allocatable memory.
    pub eviction_hard_memory: Threshold,
    /// Upstream: `evictionHard["nodefs.available"]`; lowers allocatable ephemeral storage.
    pub eviction_hard_nodefs: Threshold,
    /// Upstream: `nodeStatusUpdateFrequency`.
    pub node_status_update_frequency: Duration,
    /// Upstream: `nodeStatusReportFrequency`.
    pub node_status_report_frequency: Duration,
    /// Upstream: `nodeLeaseDurationSeconds`.
    pub node_lease_duration: Duration,
    /// How often volumes of running pods are compared with the API even without a change. Upstream: `syncFrequency`.
    pub sync_frequency: Duration,
    /// Upstream: `containerLogMaxSize`, in bytes.
    pub container_log_max_size: u64,
    /// Upstream: `containerLogMaxFiles`.
    pub container_log_max_files: usize,
    /// Image of the sandbox, for runtimes that do not tell theirs. Upstream: `--pod-infra-container-image`.
    pub pause_image: String,
    /// Upstream: `allowedUnsafeSysctls`; a trailing `*` matches a prefix.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Upstream: `enforceNodeAllocatable` contains `pods`.
    pub enforce_node_allocatable: bool,
    /// Upstream: `registerNode`.
    pub register_node: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            node_ip: None,
            node_labels: BTreeMap::new(),
            register_with_taints: Vec::new(),
            root_dir: "/var/lib/kubelet".into(),
            pod_logs_dir: "/var/log/pods".into(),
            container_logs_dir: None,
            seccomp_dir: None,
            container_runtime_endpoint: "unix:///run/containerd/containerd.sock".into(),
            cluster_dns: Vec::new(),
            cluster_domain: "cluster.local".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            address: IpAddr::from([0, 0, 0, 0]),
            port: 10250,
            healthz_bind_address: IpAddr::from([127, 0, 0, 1]),
            healthz_port: 10248,
            tls_cert_file: None,
            tls_private_key_file: None,
            client_ca_file: None,
            authentication_webhook: true,
            cni_conf_dir: None,
            cni_data_dir: None,
            cni_bridge: "cni0".into(),
            cni_mtu: 0,
            pod_cidr: None,
            max_pods: 110,
            cgroup_root: "/".into(),
            cgroups_per_qos: true,
            pod_pids_limit: None,
            cpu_cfs_quota: true,
            reserved: BTreeMap::new(),
            eviction_hard_memory: Threshold::Amount(100 << 20),
            eviction_hard_nodefs: Threshold::Share(0.1),
            node_status_update_frequency: Duration::from_secs(10),
            node_status_report_frequency: Duration::from_secs(300),
            node_lease_duration: Duration::from_secs(40),
            sync_frequency: Duration::from_secs(60),
            container_log_max_size: 10 << 20,
            container_log_max_files: 5,
            pause_image: "registry.k8s.io/pause:3.10.2".into(),
            allowed_unsafe_sysctls: Vec::new(),
            enforce_node_allocatable: true,
            register_node: true,
        }
    }
}

impl Config {
    /// The directory of a pod.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.root_dir.join("pods").join(uid)
    }

    /// The directory of a pod's logs. Upstream: `kuberuntime.BuildPodLogsDirectory`.
    pub(crate) fn pod_log_dir(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.pod_logs_dir.join(format!("{namespace}_{name}_{uid}"))
    }
}
