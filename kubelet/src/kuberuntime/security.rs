//! Security contexts: the pod's and the container's merged, as CRI takes them. Upstream: `securitycontext`, `kuberuntime/security_context.go`.

use std::path::Path;

use cri::api;
use k8s_openapi::api::core::v1::{Container, Pod, SELinuxOptions, SeccompProfile, SecurityContext};

use crate::pod::PodExt;

/// Why a container may not run as asked. Ends in the waiting reason `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    RunAsRoot { pod: String, container: String },
    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    ImageRunsAsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \"{pod}\", container: {container})"
    )]
    ImageUserHasName { user: String, pod: String, container: String },
    #[error("localhost seccomp profile must be relative to the profile root and must not leave it")]
    SeccompPath,
}

/// Paths hidden from unprivileged containers: what every runtime's default masks.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];
const MASKED_MORE: [&str; 2] = ["/sys/firmware", "/sys/devices/virtual/powercap"];
/// Paths unprivileged containers may only read.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The namespaces of a pod's processes. `target` is the container an ephemeral one looks at.
pub(crate) fn namespaces(pod: &Pod, target: Option<&str>) -> api::NamespaceOption {
    let spec = pod.spec();
    let node_or = |host: Option<bool>, other: api::NamespaceMode| {
        if host == Some(true) { api::NamespaceMode::Node as i32 } else { other as i32 }
    };
    let mut pid = if spec.share_process_namespace == Some(true) {
        api::NamespaceMode::Pod as i32
    } else {
        api::NamespaceMode::Container as i32
    };
    if spec.host_pid == Some(true) {
        pid = api::NamespaceMode::Node as i32;
    } else if target.is_some() {
        pid = api::NamespaceMode::Target as i32;
    }
    api::NamespaceOption {
        network: node_or(spec.host_network, api::NamespaceMode::Pod),
        ipc: node_or(spec.host_ipc, api::NamespaceMode::Pod),
        pid,
        target_id: target.unwrap_or_default().to_owned(),
        userns_options: None,
    }
}

/// The sandbox's context.
pub(crate) fn of_sandbox(pod: &Pod, seccomp_dir: &Path) -> Result<api::LinuxSandboxSecurityContext, Error> {
    let context = pod.spec().security_context.clone().unwrap_or_default();
    let privileged =
        pod.containers().iter().chain(pod.init_containers()).any(|container| {
            container.security_context.as_ref().and_then(|context| context.privileged).unwrap_or(false)
        });
    // The pause container itself is always confined; only a privileged pod's sandbox is not.
    let seccomp = if privileged { unconfined() } else { profile(None, seccomp_dir)? };
    let seccomp = match &context.seccomp_profile {
        Some(_) if !privileged => api::SecurityProfile {
            profile_type: api::security_profile::ProfileType::RuntimeDefault as i32,
            localhost_ref: String::new(),
        },
        _ => seccomp,
    };
    Ok(api::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod, None)),
        selinux_options: context.se_linux_options.map(selinux),
        run_as_user: context.run_as_user.map(|value| api::Int64Value { value }),
        run_as_group: context.run_as_group.map(|value| api::Int64Value { value }),
        supplemental_groups: pod_groups(pod),
        privileged,
        seccomp: Some(seccomp),
        ..api::LinuxSandboxSecurityContext::default()
    })
}

/// A container's context, the container's fields over the pod's. `image` gives the user it would run as.
pub(crate) fn of_container(
    pod: &Pod,
    container: &Container,
    image: Option<&api::Image>,
    target: Option<&str>,
    seccomp_dir: &Path,
) -> Result<api::LinuxContainerSecurityContext, Error> {
    let of_pod = pod.spec().security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user = own.run_as_user.or(of_pod.run_as_user);
    let non_root = own.run_as_non_root.or(of_pod.run_as_non_root).unwrap_or(false);
    if non_root {
        verify_non_root(pod, container, user, image)?;
    }
    let privileged = own.privileged.unwrap_or(false);
    let seccomp = own.seccomp_profile.as_ref().or(of_pod.seccomp_profile.as_ref());
    let seccomp = if privileged { unconfined() } else { profile(seccomp, seccomp_dir)? };
    let unmasked = privileged || own.proc_mount.as_deref() == Some("Unmasked");
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let masked = if unmasked { Vec::new() } else { [owned(&MASKED), owned(&MASKED_MORE)].concat() };
    // containerd refuses a group without a user.
    let group = own.run_as_group.or(of_pod.run_as_group);
    let image_user = image.and_then(|image| image.uid.as_ref()).map(|uid| uid.value);
    let user_name = image.map(|image| image.username.clone()).unwrap_or_default();
    let (run_as_user, run_as_username) = match (user, image_user) {
        (Some(user), _) => (Some(user), String::new()),
        (None, Some(user)) => (Some(user), String::new()),
        (None, None) => (None, user_name),
    };
    Ok(api::LinuxContainerSecurityContext {
        capabilities: capabilities(&own),
        privileged,
        namespace_options: Some(namespaces(pod, target)),
        selinux_options: own.se_linux_options.or(of_pod.se_linux_options).map(selinux),
        run_as_user: run_as_user.map(|value| api::Int64Value { value }),
        run_as_group: group.map(|value| api::Int64Value { value }),
        run_as_username,
        readonly_rootfs: own.read_only_root_filesystem.unwrap_or(false),
        supplemental_groups: pod_groups(pod),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        masked_paths: masked,
        readonly_paths: if unmasked { Vec::new() } else { owned(&READ_ONLY) },
        seccomp: Some(seccomp),
        apparmor: None,
        ..api::LinuxContainerSecurityContext::default()
    })
}

fn pod_groups(pod: &Pod) -> Vec<i64> {
    let Some(context) = &pod.spec().security_context else { return Vec::new() };
    let mut groups: Vec<i64> = context.supplemental_groups.iter().flatten().copied().collect();
    groups.extend(context.fs_group.filter(|group| !groups.contains(group)));
    groups
}

fn verify_non_root(pod: &Pod, c: &Container, user: Option<i64>, image: Option<&api::Image>) -> Result<(), Error> {
    let full = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
    let container = c.name.clone();
    match user {
        Some(0) => return Err(Error::RunAsRoot { pod: full, container }),
        Some(_) => return Ok(()),
        None => {}
    }
    let Some(image) = image else { return Ok(()) };
    match (&image.uid, image.username.as_str()) {
        (Some(uid), _) if uid.value == 0 => Err(Error::ImageRunsAsRoot { pod: full, container }),
        (Some(_), _) => Ok(()),
        (None, "") => Err(Error::ImageRunsAsRoot { pod: full, container }),
        (None, user) => Err(Error::ImageUserHasName { user: user.to_owned(), pod: full, container }),
    }
}

fn capabilities(context: &SecurityContext) -> Option<api::Capability> {
    let capabilities = context.capabilities.as_ref()?;
    Some(api::Capability {
        add_capabilities: capabilities.add.clone().unwrap_or_default(),
        drop_capabilities: capabilities.drop.clone().unwrap_or_default(),
        add_ambient_capabilities: Vec::new(),
    })
}

fn unconfined() -> api::SecurityProfile {
    api::SecurityProfile {
        profile_type: api::security_profile::ProfileType::Unconfined as i32,
        localhost_ref: String::new(),
    }
}

fn profile(profile: Option<&SeccompProfile>, dir: &Path) -> Result<api::SecurityProfile, Error> {
    let Some(profile) = profile else { return Ok(unconfined()) };
    Ok(match profile.type_.as_str() {
        "RuntimeDefault" => api::SecurityProfile {
            profile_type: api::security_profile::ProfileType::RuntimeDefault as i32,
            localhost_ref: String::new(),
        },
        "Localhost" => {
            let relative = Path::new(profile.localhost_profile.as_deref().unwrap_or_default());
            let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || relative.as_os_str().is_empty() {
                return Err(Error::SeccompPath);
            }
            api::SecurityProfile {
                profile_type: api::security_profile::ProfileType::Localhost as i32,
                localhost_ref: dir.join(relative).to_string_lossy().into_owned(),
            }
        }
        _ => unconfined(),
    })
}

fn selinux(options: SELinuxOptions) -> api::SeLinuxOption {
    api::SeLinuxOption {
        user: options.user.unwrap_or_default(),
        role: options.role.unwrap_or_default(),
        r#type: options.type_.unwrap_or_default(),
        level: options.level.unwrap_or_default(),
    }
}
