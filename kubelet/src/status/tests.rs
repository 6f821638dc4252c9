use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodCondition, PodSpec, PodStatus, Probe};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::generate::{View, Waiting, status};
use super::patch::patch;
use crate::kuberuntime::actions::ProbeResults;
use crate::kuberuntime::state::{ContainerState, PodRuntime, Sandbox, State};

fn container(name: &str) -> Container {
    Container { name: name.into(), image: Some("i".into()), ..Container::default() }
}

fn pod(policy: &str, init: Vec<Container>, containers: Vec<Container>) -> Pod {
    Pod {
        metadata: ObjectMeta { name: Some("p".into()), generation: Some(3), ..ObjectMeta::default() },
        spec: Some(PodSpec {
            restart_policy: Some(policy.into()),
            init_containers: Some(init),
            containers,
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

fn state(name: &str, state: State, exit_code: i32) -> ContainerState {
    ContainerState {
        id: format!("{name}-id"),
        sandbox_id: "s".into(),
        name: name.into(),
        state,
        created_at: 1_000_000_000,
        started_at: 2_000_000_000,
        finished_at: if state == State::Exited { 3_000_000_000 } else { 0 },
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: "i".into(),
        image_id: "sha256:1".into(),
        hash: String::new(),
        restart_count: 0,
        termination_grace: None,
        pre_stop: None,
        log_path: String::new(),
        resources: None,
        user: None,
    }
}

fn runtime(containers: Vec<ContainerState>) -> PodRuntime {
    let sandbox = Sandbox { id: "s".into(), attempt: 0, ready: true, created_at: 1, ips: vec!["10.0.0.1".into()] };
    PodRuntime { sandboxes: vec![sandbox], containers }
}

fn compute(
    pod: &Pod,
    runtime: &PodRuntime,
    probes: &ProbeResults,
    waiting: &[(&str, &str)],
    terminal: bool,
) -> PodStatus {
    let waiting: HashMap<String, Waiting> = waiting
        .iter()
        .map(|(name, reason)| ((*name).to_owned(), Waiting { reason: (*reason).into(), message: "m".into() }))
        .collect();
    status(
        pod,
        &View {
            runtime,
            probes,
            waiting: &waiting,
            runtime_name: "containerd",
            host_ips: &["192.0.2.1".into()],
            terminal,
            failed: None,
            applied: &HashMap::new(),
            resize: None,
            evicted: false,
            now: jiff::Timestamp::UNIX_EPOCH,
        },
    )
}

fn condition<'a>(status: &'a PodStatus, name: &str) -> &'a PodCondition {
    status.conditions.iter().flatten().find(|condition| condition.type_ == name).unwrap()
}

#[test]
fn a_pod_nobody_has_started_is_pending() {
    let status = compute(
        &pod("Always", vec![], vec![container("a")]),
        &PodRuntime::default(),
        &ProbeResults::default(),
        &[],
        false,
    );
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let waiting = status.container_statuses.as_ref().unwrap()[0].state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("ContainerCreating"));
    assert_eq!(condition(&status, "Ready").message.as_deref(), Some("containers with unready status: [a]"));
    assert_eq!(condition(&status, "PodReadyToStartContainers").status, "False");
    assert_eq!(condition(&status, "Initialized").status, "True");
    assert_eq!(condition(&status, "Ready").observed_generation, Some(3));
}

#[test]
fn a_running_container_without_probes_is_ready() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let status = compute(&pod, &runtime(vec![state("a", State::Running, 0)]), &ProbeResults::default(), &[], false);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(condition(&status, "Ready").status, "True");
    assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.1"));
    let first = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!((first.ready, first.started), (true, Some(true)));
    assert_eq!(first.container_id.as_deref(), Some("containerd://a-id"));
}

#[test]
fn readiness_follows_the_probe() {
    let probed = Container { readiness_probe: Some(Probe::default()), ..container("a") };
    let pod = pod("Always", vec![], vec![probed]);
    let now = runtime(vec![state("a", State::Running, 0)]);
    let mut probes = ProbeResults::default();
    assert_eq!(condition(&compute(&pod, &now, &probes, &[], false), "Ready").status, "False");
    probes.ready.push("a-id".into());
    assert_eq!(condition(&compute(&pod, &now, &probes, &[], false), "Ready").status, "True");
}

#[test]
fn phases_follow_the_restart_policy() {
    for (policy, code, terminal, expected) in [
        ("Always", 0, false, "Running"),
        ("Always", 1, false, "Running"),
        ("OnFailure", 0, false, "Succeeded"),
        ("OnFailure", 1, false, "Running"),
        ("Never", 0, false, "Succeeded"),
        ("Never", 1, false, "Failed"),
        ("Always", 0, true, "Succeeded"),
        ("Always", 1, true, "Failed"),
    ] {
        let pod = pod(policy, vec![], vec![container("a")]);
        let now = runtime(vec![state("a", State::Exited, code)]);
        let status = compute(&pod, &now, &ProbeResults::default(), &[], terminal);
        assert_eq!(status.phase.as_deref(), Some(expected), "{policy} {code} {terminal}");
    }
}

#[test]
fn a_crashing_container_waits_with_its_last_end() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let now = runtime(vec![state("a", State::Exited, 2)]);
    let status = compute(&pod, &now, &ProbeResults::default(), &[("a", "CrashLoopBackOff")], false);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let first = &status.container_statuses.as_ref().unwrap()[0];
    let waiting = first.state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    let last = first.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (2, Some("Error")));
}

#[test]
fn init_containers_hold_the_pod_pending() {
    let pod = pod("Always", vec![container("i")], vec![container("a")]);
    let now = runtime(vec![state("i", State::Running, 0)]);
    let status = compute(&pod, &now, &ProbeResults::default(), &[], false);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let initialized = condition(&status, "Initialized");
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [i]"));
    let waiting = status.container_statuses.as_ref().unwrap()[0].state.as_ref().unwrap().waiting.as_ref().unwrap();
    assert_eq!(waiting.reason.as_deref(), Some("PodInitializing"));
    let before = compute(&pod, &PodRuntime::default(), &ProbeResults::default(), &[], false);
    let first = before.init_container_statuses.as_ref().unwrap()[0].state.clone().unwrap();
    assert_eq!(first.waiting.unwrap().reason.as_deref(), Some("PodInitializing"));
    let now = runtime(vec![state("a", State::Running, 0), state("i", State::Exited, 0)]);
    let status = compute(&pod, &now, &ProbeResults::default(), &[], false);
    assert_eq!((status.phase.as_deref(), condition(&status, "Initialized").status.as_str()), (Some("Running"), "True"));
    assert!(status.init_container_statuses.as_ref().unwrap()[0].ready);
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let pod = pod("Never", vec![container("i")], vec![container("a")]);
    let now = runtime(vec![state("i", State::Exited, 1)]);
    let status = compute(&pod, &now, &ProbeResults::default(), &[], false);
    assert_eq!(status.phase.as_deref(), Some("Failed"));
}

#[test]
fn a_pod_taken_down_before_it_ran_has_failed() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let status = compute(&pod, &PodRuntime::default(), &ProbeResults::default(), &[], true);
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let ended = status.container_statuses.as_ref().unwrap()[0].state.clone().unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("ContainerStatusUnknown")));
}

#[test]
fn a_patch_holds_only_what_changed() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let old = compute(&pod, &runtime(vec![state("a", State::Running, 0)]), &ProbeResults::default(), &[], false);
    assert_eq!(patch("u", &old, &old), None);
    let mut new = old.clone();
    new.conditions.as_mut().unwrap()[2].status = "False".into();
    new.pod_ip = None;
    new.pod_ips.as_mut().unwrap()[0].ip = "10.0.0.2".into();
    let patch = patch("u", &old, &new).unwrap();
    assert_eq!(patch["metadata"]["uid"], "u");
    let status = patch["status"].as_object().unwrap();
    assert_eq!(status.len(), 3);
    assert_eq!(status["conditions"].as_array().unwrap().len(), 1);
    assert!(status["podIP"].is_null());
    assert_eq!(status["podIPs"][1]["$patch"], "replace");
}
