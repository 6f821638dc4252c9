//! What the HTTPS API asks of the kubelet: its pods, and their logs.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use http::StatusCode;
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::kubelet::Kubelet;
use crate::kuberuntime::state::State;
use crate::kuberuntime::{Cache, inspect};
use crate::logs::read::{Options, stream};
use crate::metrics::Metrics;
use crate::pod::PodExt;
use crate::server::{Host, LogOptions, Refusal};
use crate::{running, stats};

/// Pieces of a log that wait for a slow client.
const WAITING_PIECES: usize = 16;

/// The kubelet as its server sees it.
#[derive(Debug)]
pub(crate) struct KubeletHost(pub(crate) Arc<Kubelet>, pub(crate) Metrics);

fn unavailable(error: cri::Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

type Logs = BoxStream<'static, std::io::Result<Bytes>>;

impl Host for KubeletHost {
    fn pods(&self) -> Vec<Arc<Pod>> {
        let newest = |pod: Arc<Pod>| match self.0.status.get(pod.uid()) {
            Some(status) => Arc::new(Pod { status: Some((*status).clone()), ..Pod::clone(&pod) }),
            None => pod,
        };
        self.0.pods.list().into_iter().map(newest).collect()
    }

    fn logs(&self, pod: Arc<Pod>, container: String, options: LogOptions) -> BoxFuture<'static, Result<Logs, Refusal>> {
        let kubelet = self.0.clone();
        Box::pin(async move {
            let (id, path) = kubelet.find_log(&pod, &container, options.previous).await?;
            Ok(kubelet.stream_log(id, path, options))
        })
    }

    fn metrics(&self) -> Result<String, Refusal> {
        let text = self.1.text(&self.pods());
        text.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    fn config(&self) -> serde_json::Value {
        self.0.config.document()
    }

    fn running_pods(&self) -> BoxFuture<'static, Result<serde_json::Value, Refusal>> {
        let cri = self.0.cri.clone();
        Box::pin(async move { running::pods(&cri).await.map_err(unavailable) })
    }

    fn stats(&self) -> BoxFuture<'static, Result<serde_json::Value, Refusal>> {
        let kubelet = self.0.clone();
        Box::pin(async move { stats::summary(&kubelet).await.map_err(unavailable) })
    }

    fn resource_metrics(&self) -> BoxFuture<'static, Result<String, Refusal>> {
        let kubelet = self.0.clone();
        Box::pin(async move { stats::resource_metrics(&kubelet).await.map_err(unavailable) })
    }
}

impl Kubelet {
    /// Container id and log file of the present or the previous run.
    async fn find_log(&self, pod: &Pod, container: &str, previous: bool) -> Result<(String, PathBuf), Refusal> {
        let failed = |message: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        let runtime =
            inspect(&self.cri, pod.uid(), &mut Cache::default()).await.map_err(|error| failed(error.to_string()))?;
        let mut runs = runtime.containers.iter().filter(|state| state.name == container);
        let newest = runs.next();
        let found = match (newest, previous) {
            // A container that waits to be started again has its last run as its newest.
            (Some(newest), true) if newest.state == State::Exited && self.is_waiting(pod, container) => Some(newest),
            (_, true) => runs.next(),
            (newest, false) => newest.filter(|state| state.started_at != 0),
        };
        let Some(found) = found else {
            let name = pod.name();
            let message = if previous {
                format!("previous terminated container \"{container}\" in pod \"{name}\" not found")
            } else {
                let reason = self.waiting_reason(pod, container);
                format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}")
            };
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        };
        let path = PathBuf::from(&found.log_path);
        if path.exists() {
            Ok((found.id.clone(), path))
        } else {
            Err(failed(format!("failed to open log file \"{}\": no such file or directory", path.display())))
        }
    }

    fn stream_log(self: &Arc<Self>, id: String, path: PathBuf, options: LogOptions) -> Logs {
        let count = |number: Option<u64>| number.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let options = Options {
            follow: options.follow,
            timestamps: options.timestamps,
            tail: count(options.tail_lines),
            since: options.since,
            limit_bytes: count(options.limit_bytes),
            only_stderr: match options.stream.as_deref() {
                Some("Stdout") => Some(false),
                Some("Stderr") => Some(true),
                _ => None,
            },
        };
        let (sender, receiver) = mpsc::channel(WAITING_PIECES);
        let cri = self.cri.clone();
        let running = move || {
            let (cri, id) = (cri.clone(), id.clone());
            async move {
                let answer = cri.container_status(&id, false).await;
                let state = answer.ok().and_then(|answer| answer.status).map(|status| status.state());
                matches!(
                    state,
                    Some(cri::api::ContainerState::ContainerRunning | cri::api::ContainerState::ContainerCreated)
                )
            }
        };
        component::spawn_until("log stream", &self.shutdown, stream(path, options, sender, running));
        ReceiverStream::new(receiver).boxed()
    }

    fn api_state(&self, pod: &Pod, container: &str) -> Option<ContainerState> {
        let status = self.status.get(pod.uid())?;
        let all = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        all.into_iter().flatten().flatten().find(|status| status.name == container)?.state.clone()
    }

    fn is_waiting(&self, pod: &Pod, container: &str) -> bool {
        self.api_state(pod, container).is_some_and(|state| state.waiting.is_some())
    }

    /// In the words of upstream's `validateContainerLogStatus`.
    fn waiting_reason(&self, pod: &Pod, container: &str) -> String {
        match self.api_state(pod, container).and_then(|state| state.waiting).and_then(|waiting| waiting.reason) {
            Some(reason) => match reason.as_str() {
                "ImagePullBackOff" | "ErrImagePull" => "trying and failing to pull image".into(),
                "ErrImageNeverPull" => "image can't be pulled".into(),
                _ => reason,
            },
            None => "ContainerCreating".into(),
        }
    }
}
