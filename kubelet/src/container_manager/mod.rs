//! Cgroups of pods: `kubepods`, one below it for burstable and best-effort pods, one for each pod. Upstream: `cm.ContainerManager`.
//!
//! Containers' own cgroups belong to the runtime. The kubelet writes files under `/sys/fs/cgroup` itself (driver `cgroupfs`), on
//! version 1 in every mounted hierarchy, so that none is left over when the pod is gone.

mod hierarchy;
pub(crate) mod limits;

use std::io;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;

use crate::Config;
use crate::pod::PodExt;
use crate::pod::qos::{QosClass, qos_class};
use crate::resources::{Amounts, Side, of_pod};

pub(crate) use hierarchy::Hierarchy;

/// Where a cgroup operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cgroup {path}: {source}")]
pub(crate) struct Error {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Makes and removes pods' cgroups.
#[derive(Debug)]
pub(crate) struct ContainerManager {
    /// None: pods' containers live where the runtime puts them.
    hierarchy: Option<Hierarchy>,
    /// `cgroupRoot` without slashes at the ends, "" for the root.
    root: String,
    pids_limit: Option<i64>,
    pub(crate) cpu_quota: bool,
    pub(crate) memory_capacity: i64,
}

impl ContainerManager {
    pub(crate) fn new(config: &Config, memory_capacity: i64) -> Self {
        let hierarchy = config.cgroups_per_qos.then(Hierarchy::detect).flatten();
        if config.cgroups_per_qos && hierarchy.is_none() {
            tracing::warn!("no cgroup hierarchy is mounted at /sys/fs/cgroup: pods get no cgroups of their own");
        }
        Self {
            hierarchy,
            root: config.cgroup_root.trim_matches('/').to_owned(),
            pids_limit: config.pod_pids_limit.filter(|limit| *limit > 0),
            cpu_quota: config.cpu_cfs_quota,
            memory_capacity,
        }
    }

    /// Whether this machine's cgroups are of version 1; upstream warns about them.
    pub(crate) fn is_v1(&self) -> bool {
        matches!(self.hierarchy, Some(Hierarchy::V1 { .. }))
    }

    fn kubepods(&self) -> String {
        if self.root.is_empty() { "kubepods".into() } else { format!("{}/kubepods", self.root) }
    }

    /// The cgroup under which a pod's containers are made: what CRI calls `cgroup_parent`.
    pub(crate) fn pod_cgroup(&self, pod: &Pod) -> String {
        match self.hierarchy {
            Some(_) => format!("/{}", self.relative(qos_class(pod), pod.uid())),
            None => String::new(),
        }
    }

    fn relative(&self, class: QosClass, uid: &str) -> String {
        let kubepods = self.kubepods();
        match class {
            QosClass::Guaranteed => format!("{kubepods}/pod{uid}"),
            QosClass::Burstable => format!("{kubepods}/burstable/pod{uid}"),
            QosClass::BestEffort => format!("{kubepods}/besteffort/pod{uid}"),
        }
    }

    /// Makes `kubepods` and the two classes below it. `allocatable` bounds all pods together when enforced.
    pub(crate) fn start(&self, allocatable: &Amounts, enforce: bool) -> Result<(), Error> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        let kubepods = self.kubepods();
        let mut limits = limits::Limits {
            cpu_shares: Some(limits::shares(allocatable.get("cpu").copied().unwrap_or(0))),
            ..limits::Limits::default()
        };
        if enforce {
            limits.memory = allocatable.get("memory").copied();
        }
        hierarchy.ensure(&kubepods, &limits)?;
        let least = limits::Limits { cpu_shares: Some(limits::MIN_SHARES), ..limits::Limits::default() };
        hierarchy.ensure(&format!("{kubepods}/burstable"), &least)?;
        hierarchy.ensure(&format!("{kubepods}/besteffort"), &least)
    }

    /// Makes or updates a pod's cgroup.
    pub(crate) fn ensure_pod(&self, pod: &Pod) -> Result<(), Error> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        let limits = limits::of_pod_cgroup(pod, self.cpu_quota, self.pids_limit);
        hierarchy.ensure(&self.relative(qos_class(pod), pod.uid()), &limits)
    }

    /// Gives the burstable pods together the CPU weight of what they request.
    pub(crate) fn update_qos<'a>(&self, running: impl Iterator<Item = &'a Pod>) -> Result<(), Error> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        let milli = running
            .filter(|pod| qos_class(pod) == QosClass::Burstable)
            .map(|pod| of_pod(pod, Side::Requests).get("cpu").copied().unwrap_or(0))
            .sum();
        let limits = limits::Limits { cpu_shares: Some(limits::shares(milli)), ..limits::Limits::default() };
        hierarchy.ensure(&format!("{}/burstable", self.kubepods()), &limits)
    }

    /// Removes a pod's cgroup, wherever its class put it. Processes that are still in it are killed.
    pub(crate) fn remove_pod(&self, uid: &str) -> Result<(), Error> {
        let Some(hierarchy) = &self.hierarchy else { return Ok(()) };
        for class in [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort] {
            hierarchy.remove(&self.relative(class, uid))?;
        }
        Ok(())
    }

    /// The uids of all pods that have a cgroup.
    pub(crate) fn pods(&self) -> Vec<String> {
        let Some(hierarchy) = &self.hierarchy else { return Vec::new() };
        let kubepods = self.kubepods();
        [kubepods.clone(), format!("{kubepods}/burstable"), format!("{kubepods}/besteffort")]
            .iter()
            .flat_map(|parent| hierarchy.children(parent))
            .filter_map(|name| name.strip_prefix("pod").map(str::to_owned))
            .collect()
    }

    /// CPU time (nanoseconds) and working set (bytes) of all pods or one pod, for `/stats/summary`.
    pub(crate) fn usage(&self, pod: Option<&Pod>) -> Option<(u64, u64)> {
        let hierarchy = self.hierarchy.as_ref()?;
        match pod {
            Some(pod) => hierarchy.usage(&self.relative(qos_class(pod), pod.uid())),
            None => hierarchy.usage(&self.root),
        }
    }
}
