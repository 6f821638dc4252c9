//! `krab kubelet`, or krab called `kubelet`. Upstream: cmd/kubelet.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use component::flags::{Flag, FlagSet, Kind};

use super::{EVERYWHERE, FieldFlag, Shape, field_flag};
use crate::health::{self, Route};
use crate::{files, node, process};

/// Flags that no field stands for.
const OWN: &[Flag] = &[
    Flag::text("config", "", "KubeletConfiguration file; flags win over it"),
    Flag::text("config-dir", "", "folder of *.conf files that are applied over --config, by name"),
    Flag::text("kubeconfig", "", "how to reach the API server"),
    Flag::text("hostname-override", "", "name of this node (default: the machine's name)"),
    Flag::text("node-ip", "", "address of this node (default: that of the default route)"),
    Flag::text("root-dir", "/var/lib/kubelet", "where the volumes of pods are"),
    Flag::list("node-labels", "", "key=value,... to register the node with"),
    Flag::inert("bootstrap-kubeconfig", Kind::Text),
    Flag::inert("cert-dir", Kind::Text),
    Flag::inert("cloud-provider", Kind::Text),
    Flag::inert("exit-on-lock-contention", Kind::Bool),
    Flag::inert("experimental-allocatable-ignore-eviction", Kind::Bool),
    Flag::inert("experimental-mounter-path", Kind::Text),
    Flag::inert("image-credential-provider-bin-dir", Kind::Text),
    Flag::inert("image-credential-provider-config", Kind::Text),
    Flag::inert("lock-file", Kind::Text),
    Flag::inert("maximum-dead-containers", Kind::Text),
    Flag::inert("maximum-dead-containers-per-container", Kind::Text),
    Flag::inert("minimum-container-ttl-duration", Kind::Text),
    Flag::inert("runtime-cgroups", Kind::Text),
];

/// Flags that are fields of KubeletConfiguration.
const FIELDS: &[FieldFlag] = &[
    field_flag("address", "address", Shape::Text),
    field_flag("allowed-unsafe-sysctls", "allowedUnsafeSysctls", Shape::List),
    field_flag("anonymous-auth", "authentication.anonymous.enabled", Shape::Switch),
    field_flag("authentication-token-webhook", "authentication.webhook.enabled", Shape::Switch),
    field_flag("authentication-token-webhook-cache-ttl", "authentication.webhook.cacheTTL", Shape::Text),
    field_flag("authorization-mode", "authorization.mode", Shape::Text),
    field_flag("authorization-webhook-cache-authorized-ttl", "authorization.webhook.cacheAuthorizedTTL", Shape::Text),
    field_flag(
        "authorization-webhook-cache-unauthorized-ttl",
        "authorization.webhook.cacheUnauthorizedTTL",
        Shape::Text,
    ),
    field_flag("cgroup-driver", "cgroupDriver", Shape::Text),
    field_flag("cgroup-root", "cgroupRoot", Shape::Text),
    field_flag("cgroups-per-qos", "cgroupsPerQOS", Shape::Switch),
    field_flag("client-ca-file", "authentication.x509.clientCAFile", Shape::Text),
    field_flag("cluster-dns", "clusterDNS", Shape::List),
    field_flag("cluster-domain", "clusterDomain", Shape::Text),
    field_flag("container-log-max-files", "containerLogMaxFiles", Shape::Number),
    field_flag("container-log-max-size", "containerLogMaxSize", Shape::Text),
    field_flag("container-runtime-endpoint", "containerRuntimeEndpoint", Shape::Text),
    field_flag("contention-profiling", "enableContentionProfiling", Shape::Switch),
    field_flag("cpu-cfs-quota", "cpuCFSQuota", Shape::Switch),
    field_flag("cpu-cfs-quota-period", "cpuCFSQuotaPeriod", Shape::Text),
    field_flag("cpu-manager-policy", "cpuManagerPolicy", Shape::Text),
    field_flag("cpu-manager-policy-options", "cpuManagerPolicyOptions", Shape::Map),
    field_flag("cpu-manager-reconcile-period", "cpuManagerReconcilePeriod", Shape::Text),
    field_flag("enable-controller-attach-detach", "enableControllerAttachDetach", Shape::Switch),
    field_flag("enable-debugging-handlers", "enableDebuggingHandlers", Shape::Switch),
    field_flag("enable-server", "enableServer", Shape::Switch),
    field_flag("enforce-node-allocatable", "enforceNodeAllocatable", Shape::List),
    field_flag("event-burst", "eventBurst", Shape::Number),
    field_flag("event-qps", "eventRecordQPS", Shape::Number),
    field_flag("eviction-hard", "evictionHard", Shape::Map),
    field_flag("eviction-max-pod-grace-period", "evictionMaxPodGracePeriod", Shape::Number),
    field_flag("eviction-minimum-reclaim", "evictionMinimumReclaim", Shape::Map),
    field_flag("eviction-pressure-transition-period", "evictionPressureTransitionPeriod", Shape::Text),
    field_flag("eviction-soft", "evictionSoft", Shape::Map),
    field_flag("eviction-soft-grace-period", "evictionSoftGracePeriod", Shape::Map),
    field_flag("fail-cgroupv1", "failCgroupV1", Shape::Switch),
    field_flag("fail-swap-on", "failSwapOn", Shape::Switch),
    field_flag("feature-gates", "featureGates", Shape::Map),
    field_flag("file-check-frequency", "fileCheckFrequency", Shape::Text),
    field_flag("hairpin-mode", "hairpinMode", Shape::Text),
    field_flag("healthz-bind-address", "healthzBindAddress", Shape::Text),
    field_flag("healthz-port", "healthzPort", Shape::Number),
    field_flag("http-check-frequency", "httpCheckFrequency", Shape::Text),
    field_flag("image-gc-high-threshold", "imageGCHighThresholdPercent", Shape::Number),
    field_flag("image-gc-low-threshold", "imageGCLowThresholdPercent", Shape::Number),
    field_flag("image-service-endpoint", "imageServiceEndpoint", Shape::Text),
    field_flag("kernel-memcg-notification", "kernelMemcgNotification", Shape::Switch),
    field_flag("kube-api-burst", "kubeAPIBurst", Shape::Number),
    field_flag("kube-api-content-type", "contentType", Shape::Text),
    field_flag("kube-api-qps", "kubeAPIQPS", Shape::Number),
    field_flag("kube-reserved", "kubeReserved", Shape::Map),
    field_flag("kube-reserved-cgroup", "kubeReservedCgroup", Shape::Text),
    field_flag("kubelet-cgroups", "kubeletCgroups", Shape::Text),
    field_flag("local-storage-capacity-isolation", "localStorageCapacityIsolation", Shape::Switch),
    field_flag("make-iptables-util-chains", "makeIPTablesUtilChains", Shape::Switch),
    field_flag("manifest-url", "staticPodURL", Shape::Text),
    field_flag("manifest-url-header", "staticPodURLHeader", Shape::Text),
    field_flag("max-open-files", "maxOpenFiles", Shape::Number),
    field_flag("max-pods", "maxPods", Shape::Number),
    field_flag("memory-manager-policy", "memoryManagerPolicy", Shape::Text),
    field_flag("minimum-image-ttl-duration", "imageMinimumGCAge", Shape::Text),
    field_flag("node-status-max-images", "nodeStatusMaxImages", Shape::Number),
    field_flag("node-status-update-frequency", "nodeStatusUpdateFrequency", Shape::Text),
    field_flag("oom-score-adj", "oomScoreAdj", Shape::Number),
    field_flag("pod-cidr", "podCIDR", Shape::Text),
    field_flag("pod-manifest-path", "staticPodPath", Shape::Text),
    field_flag("pod-max-pids", "podPidsLimit", Shape::Number),
    field_flag("pods-per-core", "podsPerCore", Shape::Number),
    field_flag("port", "port", Shape::Number),
    field_flag("protect-kernel-defaults", "protectKernelDefaults", Shape::Switch),
    field_flag("provider-id", "providerID", Shape::Text),
    field_flag("qos-reserved", "qosReserved", Shape::Map),
    field_flag("read-only-port", "readOnlyPort", Shape::Number),
    field_flag("register-node", "registerNode", Shape::Switch),
    field_flag("registry-burst", "registryBurst", Shape::Number),
    field_flag("registry-qps", "registryPullQPS", Shape::Number),
    field_flag("reserved-cpus", "reservedSystemCPUs", Shape::Text),
    field_flag("reserved-memory", "reservedMemory", Shape::Text),
    field_flag("resolv-conf", "resolvConf", Shape::Text),
    field_flag("rotate-certificates", "rotateCertificates", Shape::Switch),
    field_flag("rotate-server-certificates", "serverTLSBootstrap", Shape::Switch),
    field_flag("runonce", "runOnce", Shape::Switch),
    field_flag("runtime-request-timeout", "runtimeRequestTimeout", Shape::Text),
    field_flag("seccomp-default", "seccompDefault", Shape::Switch),
    field_flag("serialize-image-pulls", "serializeImagePulls", Shape::Switch),
    field_flag("show-hidden-metrics-for-version", "showHiddenMetricsForVersion", Shape::Text),
    field_flag("streaming-connection-idle-timeout", "streamingConnectionIdleTimeout", Shape::Text),
    field_flag("sync-frequency", "syncFrequency", Shape::Text),
    field_flag("system-cgroups", "systemCgroups", Shape::Text),
    field_flag("system-reserved", "systemReserved", Shape::Map),
    field_flag("system-reserved-cgroup", "systemReservedCgroup", Shape::Text),
    field_flag("tls-cert-file", "tlsCertFile", Shape::Text),
    field_flag("tls-cipher-suites", "tlsCipherSuites", Shape::List),
    field_flag("tls-min-version", "tlsMinVersion", Shape::Text),
    field_flag("tls-private-key-file", "tlsPrivateKeyFile", Shape::Text),
    field_flag("topology-manager-policy", "topologyManagerPolicy", Shape::Text),
    field_flag("topology-manager-policy-options", "topologyManagerPolicyOptions", Shape::Map),
    field_flag("topology-manager-scope", "topologyManagerScope", Shape::Text),
    field_flag("volume-plugin-dir", "volumePluginDir", Shape::Text),
    field_flag("volume-stats-agg-period", "volumeStatsAggPeriod", Shape::Text),
];

/// Its own shape: `key=value:effect,...`.
const TAINTS: Flag = Flag::list("register-with-taints", "", "key=value:effect,... to register the node with");

/// All flags of the kubelet.
pub(crate) fn flags() -> Vec<Flag> {
    [OWN, &[TAINTS], EVERYWHERE].concat().into_iter().chain(FIELDS.iter().map(FieldFlag::flag)).collect()
}

/// Runs a kubelet until a signal.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let (config, ineffective) = config(&flags)?;
    node::check_root()?;
    process::run(&flags, async |shutdown| {
        files::warn_without_effect(Path::new(flags.text("config")), &ineffective);
        let client = super::client(flags.optional("kubeconfig"), None).await?;
        serve_health(&config, shutdown).await?;
        Ok(kubelet::run(config, client, shutdown.clone()).await?)
    })
}

/// `/healthz` without TLS, as probes of the machine's own ask it.
pub(crate) async fn serve_health(config: &kubelet::Config, shutdown: &component::Shutdown) -> Result<()> {
    if config.healthz_port == 0 {
        return Ok(());
    }
    let address = SocketAddr::new(config.healthz_bind_address, config.healthz_port);
    health::serve("kubelet health", address, vec![Route::healthy("/healthz")], shutdown).await
}

/// The file, the files over it, then the flags; and the fields set that change nothing.
fn config(flags: &FlagSet) -> Result<(kubelet::Config, Vec<String>)> {
    let mut config = kubelet::Config::default();
    let mut ineffective = Vec::new();
    for path in config_files(flags)? {
        let applied = config.apply_file(&files::read(&path)?);
        ineffective.extend(applied.with_context(|| format!("cannot use {}", path.display()))?);
    }
    ineffective.extend(config.apply_fields(&super::fields(FIELDS, flags)?)?);
    if flags.given(TAINTS.name) {
        config.register_with_taints = flags.list(TAINTS.name).into_iter().map(str::to_owned).collect();
    }
    config.node_name = match flags.optional("hostname-override") {
        Some(name) => name.trim().to_lowercase(),
        None => node::machine_name().context("give --hostname-override")?,
    };
    config.node_ip = match flags.list("node-ip").first() {
        Some(first) => {
            let ip: IpAddr = first.parse().with_context(|| format!("--node-ip: {first:?} is no address"))?;
            Some(ip).filter(|ip| !ip.is_unspecified())
        }
        None => None,
    };
    config.root_dir = flags.text("root-dir").into();
    config.node_labels = super::pairs(flags, "node-labels")?.into_iter().collect();
    Ok((config, ineffective))
}

fn config_files(flags: &FlagSet) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = flags.optional("config").map(PathBuf::from).into_iter().collect();
    if let Some(folder) = flags.optional("config-dir") {
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read the folder {folder}"))?;
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
            .collect();
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<(kubelet::Config, Vec<String>)> {
        config(&FlagSet::resolve(&flags(), line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubelet.yaml");
        let head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
        std::fs::write(&file, format!("{head}maxPods: 7\nport: 1\nclusterDNS: [10.0.0.10]\n")).unwrap();
        std::fs::write(folder.path().join("10.conf"), format!("{head}port: 2\n")).unwrap();
        let (config, _) = read(&[
            &format!("--config={}", file.display()),
            &format!("--config-dir={}", folder.path().display()),
            "--max-pods=8",
            "--hostname-override=Node-A",
        ])
        .unwrap();
        assert_eq!((config.max_pods, config.port, config.healthz_port), (8, 2, 10248));
        assert_eq!((config.cluster_dns.len(), config.node_name.as_str()), (1, "node-a"));
    }

    #[test]
    fn labels_taints_and_addresses_are_read() {
        let (config, ineffective) = read(&[
            "--node-labels=a=b,c=d",
            "--register-with-taints=k=v:NoSchedule",
            "--node-ip=10.1.2.3",
            "--image-gc-high-threshold=90",
        ])
        .unwrap();
        assert_eq!(config.node_labels["c"], "d");
        assert_eq!(config.register_with_taints, ["k=v:NoSchedule"]);
        assert_eq!(config.node_ip.unwrap().to_string(), "10.1.2.3");
        assert_eq!(ineffective, ["imageGCHighThresholdPercent"]);
        assert!(read(&["--node-ip=nowhere"]).is_err());
    }

    /// A flag whose field the configuration does not know would be refused whenever it is given.
    #[test]
    fn every_field_flag_names_a_field() {
        for row in FIELDS {
            let value = match row.shape {
                Shape::Switch => "true",
                Shape::Number => "1",
                Shape::Map => "memory.available=1",
                Shape::Text | Shape::List => "1",
            };
            let refused = read(&[&format!("--{}={value}", row.flag)]).err().map(|error| format!("{error:#}"));
            assert!(!refused.as_ref().is_some_and(|text| text.contains("unknown field")), "{}: {refused:?}", row.flag);
        }
    }
}
