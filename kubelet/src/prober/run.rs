//! One probe, again and again while its container runs.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::sync::Notify;

use super::counter::Counter;
use super::{ProbeType, Verdicts, grpc, http, ports};
use crate::kubelet::Kubelet;
use crate::kuberuntime::state::ContainerState;

/// What is probed.
pub(super) struct Target {
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) state: ContainerState,
    pub(super) kind: ProbeType,
    pub(super) pod_ip: String,
}

/// What one try found.
enum Outcome {
    Good,
    /// With what upstream's event says of it.
    Bad(String),
    /// The probe itself went wrong, which is no verdict.
    Unknown(String),
}

fn seconds(value: Option<i32>, default: u64) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(default)
}

/// Probes until dropped, or until nothing more can be learnt (started, or to be killed).
pub(super) async fn worker(kubelet: Arc<Kubelet>, target: Target, verdicts: Verdicts, wake: Arc<Notify>) {
    let Some(probe) = target.kind.of(&target.container).cloned() else { return };
    let count = |value: Option<i32>, default: u32| value.and_then(|v| u32::try_from(v).ok()).unwrap_or(default);
    let mut counter = Counter::new(count(probe.success_threshold, 1), count(probe.failure_threshold, 3));
    let started = u64::try_from(target.state.started_at).unwrap_or(0);
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
    let age = Duration::from_nanos(now.saturating_sub(started));
    tokio::time::sleep(Duration::from_secs(seconds(probe.initial_delay_seconds, 0)).saturating_sub(age)).await;
    let period = Duration::from_secs(seconds(probe.period_seconds, 10).max(1));
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let good = match once(&kubelet, &target, &probe).await {
            Outcome::Good => true,
            Outcome::Bad(output) => {
                let message = format!("{} probe failed: {output}", target.kind.title());
                tell(&kubelet, &target, &message);
                false
            }
            Outcome::Unknown(error) => {
                let message = format!("{} probe errored and resulted in unknown state: {error}", target.kind.title());
                tell(&kubelet, &target, &message);
                continue;
            }
        };
        let Some(verdict) = counter.observe(good) else { continue };
        let key = (target.state.id.clone(), target.kind);
        let before = verdicts.lock().unwrap_or_else(PoisonError::into_inner).insert(key, verdict);
        if before != Some(verdict) {
            wake.notify_one();
        }
        match (target.kind, verdict) {
            (ProbeType::Startup, _) | (ProbeType::Liveness, false) => return,
            _ => {}
        }
    }
}

fn tell(kubelet: &Kubelet, target: &Target, message: &str) {
    let about = kubelet.recorder.container(&target.pod, &target.container.name);
    kubelet.recorder.warning(&about, "Unhealthy", message);
}

async fn once(kubelet: &Kubelet, target: &Target, probe: &Probe) -> Outcome {
    let timeout = Duration::from_secs(seconds(probe.timeout_seconds, 1).max(1));
    if let Some(exec) = &probe.exec {
        let command = exec.command.clone().unwrap_or_default();
        return match kubelet.cri.exec_sync(&target.state.id, command, Some(timeout)).await {
            Ok(answer) if answer.exit_code == 0 => Outcome::Good,
            Ok(answer) => Outcome::Bad(String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned()),
            Err(cri::Error::Timeout { .. }) => {
                Outcome::Bad(format!("command timed out: {:?} timed out after {}s", exec.command, timeout.as_secs()))
            }
            Err(error) => Outcome::Unknown(error.to_string()),
        };
    }
    if let Some(get) = &probe.http_get {
        let Some(port) = ports::resolve(&get.port, Some(&target.container)) else {
            return Outcome::Unknown(format!("couldn't find port: {:?}", get.port));
        };
        let request = http::Target::of(get, &target.pod_ip, port, "kube-probe/1.37");
        return match http::get_following(&request, timeout).await {
            Ok(answer) if (200..400).contains(&answer.status) => Outcome::Good,
            Ok(answer) => Outcome::Bad(format!("HTTP probe failed with statuscode: {}", answer.status)),
            Err(error) => Outcome::Bad(error.to_string()),
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        let Some(port) = ports::resolve(&tcp.port, Some(&target.container)) else {
            return Outcome::Unknown(format!("couldn't find port: {:?}", tcp.port));
        };
        let host = tcp.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(&target.pod_ip);
        let address = http::host_port(host, port);
        return match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(&address)).await {
            Ok(Ok(_)) => Outcome::Good,
            Ok(Err(error)) => Outcome::Bad(format!("dial tcp {address}: connect: {}", http::plain(&error))),
            Err(_) => Outcome::Bad(format!("dial tcp {address}: i/o timeout")),
        };
    }
    if let Some(call) = &probe.grpc {
        let address = http::host_port(&target.pod_ip, u16::try_from(call.port).unwrap_or(0));
        let service = call.service.clone().unwrap_or_default();
        return match grpc::check(&address, service, timeout).await {
            Ok(()) => Outcome::Good,
            Err(text) => Outcome::Bad(text),
        };
    }
    Outcome::Unknown("missing probe handler".into())
}
