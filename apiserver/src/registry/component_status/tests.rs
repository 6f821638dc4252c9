use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn condition(statuses: &ComponentStatuses, name: &str) -> Value {
    statuses.item(name).unwrap()["conditions"][0].clone()
}

/// As a running kube-apiserver v1.37.0 said with neither on its port.
#[test]
fn a_part_that_never_joined_is_refused_as_an_empty_port() {
    let statuses = ComponentStatuses::new(Arc::new(|| None));
    for (name, port) in [("scheduler", 10259), ("controller-manager", 10257)] {
        let message =
            format!("Get \"https://127.0.0.1:{port}/healthz\": dial tcp 127.0.0.1:{port}: connect: connection refused");
        let expect = json!({"type": "Healthy", "status": "False", "message": message});
        assert_eq!(condition(&statuses, name), expect);
    }
    assert_eq!(condition(&statuses, "etcd-0"), json!({"type": "Healthy", "status": "True", "message": "ok"}));
    assert_eq!(statuses.item("etcd-1"), None);
}

#[test]
fn a_part_is_well_for_as_long_as_it_runs() {
    let statuses = ComponentStatuses::new(Arc::new(|| None));
    let alive = Arc::new(AtomicBool::new(true));
    let running = alive.clone();
    statuses.clone().join("scheduler", move || running.load(Ordering::Relaxed));
    assert_eq!(condition(&statuses, "scheduler"), json!({"type": "Healthy", "status": "True", "message": "ok"}));
    alive.store(false, Ordering::Relaxed);
    assert_eq!(condition(&statuses, "scheduler")["status"], "False");
}

#[test]
fn a_store_that_fails_says_why() {
    let statuses = ComponentStatuses::new(Arc::new(|| Some("no space left".to_owned())));
    let expect = json!({"type": "Healthy", "status": "False", "error": "no space left"});
    assert_eq!(condition(&statuses, "etcd-0"), expect);
}
