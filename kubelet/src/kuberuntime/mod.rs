//! Pods as the container runtime sees them: sandboxes and containers, made, watched and stopped over CRI. Upstream: `kuberuntime`.
//!
//! [`actions`] decides (pure), [`start`] and [`kill`] do. Everything a later kubelet needs to carry on stands in the labels and
//! annotations of CRI objects ([`labels`]); nothing is kept on disk besides.

pub(crate) mod actions;
pub(crate) mod backoff;
pub(crate) mod config;
mod hooks;
pub(crate) mod kill;
pub(crate) mod labels;
pub(crate) mod resize;
pub(crate) mod security;
pub(crate) mod start;
pub(crate) mod state;
mod termination_message;

use std::collections::HashMap;

use cri::api;
use futures::future::try_join_all;

use state::{ContainerState, PodRuntime, Sandbox, State};

/// What of a pod cannot change any more and need not be asked again.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    ended: HashMap<String, ContainerState>,
    sandboxes: HashMap<String, Sandbox>,
}

/// Asks the runtime for everything it has of a pod.
pub(crate) async fn inspect(cri: &cri::Client, uid: &str, cache: &mut Cache) -> Result<PodRuntime, cri::Error> {
    let label_selector = HashMap::from([(labels::POD_UID.to_owned(), uid.to_owned())]);
    let sandboxes =
        api::PodSandboxFilter { label_selector: label_selector.clone(), ..api::PodSandboxFilter::default() };
    let containers = api::ContainerFilter { label_selector, ..api::ContainerFilter::default() };
    let (sandboxes, containers) =
        tokio::try_join!(cri.list_pod_sandbox(Some(sandboxes)), cri.list_containers(Some(containers)))?;
    let known = &*cache;
    let sandboxes = sandboxes.iter().map(|listed| inspect_sandbox(cri, listed, known));
    let containers = containers.iter().map(|listed| inspect_container(cri, listed, known));
    let (sandboxes, containers) = tokio::try_join!(try_join_all(sandboxes), try_join_all(containers))?;
    let mut sandboxes: Vec<Sandbox> = sandboxes.into_iter().flatten().collect();
    let mut containers: Vec<ContainerState> = containers.into_iter().flatten().collect();
    // By attempt first: a sandbox whose network failed has no time of creation in containerd.
    sandboxes.sort_by_key(|sandbox| std::cmp::Reverse((sandbox.attempt, sandbox.created_at)));
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_at));
    cache.sandboxes = sandboxes.iter().map(|sandbox| (sandbox.id.clone(), sandbox.clone())).collect();
    cache.ended = containers
        .iter()
        .filter(|container| container.state == State::Exited)
        .map(|container| (container.id.clone(), container.clone()))
        .collect();
    Ok(PodRuntime { sandboxes, containers })
}

async fn inspect_sandbox(
    cri: &cri::Client,
    listed: &api::PodSandbox,
    cache: &Cache,
) -> Result<Option<Sandbox>, cri::Error> {
    let ready = listed.state() == api::PodSandboxState::SandboxReady;
    if let Some(known) = cache.sandboxes.get(&listed.id)
        && (!known.ips.is_empty() || !ready)
    {
        return Ok(Some(Sandbox { ready, ..known.clone() }));
    }
    match cri.pod_sandbox_status(&listed.id, false).await {
        Ok(answer) => Ok(Some(state::sandbox(listed, answer.status.as_ref()))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn inspect_container(
    cri: &cri::Client,
    listed: &api::Container,
    cache: &Cache,
) -> Result<Option<ContainerState>, cri::Error> {
    if listed.state() == api::ContainerState::ContainerExited
        && let Some(known) = cache.ended.get(&listed.id)
    {
        return Ok(Some(known.clone()));
    }
    match cri.container_status(&listed.id, false).await {
        Ok(answer) => Ok(answer.status.map(|status| {
            let mounts = status.mounts.clone();
            let policy = status.annotations.get(labels::TERMINATION_MESSAGE_POLICY).cloned();
            let path = status.annotations.get(labels::TERMINATION_MESSAGE_PATH).cloned();
            let mut container = state::container(listed, status);
            if container.state == State::Exited {
                let words = termination_message::read(&mounts, path.as_deref(), policy.as_deref(), &container);
                container.message = [words, std::mem::take(&mut container.message)]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect::<Vec<_>>()
                    .join(": ");
            }
            container
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
