//! Who each controller is towards the API: a service account of its own in kube-system, whose role
//! `system:controller:NAME` allows what that controller does and no more.
//!
//! Upstream: `--use-service-account-credentials`, the names given to `ControllerContext.NewClient`.

use std::sync::Arc;

/// Gives the client of a service account in kube-system, by the account's name.
pub type Clients = Arc<dyn Fn(&str) -> kube::Client + Send + Sync>;

/// Controllers whose service account has another name than `NAME` says.
const ACCOUNTS: &[(&str, &str)] = &[
    ("certificatesigningrequest-approving-controller", "certificate-controller"),
    ("certificatesigningrequest-cleaner-controller", "certificate-controller"),
    ("certificatesigningrequest-signing-controller", "certificate-controller"),
    ("daemonset-controller", "daemon-set-controller"),
    ("endpoints-controller", "endpoint-controller"),
    ("endpointslice-mirroring-controller", "endpointslicemirroring-controller"),
    ("garbage-collector-controller", "generic-garbage-collector"),
    ("horizontal-pod-autoscaler-controller", "horizontal-pod-autoscaler"),
    ("node-ipam-controller", "node-controller"),
    ("node-lifecycle-controller", "node-controller"),
    ("persistentvolume-attach-detach-controller", "attachdetach-controller"),
    ("persistentvolume-binder-controller", "persistent-volume-binder"),
    ("persistentvolume-expander-controller", "expand-controller"),
    ("persistentvolume-protection-controller", "pv-protection-controller"),
    ("persistentvolumeclaim-protection-controller", "pvc-protection-controller"),
    ("pod-garbage-collector-controller", "pod-garbage-collector"),
    ("replicationcontroller-controller", "replication-controller"),
    ("root-ca-certificate-publisher-controller", "root-ca-cert-publisher"),
    ("serviceaccount-controller", "service-account-controller"),
    ("taint-eviction-controller", "node-controller"),
];

/// The service account of a controller.
pub(crate) fn service_account(controller: &'static str) -> &'static str {
    ACCOUNTS.iter().find(|(name, _)| *name == controller).map_or(controller, |(_, account)| account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_the_controllers_name_unless_upstream_has_another() {
        assert_eq!(service_account("deployment-controller"), "deployment-controller");
        assert_eq!(service_account("garbage-collector-controller"), "generic-garbage-collector");
    }
}
