//! What a sandbox and a container are created from. Upstream: `generatePodSandboxConfig`, `generateContainerConfig`.
//!
//! Pure: images, environment, mounts and resources were looked up before and come in as values.

use std::collections::HashMap;
use std::path::Path;

use cri::api;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::security;
use super::{labels, security::Error};
use crate::pod::dns::Resolver;
use crate::pod::env::expand;
use crate::pod::{PodExt, hosts};

/// What a sandbox is made from, beside the pod.
#[derive(Debug)]
pub(crate) struct SandboxInputs<'a> {
    pub(crate) attempt: u32,
    pub(crate) log_directory: String,
    pub(crate) resolver: &'a Resolver,
    pub(crate) cluster_domain: &'a str,
    pub(crate) cgroup_parent: String,
    pub(crate) resources: api::LinuxContainerResources,
    pub(crate) seccomp_dir: &'a Path,
}

/// The configuration of a pod's sandbox.
pub(crate) fn sandbox_config(pod: &Pod, inputs: SandboxInputs<'_>) -> Result<api::PodSandboxConfig, Error> {
    let hostname = if pod.host_network() { String::new() } else { hosts::sandbox_hostname(pod, inputs.cluster_domain) };
    let sysctls = pod.spec().security_context.as_ref().and_then(|context| context.sysctls.as_ref());
    let sysctls = sysctls.into_iter().flatten().map(|sysctl| (sysctl.name.replace('/', "."), sysctl.value.clone()));
    let linux = api::LinuxPodSandboxConfig {
        cgroup_parent: inputs.cgroup_parent,
        security_context: Some(security::of_sandbox(pod, inputs.seccomp_dir)?),
        sysctls: sysctls.collect(),
        overhead: Some(api::LinuxContainerResources::default()),
        resources: Some(inputs.resources),
    };
    Ok(api::PodSandboxConfig {
        metadata: Some(api::PodSandboxMetadata {
            name: pod.name().into(),
            uid: pod.uid().into(),
            namespace: pod.namespace().into(),
            attempt: inputs.attempt,
        }),
        hostname,
        log_directory: inputs.log_directory,
        dns_config: Some(api::DnsConfig {
            servers: inputs.resolver.servers.clone(),
            searches: inputs.resolver.searches.clone(),
            options: inputs.resolver.options.clone(),
        }),
        port_mappings: port_mappings(pod),
        labels: labels::pod_labels(pod),
        annotations: labels::pod_annotations(pod),
        linux: Some(linux),
        windows: None,
    })
}

/// Host ports, for the CNI plugin portmap.
fn port_mappings(pod: &Pod) -> Vec<api::PortMapping> {
    if pod.host_network() {
        return Vec::new();
    }
    let containers = pod.containers().iter().chain(pod.init_containers().iter().filter(|c| crate::pod::is_sidecar(c)));
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let host_port = port.host_port.filter(|port| *port > 0)?;
            let protocol = match port.protocol.as_deref() {
                Some("UDP") => api::Protocol::Udp,
                Some("SCTP") => api::Protocol::Sctp,
                _ => api::Protocol::Tcp,
            };
            Some(api::PortMapping {
                protocol: protocol as i32,
                container_port: port.container_port,
                host_port,
                host_ip: port.host_ip.clone().unwrap_or_default(),
            })
        })
        .collect()
}

/// What a container is made from, beside pod and container.
#[derive(Debug)]
pub(crate) struct ContainerInputs<'a> {
    pub(crate) restart_count: u32,
    pub(crate) image: Option<&'a api::Image>,
    pub(crate) image_ref: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) mounts: Vec<api::Mount>,
    pub(crate) resources: api::LinuxContainerResources,
    /// The container whose processes an ephemeral container sees.
    pub(crate) target: Option<String>,
    pub(crate) seccomp_dir: &'a Path,
}

/// The configuration of a container.
pub(crate) fn container_config(
    pod: &Pod,
    container: &Container,
    inputs: ContainerInputs<'_>,
) -> Result<api::ContainerConfig, Error> {
    let security = security::of_container(pod, container, inputs.image, inputs.target.as_deref(), inputs.seccomp_dir)?;
    let known: HashMap<&str, &str> = inputs.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expanded = |words: &Option<Vec<String>>| {
        words.iter().flatten().map(|word| expand(word, |name| known.get(name).copied())).collect::<Vec<_>>()
    };
    Ok(api::ContainerConfig {
        metadata: Some(api::ContainerMetadata { name: container.name.clone(), attempt: inputs.restart_count }),
        image: Some(api::ImageSpec {
            image: inputs.image_ref,
            user_specified_image: container.image.clone().unwrap_or_default(),
            ..api::ImageSpec::default()
        }),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: inputs.env.iter().map(|(key, value)| api::KeyValue { key: key.clone(), value: value.clone() }).collect(),
        mounts: inputs.mounts,
        devices: Vec::new(),
        labels: labels::container_labels(pod, container),
        annotations: labels::container_annotations(pod, container, inputs.restart_count),
        log_path: format!("{}/{}.log", container.name, inputs.restart_count),
        stdin: container.stdin.unwrap_or(false),
        stdin_once: container.stdin_once.unwrap_or(false),
        tty: container.tty.unwrap_or(false),
        linux: Some(api::LinuxContainerConfig { resources: Some(inputs.resources), security_context: Some(security) }),
        windows: None,
        cdi_devices: Vec::new(),
    })
}
