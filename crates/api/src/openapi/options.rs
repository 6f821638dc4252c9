//! The group-versions that option kinds and watch events are named for, where a document names all its makers know: those of
//! a scheme, served or not. Upstream: client-go/kubernetes/scheme, and the schemes kube-apiserver is made of.

/// What clients know.
const CLIENTS: [(&str, &[&str]); 23] = [
    ("", &["v1"]),
    ("admissionregistration.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("apps", &["v1", "v1beta1", "v1beta2"]),
    ("authentication.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("authorization.k8s.io", &["v1", "v1beta1"]),
    ("autoscaling", &["v1", "v2"]),
    ("batch", &["v1", "v1beta1"]),
    ("certificates.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("coordination.k8s.io", &["v1", "v1alpha2", "v1beta1"]),
    ("discovery.k8s.io", &["v1", "v1beta1"]),
    ("events.k8s.io", &["v1", "v1beta1"]),
    ("extensions", &["v1beta1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1", "v1beta1", "v1beta2", "v1beta3"]),
    ("internal.apiserver.k8s.io", &["v1alpha1"]),
    ("lifecycle.k8s.io", &["v1alpha1"]),
    ("networking.k8s.io", &["v1", "v1beta1"]),
    ("node.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("policy", &["v1", "v1beta1"]),
    ("rbac.authorization.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("resource.k8s.io", &["v1", "v1alpha3", "v1beta1", "v1beta2"]),
    ("scheduling.k8s.io", &["v1", "v1alpha3", "v1beta1"]),
    ("storage.k8s.io", &["v1", "v1alpha1", "v1beta1"]),
    ("storagemigration.k8s.io", &["v1", "v1beta1"]),
];

/// What kube-apiserver knows besides.
const SERVERS: [(&str, &[&str]); 4] = [
    ("admission.k8s.io", &["v1", "v1beta1"]),
    ("apiextensions.k8s.io", &["v1", "v1beta1"]),
    ("apiregistration.k8s.io", &["v1", "v1beta1"]),
    ("imagepolicy.k8s.io", &["v1alpha1"]),
];

fn listed(groups: &[(&'static str, &'static [&'static str])]) -> Vec<(&'static str, &'static str)> {
    groups.iter().flat_map(|(group, versions)| versions.iter().map(|version| (*group, *version))).collect()
}

/// Those a document of custom resources names.
pub(super) fn of_clients() -> Vec<(&'static str, &'static str)> {
    listed(&CLIENTS)
}

/// Those the document of everything names.
pub(super) fn of_servers() -> Vec<(&'static str, &'static str)> {
    listed(&CLIENTS).into_iter().chain(listed(&SERVERS)).collect()
}
