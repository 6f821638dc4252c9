//! Creating sandboxes and starting containers. Upstream: `createPodSandbox`, `startContainer`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cri::api;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};

use super::config::{ContainerInputs, SandboxInputs, container_config, sandbox_config};
use super::hooks;
use super::state::PodRuntime;
use crate::container_manager::limits;
use crate::images;
use crate::kubelet::Kubelet;
use crate::pod::{Kind, PodExt, dns, env};
use crate::volume::Volumes;
use crate::volume::mounts::{MountInputs, container_mounts};

/// Why a container did not start: its waiting reason and message.
#[derive(Debug)]
pub(crate) struct StartError {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// When it is worth trying again, where that is known.
    pub(crate) retry_in: Option<Duration>,
}

impl StartError {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_in: None }
    }
}

impl From<images::Error> for StartError {
    fn from(error: images::Error) -> Self {
        let (reason, retry_in) = match &error {
            images::Error::Pull(_) => ("ErrImagePull", None),
            images::Error::BackOff(_, remaining) => ("ImagePullBackOff", Some(*remaining)),
            images::Error::NeverPull(_) => ("ErrImageNeverPull", None),
            images::Error::InvalidName(_) => ("InvalidImageName", None),
            images::Error::Inspect(_) => ("ImageInspectError", None),
        };
        Self { reason, message: error.message().to_owned(), retry_in }
    }
}

/// What starting containers of a pod needs, gathered once a pod.
#[derive(Debug)]
pub(crate) struct StartContext<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) sandbox_id: String,
    pub(crate) sandbox: api::PodSandboxConfig,
    pub(crate) pod_ips: Vec<String>,
    pub(crate) volumes: &'a Volumes,
    pub(crate) pull_secrets: Vec<Arc<Secret>>,
    pub(crate) runtime: &'a PodRuntime,
}

impl Kubelet {
    fn seccomp_dir(&self) -> PathBuf {
        self.config.seccomp_dir.clone().unwrap_or_else(|| self.config.root_dir.join("seccomp"))
    }

    /// The configuration of a pod's sandbox, the same each time for the same attempt.
    pub(crate) fn sandbox_config(&self, pod: &Pod, attempt: u32) -> Result<api::PodSandboxConfig, StartError> {
        let host = std::fs::read_to_string(&self.config.resolv_conf).unwrap_or_default();
        let resolver = dns::resolver(pod, &dns::parse(&host), &self.config.cluster_dns, &self.config.cluster_domain);
        let logs = self.config.pod_log_dir(pod.namespace(), pod.name(), pod.uid());
        let inputs = SandboxInputs {
            attempt,
            log_directory: logs.to_string_lossy().into_owned(),
            resolver: &resolver,
            cluster_domain: &self.config.cluster_domain,
            cgroup_parent: self.cgroups.pod_cgroup(pod),
            resources: limits::of_cri_sandbox(pod),
            seccomp_dir: &self.seccomp_dir(),
        };
        sandbox_config(pod, inputs).map_err(|error| StartError::new("CreatePodSandboxError", error.to_string()))
    }

    /// Creates a pod's sandbox; answers its id and addresses.
    pub(crate) async fn create_sandbox(
        &self,
        pod: &Pod,
        config: &api::PodSandboxConfig,
    ) -> Result<(String, Vec<String>), String> {
        std::fs::create_dir_all(&config.log_directory).map_err(|error| format!("create pod log directory: {error}"))?;
        let handler = self.runtime_handler(pod).await?;
        let id = self.cri.run_pod_sandbox(config.clone(), &handler).await.map_err(|error| error.to_string())?;
        let status = self.cri.pod_sandbox_status(&id, false).await.map_err(|error| error.to_string())?;
        let network = status.status.and_then(|status| status.network).unwrap_or_default();
        let mut ips = vec![network.ip];
        ips.extend(network.additional_ips.into_iter().map(|ip| ip.ip));
        ips.retain(|ip| !ip.is_empty());
        Ok((id, ips))
    }

    /// The handler that the pod's RuntimeClass names.
    async fn runtime_handler(&self, pod: &Pod) -> Result<String, String> {
        use k8s_openapi::api::node::v1::RuntimeClass;
        let Some(class) = pod.spec().runtime_class_name.as_deref().filter(|name| !name.is_empty()) else {
            return Ok(String::new());
        };
        let api: kube::Api<RuntimeClass> = kube::Api::all(self.client.clone());
        match api.get_opt(class).await {
            Ok(Some(found)) => Ok(found.handler),
            Ok(None) => Err(format!("failed to get sandbox runtime: runtimeclass.node.k8s.io \"{class}\" not found")),
            Err(error) => Err(format!("failed to get sandbox runtime: {error}")),
        }
    }

    /// The pod's pull secrets that exist.
    pub(crate) async fn pull_secrets(&self, pod: &Pod) -> Vec<Arc<Secret>> {
        let mut secrets = Vec::new();
        for reference in pod.spec().image_pull_secrets.iter().flatten() {
            match self.objects.secret(pod.namespace(), &reference.name).await {
                Ok(Some(secret)) => secrets.push(secret),
                Ok(None) if reference.name.is_empty() => {}
                _ => {
                    let message = format!(
                        "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                        reference.name
                    );
                    self.recorder.warning(&self.recorder.pod(pod), "FailedToRetrieveImagePullSecret", &message);
                }
            }
        }
        secrets
    }

    /// The environment of a container, with what it refers to read from the API now.
    async fn environment(
        &self,
        pod: &Pod,
        container: &Container,
        pod_ips: &[String],
    ) -> Result<Vec<(String, String)>, StartError> {
        let failed = |error: &dyn std::fmt::Display| StartError::new("CreateContainerConfigError", error.to_string());
        let needs = env::needs(container);
        let namespace = pod.namespace();
        let maps = try_join_all(
            needs
                .config_maps
                .into_iter()
                .map(|name| async move { self.objects.config_map(namespace, &name).await.map(|found| (name, found)) }),
        );
        let secrets = try_join_all(
            needs
                .secrets
                .into_iter()
                .map(|name| async move { self.objects.secret(namespace, &name).await.map(|found| (name, found)) }),
        );
        let (maps, secrets) = tokio::try_join!(maps, secrets).map_err(|error| failed(&error))?;
        self.services.synced().await;
        let mut services = self.services.list_in(namespace);
        services.extend(self.services.get("default", "kubernetes"));
        let sources = env::Sources {
            config_maps: maps.into_iter().collect(),
            secrets: secrets.into_iter().collect(),
            services,
            node: self.node_facts(),
            pod_ips: pod_ips.to_vec(),
        };
        env::environment(pod, container, &sources).map_err(|error| failed(&error))
    }

    /// Starts one container: image, configuration, creation, start, postStart.
    pub(crate) async fn start_container(
        &self,
        context: &StartContext<'_>,
        kind: Kind,
        container: &Container,
    ) -> Result<(), StartError> {
        let pod = context.pod;
        let about = self.recorder.container(pod, &container.name);
        let result = self.try_start(context, kind, container).await;
        if let Err(error) = &result {
            // Pulls and hooks have told their own events.
            let text = match error.reason {
                "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => error.reason,
                "PostStartHookError" => return result,
                _ => error.message.as_str(),
            };
            self.recorder.warning(&about, "Failed", &format!("Error: {text}"));
        }
        result
    }

    async fn try_start(&self, context: &StartContext<'_>, kind: Kind, container: &Container) -> Result<(), StartError> {
        let pod = context.pod;
        let about = self.recorder.container(pod, &container.name);
        let image = self.images.ensure(pod, container, &context.pull_secrets, &context.sandbox).await?;
        let restart_count = self.next_restart_count(pod, container, context.runtime);
        let env = self.environment(pod, container, &context.pod_ips).await?;
        let inputs = MountInputs {
            pod_dir: self.config.pod_dir(pod.uid()),
            volumes: context.volumes.clone(),
            env: env.clone(),
            pod_ips: context.pod_ips.clone(),
            cluster_domain: self.config.cluster_domain.clone(),
        };
        let mounts = container_mounts(pod, container, &inputs)
            .map_err(|error| StartError::new("CreateContainerConfigError", error.to_string()))?;
        let target = match kind {
            Kind::Ephemeral => self.target_of(pod, &container.name, context.runtime)?,
            _ => None,
        };
        let inputs = ContainerInputs {
            restart_count,
            image: Some(&image),
            image_ref: image.id.clone(),
            env,
            mounts,
            resources: limits::of_cri_container(pod, container, self.cgroups.cpu_quota, self.cgroups.memory_capacity),
            target,
            seccomp_dir: &self.seccomp_dir(),
        };
        let config = container_config(pod, container, inputs)
            .map_err(|error| StartError::new("CreateContainerConfigError", error.to_string()))?;
        let log_path = PathBuf::from(&context.sandbox.log_directory).join(&config.log_path);
        if let Some(dir) = log_path.parent() {
            std::fs::create_dir_all(dir).map_err(|error| StartError::new("CreateContainerError", error.to_string()))?;
        }
        let id = self
            .cri
            .create_container(&context.sandbox_id, config, context.sandbox.clone())
            .await
            .map_err(|error| StartError::new("CreateContainerError", error.message()))?;
        self.recorder.normal(&about, "Created", "Container created");
        self.cri.start_container(&id).await.map_err(|error| StartError::new("RunContainerError", error.message()))?;
        self.recorder.normal(&about, "Started", "Container started");
        self.link_log(pod, container, &id, &log_path);
        self.post_start(context, container, &id).await
    }

    async fn post_start(&self, context: &StartContext<'_>, container: &Container, id: &str) -> Result<(), StartError> {
        let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref()) else {
            return Ok(());
        };
        let ip = context.pod_ips.first().map(String::as_str).unwrap_or_default();
        let Err(error) = hooks::run(&self.cri, id, Some(container), hook, ip).await else { return Ok(()) };
        tracing::info!(%error, container = %container.name, "postStart hook failed");
        let about = self.recorder.container(context.pod, &container.name);
        self.recorder.warning(&about, "FailedPostStartHook", "PostStartHook failed");
        self.recorder.normal(&about, "Killing", "FailedPostStartHook");
        let grace = u64::try_from(context.pod.grace_period().max(2)).unwrap_or(2);
        if let Err(error) = self.cri.stop_container(id, Duration::from_secs(grace)).await {
            tracing::warn!(%error, container = %container.name, "container is not stopped after its postStart hook failed");
        }
        Err(StartError::new("PostStartHookError", error.to_string()))
    }

    /// One more than the newest known; the API remembers where the runtime does not.
    fn next_restart_count(&self, pod: &Pod, container: &Container, runtime: &PodRuntime) -> u32 {
        if let Some(newest) = runtime.newest(&container.name) {
            return newest.restart_count + 1;
        }
        let status = pod.container_status(&container.name).filter(|status| {
            let ended =
                status.state.as_ref().is_some_and(|state| state.terminated.is_some() || state.running.is_some());
            ended || status.restart_count > 0
        });
        status.and_then(|status| u32::try_from(status.restart_count + 1).ok()).unwrap_or(0)
    }

    fn target_of(&self, pod: &Pod, name: &str, runtime: &PodRuntime) -> Result<Option<String>, StartError> {
        let target = pod.ephemeral_containers().iter().find(|container| container.name == name);
        let Some(target) = target.and_then(|container| container.target_container_name.as_deref()) else {
            return Ok(None);
        };
        match runtime.active(target) {
            Some(state) if state.state == super::state::State::Running => Ok(Some(state.id.clone())),
            _ => Err(StartError::new("CreateContainerError", format!("unable to find target container \"{target}\""))),
        }
    }

    /// A link by pod, container and id, for log collectors. Upstream: `legacyLogSymlink`.
    fn link_log(&self, pod: &Pod, container: &Container, id: &str, log: &std::path::Path) {
        let Some(dir) = &self.config.container_logs_dir else { return };
        let name = format!("{}_{}_{}-{id}.log", pod.name(), pod.namespace(), container.name);
        let _ = std::fs::create_dir_all(dir);
        if let Err(error) = std::os::unix::fs::symlink(log, dir.join(name)) {
            tracing::debug!(%error, "log is not linked");
        }
    }

    /// Removes the dead sandboxes in which nothing was ever started: attempts whose network failed.
    pub(crate) async fn remove_empty_sandboxes(&self, runtime: &PodRuntime) {
        for sandbox in &runtime.sandboxes {
            if runtime.containers.iter().all(|container| container.sandbox_id != sandbox.id)
                && let Err(error) = self.cri.remove_pod_sandbox(&sandbox.id).await
            {
                tracing::debug!(%error, sandbox = %sandbox.id, "dead sandbox is not removed yet");
            }
        }
    }

    /// Removes the dead containers nobody asks for any more: of each name the newest and the one before it stay, as `kubectl logs
    /// --previous` and lastState need; older sandboxes go when nothing is left in them.
    pub(crate) async fn prune_pod(&self, runtime: &PodRuntime) {
        let mut seen: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        let mut used: std::collections::HashSet<&str> = std::collections::HashSet::new();
        for container in &runtime.containers {
            let count = seen.entry(container.name.as_str()).or_default();
            *count += 1;
            if *count > 2 && container.state == super::state::State::Exited {
                if let Err(error) = self.cri.remove_container(&container.id).await {
                    tracing::debug!(%error, container = %container.name, "dead container is not removed yet");
                }
                let _ = std::fs::remove_file(&container.log_path);
            } else {
                used.insert(container.sandbox_id.as_str());
            }
        }
        for sandbox in runtime.sandboxes.iter().skip(1).filter(|sandbox| !sandbox.ready) {
            if !used.contains(sandbox.id.as_str()) {
                let _ = self.cri.remove_pod_sandbox(&sandbox.id).await;
            }
        }
    }
}
