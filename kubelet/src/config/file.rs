//! KubeletConfiguration files: `kubelet.config.k8s.io/v1beta1`. Upstream: `kubelet/pkg/config`, `kubeletconfig/configfiles`.
//!
//! One table says of each field whether it is applied, has nothing to do here, or is known and has no effect yet (which is told once).
//! A field that is in no table is an error.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Map, Value};

use super::Config;
use crate::resources::value;

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FileError {
    /// No YAML.
    #[error("not a YAML document: {0}")]
    Yaml(String),
    /// YAML of another kind.
    #[error("want kind KubeletConfiguration of kubelet.config.k8s.io/v1beta1, found {0}")]
    Kind(String),
    /// A field that KubeletConfiguration does not have.
    #[error("strict decoding error: unknown field \"{0}\"")]
    Unknown(String),
    /// A field of another type, or a value out of its range.
    #[error("invalid value of {field}: {value}")]
    Value {
        /// The field.
        field: String,
        /// What stands there.
        value: String,
    },
}

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
    "healthzPort",
    "healthzBindAddress",
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
    "mergeDefaultEvictionSettings",
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

impl Config {
    /// Applies a KubeletConfiguration file; answers the names of fields that are set there and have no effect here.
    pub fn apply_file(&mut self, yaml: &str) -> Result<Vec<String>, FileError> {
        let document: Value = serde_saphyr::from_str(yaml).map_err(|error| FileError::Yaml(error.to_string()))?;
        let Value::Object(fields) = document else { return Err(FileError::Yaml("no mapping".into())) };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        if (text("apiVersion"), text("kind")) != ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration") {
            return Err(FileError::Kind(format!("{} of {}", text("kind"), text("apiVersion"))));
        }
        let mut without_effect = Vec::new();
        for (name, value) in &fields {
            let field = Field { name, value };
            if matches!(name.as_str(), "apiVersion" | "kind") || value.is_null() || self.apply(&field)? {
                continue;
            }
            if !WITHOUT_EFFECT.contains(&name.as_str()) {
                return Err(FileError::Unknown(name.clone()));
            }
            without_effect.push(name.clone());
        }
        Ok(without_effect)
    }

    /// Applies one field; false for one that is not applied.
    fn apply(&mut self, field: &Field<'_>) -> Result<bool, FileError> {
        match field.name {
            "enableServer" => {
                if !field.boolean()? {
                    self.port = 0;
                }
            }
            "podLogsDir" => self.pod_logs_dir = field.text()?.into(),
            "syncFrequency" => field.set_duration(&mut self.sync_frequency)?,
            "address" => self.address = field.address()?,
            "port" => self.port = field.number()?,
            "tlsCertFile" => self.tls_cert_file = field.path()?,
            "tlsPrivateKeyFile" => self.tls_private_key_file = field.path()?,
            "authentication" => self.apply_authentication(field)?,
            // Requests are always authorized by the API server; a kubelet that lets everybody in is not to be had.
            "authorization" => {
                if field.at("mode").is_some_and(|mode| mode != "Webhook") {
                    return Err(field.invalid());
                }
            }
            "clusterDomain" => self.cluster_domain = field.text()?.to_owned(),
            "clusterDNS" => {
                let list = field.texts()?;
                self.cluster_dns =
                    list.iter().map(|ip| ip.parse()).collect::<Result<_, _>>().map_err(|_| field.invalid())?;
            }
            "nodeStatusUpdateFrequency" => field.set_duration(&mut self.node_status_update_frequency)?,
            "nodeStatusReportFrequency" => field.set_duration(&mut self.node_status_report_frequency)?,
            "nodeLeaseDurationSeconds" => self.node_lease_duration = Duration::from_secs(field.number::<u32>()?.into()),
            "cgroupRoot" => self.cgroup_root = field.text()?.to_owned(),
            "cgroupsPerQOS" => self.cgroups_per_qos = field.boolean()?,
            "cgroupDriver" => {
                if field.text()? != "cgroupfs" {
                    return Err(field.invalid());
                }
            }
            "maxPods" => self.max_pods = field.number()?,
            "podCIDR" => self.pod_cidr = Some(field.text()?.to_owned()).filter(|range| !range.is_empty()),
            "podPidsLimit" => self.pod_pids_limit = Some(field.value.as_i64().ok_or_else(|| field.invalid())?),
            "resolvConf" => self.resolv_conf = field.text()?.into(),
            "cpuCFSQuota" => self.cpu_cfs_quota = field.boolean()?,
            "evictionHard" => self.apply_eviction(field)?,
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
                let taints = field.value.as_array().ok_or_else(|| field.invalid())?;
                let text =
                    |taint: &Value, name: &str| taint.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                self.register_with_taints = taints
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

    fn apply_authentication(&mut self, field: &Field<'_>) -> Result<(), FileError> {
        for (name, part) in field.map()? {
            let enabled = part.get("enabled").and_then(Value::as_bool);
            match name.as_str() {
                "x509" => {
                    self.client_ca_file = part.get("clientCAFile").and_then(Value::as_str).map(Into::into);
                }
                "webhook" => self.authentication_webhook = enabled.unwrap_or(true),
                "anonymous" if enabled == Some(true) => return Err(field.invalid()),
                "anonymous" => {}
                other => return Err(FileError::Unknown(format!("authentication.{other}"))),
            }
        }
        Ok(())
    }

    fn apply_eviction(&mut self, field: &Field<'_>) -> Result<(), FileError> {
        for (signal, threshold) in field.map()? {
            let threshold = threshold.as_str().ok_or_else(|| field.invalid())?;
            match signal.as_str() {
                "memory.available" if !threshold.ends_with('%') => {
                    self.eviction_hard_memory = value(&Quantity(threshold.to_owned()));
                }
                "nodefs.available" if threshold.ends_with('%') => {
                    let percent = threshold.trim_end_matches('%').parse().map_err(|_| field.invalid())?;
                    self.eviction_hard_nodefs_percent = percent;
                }
                _ => {}
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

/// A field with its value.
struct Field<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Field<'_> {
    fn invalid(&self) -> FileError {
        FileError::Value { field: self.name.to_owned(), value: self.value.to_string() }
    }

    fn text(&self) -> Result<&str, FileError> {
        self.value.as_str().ok_or_else(|| self.invalid())
    }

    fn path(&self) -> Result<Option<std::path::PathBuf>, FileError> {
        Ok(Some(self.text()?).filter(|path| !path.is_empty()).map(Into::into))
    }

    fn at(&self, name: &str) -> Option<&str> {
        self.value.get(name)?.as_str()
    }

    fn texts(&self) -> Result<Vec<String>, FileError> {
        let list = self.value.as_array().ok_or_else(|| self.invalid())?;
        list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| self.invalid())).collect()
    }

    fn map(&self) -> Result<&Map<String, Value>, FileError> {
        self.value.as_object().ok_or_else(|| self.invalid())
    }

    fn boolean(&self) -> Result<bool, FileError> {
        self.value.as_bool().ok_or_else(|| self.invalid())
    }

    fn number<T: TryFrom<u64>>(&self) -> Result<T, FileError> {
        self.value.as_u64().and_then(|number| T::try_from(number).ok()).ok_or_else(|| self.invalid())
    }

    fn address(&self) -> Result<IpAddr, FileError> {
        self.text()?.parse().map_err(|_| self.invalid())
    }

    /// Zero stands for the default, as everywhere in KubeletConfiguration.
    fn set_duration(&self, into: &mut Duration) -> Result<(), FileError> {
        let duration = self.duration()?;
        if !duration.is_zero() {
            *into = duration;
        }
        Ok(())
    }

    /// As Go writes it: `1m30s`, `500ms`.
    fn duration(&self) -> Result<Duration, FileError> {
        let mut total = Duration::ZERO;
        let mut rest = self.text()?;
        if rest == "0" {
            return Ok(total);
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(|| self.invalid())?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let seconds = match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(self.invalid()),
            };
            let number: f64 = number.parse().map_err(|_| self.invalid())?;
            total += Duration::try_from_secs_f64(number * seconds).map_err(|_| self.invalid())?;
            rest = tail;
        }
        Ok(total)
    }
}
