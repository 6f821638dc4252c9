//! What goes wrong around a running node: its container runtime, its ports, its disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{AGNHOST, cluster, containers, ctr};
use crate::cluster::{CONTROL_PLANE, Cluster, arena, folder, node_flags};

/// The arena's containerd, stopped; it comes back when this is dropped.
struct StoppedContainerd {
    flag: PathBuf,
}

impl StoppedContainerd {
    fn new() -> Self {
        let folder = PathBuf::from(arena("KRAB_ARENA"));
        let flag = folder.join("containerd.stopped");
        std::fs::write(&flag, "").expect("the arena is ours");
        let pid = std::fs::read_to_string(folder.join("containerd.pid")).expect("hack/arena writes it");
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("containerd runs");
        let stopped = Self { flag };
        while ctr(&["version"]).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        stopped
    }
}

impl Drop for StoppedContainerd {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.flag);
    }
}

fn ready(cluster: &Cluster) -> String {
    cluster.field("node/node-1", "{.status.conditions[?(@.type==\"Ready\")].status}")
}

#[test]
fn a_restart_of_containerd_costs_no_container_and_the_node_comes_back() {
    let cluster = cluster();
    cluster.kubectl(&["create", "deployment", "web", "--image", AGNHOST, "--replicas=2", "--", "/agnhost", "netexec"]);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let before = containers(&cluster);
    let stopped = StoppedContainerd::new();
    cluster.wait("the node to be not Ready", || ready(&cluster) == "False");
    assert_eq!(containers(&cluster), before, "nothing is known of the containers, so nothing has changed");
    drop(stopped);
    cluster.wait("the node to be Ready", || ready(&cluster) == "True");
    cluster.kubectl(&["scale", "deployment/web", "--replicas=3"]);
    cluster.wait("a third pod", || cluster.field("deployment/web", "{.status.readyReplicas}") == "3");
    let after = containers(&cluster);
    assert!(before.iter().all(|line| after.contains(line)), "{before:?} {after:?}");
}

#[test]
fn a_containerd_that_is_missing_at_the_start_is_waited_for_and_said_to_be() {
    let stopped = StoppedContainerd::new();
    let cluster = Cluster::with_starting_node();
    cluster.wait("a word about the runtime", || cluster.log().contains("container runtime is down"));
    drop(stopped);
    cluster.wait("the node to be Ready", || cluster.log().contains("The cluster is ready"));
}

#[test]
fn a_kubelet_port_in_use_ends_the_server_with_one_sentence() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = folder();
    let mut arguments = vec!["server".to_owned(), format!("--data-dir={}", folder.path().join("data").display())];
    arguments.extend(node_flags(folder.path()));
    arguments.extend(["--secure-port=0".to_owned(), format!("--kubelet-port={port}")]);
    let krab = Command::new(env!("CARGO_BIN_EXE_krab")).args(arguments).env("HOME", folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&krab.stderr).into_owned();
    assert!(!krab.status.success(), "{text}");
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("krab server: ") && last.contains(&format!("0.0.0.0:{port}")), "{text}");
}

/// A disk of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir(at).expect("the folder is the test's own");
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", &at.to_string_lossy()]);
        Self(at.to_owned())
    }

    fn resize(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}"), &self.0.to_string_lossy()]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().expect("mount is there");
    assert!(status.success(), "mount {}", arguments.join(" "));
}

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing_and_with_space_it_goes_on() {
    let folder = folder();
    let disk = SmallDisk::mount(&folder.path().join("data"), "24m");
    let mut cluster = Cluster::start(folder, CONTROL_PLANE);
    let content = "x".repeat(700_000);
    let write = |cluster: &Cluster, name: &str| {
        let manifest = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"content":"{content}"}}}}"#
        );
        cluster.try_feed(&["create", "-f", "-"], &manifest)
    };
    let mut written = 0;
    let refusal = loop {
        match write(&cluster, &format!("piece-{written}")) {
            Ok(_) => written += 1,
            Err(refusal) => break refusal,
        }
        assert!(written < 100, "the disk is not that large");
    };
    assert!(refusal.contains("(InternalError)") && refusal.contains("no space left on the disk"), "{refusal}");
    assert!(written > 0, "{refusal}");
    // Reads go on, and what was refused is not there.
    let names = |cluster: &Cluster| cluster.kubectl(&["get", "configmaps", "-o", "name"]);
    let present = names(&cluster);
    assert!((0..written).all(|at| present.contains(&format!("piece-{at}\n"))), "{present}");
    assert!(!present.contains(&format!("piece-{written}\n")), "{present}");

    disk.resize("200m");
    cluster.wait("writes to go on", || write(&cluster, "after").is_ok());
    cluster.kill();
    cluster.restart();
    let present = names(&cluster);
    assert!((0..written).all(|at| present.contains(&format!("piece-{at}\n"))), "{present}");
    assert!(present.contains("configmap/after\n"), "{present}");
    assert_eq!(cluster.field("configmap/piece-0", "{.data.content}").len(), content.len());
    drop(cluster);
}
