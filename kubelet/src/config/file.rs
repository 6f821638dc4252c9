//! KubeletConfiguration files: `kubelet.config.k8s.io/v1beta1`. Upstream: `kubelet/pkg/config`, `kubeletconfig/configfiles`.
//!
//! One table says of each field whether it is applied, has nothing to do here, or is known and has no effect yet (which is told once).
//! A field that is in no table is an error.

#[cfg(test)]
mod tests;

use std::time::Duration;

use component::config_file::{self, Error, Field, Fields};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::{Config, Threshold};
use crate::resources::value;

/// Fields that are known and have no effect on this kubelet.
const WITHOUT_EFFECT: &[&str] = &[
    "staticPodPath",
    "fileCheckFrequency",
    "httpCheckFrequency",
    "staticPodURL",
    "staticPodURLHeader",
    "readOnlyPort",
    "tlsCipherSuites",
    "tlsCurvePreferences",
    "tlsMinVersion",
    "rotateCertificates",
    "serverTLSBootstrap",
    "registryPullQPS",
    "registryBurst",
    "imagePullCredentialsVerificationPolicy",
    "preloadedImagesVerificationAllowlist",
    "eventRecordQPS",
    "eventBurst",
    "enableDebuggingHandlers",
    "enableContentionProfiling",
    "oomScoreAdj",
    "streamingConnectionIdleTimeout",
    "imageMinimumGCAge",
    "imageMaximumGCAge",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "volumeStatsAggPeriod",
    "kubeletCgroups",
    "systemCgroups",
    "cpuManagerPolicy",
    "singleProcessOOMKill",
    "cpuManagerPolicyOptions",
    "cpuManagerReconcilePeriod",
    "memoryManagerPolicy",
    "topologyManagerPolicy",
    "topologyManagerScope",
    "topologyManagerPolicyOptions",
    "qosReserved",
    "runtimeRequestTimeout",
    "hairpinMode",
    "runOnce",
    "cpuCFSQuotaPeriod",
    "nodeStatusMaxImages",
    "maxOpenFiles",
    "contentType",
    "kubeAPIQPS",
    "kubeAPIBurst",
    "serializeImagePulls",
    "maxParallelImagePulls",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "evictionPressureTransitionPeriod",
    "evictionMaxPodGracePeriod",
    "evictionMinimumReclaim",
    "podsPerCore",
    "enableControllerAttachDetach",
    "protectKernelDefaults",
    "makeIPTablesUtilChains",
    "iptablesMasqueradeBit",
    "iptablesDropBit",
    "featureGates",
    "failSwapOn",
    "memorySwap",
    "containerLogMaxWorkers",
    "containerLogMonitorInterval",
    "configMapAndSecretChangeDetectionStrategy",
    "reservedSystemCPUs",
    "showHiddenMetricsForVersion",
    "systemReservedCgroup",
    "kubeReservedCgroup",
    "defaultPodSysctls",
    "volumePluginDir",
    "providerID",
    "kernelMemcgNotification",
    "logging",
    "enableSystemLogHandler",
    "enableSystemLogQuery",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "shutdownGracePeriodByPodPriority",
    "crashLoopBackOff",
    "reservedMemory",
    "enableProfilingHandler",
    "enableDebugFlagsHandler",
    "seccompDefault",
    "memoryThrottlingFactor",
    "memoryReservationPolicy",
    "tracing",
    "localStorageCapacityIsolation",
    "imageServiceEndpoint",
    "failCgroupV1",
    "userNamespaces",
];

/// Signals of `evictionHard` that upstream knows and this kubelet does not watch.
const OTHER_SIGNALS: &[&str] = &[
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "allocatableMemory.available",
    "pid.available",
];

impl Config {
    /// Applies a KubeletConfiguration file; answers the names of fields that are set there and have no effect here.
    pub fn apply_file(&mut self, yaml: &str) -> Result<Vec<String>, Error> {
        self.apply_fields(&config_file::parse(yaml, "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration")?)
    }

    /// Applies fields of a KubeletConfiguration, however they were given.
    pub fn apply_fields(&mut self, fields: &Fields) -> Result<Vec<String>, Error> {
        let keep_others = fields.get("mergeDefaultEvictionSettings") == Some(&Value::Bool(true));
        config_file::apply(fields, WITHOUT_EFFECT, |field| match field.name {
            "mergeDefaultEvictionSettings" => Ok(true),
            "evictionHard" => self.apply_eviction(field, keep_others).map(|()| true),
            _ => self.apply(field),
        })
    }

    /// Applies one field; false for one that is not applied.
    fn apply(&mut self, field: &Field<'_>) -> Result<bool, Error> {
        match field.name {
            "enableServer" => {
                if !field.boolean()? {
                    self.port = 0;
                }
            }
            "podLogsDir" => self.pod_logs_dir = field.text()?.into(),
            "syncFrequency" => field.set_duration(&mut self.sync_frequency)?,
            "address" => self.address = field.parsed()?,
            "port" => self.port = field.number()?,
            "healthzBindAddress" => self.healthz_bind_address = field.parsed()?,
            "healthzPort" => self.healthz_port = field.number()?,
            "tlsCertFile" => self.tls_cert_file = field.path()?,
            "tlsPrivateKeyFile" => self.tls_private_key_file = field.path()?,
            "authentication" => self.apply_authentication(field)?,
            // Requests are always authorized by the API server; a kubelet that lets everybody in is not to be had.
            "authorization" => {
                if field.map()?.get("mode").is_some_and(|mode| mode != "Webhook") {
                    return Err(field.invalid());
                }
            }
            "clusterDomain" => self.cluster_domain = field.text()?.to_owned(),
            "clusterDNS" => {
                self.cluster_dns = field.addresses()?;
            }
            "nodeStatusUpdateFrequency" => field.set_duration(&mut self.node_status_update_frequency)?,
            "nodeStatusReportFrequency" => field.set_duration(&mut self.node_status_report_frequency)?,
            "nodeLeaseDurationSeconds" => self.node_lease_duration = Duration::from_secs(field.number::<u32>()?.into()),
            "cgroupRoot" => {
                self.cgroup_root = field.path()?.map_or_else(|| "/".into(), |path| path.display().to_string())
            }
            "cgroupsPerQOS" => self.cgroups_per_qos = field.boolean()?,
            "cgroupDriver" => {
                if field.text()? != "cgroupfs" {
                    return Err(field.invalid());
                }
            }
            "maxPods" => self.max_pods = field.number()?,
            "podCIDR" => self.pod_cidr = Some(field.text()?.to_owned()).filter(|range| !range.is_empty()),
            "podPidsLimit" => self.pod_pids_limit = Some(field.number()?),
            "resolvConf" => self.resolv_conf = field.text()?.into(),
            "cpuCFSQuota" => self.cpu_cfs_quota = field.boolean()?,
            "containerLogMaxSize" => {
                let size = value(&Quantity(field.text()?.to_owned()));
                self.container_log_max_size = u64::try_from(size).map_err(|_| field.invalid())?;
            }
            "containerLogMaxFiles" => self.container_log_max_files = field.number::<u32>()? as usize,
            "systemReserved" | "kubeReserved" => {
                for (name, quantity) in field.map()? {
                    let more = quantity.as_str().map(str::to_owned).unwrap_or_else(|| quantity.to_string());
                    self.reserve(name, &more);
                }
            }
            "enforceNodeAllocatable" => {
                self.enforce_node_allocatable = field.texts()?.iter().any(|name| name == "pods")
            }
            "allowedUnsafeSysctls" => self.allowed_unsafe_sysctls = field.texts()?,
            "registerWithTaints" => {
                let text =
                    |taint: &Value, name: &str| taint.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                self.register_with_taints = field
                    .list()?
                    .iter()
                    .map(|taint| format!("{}={}:{}", text(taint, "key"), text(taint, "value"), text(taint, "effect")))
                    .collect();
            }
            "registerNode" => self.register_node = field.boolean()?,
            "containerRuntimeEndpoint" => self.container_runtime_endpoint = field.text()?.to_owned(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn apply_authentication(&mut self, field: &Field<'_>) -> Result<(), Error> {
        for (name, part) in field.map()? {
            let enabled = part.get("enabled").and_then(Value::as_bool);
            match name.as_str() {
                "x509" => {
                    self.client_ca_file = part.get("clientCAFile").and_then(Value::as_str).map(Into::into);
                }
                "webhook" => self.authentication_webhook = enabled.unwrap_or(true),
                "anonymous" if enabled == Some(true) => return Err(field.invalid()),
                "anonymous" => {}
                other => return Err(Error::Unknown(format!("authentication.{other}"))),
            }
        }
        Ok(())
    }

    /// What is not named is turned off, unless the defaults are asked for as well.
    fn apply_eviction(&mut self, field: &Field<'_>, keep_others: bool) -> Result<(), Error> {
        if !keep_others {
            (self.eviction_hard_memory, self.eviction_hard_nodefs) = (Threshold::NONE, Threshold::NONE);
        }
        for (signal, text) in field.map()? {
            let threshold = text.as_str().and_then(Threshold::parse).ok_or_else(|| field.invalid())?;
            match signal.as_str() {
                "memory.available" => self.eviction_hard_memory = threshold,
                "nodefs.available" => self.eviction_hard_nodefs = threshold,
                other if OTHER_SIGNALS.contains(&other) => {}
                _ => return Err(field.invalid()),
            }
        }
        Ok(())
    }

    /// System and Kubernetes reserves add up.
    fn reserve(&mut self, name: &str, more: &str) {
        let amount = |text: &str| crate::resources::milli(&Quantity(text.to_owned()));
        let before = self.reserved.get(name).map_or(0, |text| amount(text));
        self.reserved.insert(name.to_owned(), format!("{}m", before.saturating_add(amount(more))));
    }
}
