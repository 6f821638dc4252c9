//! The fake's two services.

use futures::stream::BoxStream;
use tonic::{Request, Response, Status};

use super::{Container as Kept, Runtime, Sandbox as KeptSandbox, State};
use crate::api::image_service_server::ImageService;
use crate::api::runtime_service_server::RuntimeService;
use crate::api::*;

type Answer<T> = Result<Response<T>, Status>;

impl Runtime {
    /// Writes a call down and fails it if the script says so.
    fn enter(&self, call: &str, about: &str) -> Result<(), Status> {
        let mut state = self.lock();
        state.calls.push(if about.is_empty() { call.to_owned() } else { format!("{call} {about}") });
        match state.failures.get_mut(call).and_then(std::collections::VecDeque::pop_front) {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }
}

impl State {
    fn container(&mut self, id: &str) -> Result<&mut Kept, Status> {
        self.containers.get_mut(id).ok_or_else(|| Status::not_found(format!("container {id:?} not found")))
    }

    fn name_of(&self, id: &str) -> String {
        self.containers.get(id).map(|container| container.name().to_owned()).unwrap_or_default()
    }
}

fn matches(
    labels: &std::collections::HashMap<String, String>,
    selector: &std::collections::HashMap<String, String>,
) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn image_named(image: &str) -> Image {
    Image { id: format!("sha256:{image}"), repo_tags: vec![image.to_owned()], size: 1, ..Image::default() }
}

fn status_of(id: &str, kept: &Kept) -> ContainerStatus {
    ContainerStatus {
        id: id.to_owned(),
        metadata: kept.config.metadata.clone(),
        state: kept.state as i32,
        created_at: kept.created_at,
        started_at: kept.started_at,
        finished_at: kept.finished_at,
        exit_code: kept.exit_code,
        image: kept.config.image.clone(),
        image_ref: kept.config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
        reason: kept.reason.clone(),
        labels: kept.config.labels.clone(),
        annotations: kept.config.annotations.clone(),
        mounts: kept.config.mounts.clone(),
        log_path: kept.config.log_path.clone(),
        ..ContainerStatus::default()
    }
}

macro_rules! unimplemented_calls {
    ($($name:ident: $request:ty => $response:ty;)*) => {
        $(
            fn $name<'life0, 'async_trait>(
                &'life0 self,
                _: Request<$request>,
            ) -> std::pin::Pin<Box<dyn std::future::Future<Output = Answer<$response>> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async { Err(Status::unimplemented(stringify!($name))) })
            }
        )*
    };
}

#[tonic::async_trait]
impl RuntimeService for Runtime {
    type GetContainerEventsStream = BoxStream<'static, Result<ContainerEventResponse, Status>>;

    unimplemented_calls! {
        container_stats: ContainerStatsRequest => ContainerStatsResponse;
        pod_sandbox_stats: PodSandboxStatsRequest => PodSandboxStatsResponse;
        list_pod_sandbox_stats: ListPodSandboxStatsRequest => ListPodSandboxStatsResponse;
        checkpoint_container: CheckpointContainerRequest => CheckpointContainerResponse;
        get_container_events: GetEventsRequest => Self::GetContainerEventsStream;
        list_metric_descriptors: ListMetricDescriptorsRequest => ListMetricDescriptorsResponse;
        list_pod_sandbox_metrics: ListPodSandboxMetricsRequest => ListPodSandboxMetricsResponse;
        runtime_config: RuntimeConfigRequest => RuntimeConfigResponse;
    }

    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionResponse> {
        Ok(Response::new(VersionResponse {
            version: "0.1.0".into(),
            runtime_name: "fake".into(),
            runtime_version: "1.0".into(),
            runtime_api_version: "v1".into(),
        }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let network = !self.lock().network_not_ready;
        let condition = |name: &str, status: bool| RuntimeCondition {
            r#type: name.into(),
            status,
            reason: if status { String::new() } else { "NetworkPluginNotReady".into() },
            message: if status { String::new() } else { "cni plugin not initialized".into() },
        };
        let conditions = vec![condition("RuntimeReady", true), condition("NetworkReady", network)];
        Ok(Response::new(StatusResponse { status: Some(RuntimeStatus { conditions }), ..StatusResponse::default() }))
    }

    async fn run_pod_sandbox(&self, request: Request<RunPodSandboxRequest>) -> Answer<RunPodSandboxResponse> {
        let request = request.into_inner();
        let config = request.config.ok_or_else(|| Status::invalid_argument("no config"))?;
        self.enter("RunPodSandbox", &config.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default())?;
        let mut state = self.lock();
        let id = state.next_id("sandbox");
        let host_network = config
            .linux
            .as_ref()
            .and_then(|linux| linux.security_context.as_ref())
            .and_then(|context| context.namespace_options.as_ref())
            .is_some_and(|options| options.network == NamespaceMode::Node as i32);
        let ip = if host_network { String::new() } else { format!("10.88.0.{}", state.serial % 250 + 2) };
        let created_at = state.tick();
        let sandbox = KeptSandbox {
            config,
            runtime_handler: request.runtime_handler,
            state: PodSandboxState::SandboxReady,
            ip,
            created_at,
        };
        state.sandboxes.insert(id.clone(), sandbox);
        Ok(Response::new(RunPodSandboxResponse { pod_sandbox_id: id }))
    }

    async fn stop_pod_sandbox(&self, request: Request<StopPodSandboxRequest>) -> Answer<StopPodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        self.enter("StopPodSandbox", &id)?;
        self.lose_sandbox(&id);
        Ok(Response::new(StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(&self, request: Request<RemovePodSandboxRequest>) -> Answer<RemovePodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        self.enter("RemovePodSandbox", &id)?;
        let mut state = self.lock();
        state.sandboxes.remove(&id);
        state.containers.retain(|_, container| container.sandbox != id);
        Ok(Response::new(RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(&self, request: Request<PodSandboxStatusRequest>) -> Answer<PodSandboxStatusResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let state = self.lock();
        let kept = state.sandboxes.get(&id).ok_or_else(|| Status::not_found("sandbox not found"))?;
        let status = PodSandboxStatus {
            id: id.clone(),
            metadata: kept.config.metadata.clone(),
            state: kept.state as i32,
            created_at: kept.created_at,
            network: Some(PodSandboxNetworkStatus { ip: kept.ip.clone(), additional_ips: Vec::new() }),
            labels: kept.config.labels.clone(),
            annotations: kept.config.annotations.clone(),
            runtime_handler: kept.runtime_handler.clone(),
            ..PodSandboxStatus::default()
        };
        Ok(Response::new(PodSandboxStatusResponse { status: Some(status), ..PodSandboxStatusResponse::default() }))
    }

    async fn list_pod_sandbox(&self, request: Request<ListPodSandboxRequest>) -> Answer<ListPodSandboxResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let state = self.lock();
        let items = state
            .sandboxes
            .iter()
            .filter(|(id, kept)| {
                (filter.id.is_empty() || filter.id == **id) && matches(&kept.config.labels, &filter.label_selector)
            })
            .map(|(id, kept)| PodSandbox {
                id: id.clone(),
                metadata: kept.config.metadata.clone(),
                state: kept.state as i32,
                created_at: kept.created_at,
                labels: kept.config.labels.clone(),
                annotations: kept.config.annotations.clone(),
                runtime_handler: kept.runtime_handler.clone(),
            })
            .collect();
        Ok(Response::new(ListPodSandboxResponse { items }))
    }

    async fn create_container(&self, request: Request<CreateContainerRequest>) -> Answer<CreateContainerResponse> {
        let request = request.into_inner();
        let config = request.config.ok_or_else(|| Status::invalid_argument("no config"))?;
        self.enter("CreateContainer", &config.metadata.as_ref().map(|m| m.name.clone()).unwrap_or_default())?;
        let mut state = self.lock();
        if !state.sandboxes.contains_key(&request.pod_sandbox_id) {
            return Err(Status::not_found("sandbox not found"));
        }
        let id = state.next_id("container");
        let created_at = state.tick();
        let kept = Kept {
            sandbox: request.pod_sandbox_id,
            config,
            state: ContainerState::ContainerCreated,
            created_at,
            started_at: 0,
            finished_at: 0,
            exit_code: 0,
            reason: String::new(),
        };
        state.containers.insert(id.clone(), kept);
        Ok(Response::new(CreateContainerResponse { container_id: id }))
    }

    async fn start_container(&self, request: Request<StartContainerRequest>) -> Answer<StartContainerResponse> {
        let id = request.into_inner().container_id;
        let name = self.lock().name_of(&id);
        self.enter("StartContainer", &name)?;
        let mut state = self.lock();
        let now = state.tick();
        let exit = state.exits_at_start.get(&name).copied();
        let container = state.container(&id)?;
        container.state = ContainerState::ContainerRunning;
        container.started_at = now;
        if let Some(code) = exit {
            container.end(now + 1, code);
        }
        Ok(Response::new(StartContainerResponse {}))
    }

    async fn stop_container(&self, request: Request<StopContainerRequest>) -> Answer<StopContainerResponse> {
        let request = request.into_inner();
        let name = self.lock().name_of(&request.container_id);
        self.enter("StopContainer", &format!("{name} {}", request.timeout))?;
        let mut state = self.lock();
        let now = state.tick();
        state.container(&request.container_id)?.end(now, 143);
        Ok(Response::new(StopContainerResponse {}))
    }

    async fn remove_container(&self, request: Request<RemoveContainerRequest>) -> Answer<RemoveContainerResponse> {
        let id = request.into_inner().container_id;
        let name = self.lock().name_of(&id);
        self.enter("RemoveContainer", &name)?;
        self.lock().containers.remove(&id);
        Ok(Response::new(RemoveContainerResponse {}))
    }

    async fn list_containers(&self, request: Request<ListContainersRequest>) -> Answer<ListContainersResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let state = self.lock();
        let containers = state
            .containers
            .iter()
            .filter(|(id, kept)| {
                (filter.id.is_empty() || filter.id == **id)
                    && (filter.pod_sandbox_id.is_empty() || filter.pod_sandbox_id == kept.sandbox)
                    && filter.state.as_ref().is_none_or(|wanted| wanted.state == kept.state as i32)
                    && matches(&kept.config.labels, &filter.label_selector)
            })
            .map(|(id, kept)| Container {
                id: id.clone(),
                pod_sandbox_id: kept.sandbox.clone(),
                metadata: kept.config.metadata.clone(),
                image: kept.config.image.clone(),
                state: kept.state as i32,
                created_at: kept.created_at,
                labels: kept.config.labels.clone(),
                annotations: kept.config.annotations.clone(),
                ..Container::default()
            })
            .collect();
        Ok(Response::new(ListContainersResponse { containers }))
    }

    async fn container_status(&self, request: Request<ContainerStatusRequest>) -> Answer<ContainerStatusResponse> {
        let id = request.into_inner().container_id;
        let status = status_of(&id, self.lock().container(&id)?);
        Ok(Response::new(ContainerStatusResponse { status: Some(status), ..ContainerStatusResponse::default() }))
    }

    async fn update_container_resources(
        &self,
        request: Request<UpdateContainerResourcesRequest>,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let name = self.lock().name_of(&request.into_inner().container_id);
        self.enter("UpdateContainerResources", &name)?;
        Ok(Response::new(UpdateContainerResourcesResponse {}))
    }

    async fn reopen_container_log(
        &self,
        request: Request<ReopenContainerLogRequest>,
    ) -> Answer<ReopenContainerLogResponse> {
        let name = self.lock().name_of(&request.into_inner().container_id);
        self.enter("ReopenContainerLog", &name)?;
        Ok(Response::new(ReopenContainerLogResponse {}))
    }

    async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<ExecSyncResponse> {
        let request = request.into_inner();
        let (name, script) = {
            let state = self.lock();
            (state.name_of(&request.container_id), state.exec.clone())
        };
        self.enter("ExecSync", &name)?;
        match script {
            Some(script) => script(&name, &request.cmd).map(Response::new),
            None => Ok(Response::new(ExecSyncResponse::default())),
        }
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Answer<ExecResponse> {
        let id = request.into_inner().container_id;
        Ok(Response::new(ExecResponse { url: format!("http://127.0.0.1:1/exec/{id}") }))
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Answer<AttachResponse> {
        let id = request.into_inner().container_id;
        Ok(Response::new(AttachResponse { url: format!("http://127.0.0.1:1/attach/{id}") }))
    }

    async fn port_forward(&self, request: Request<PortForwardRequest>) -> Answer<PortForwardResponse> {
        let id = request.into_inner().pod_sandbox_id;
        Ok(Response::new(PortForwardResponse { url: format!("http://127.0.0.1:1/portforward/{id}") }))
    }

    async fn list_container_stats(&self, _: Request<ListContainerStatsRequest>) -> Answer<ListContainerStatsResponse> {
        Ok(Response::new(ListContainerStatsResponse::default()))
    }

    async fn update_runtime_config(
        &self,
        _: Request<UpdateRuntimeConfigRequest>,
    ) -> Answer<UpdateRuntimeConfigResponse> {
        Ok(Response::new(UpdateRuntimeConfigResponse {}))
    }
}

#[tonic::async_trait]
impl ImageService for Runtime {
    async fn list_images(&self, _: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        let images = self.lock().images.iter().map(|image| image_named(image)).collect();
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn image_status(&self, request: Request<ImageStatusRequest>) -> Answer<ImageStatusResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        let image = self.lock().images.contains(&name).then(|| image_named(&name));
        Ok(Response::new(ImageStatusResponse { image, ..ImageStatusResponse::default() }))
    }

    async fn pull_image(&self, request: Request<PullImageRequest>) -> Answer<PullImageResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        self.enter("PullImage", &name)?;
        let mut state = self.lock();
        if let Some(status) = state.unpullable.get(&name) {
            return Err(status.clone());
        }
        state.images.insert(name.clone());
        Ok(Response::new(PullImageResponse { image_ref: format!("sha256:{name}") }))
    }

    async fn remove_image(&self, request: Request<RemoveImageRequest>) -> Answer<RemoveImageResponse> {
        let name = request.into_inner().image.unwrap_or_default().image;
        self.enter("RemoveImage", &name)?;
        self.lock().images.remove(&name);
        Ok(Response::new(RemoveImageResponse {}))
    }

    async fn image_fs_info(&self, _: Request<ImageFsInfoRequest>) -> Answer<ImageFsInfoResponse> {
        Ok(Response::new(ImageFsInfoResponse::default()))
    }
}
