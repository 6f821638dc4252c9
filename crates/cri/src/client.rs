//! The client: one method a call, with the deadline that suits it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status};

use crate::Error;
use crate::api::image_service_client::ImageServiceClient;
use crate::api::runtime_service_client::RuntimeServiceClient;
use crate::api::*;

/// What most calls may take. Upstream: `runtimeRequestTimeout`.
const DEADLINE: Duration = Duration::from_secs(120);
/// Creating a sandbox runs CNI plugins, which may wait for an agent. Upstream: twice the usual deadline.
const SANDBOX_DEADLINE: Duration = Duration::from_secs(240);
/// As upstream: a node full of containers answers a list in more than gRPC's usual 4 MiB.
const MAX_MESSAGE: usize = 16 << 20;

/// Events of containers, where the runtime has them.
pub type Events = tonic::Streaming<ContainerEventResponse>;

/// A connection to the container runtime. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Arc<str>,
    channel: Channel,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

impl Client {
    /// A client of the runtime at `endpoint`: `unix:///path` or a bare path. Connects at the first call, and again whenever the
    /// connection was lost; must be called within a tokio runtime.
    pub fn new(endpoint: &str) -> Self {
        let path: Arc<str> = endpoint.strip_prefix("unix://").unwrap_or(endpoint).into();
        let socket = path.clone();
        let channel =
            Endpoint::from_static("http://runtime").connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                let socket = socket.clone();
                async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(&*socket).await?)) }
            }));
        Self::from_channel(path, channel)
    }

    pub(crate) fn from_channel(endpoint: Arc<str>, channel: Channel) -> Self {
        let runtime = RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let images = ImageServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        Self { endpoint, channel, runtime, images }
    }

    /// The socket's path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Boxed: a call's future holds the whole request, and every pod's worker would hold room for the largest.
    fn call<'a, T: 'a>(
        &'a self,
        call: &'static str,
        deadline: Option<Duration>,
        answer: impl Future<Output = Result<Response<T>, Status>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(async move {
            let answer = match deadline {
                Some(deadline) => tokio::time::timeout(deadline, answer).await.map_err(|_| Error::Timeout { call })?,
                None => answer.await,
            };
            answer.map(Response::into_inner).map_err(|status| Error::from_status(&self.endpoint, call, status))
        })
    }

    /// Name and version of the runtime.
    pub async fn version(&self) -> Result<VersionResponse, Error> {
        let request = VersionRequest { version: "v1".into() };
        self.call("Version", Some(DEADLINE), self.runtime.clone().version(request)).await
    }

    /// Conditions RuntimeReady and NetworkReady; with `verbose` the runtime's own configuration in `info`.
    pub async fn status(&self, verbose: bool) -> Result<StatusResponse, Error> {
        self.call("Status", Some(DEADLINE), self.runtime.clone().status(StatusRequest { verbose })).await
    }

    /// Hands the node's pod CIDR to runtimes that write CNI configuration themselves.
    pub async fn update_runtime_config(&self, pod_cidr: &str) -> Result<(), Error> {
        let network_config = Some(NetworkConfig { pod_cidr: pod_cidr.to_owned() });
        let request = UpdateRuntimeConfigRequest { runtime_config: Some(RuntimeConfig { network_config }) };
        self.call("UpdateRuntimeConfig", Some(DEADLINE), self.runtime.clone().update_runtime_config(request))
            .await
            .map(|_| ())
    }

    /// The cgroup driver the runtime uses. containerd before 2.0 answers [`Error::Unimplemented`].
    pub async fn runtime_config(&self) -> Result<RuntimeConfigResponse, Error> {
        self.call("RuntimeConfig", Some(DEADLINE), self.runtime.clone().runtime_config(RuntimeConfigRequest {})).await
    }

    /// Creates and starts a sandbox; answers its id.
    pub async fn run_pod_sandbox(&self, config: PodSandboxConfig, runtime_handler: &str) -> Result<String, Error> {
        let request = RunPodSandboxRequest { config: Some(config), runtime_handler: runtime_handler.to_owned() };
        let answer = self.runtime.clone();
        let answer = async move { { answer }.run_pod_sandbox(request).await };
        self.call("RunPodSandbox", Some(SANDBOX_DEADLINE), answer).await.map(|answer| answer.pod_sandbox_id)
    }

    /// Stops a sandbox and what runs in it, and releases its network. Idempotent.
    pub async fn stop_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        let request = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        gone_is_done(self.call("StopPodSandbox", Some(DEADLINE), self.runtime.clone().stop_pod_sandbox(request)).await)
    }

    /// Removes a sandbox and its containers. Idempotent.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Result<(), Error> {
        let request = RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        gone_is_done(
            self.call("RemovePodSandbox", Some(DEADLINE), self.runtime.clone().remove_pod_sandbox(request)).await,
        )
    }

    /// One sandbox with its addresses.
    pub async fn pod_sandbox_status(&self, id: &str, verbose: bool) -> Result<PodSandboxStatusResponse, Error> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose };
        self.call("PodSandboxStatus", Some(DEADLINE), self.runtime.clone().pod_sandbox_status(request)).await
    }

    /// All sandboxes that match.
    pub async fn list_pod_sandbox(&self, filter: Option<PodSandboxFilter>) -> Result<Vec<PodSandbox>, Error> {
        let request = ListPodSandboxRequest { filter };
        self.call("ListPodSandbox", Some(DEADLINE), self.runtime.clone().list_pod_sandbox(request))
            .await
            .map(|answer| answer.items)
    }

    /// Creates a container in a sandbox; answers its id.
    pub async fn create_container(
        &self,
        sandbox: &str,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
    ) -> Result<String, Error> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        self.call("CreateContainer", Some(DEADLINE), self.runtime.clone().create_container(request))
            .await
            .map(|answer| answer.container_id)
    }

    /// Starts a created container.
    pub async fn start_container(&self, id: &str) -> Result<(), Error> {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.call("StartContainer", Some(DEADLINE), self.runtime.clone().start_container(request)).await.map(|_| ())
    }

    /// Stops a container: its stop signal, and SIGKILL after `grace`. Idempotent.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), Error> {
        // Whole seconds: rounded up, or a grace of five seconds would become four.
        let timeout = i64::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let request = StopContainerRequest { container_id: id.to_owned(), timeout };
        let deadline = DEADLINE.saturating_add(grace);
        gone_is_done(self.call("StopContainer", Some(deadline), self.runtime.clone().stop_container(request)).await)
    }

    /// Removes a container. Idempotent.
    pub async fn remove_container(&self, id: &str) -> Result<(), Error> {
        let request = RemoveContainerRequest { container_id: id.to_owned() };
        gone_is_done(self.call("RemoveContainer", Some(DEADLINE), self.runtime.clone().remove_container(request)).await)
    }

    /// All containers that match.
    pub async fn list_containers(&self, filter: Option<ContainerFilter>) -> Result<Vec<Container>, Error> {
        let request = ListContainersRequest { filter };
        self.call("ListContainers", Some(DEADLINE), self.runtime.clone().list_containers(request))
            .await
            .map(|answer| answer.containers)
    }

    /// One container: times, exit code, mounts; with `verbose` the runtime's own view in `info`.
    pub async fn container_status(&self, id: &str, verbose: bool) -> Result<ContainerStatusResponse, Error> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose };
        self.call("ContainerStatus", Some(DEADLINE), self.runtime.clone().container_status(request)).await
    }

    /// Changes the resources of a running container.
    pub async fn update_container_resources(&self, id: &str, linux: LinuxContainerResources) -> Result<(), Error> {
        let request = UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(linux),
            ..UpdateContainerResourcesRequest::default()
        };
        self.call("UpdateContainerResources", Some(DEADLINE), self.runtime.clone().update_container_resources(request))
            .await
            .map(|_| ())
    }

    /// Makes the runtime write to a new log file after the kubelet renamed the old one.
    pub async fn reopen_container_log(&self, id: &str) -> Result<(), Error> {
        let request = ReopenContainerLogRequest { container_id: id.to_owned() };
        self.call("ReopenContainerLog", Some(DEADLINE), self.runtime.clone().reopen_container_log(request))
            .await
            .map(|_| ())
    }

    /// Runs a command to its end and answers what it wrote. `None` waits for ever.
    pub async fn exec_sync(
        &self,
        id: &str,
        cmd: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<ExecSyncResponse, Error> {
        let seconds = timeout.map_or(0, |timeout| i64::try_from(timeout.as_secs().max(1)).unwrap_or(i64::MAX));
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: seconds };
        // The runtime kills the command at the timeout; only its answer may take a little longer.
        let deadline = timeout.map(|timeout| timeout.saturating_add(DEADLINE));
        self.call("ExecSync", deadline, self.runtime.clone().exec_sync(request)).await
    }

    /// The URL at which an exec session can be opened.
    pub async fn exec(&self, request: ExecRequest) -> Result<String, Error> {
        self.call("Exec", Some(DEADLINE), self.runtime.clone().exec(request)).await.map(|answer| answer.url)
    }

    /// The URL at which the streams of a running container can be joined.
    pub async fn attach(&self, request: AttachRequest) -> Result<String, Error> {
        self.call("Attach", Some(DEADLINE), self.runtime.clone().attach(request)).await.map(|answer| answer.url)
    }

    /// The URL at which ports of a sandbox can be reached.
    pub async fn port_forward(&self, sandbox: &str, port: Vec<i32>) -> Result<String, Error> {
        let request = PortForwardRequest { pod_sandbox_id: sandbox.to_owned(), port };
        self.call("PortForward", Some(DEADLINE), self.runtime.clone().port_forward(request))
            .await
            .map(|answer| answer.url)
    }

    /// CPU and memory of all containers that match.
    pub async fn list_container_stats(
        &self,
        filter: Option<ContainerStatsFilter>,
    ) -> Result<Vec<ContainerStats>, Error> {
        let request = ListContainerStatsRequest { filter };
        self.call("ListContainerStats", Some(DEADLINE), self.runtime.clone().list_container_stats(request))
            .await
            .map(|answer| answer.stats)
    }

    /// The stream of container events. containerd before 2.0 answers [`Error::Unimplemented`].
    pub async fn container_events(&self) -> Result<Events, Error> {
        let answer = self.runtime.clone();
        let answer = async move { { answer }.get_container_events(Request::new(GetEventsRequest {})).await };
        self.call("GetContainerEvents", Some(DEADLINE), answer).await
    }

    /// All images.
    pub async fn list_images(&self) -> Result<Vec<Image>, Error> {
        let request = ListImagesRequest { filter: None };
        self.call("ListImages", Some(DEADLINE), self.images.clone().list_images(request))
            .await
            .map(|answer| answer.images)
    }

    /// One image, if it is there.
    pub async fn image_status(&self, image: &str) -> Result<Option<Image>, Error> {
        let request = ImageStatusRequest { image: Some(image_spec(image)), verbose: false };
        match self.call("ImageStatus", Some(DEADLINE), self.images.clone().image_status(request)).await {
            Ok(answer) => Ok(answer.image),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image; answers the reference by which containers are created. Takes as long as it takes.
    pub async fn pull_image(
        &self,
        image: &str,
        auth: Option<AuthConfig>,
        sandbox_config: Option<PodSandboxConfig>,
    ) -> Result<String, Error> {
        let request = PullImageRequest { image: Some(image_spec(image)), auth, sandbox_config };
        self.call("PullImage", None, self.images.clone().pull_image(request)).await.map(|answer| answer.image_ref)
    }

    /// Removes an image. Idempotent.
    pub async fn remove_image(&self, image: &str) -> Result<(), Error> {
        let request = RemoveImageRequest { image: Some(image_spec(image)) };
        gone_is_done(self.call("RemoveImage", Some(DEADLINE), self.images.clone().remove_image(request)).await)
    }

    /// Where images are kept and how much they take.
    pub async fn image_fs_info(&self) -> Result<Vec<FilesystemUsage>, Error> {
        self.call("ImageFsInfo", Some(DEADLINE), self.images.clone().image_fs_info(ImageFsInfoRequest {}))
            .await
            .map(|answer| answer.image_filesystems)
    }
}

fn image_spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned(), ..ImageSpec::default() }
}

fn gone_is_done<T>(answer: Result<T, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
