//! A container runtime in memory, for tests: the real [`Client`] talks real gRPC to it over a pipe.
//!
//! Containers run until told to exit ([`Runtime::exit`]); stopping one makes it exit at once. Calls can be made to fail
//! ([`Runtime::fail`]), every call is written down ([`Runtime::calls`]), commands in containers answer by script
//! ([`Runtime::on_exec`]). Streaming URLs are made up: nothing listens there.

mod server;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper_util::rt::TokioIo;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Server, Uri};

use crate::Client;
use crate::api::image_service_server::ImageServiceServer;
use crate::api::runtime_service_server::RuntimeServiceServer;
use crate::api::{ContainerConfig, ContainerState, ExecSyncResponse, PodSandboxConfig, PodSandboxState};

/// Answers a command run in a container.
type ExecScript = Arc<dyn Fn(&str, &[String]) -> Result<ExecSyncResponse, Status> + Send + Sync>;

/// The fake runtime. Clones share their state.
#[derive(Clone, Default)]
pub struct Runtime {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("fake::Runtime").finish_non_exhaustive()
    }
}

/// A sandbox as the fake keeps it.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// What it was created from.
    pub config: PodSandboxConfig,
    /// Its handler.
    pub runtime_handler: String,
    /// Ready until stopped.
    pub state: PodSandboxState,
    /// Address, empty on the host's network.
    pub ip: String,
    /// Nanoseconds; strictly rising with creation.
    pub created_at: i64,
}

/// A container as the fake keeps it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Where it runs.
    pub sandbox: String,
    /// What it was created from.
    pub config: ContainerConfig,
    /// Created, running, exited.
    pub state: ContainerState,
    /// Nanoseconds, 0 before.
    pub created_at: i64,
    /// Nanoseconds, 0 before.
    pub started_at: i64,
    /// Nanoseconds, 0 before.
    pub finished_at: i64,
    /// Of the ended container.
    pub exit_code: i32,
    /// Of the ended container.
    pub reason: String,
}

#[derive(Default)]
struct State {
    sandboxes: BTreeMap<String, Sandbox>,
    containers: BTreeMap<String, Container>,
    images: HashSet<String>,
    unpullable: HashMap<String, Status>,
    failures: HashMap<String, VecDeque<Status>>,
    calls: Vec<String>,
    exec: Option<ExecScript>,
    exits_at_start: HashMap<String, i32>,
    network_not_ready: bool,
    serial: u32,
    now: i64,
}

impl State {
    fn next_id(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}{:04}", self.serial)
    }

    /// Strictly rising, and near the machine's time so that ages come out sensible.
    fn tick(&mut self) -> i64 {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        self.now = now.max(self.now + 1);
        self.now
    }
}

impl Runtime {
    /// An empty runtime: no image, no container, network ready.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of this runtime. Must be called within a tokio runtime, which also serves it.
    pub fn client(&self) -> Client {
        let (connections, incoming) = tokio::sync::mpsc::channel::<std::io::Result<tokio::io::DuplexStream>>(16);
        let serving = Server::builder()
            .add_service(RuntimeServiceServer::new(self.clone()))
            .add_service(ImageServiceServer::new(self.clone()))
            .serve_with_incoming(tokio_stream::wrappers::ReceiverStream::new(incoming));
        component::spawn("fake container runtime", serving);
        let channel: Channel =
            Endpoint::from_static("http://fake").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                let connections = connections.clone();
                async move {
                    let (near, far) = tokio::io::duplex(64 << 10);
                    connections.send(Ok(far)).await.map_err(|_| std::io::Error::other("the fake runtime is gone"))?;
                    Ok::<_, std::io::Error>(TokioIo::new(near))
                }
            }));
        Client::from_channel("fake".into(), channel)
    }

    /// Makes an image present.
    pub fn add_image(&self, image: &str) {
        self.lock().images.insert(image.to_owned());
    }

    /// Makes pulls of an image fail. Images not named here can be pulled.
    pub fn refuse_pull(&self, image: &str, status: Status) {
        self.lock().unpullable.insert(image.to_owned(), status);
    }

    /// Makes the next call of this name ("CreateContainer") fail.
    pub fn fail(&self, call: &str, status: Status) {
        self.lock().failures.entry(call.to_owned()).or_default().push_back(status);
    }

    /// Says what commands run in containers answer: the container's name and the command in, output and exit code out.
    pub fn on_exec(
        &self,
        script: impl Fn(&str, &[String]) -> Result<ExecSyncResponse, Status> + Send + Sync + 'static,
    ) {
        self.lock().exec = Some(Arc::new(script));
    }

    /// Containers of this name exit with this code as soon as they are started.
    pub fn exit_at_start(&self, name: &str, code: i32) {
        self.lock().exits_at_start.insert(name.to_owned(), code);
    }

    /// Containers of this name run on after they are started.
    pub fn run_on(&self, name: &str) {
        self.lock().exits_at_start.remove(name);
    }

    /// Ends the running container of this name; false when there is none.
    pub fn exit(&self, name: &str, code: i32) -> bool {
        let mut state = self.lock();
        let now = state.tick();
        let running = state
            .containers
            .values_mut()
            .find(|container| container.state == ContainerState::ContainerRunning && container.name() == name);
        running.map(|container| container.end(now, code)).is_some()
    }

    /// Says whether the network is configured.
    pub fn set_network_ready(&self, ready: bool) {
        self.lock().network_not_ready = !ready;
    }

    /// Stops a sandbox behind the kubelet's back, as a crash would.
    pub fn lose_sandbox(&self, id: &str) {
        let mut state = self.lock();
        let now = state.tick();
        if let Some(sandbox) = state.sandboxes.get_mut(id) {
            sandbox.state = PodSandboxState::SandboxNotready;
        }
        for container in state.containers.values_mut().filter(|container| container.sandbox == id) {
            container.end(now, 137);
        }
    }

    /// The names of all calls that changed something, with what they were about, in order.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// All sandboxes by id.
    pub fn sandboxes(&self) -> BTreeMap<String, Sandbox> {
        self.lock().sandboxes.clone()
    }

    /// All containers by id.
    pub fn containers(&self) -> BTreeMap<String, Container> {
        self.lock().containers.clone()
    }
}

impl Container {
    /// The name in the pod.
    pub fn name(&self) -> &str {
        self.config.metadata.as_ref().map_or("", |metadata| &metadata.name)
    }

    fn end(&mut self, now: i64, code: i32) {
        if self.state != ContainerState::ContainerExited {
            self.state = ContainerState::ContainerExited;
            self.finished_at = now;
            self.exit_code = code;
            self.reason = if code == 0 { "Completed".into() } else { "Error".into() };
        }
    }
}
