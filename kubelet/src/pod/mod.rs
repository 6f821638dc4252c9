//! Views of a Pod: the questions the kubelet asks of one, and what is derived from its spec alone.
//!
//! Nothing here does I/O, except [`objects`], which asks the API.

pub(crate) mod dns;
pub(crate) mod env;
pub(crate) mod fields;
pub(crate) mod hosts;
pub(crate) mod objects;
pub(crate) mod qos;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, EphemeralContainer, Pod, PodSpec, PodStatus};

static EMPTY_STATUS: PodStatus = PodStatus {
    allocated_resources: None,
    conditions: None,
    container_statuses: None,
    ephemeral_container_statuses: None,
    extended_resource_claim_status: None,
    host_ip: None,
    host_ips: None,
    init_container_statuses: None,
    message: None,
    node_allocatable_resource_claim_statuses: None,
    nominated_node_name: None,
    observed_generation: None,
    phase: None,
    pod_ip: None,
    pod_ips: None,
    qos_class: None,
    reason: None,
    resize: None,
    resource_claim_statuses: None,
    resources: None,
    start_time: None,
    volume_health: None,
};

/// Which list of the spec a container stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Init,
    Regular,
    Ephemeral,
}

/// When a pod's containers are started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// What the kubelet asks of a pod.
pub(crate) trait PodExt {
    fn name(&self) -> &str;
    fn namespace(&self) -> &str;
    fn uid(&self) -> &str;
    fn spec(&self) -> &PodSpec;
    fn status(&self) -> &PodStatus;
    fn restart_policy(&self) -> RestartPolicy;
    fn host_network(&self) -> bool;
    fn deleting(&self) -> bool;
    fn generation(&self) -> Option<i64>;

    /// Whether the API already says that the pod is over.
    fn finished(&self) -> bool {
        matches!(self.status().phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Seconds its containers get to end, by the API alone.
    fn grace_period(&self) -> i64;

    fn init_containers(&self) -> &[Container] {
        self.spec().init_containers.as_deref().unwrap_or_default()
    }

    fn containers(&self) -> &[Container] {
        &self.spec().containers
    }

    fn ephemeral_containers(&self) -> &[EphemeralContainer] {
        self.spec().ephemeral_containers.as_deref().unwrap_or_default()
    }

    /// The container of this name in whatever list, ephemeral ones in the shape of the others.
    fn container(&self, name: &str) -> Option<(Kind, Container)> {
        if let Some(found) = self.containers().iter().find(|container| container.name == name) {
            return Some((Kind::Regular, found.clone()));
        }
        if let Some(found) = self.init_containers().iter().find(|container| container.name == name) {
            return Some((Kind::Init, found.clone()));
        }
        let found = self.ephemeral_containers().iter().find(|container| container.name == name)?;
        Some((Kind::Ephemeral, from_ephemeral(found)))
    }

    /// What the API last said of a container, in whatever list.
    fn container_status(&self, name: &str) -> Option<&ContainerStatus> {
        let status = self.status();
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .find(|status| status.name == name)
    }
}

impl PodExt for Pod {
    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    fn spec(&self) -> &PodSpec {
        static EMPTY: std::sync::OnceLock<PodSpec> = std::sync::OnceLock::new();
        self.spec.as_ref().unwrap_or_else(|| EMPTY.get_or_init(PodSpec::default))
    }

    fn status(&self) -> &PodStatus {
        self.status.as_ref().unwrap_or(&EMPTY_STATUS)
    }

    fn restart_policy(&self) -> RestartPolicy {
        match PodExt::spec(self).restart_policy.as_deref() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        }
    }

    fn host_network(&self) -> bool {
        PodExt::spec(self).host_network.unwrap_or(false)
    }

    fn deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    fn generation(&self) -> Option<i64> {
        self.metadata.generation
    }

    fn grace_period(&self) -> i64 {
        let by_spec = PodExt::spec(self).termination_grace_period_seconds.unwrap_or(30);
        if self.deleting() { self.metadata.deletion_grace_period_seconds.unwrap_or(by_spec) } else { by_spec }
    }
}

/// Whether an init container runs beside the others rather than before them.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a container that ended with this code is started again while its pod lives. A container's own rules come first, then its
/// own policy, then the pod's. Upstream: `podutil.ContainerShouldRestart`.
pub(crate) fn restarts_after(container: &Container, pod_policy: RestartPolicy, exit_code: i32) -> bool {
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.as_ref().is_some_and(|values| values.contains(&exit_code));
        let matched = match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        if matched {
            return rule.action == "Restart";
        }
    }
    let policy = match container.restart_policy.as_deref() {
        Some("Always") => RestartPolicy::Always,
        Some("OnFailure") => RestartPolicy::OnFailure,
        Some("Never") => RestartPolicy::Never,
        _ => pod_policy,
    };
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != 0,
        RestartPolicy::Never => false,
    }
}

fn from_ephemeral(container: &EphemeralContainer) -> Container {
    let container = container.clone();
    Container {
        args: container.args,
        command: container.command,
        env: container.env,
        env_from: container.env_from,
        image: container.image,
        image_pull_policy: container.image_pull_policy,
        lifecycle: container.lifecycle,
        liveness_probe: container.liveness_probe,
        name: container.name,
        ports: container.ports,
        readiness_probe: container.readiness_probe,
        resize_policy: container.resize_policy,
        resources: container.resources,
        restart_policy: container.restart_policy,
        restart_policy_rules: container.restart_policy_rules,
        security_context: container.security_context,
        startup_probe: container.startup_probe,
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        termination_message_path: container.termination_message_path,
        termination_message_policy: container.termination_message_policy,
        tty: container.tty,
        volume_devices: container.volume_devices,
        volume_mounts: container.volume_mounts,
        working_dir: container.working_dir,
    }
}
