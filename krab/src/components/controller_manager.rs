//! `krab controller-manager`, or krab called `kube-controller-manager`. Upstream: cmd/kube-controller-manager.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use component::duration::GoDuration;
use component::flags::{Flag, FlagSet, Kind};
use controller_manager::Config;
use ipnet::IpNet;

use super::{EVERYWHERE, SERVING, leader, service_accounts};
use crate::{files, process};

const OWN: &[Flag] = &[
    Flag::text("kubeconfig", "", "how to reach the API server"),
    Flag::text("master", "", "address of the API server, over the kubeconfig's"),
    Flag::list("controllers", "*", "controllers to run; -name leaves one out"),
    Flag::switch("use-service-account-credentials", "each controller acts as its own service account"),
    Flag::switch("allocate-node-cidrs", "give every node a range of pod addresses"),
    Flag::list("cluster-cidr", "", "ranges of pod addresses, one a family"),
    Flag::list("service-cluster-ip-range", "", "addresses of Services, which no node is given"),
    Flag::text("node-cidr-mask-size", "", "prefix length of a node's range"),
    Flag::text("node-cidr-mask-size-ipv4", "24", "the same, IPv4"),
    Flag::text("node-cidr-mask-size-ipv6", "64", "the same, IPv6"),
    Flag::text("root-ca-file", "", "CA that every namespace is told, in kube-root-ca.crt"),
    Flag::text("concurrent-deployment-syncs", "5", "deployments worked on at a time"),
    Flag::text("concurrent-replicaset-syncs", "5", "replica sets worked on at a time"),
    Flag::text("concurrent-endpoint-syncs", "5", "endpoints worked on at a time"),
    Flag::text("concurrent-namespace-syncs", "10", "namespaces worked on at a time"),
    Flag::text("concurrent-job-syncs", "5", "jobs worked on at a time"),
    Flag::text("concurrent-gc-syncs", "20", "garbage looked at at a time"),
    Flag::text("max-endpoints-per-slice", "100", "endpoints in one slice"),
    Flag::text("node-monitor-grace-period", "50s", "silence of a node before it counts as unreachable"),
    Flag::text("node-monitor-period", "5s", "how often the silence of nodes is measured"),
    Flag::text("terminated-pod-gc-threshold", "12500", "finished pods kept before the oldest are removed"),
];

/// Upstream's other flags.
const INERT: &[(Kind, &[&str])] = &[
    (
        Kind::Bool,
        &[
            "configure-cloud-routes",
            "contention-profiling",
            "disable-attach-detach-reconcile-sync",
            "disable-force-detach-on-timeout",
            "enable-dynamic-provisioning",
            "enable-garbage-collector",
            "enable-hostpath-provisioner",
            "enable-leader-migration",
            "profiling",
        ],
    ),
    (
        Kind::Text,
        &[
            "attach-detach-reconcile-sync-period",
            "cidr-allocator-type",
            "cloud-config",
            "cloud-provider",
            "cluster-name",
            "cluster-signing-cert-file",
            "cluster-signing-duration",
            "cluster-signing-key-file",
            "cluster-signing-kube-apiserver-client-cert-file",
            "cluster-signing-kube-apiserver-client-key-file",
            "cluster-signing-kubelet-client-cert-file",
            "cluster-signing-kubelet-client-key-file",
            "cluster-signing-kubelet-serving-cert-file",
            "cluster-signing-kubelet-serving-key-file",
            "cluster-signing-legacy-unknown-cert-file",
            "cluster-signing-legacy-unknown-key-file",
            "concurrent-cron-job-syncs",
            "concurrent-daemonset-syncs",
            "concurrent-device-taint-eviction-syncs",
            "concurrent-disruption-syncs",
            "concurrent-ephemeralvolume-syncs",
            "concurrent-horizontal-pod-autoscaler-syncs",
            "concurrent-rc-syncs",
            "concurrent-resource-quota-syncs",
            "concurrent-resourceclaim-syncs",
            "concurrent-service-endpoint-syncs",
            "concurrent-serviceaccount-token-syncs",
            "concurrent-statefulset-syncs",
            "concurrent-ttl-after-finished-syncs",
            "concurrent-validating-admission-policy-status-syncs",
            "controller-shutdown-timeout",
            "controller-start-interval",
            "endpoint-updates-batch-period",
            "endpointslice-updates-batch-period",
            "external-cloud-volume-plugin",
            "flex-volume-plugin-dir",
            "horizontal-pod-autoscaler-cpu-initialization-period",
            "horizontal-pod-autoscaler-downscale-stabilization",
            "horizontal-pod-autoscaler-initial-readiness-delay",
            "horizontal-pod-autoscaler-sync-period",
            "horizontal-pod-autoscaler-tolerance",
            "kube-api-burst",
            "kube-api-content-type",
            "kube-api-qps",
            "large-cluster-size-threshold",
            "leader-migration-config",
            "legacy-service-account-token-clean-up-period",
            "min-resync-period",
            "mirroring-concurrent-service-endpoint-syncs",
            "mirroring-endpointslice-updates-batch-period",
            "mirroring-max-endpoints-per-subset",
            "namespace-sync-period",
            "node-eviction-rate",
            "node-startup-grace-period",
            "pv-recycler-increment-timeout-nfs",
            "pv-recycler-minimum-timeout-hostpath",
            "pv-recycler-minimum-timeout-nfs",
            "pv-recycler-pod-template-filepath-hostpath",
            "pv-recycler-pod-template-filepath-nfs",
            "pv-recycler-timeout-increment-hostpath",
            "pvclaimbinder-sync-period",
            "resource-quota-sync-period",
            "route-reconciliation-period",
            "secondary-node-eviction-rate",
            "service-account-private-key-file",
            "unhealthy-zone-threshold",
        ],
    ),
];

/// All flags of the controller manager.
pub(crate) fn flags() -> Vec<Flag> {
    let inert = INERT.iter().flat_map(|(kind, names)| names.iter().map(|name| Flag::inert(name, *kind)));
    [OWN, leader::FLAGS, SERVING, EVERYWHERE].concat().into_iter().chain(inert).collect()
}

/// Runs the controllers until a signal.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let config = config(&flags)?;
    process::run(&flags, async |shutdown| {
        let mut connection = super::connection(flags.optional("kubeconfig"), flags.optional("master")).await?;
        let client = super::connect(connection.clone())?;
        let clients = match flags.is_set("use-service-account-credentials") {
            true => {
                connection.auth_info = kube::config::AuthInfo::default();
                Some(service_accounts::clients(super::connect(connection)?, client.clone(), shutdown))
            }
            false => None,
        };
        let work = |term| controller_manager::run(config, client.clone(), clients, term);
        leader::lead("kube-controller-manager", &flags, client.clone(), shutdown, work).await
    })
}

fn config(flags: &FlagSet) -> Result<Config> {
    let duration = |name: &str| flags.parse::<GoDuration>(name).map(|GoDuration(duration)| duration);
    let mask = |name: &str| match flags.optional("node-cidr-mask-size") {
        Some(_) => flags.parse("node-cidr-mask-size"),
        None => flags.parse::<u8>(name),
    };
    Ok(Config {
        controllers: flags.list("controllers").into_iter().map(str::to_owned).collect(),
        cluster_cidr: ranges(flags, "cluster-cidr")?,
        node_cidr_mask_size_ipv4: mask("node-cidr-mask-size-ipv4")?,
        node_cidr_mask_size_ipv6: mask("node-cidr-mask-size-ipv6")?,
        allocate_node_cidrs: flags.is_set("allocate-node-cidrs"),
        service_cluster_ip_range: ranges(flags, "service-cluster-ip-range")?,
        root_ca_pem: match flags.optional("root-ca-file") {
            Some(path) => files::read(Path::new(path))?,
            None => String::new(),
        },
        concurrent_deployment_syncs: flags.parse("concurrent-deployment-syncs")?,
        concurrent_replicaset_syncs: flags.parse("concurrent-replicaset-syncs")?,
        concurrent_endpoint_syncs: flags.parse("concurrent-endpoint-syncs")?,
        concurrent_namespace_syncs: flags.parse("concurrent-namespace-syncs")?,
        concurrent_job_syncs: flags.parse("concurrent-job-syncs")?,
        concurrent_gc_syncs: flags.parse("concurrent-gc-syncs")?,
        max_endpoints_per_slice: flags.parse("max-endpoints-per-slice")?,
        node_monitor_grace_period: duration("node-monitor-grace-period")?,
        node_monitor_period: duration("node-monitor-period")?.max(Duration::from_millis(100)),
        terminated_pod_gc_threshold: flags.parse::<i64>("terminated-pod-gc-threshold")?.try_into().unwrap_or(0),
        ..Config::default()
    })
}

fn ranges(flags: &FlagSet, name: &str) -> Result<Vec<IpNet>> {
    let range = |text: &str| text.parse().with_context(|| format!("--{name}: {text:?} is no range of addresses"));
    flags.list(name).into_iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Config> {
        config(&FlagSet::resolve(&flags(), line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn flags_as_kubeadm_gives_them_are_applied() {
        let config = read(&[
            "--allocate-node-cidrs=true",
            "--cluster-cidr=10.244.0.0/16,fd00::/56",
            "--controllers=*,-bootstrapsigner",
            "--node-monitor-grace-period=1m",
            "--leader-elect=true",
            "--cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt",
        ])
        .unwrap();
        assert_eq!((config.allocate_node_cidrs, config.cluster_cidr.len()), (true, 2));
        assert_eq!(config.controllers, ["*", "-bootstrapsigner"]);
        assert_eq!(config.node_monitor_grace_period, Duration::from_secs(60));
        assert_eq!(read(&["--node-cidr-mask-size=26"]).unwrap().node_cidr_mask_size_ipv4, 26);
    }

    #[test]
    fn nonsense_is_refused_by_its_flag() {
        assert!(format!("{:#}", read(&["--cluster-cidr=x"]).unwrap_err()).contains("--cluster-cidr"));
        assert!(read(&["--concurrent-job-syncs=-1"]).unwrap_err().to_string().contains("--concurrent-job-syncs"));
    }
}
