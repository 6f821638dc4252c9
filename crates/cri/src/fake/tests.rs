use std::time::Duration;

use super::*;
use crate::Error;
use crate::api::{ContainerMetadata, ImageSpec, PodSandboxMetadata};

fn sandbox_config() -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata { name: "p".into(), namespace: "n".into(), uid: "u".into(), attempt: 0 }),
        ..PodSandboxConfig::default()
    }
}

fn container_config(name: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.into(), attempt: 0 }),
        image: Some(ImageSpec { image: "i".into(), ..ImageSpec::default() }),
        ..ContainerConfig::default()
    }
}

#[tokio::test]
async fn a_container_runs_until_told_to_exit() {
    let runtime = Runtime::new();
    let client = runtime.client();
    let sandbox = client.run_pod_sandbox(sandbox_config(), "").await.unwrap();
    let id = client.create_container(&sandbox, container_config("c"), sandbox_config()).await.unwrap();
    client.start_container(&id).await.unwrap();
    let status = client.container_status(&id, false).await.unwrap().status.unwrap();
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    assert!(runtime.exit("c", 3));
    let status = client.container_status(&id, false).await.unwrap().status.unwrap();
    assert_eq!((status.state(), status.exit_code), (ContainerState::ContainerExited, 3));
    assert_eq!(runtime.calls(), ["RunPodSandbox p", "CreateContainer c", "StartContainer c"]);
}

#[tokio::test]
async fn scripted_failures_come_once_and_keep_their_code() {
    let runtime = Runtime::new();
    let client = runtime.client();
    runtime.fail("RunPodSandbox", Status::unknown("no network"));
    let error = client.run_pod_sandbox(sandbox_config(), "").await.unwrap_err();
    assert_eq!(error.to_string(), "rpc error: code = Unknown desc = no network");
    client.run_pod_sandbox(sandbox_config(), "").await.unwrap();
}

#[tokio::test]
async fn removing_what_is_gone_succeeds() {
    let client = Runtime::new().client();
    client.remove_container("none").await.unwrap();
    client.stop_container("none", Duration::ZERO).await.unwrap();
    client.remove_pod_sandbox("none").await.unwrap();
}

#[tokio::test]
async fn a_missing_socket_is_unavailable() {
    let client = Client::new("unix:///nonexistent/runtime.sock");
    let error = client.version().await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { endpoint, .. } if endpoint == "/nonexistent/runtime.sock"),
        "{error}"
    );
}
