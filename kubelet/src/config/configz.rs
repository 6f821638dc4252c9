//! `/configz`: the settings in force, as a KubeletConfiguration. Upstream: `component-base/configz`.

use serde_json::{Value, json};

use super::{Config, Threshold};

impl Config {
    /// The fields that this kubelet applies, as a file would have them.
    pub(crate) fn document(&self) -> Value {
        let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
        json!({
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "enableServer": self.port != 0,
            "podLogsDir": self.pod_logs_dir,
            "syncFrequency": seconds(self.sync_frequency),
            "address": self.address,
            "port": self.port,
            "tlsCertFile": self.tls_cert_file,
            "tlsPrivateKeyFile": self.tls_private_key_file,
            "authentication": {
                "x509": {"clientCAFile": self.client_ca_file},
                "webhook": {"enabled": self.authentication_webhook},
                "anonymous": {"enabled": false},
            },
            "authorization": {"mode": "Webhook"},
            "healthzPort": self.healthz_port,
            "healthzBindAddress": self.healthz_bind_address,
            "clusterDomain": self.cluster_domain,
            "clusterDNS": self.cluster_dns,
            "nodeStatusUpdateFrequency": seconds(self.node_status_update_frequency),
            "nodeStatusReportFrequency": seconds(self.node_status_report_frequency),
            "nodeLeaseDurationSeconds": self.node_lease_duration.as_secs(),
            "cgroupRoot": self.cgroup_root,
            "cgroupsPerQOS": self.cgroups_per_qos,
            "cgroupDriver": "cgroupfs",
            "maxPods": self.max_pods,
            "podCIDR": self.pod_cidr,
            "podPidsLimit": self.pod_pids_limit.unwrap_or(-1),
            "resolvConf": self.resolv_conf,
            "cpuCFSQuota": self.cpu_cfs_quota,
            "evictionHard": {
                "memory.available": self.eviction_hard_memory.to_string(),
                "nodefs.available": self.eviction_hard_nodefs.to_string(),
            },
            "containerLogMaxSize": crate::resources::bytes(i64::try_from(self.container_log_max_size).unwrap_or(i64::MAX)).0,
            "containerLogMaxFiles": self.container_log_max_files,
            "kubeReserved": self.reserved,
            "enforceNodeAllocatable": if self.enforce_node_allocatable { vec!["pods"] } else { vec![] },
            "allowedUnsafeSysctls": self.allowed_unsafe_sysctls,
            "registerNode": self.register_node,
            "containerRuntimeEndpoint": self.container_runtime_endpoint,
        })
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Amount(bytes) => f.write_str(&crate::resources::bytes(*bytes).0),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_read_again() {
        let config = Config { max_pods: 7, cgroup_root: "/pods".into(), ..Config::default() };
        let mut again = Config::default();
        let ineffective = again.apply_file(&config.document().to_string()).unwrap();
        assert!(ineffective.is_empty(), "{ineffective:?}");
        assert_eq!((again.max_pods, again.cgroup_root.as_str()), (7, "/pods"));
        assert_eq!(again.document(), config.document());
    }
}
