//! The one list of controllers, under upstream's names, and how `--controllers` selects from it.

use std::future::Future;
use std::pin::Pin;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;

use crate::engine::Context;
use crate::{
    Error, cluster_role_aggregation, cronjob, daemonset, deployment, disruption, endpoints, endpointslice,
    endpointslice_mirroring, ephemeral_volume, garbage_collector, job, namespace, node_ipam, node_lifecycle, pod_gc,
    replicaset, resource_quota, root_ca, serviceaccount, statefulset, taint_eviction, ttl_after_finished,
    validating_admission_policy_status, volume_protection,
};

/// A controller's main loop.
pub type Run = fn(Context, &'static str) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One controller.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Upstream's name.
    pub name: &'static str,
    /// The name before v1.28, still accepted by `--controllers`.
    pub alias: &'static str,
    /// Its main loop.
    pub run: Run,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

macro_rules! entry {
    ($name:literal, $alias:literal, $run:expr) => {
        Entry { name: $name, alias: $alias, run: |context, name| Box::pin($run(context, name)) }
    };
}

/// Every controller there is; all are on by default.
pub const LIST: &[Entry] = &[
    entry!("replicaset-controller", "replicaset", replicaset::run::<ReplicaSet>),
    entry!("replicationcontroller-controller", "replicationcontroller", replicaset::run::<ReplicationController>),
    entry!("deployment-controller", "deployment", deployment::run),
    entry!("endpoints-controller", "endpoint", endpoints::run),
    entry!("endpointslice-controller", "endpointslice", endpointslice::run),
    entry!("endpointslice-mirroring-controller", "endpointslicemirroring", endpointslice_mirroring::run),
    entry!("garbage-collector-controller", "garbagecollector", garbage_collector::run),
    entry!("daemonset-controller", "daemonset", daemonset::run),
    entry!("statefulset-controller", "statefulset", statefulset::run),
    entry!("cronjob-controller", "cronjob", cronjob::run),
    entry!("disruption-controller", "disruption", disruption::run),
    entry!("clusterrole-aggregation-controller", "clusterrole-aggregation", cluster_role_aggregation::run),
    entry!("persistentvolumeclaim-protection-controller", "pvc-protection", volume_protection::run_claims),
    entry!("persistentvolume-protection-controller", "pv-protection", volume_protection::run_volumes),
    entry!(
        "volumeattributesclass-protection-controller",
        // Younger than aliases: it has none.
        "",
        volume_protection::run_classes
    ),
    entry!("ephemeral-volume-controller", "ephemeral-volume", ephemeral_volume::run),
    entry!("resourcequota-controller", "resourcequota", resource_quota::run),
    entry!("job-controller", "job", job::run),
    entry!("ttl-after-finished-controller", "ttl-after-finished", ttl_after_finished::run),
    entry!("pod-garbage-collector-controller", "podgc", pod_gc::run),
    entry!("node-ipam-controller", "nodeipam", node_ipam::run),
    entry!("node-lifecycle-controller", "nodelifecycle", node_lifecycle::run),
    entry!("taint-eviction-controller", "taint-eviction", taint_eviction::run),
    entry!("namespace-controller", "namespace", namespace::run),
    entry!("serviceaccount-controller", "serviceaccount", serviceaccount::run),
    entry!("root-ca-certificate-publisher-controller", "root-ca-cert-publisher", root_ca::run),
    // Younger than aliases: it has none.
    entry!("validatingadmissionpolicy-status-controller", "", validating_admission_policy_status::run),
];

/// The controllers `names` selects: `*` is all, `-name` leaves one out, a name takes it in. An explicit name wins over
/// `*`, and of two explicit ones the first.
///
/// Upstream: genericcontrollermanager.IsControllerEnabled.
pub fn select(names: &[String]) -> Result<Vec<Entry>, Error> {
    let known = |name: &str| LIST.iter().any(|entry| entry.name == name || entry.alias == name);
    for name in names.iter().filter(|name| *name != "*") {
        let plain = name.strip_prefix('-').unwrap_or(name);
        if !known(plain) {
            return Err(Error::UnknownController(plain.to_owned()));
        }
    }
    let enabled = |entry: &Entry| {
        let explicit = names.iter().find_map(|name| {
            let plain = name.strip_prefix('-').unwrap_or(name);
            (plain == entry.name || plain == entry.alias).then_some(plain == name)
        });
        explicit.unwrap_or_else(|| names.iter().any(|name| name == "*"))
    };
    Ok(LIST.iter().copied().filter(enabled).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn selected(names: &[&str]) -> Vec<&'static str> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        select(&names).unwrap().iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn names_are_unique() {
        // Younger controllers have no alias.
        let names = LIST.iter().flat_map(|entry| [entry.name, entry.alias]).filter(|name| !name.is_empty());
        let unique: BTreeSet<&str> = names.clone().collect();
        assert_eq!(unique.len(), names.count());
    }

    #[test]
    fn star_is_all_and_minus_leaves_out() {
        assert_eq!(selected(&["*"]).len(), LIST.len());
        assert_eq!(selected(&["*", "-deployment"]).len(), LIST.len() - 1);
        assert!(!selected(&["*", "-deployment-controller"]).contains(&"deployment-controller"));
        assert_eq!(selected(&["namespace"]), ["namespace-controller"]);
        assert!(selected(&[]).is_empty());
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(select(&["-no-such".to_owned()]).is_err());
    }
}
