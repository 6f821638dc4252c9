use k8s_openapi::api::core::v1::{PodSpec, Probe};

use super::*;
use crate::kuberuntime::state::Sandbox;

fn container(name: &str) -> Container {
    Container { name: name.into(), image: Some("i".into()), ..Container::default() }
}

fn sidecar(name: &str) -> Container {
    Container { restart_policy: Some("Always".into()), ..container(name) }
}

fn pod(policy: &str, init: Vec<Container>, containers: Vec<Container>) -> Pod {
    Pod {
        spec: Some(PodSpec {
            restart_policy: Some(policy.into()),
            init_containers: Some(init),
            containers,
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

fn state(of: &Container, state: State, exit_code: i32) -> ContainerState {
    ContainerState {
        id: format!("{}-id", of.name),
        sandbox_id: "s".into(),
        name: of.name.clone(),
        state,
        created_at: 1,
        started_at: 1,
        finished_at: 0,
        exit_code,
        reason: String::new(),
        message: String::new(),
        image: String::new(),
        image_id: String::new(),
        hash: container_hash(of),
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

fn starts(actions: &PodActions) -> Vec<&str> {
    actions.start.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn a_new_pod_gets_a_sandbox_and_all_containers() {
    let pod = pod("Always", vec![], vec![container("a"), container("b")]);
    let actions = pod_actions(&pod, &PodRuntime::default(), &ProbeResults::default());
    assert_eq!((actions.create_sandbox, actions.kill_pod), (Some(0), false));
    assert_eq!(starts(&actions), ["a", "b"]);
}

#[test]
fn a_running_pod_is_left_alone() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let runtime = runtime(vec![state(&container("a"), State::Running, 0)]);
    assert!(pod_actions(&pod, &runtime, &ProbeResults::default()).is_empty());
}

#[test]
fn init_containers_run_one_after_the_other() {
    let (first, second) = (container("i1"), container("i2"));
    let pod = pod("Always", vec![first.clone(), second.clone()], vec![container("a")]);
    let probes = ProbeResults::default();
    assert_eq!(starts(&pod_actions(&pod, &PodRuntime::default(), &probes)), ["i1"]);
    let now = runtime(vec![state(&first, State::Running, 0)]);
    assert!(pod_actions(&pod, &now, &probes).is_empty());
    let now = runtime(vec![state(&first, State::Exited, 0)]);
    assert_eq!(starts(&pod_actions(&pod, &now, &probes)), ["i2"]);
    let now = runtime(vec![state(&second, State::Exited, 0), state(&first, State::Exited, 0)]);
    assert_eq!(starts(&pod_actions(&pod, &now, &probes)), ["a"]);
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let init = container("i");
    let now = runtime(vec![state(&init, State::Exited, 1)]);
    let never = pod("Never", vec![init.clone()], vec![container("a")]);
    assert!(pod_actions(&never, &now, &ProbeResults::default()).kill_pod);
    let on_failure = pod("OnFailure", vec![init], vec![container("a")]);
    assert_eq!(starts(&pod_actions(&on_failure, &now, &ProbeResults::default())), ["i"]);
}

#[test]
fn a_sidecar_holds_back_what_follows_until_it_has_started() {
    let side = Container { startup_probe: Some(Probe::default()), ..sidecar("side") };
    let pod = pod("Never", vec![side.clone()], vec![container("a")]);
    let mut probes = ProbeResults::default();
    let now = runtime(vec![state(&side, State::Running, 0)]);
    assert!(pod_actions(&pod, &now, &probes).is_empty());
    probes.started.push("side-id".into());
    assert_eq!(starts(&pod_actions(&pod, &now, &probes)), ["a"]);
}

#[test]
fn a_sidecar_is_restarted_even_when_the_pod_never_is() {
    let side = sidecar("side");
    let pod = pod("Never", vec![side.clone()], vec![container("a")]);
    let now = runtime(vec![state(&container("a"), State::Running, 0), state(&side, State::Exited, 1)]);
    assert_eq!(starts(&pod_actions(&pod, &now, &ProbeResults::default())), ["side"]);
}

#[test]
fn a_sidecar_does_not_keep_a_finished_pod_alive() {
    let side = sidecar("side");
    let pod = pod("Never", vec![side.clone()], vec![container("a")]);
    let now = runtime(vec![state(&container("a"), State::Exited, 0), state(&side, State::Running, 0)]);
    let actions = pod_actions(&pod, &now, &ProbeResults::default());
    assert_eq!(actions, PodActions { kill_pod: true, ..PodActions::default() });
}

#[test]
fn exited_containers_restart_by_policy() {
    for (policy, code, expected) in
        [("Always", 0, true), ("Always", 1, true), ("OnFailure", 0, false), ("OnFailure", 1, true), ("Never", 1, false)]
    {
        let pod = pod(policy, vec![], vec![container("a"), container("b")]);
        let states = vec![state(&container("a"), State::Exited, code), state(&container("b"), State::Running, 0)];
        let actions = pod_actions(&pod, &runtime(states), &ProbeResults::default());
        assert_eq!(starts(&actions), if expected { vec!["a"] } else { vec![] }, "{policy} {code}");
    }
}

#[test]
fn a_failed_liveness_probe_kills_and_restarts() {
    let a = Container {
        liveness_probe: Some(Probe { termination_grace_period_seconds: Some(5), ..Probe::default() }),
        ..container("a")
    };
    let probes = ProbeResults { not_alive: vec!["a-id".into()], ..ProbeResults::default() };
    let now = runtime(vec![state(&a, State::Running, 0)]);
    let actions = pod_actions(&pod("Always", vec![], vec![a.clone()]), &now, &probes);
    assert_eq!(actions.kill[0].message, "Container a failed liveness probe, will be restarted");
    assert_eq!(actions.kill[0].grace, Some(5));
    assert_eq!(starts(&actions), ["a"]);
    assert!(!actions.kill_pod);
}

#[test]
fn a_changed_image_restarts_the_container_only() {
    let old = container("a");
    let new = Container { image: Some("other".into()), ..old.clone() };
    let pod = pod("Never", vec![], vec![new, container("b")]);
    let now = runtime(vec![state(&old, State::Running, 0), state(&container("b"), State::Running, 0)]);
    let actions = pod_actions(&pod, &now, &ProbeResults::default());
    assert_eq!(actions.kill[0].message, "Container a definition changed, will be restarted");
    assert_eq!(starts(&actions), ["a"]);
}

#[test]
fn a_lost_sandbox_is_replaced_unless_the_pod_is_over() {
    let init = container("i");
    let mut now = runtime(vec![state(&container("a"), State::Exited, 137), state(&init, State::Exited, 0)]);
    now.sandboxes[0].ready = false;
    let always = pod("Always", vec![init], vec![container("a")]);
    let actions = pod_actions(&always, &now, &ProbeResults::default());
    assert_eq!((actions.create_sandbox, actions.kill_pod), (Some(1), true));
    assert_eq!(starts(&actions), ["i"]);
    let never = pod("Never", vec![], vec![container("a")]);
    assert!(pod_actions(&never, &now, &ProbeResults::default()).is_empty());
}

#[test]
fn a_container_that_was_never_started_is_made_again() {
    let pod = pod("Always", vec![], vec![container("a")]);
    let now = runtime(vec![state(&container("a"), State::Created, 0)]);
    let actions = pod_actions(&pod, &now, &ProbeResults::default());
    assert_eq!(actions.kill[0].id, "a-id");
    assert_eq!(starts(&actions), ["a"]);
}

#[test]
fn sidecars_are_stopped_last_in_reverse() {
    let (s1, s2) = (sidecar("s1"), sidecar("s2"));
    let pod = pod("Always", vec![s1.clone(), s2.clone()], vec![container("a"), container("b")]);
    let now = runtime(vec![
        state(&container("a"), State::Running, 0),
        state(&s1, State::Running, 0),
        state(&container("b"), State::Running, 0),
        state(&s2, State::Running, 0),
    ]);
    let names: Vec<Vec<_>> =
        kill_order(Some(&pod), &now).iter().map(|step| step.iter().map(|state| state.name.clone()).collect()).collect();
    assert_eq!(names, [vec!["a", "b"], vec!["s2"], vec!["s1"]]);
}
