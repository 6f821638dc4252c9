//! The kubelet's parts put together, and what they share. Upstream: `kubelet.Kubelet`.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use client::{Change, EventRecorder, Informer, Informers};
use component::Shutdown;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use tokio::sync::{Notify, mpsc, watch};

use crate::container_manager::ContainerManager;
use crate::events::Recorder;
use crate::eviction::Pressure;
use crate::host::KubeletHost;
use crate::images::ImageManager;
use crate::kuberuntime::state::PodRuntime;
use crate::metrics::Metrics;
use crate::node::info::{Machine, node_ip};
use crate::pod::PodExt;
use crate::pod::fields::NodeFacts;
use crate::pod::objects::Objects;
use crate::pod_workers::PodWorkers;
use crate::pod_workers::admission::{NodeView, host_ports};
use crate::resources::{Side, of_pod};
use crate::status::manager::StatusManager;
use crate::volume::VolumeManager;
use crate::{Config, Error, eviction, images, logs, node, pleg, server};

/// How the container runtime is: none is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeState {
    /// Nobody answers.
    pub(crate) unreachable: Option<String>,
    /// It answers that it is not ready.
    pub(crate) runtime: Option<String>,
    /// Its network is not.
    pub(crate) network: Option<String>,
}

impl RuntimeState {
    fn unknown() -> Self {
        let text = "container runtime status check may not have completed yet".to_owned();
        Self { unreachable: Some(text.clone()), runtime: Some(text.clone()), network: Some(text) }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.problem().is_none()
    }

    /// In the words of the node's Ready condition.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(text) = &self.unreachable {
            return Some(format!("container runtime is down: {text}"));
        }
        if let Some(text) = &self.runtime {
            return Some(format!("container runtime not ready: {text}"));
        }
        self.network.as_ref().map(|text| format!("container runtime network not ready: {text}"))
    }
}

/// What all parts share. Holds no lock across an await; pods' own state is with their workers.
pub(crate) struct Kubelet {
    pub(crate) config: Arc<Config>,
    pub(crate) client: kube::Client,
    pub(crate) cri: cri::Client,
    pub(crate) recorder: Recorder,
    pub(crate) pods: Informer<Pod>,
    pub(crate) node: Informer<Node>,
    pub(crate) services: Informer<Service>,
    pub(crate) objects: Arc<Objects>,
    pub(crate) images: ImageManager,
    pub(crate) volumes: VolumeManager,
    pub(crate) cgroups: ContainerManager,
    pub(crate) status: Arc<StatusManager>,
    pub(crate) workers: PodWorkers,
    pub(crate) machine: Machine,
    pub(crate) host_ips: Vec<String>,
    pub(crate) runtime_state: watch::Sender<RuntimeState>,
    pub(crate) pressure: watch::Sender<Pressure>,
    /// The runtime's health is worth a look now.
    pub(crate) look_at_runtime: Notify,
    pub(crate) shutdown: Shutdown,
    runtime: OnceLock<(String, String)>,
    orphans: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Kubelet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubelet").finish_non_exhaustive()
    }
}

impl Kubelet {
    /// Puts the parts together; nothing runs yet. Also hands out the uids of pods whose objects change.
    pub(crate) fn new(
        config: Config,
        client: kube::Client,
        cri: cri::Client,
        shutdown: Shutdown,
    ) -> (Arc<Self>, mpsc::Receiver<String>) {
        let config = Arc::new(config);
        let informers = Informers::new(client.clone(), &shutdown);
        let pods: Informer<Pod> = informers.selected(&format!("spec.nodeName={}", config.node_name));
        let node: Informer<Node> = informers.selected(&format!("metadata.name={}", config.node_name));
        let services: Informer<Service> = informers.of();
        let recorder = EventRecorder::new(client.clone(), "kubelet", &config.node_name, &shutdown);
        let recorder = Recorder::new(recorder, &config.node_name);
        let (objects, changes) = Objects::new(client.clone(), shutdown.clone());
        let machine = Machine::look(&config);
        let host_ips = node_ip(&config).map(|ip| ip.to_string()).into_iter().collect();
        let kubelet = Self {
            images: ImageManager::new(cri.clone(), recorder.clone()),
            volumes: VolumeManager::new(config.clone(), client.clone(), node.clone(), objects.clone()),
            cgroups: ContainerManager::new(&config, machine.memory()),
            status: StatusManager::new(client.clone(), pods.clone()),
            workers: PodWorkers::default(),
            runtime_state: watch::Sender::new(RuntimeState::unknown()),
            pressure: watch::Sender::new(Pressure::default()),
            look_at_runtime: Notify::new(),
            runtime: OnceLock::new(),
            orphans: Mutex::default(),
            config,
            client,
            cri,
            recorder,
            pods,
            node,
            services,
            objects,
            machine,
            host_ips,
            shutdown,
        };
        (Arc::new(kubelet), changes)
    }

    /// Runs until shutdown; containers go on running then.
    pub(crate) async fn run(self: Arc<Self>, changes: mpsc::Receiver<String>) -> Result<(), Error> {
        std::fs::create_dir_all(self.config.root_dir.join("pods"))
            .map_err(|source| Error::DataDir { path: self.config.root_dir.clone(), source })?;
        let shutdown = self.shutdown.clone();
        self.serve().await?;
        component::spawn_until("node status", &shutdown, node::status::run(self.clone()));
        component::spawn_until("node lease", &shutdown, node::lease::run(self.clone()));
        component::spawn_until("cni", &shutdown, node::cni::run(self.clone()));
        self.status.start(&shutdown);
        component::spawn_until("runtime", &shutdown, self.clone().follow_runtime());
        component::spawn_until("eviction", &shutdown, eviction::run(self.clone()));
        component::spawn_until("log rotation", &shutdown, logs::rotate::run(self.clone()));
        component::spawn_until("pods", &shutdown, self.clone().follow_pods(changes));
        shutdown.cancelled().await;
        Ok(())
    }

    /// Prepares the runtime once it answers, then watches it.
    async fn follow_runtime(self: Arc<Self>) {
        let prepare = self.clone();
        component::spawn_until("runtime set-up", &self.shutdown, async move {
            let mut wait = Duration::from_millis(100);
            while let Err(error) = prepare.prepare_runtime().await {
                tracing::debug!(%error, "runtime is not prepared yet");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            prepare.workers.wake_all();
            prepare.clean_up_leftovers().await;
        });
        pleg::run(self).await;
    }

    /// Learns the runtime's name, makes the top cgroups and imports the pause image if it is missing.
    async fn prepare_runtime(&self) -> Result<(), Error> {
        let version = self.cri.version().await?;
        let _ = self.runtime.set((version.runtime_name, version.runtime_version));
        if let Err(error) = self.cgroups.start(&self.machine.allocatable, self.config.enforce_node_allocatable) {
            let text = error.to_string();
            tracing::error!(error = %text, "cgroups of pods cannot be made");
            self.recorder.warning(&self.recorder.node(), "FailedNodeAllocatableEnforcement", &text);
        }
        let status = self.cri.status(true).await?;
        let config: serde_json::Value =
            status.info.get("config").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let named = config.get("sandboxImage").and_then(serde_json::Value::as_str);
        let name = named.unwrap_or(&self.config.pause_image);
        if self.cri.image_status(name).await?.is_none() {
            match cri::containerd::import(&self.cri, &images::pause::image(name)).await {
                Ok(()) => tracing::info!(image = name, "pause image is imported"),
                Err(error) => tracing::warn!(%error, image = name, "pause image is left to the runtime to pull"),
            }
        }
        Ok(())
    }

    /// Gives each pod of this node to its worker.
    async fn follow_pods(self: Arc<Self>, mut changes: mpsc::Receiver<String>) {
        let mut pods = self.pods.subscribe();
        loop {
            tokio::select! {
                change = pods.next() => match change {
                    Some(Change::Applied { old, new }) => {
                        if let Some(old) = old.filter(|old| old.uid() != new.uid()) {
                            self.workers.remove(&old);
                        }
                        self.workers.update(&self, new);
                    }
                    Some(Change::Deleted(pod)) => self.workers.remove(&pod),
                    None => return,
                },
                changed = changes.recv() => match changed {
                    Some(uid) => self.workers.wake_for_volumes(&uid),
                    None => return,
                },
            }
        }
    }

    /// A pod that the runtime has and no worker: removed, once it is sure that the API does not have it.
    pub(crate) fn orphan(self: &Arc<Self>, uid: &str) {
        if !self.orphans().insert(uid.to_owned()) {
            return;
        }
        let (this, uid) = (self.clone(), uid.to_owned());
        component::spawn_until("orphan", &self.shutdown, async move {
            this.pods.synced().await;
            // Workers start a moment after their pods are listed.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let known = this.workers.has(&uid) || this.pods.list().iter().any(|pod| pod.uid() == uid);
            if !known && let Err(error) = this.kill_orphan(&uid).await {
                tracing::warn!(%error, pod.uid = %uid, "pod that the API does not have is not removed yet");
            }
            this.orphans().remove(&uid);
        });
    }

    fn orphans(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Directories and cgroups of pods that are neither in the API nor in the runtime: left by a kubelet that was killed.
    pub(crate) async fn clean_up_leftovers(self: &Arc<Self>) {
        self.pods.synced().await;
        let known: HashSet<String> = self.pods.list().iter().map(|pod| pod.uid().to_owned()).collect();
        let Ok(sandboxes) = self.cri.list_pod_sandbox(None).await else { return };
        let running: HashSet<String> = sandboxes.into_iter().filter_map(|s| s.metadata.map(|m| m.uid)).collect();
        let mut left: Vec<String> = self.volumes.pod_dirs();
        left.extend(self.cgroups.pods());
        left.sort();
        left.dedup();
        for uid in left {
            if !known.contains(&uid) && !running.contains(&uid) && !self.workers.has(&uid) {
                tracing::info!(pod.uid = %uid, "removing what is left of a pod");
                self.release_node_resources(&uid).await;
            }
        }
        for entry in std::fs::read_dir(&self.config.pod_logs_dir).into_iter().flatten().flatten() {
            let folder = entry.file_name().to_string_lossy().into_owned();
            let parts: Vec<&str> = folder.split('_').collect();
            if let [namespace, name, uid] = parts.as_slice()
                && !known.contains(*uid)
                && !running.contains(*uid)
                && !self.workers.has(uid)
            {
                self.remove_logs(namespace, name, uid);
            }
        }
    }

    /// The runtime's name, as it begins container ids.
    pub(crate) fn runtime_name(&self) -> &str {
        self.runtime.get().map_or("containerd", |(name, _)| name)
    }

    /// `containerd://1.6.20`, as the node reports it.
    pub(crate) fn runtime_version(&self) -> String {
        self.runtime.get().map(|(name, version)| format!("{name}://{version}")).unwrap_or_default()
    }

    pub(crate) fn full_container_id(&self, id: &str) -> String {
        format!("{}://{id}", self.runtime_name())
    }

    /// Why pods with a network of their own cannot be started.
    pub(crate) fn network_problem(&self) -> Option<String> {
        let state = self.runtime_state.borrow();
        state.network.as_ref().map(|text| format!("container runtime network not ready: {text}"))
    }

    pub(crate) fn node_object(&self) -> Option<Arc<Node>> {
        self.node.get("", &self.config.node_name)
    }

    /// Where probes of a pod go.
    pub(crate) fn probe_address(&self, pod: &Pod, runtime: &PodRuntime) -> String {
        let own = if pod.host_network() { self.host_ips.first() } else { runtime.ips().first() };
        own.cloned().unwrap_or_default()
    }

    pub(crate) fn node_facts(&self) -> NodeFacts {
        let allocatable = |name: &str| self.machine.allocatable.get(name).copied().unwrap_or(0);
        NodeFacts {
            host_ips: self.host_ips.clone(),
            allocatable_cpu: allocatable("cpu"),
            allocatable_memory: allocatable("memory"),
            allocatable_storage: allocatable("ephemeral-storage"),
        }
    }

    /// The node as `pod` finds it: with all other pods that count.
    pub(crate) fn admission_view(&self, pod: &Pod) -> NodeView {
        let node = self.node_object();
        let labels = node.as_ref().and_then(|node| node.metadata.labels.clone()).unwrap_or_else(|| pod_selector(pod));
        let mut view = NodeView {
            name: self.config.node_name.clone(),
            labels,
            allocatable: self.machine.allocatable.clone(),
            allowed_unsafe_sysctls: self.config.allowed_unsafe_sysctls.clone(),
            pressure: *self.pressure.borrow(),
            ..NodeView::default()
        };
        for other in self.pods.list() {
            // Those that came later wait for this one.
            let over = other.finished() || self.over(other.uid());
            if other.uid() == pod.uid() || over || !self.workers.has(other.uid()) {
                continue;
            }
            if other.metadata.creation_timestamp > pod.metadata.creation_timestamp
                && other.status().start_time.is_none()
            {
                continue;
            }
            view.pods += 1;
            for (name, amount) in of_pod(&other, Side::Requests) {
                *view.used.entry(name).or_default() += amount;
            }
            view.host_ports.extend(host_ports(&other));
        }
        // Resources that devices or others advertise on the Node are counted there.
        let advertised = node.as_ref().and_then(|node| node.status.as_ref()).and_then(|s| s.allocatable.as_ref());
        for (name, quantity) in advertised.into_iter().flatten() {
            if name.contains('/') {
                view.allocatable.entry(name.clone()).or_insert_with(|| crate::resources::value(quantity));
            }
        }
        view
    }

    fn over(&self, uid: &str) -> bool {
        let status = self.status.get(uid);
        status.and_then(|status| status.phase.clone()).is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
    }

    /// Gives the burstable class the weight of its present pods.
    pub(crate) fn update_qos_cgroups(&self) {
        let pods = self.pods.list();
        let running = pods.iter().filter(|pod| !pod.finished() && !self.over(pod.uid())).map(AsRef::as_ref);
        if let Err(error) = self.cgroups.update_qos(running) {
            tracing::debug!(%error, "weight of burstable pods is not updated");
        }
    }

    /// Opens the HTTPS API, unless its port is 0.
    async fn serve(self: &Arc<Self>) -> Result<(), Error> {
        let config = &self.config;
        if config.port == 0 {
            return Ok(());
        }
        let mut names = vec![config.node_name.clone()];
        names.extend(self.host_ips.iter().cloned());
        let settings = server::Settings {
            listen: SocketAddr::new(config.address, config.port),
            node_name: config.node_name.clone(),
            tls: server::Tls {
                files: config.tls_cert_file.clone().zip(config.tls_private_key_file.clone()),
                client_ca: config.client_ca_file.clone(),
                names,
            },
            token_review: config.authentication_webhook,
        };
        let host = KubeletHost(self.clone(), Metrics::new(&config.node_name)?);
        server::serve(settings, host, self.cri.clone(), self.client.clone(), &self.shutdown).await?;
        Ok(())
    }
}

/// Until the node's labels are known its selector is trusted: the scheduler has checked it.
fn pod_selector(pod: &Pod) -> std::collections::BTreeMap<String, String> {
    pod.spec().node_selector.clone().unwrap_or_default()
}
