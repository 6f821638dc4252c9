//! What the binary says to its user without a cluster.

use std::process::{Command, Output};

fn krab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_krab")).args(arguments).env_clear().output().expect("krab was built for this test")
}

/// What krab says when it refuses.
#[track_caller]
pub(crate) fn complaint(arguments: &[&str]) -> String {
    let output = krab(arguments);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.trim_end().lines().count(), 1, "one sentence is enough: {text}");
    text
}

#[test]
fn without_a_command_it_lists_them() {
    let output = krab(&[]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("server"));
}

#[test]
fn every_flag_of_server_is_in_its_help() {
    let text = String::from_utf8(krab(&["server", "--help"]).stdout).unwrap();
    for flag in ["--data-dir", "--disable-node", "--secure-port", "--service-cluster-ip-range", "--write-kubeconfig"] {
        assert!(text.contains(flag), "{flag}");
    }
}

#[test]
fn an_unknown_flag_is_refused_in_one_sentence() {
    assert_eq!(complaint(&["server", "--nope"]), "krab server: unknown flag: --nope (see --help)\n");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let text = complaint(&["server", "--disable-node", "--secure-port=0", "--data-dir=/proc/nowhere"]);
    assert!(text.contains("/proc/nowhere"), "{text}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().display());
    let text =
        complaint(&["server", "--disable-node", "--bind-address=127.0.0.1", &format!("--secure-port={port}"), &data]);
    assert!(text.contains(&port), "{text}");
}

#[test]
fn components_have_upstreams_flags() {
    for (name, flag) in [
        ("kube-apiserver", "--service-account-issuer"),
        ("kubelet", "--container-runtime-endpoint"),
        ("kube-proxy", "--proxy-mode"),
        ("kube-scheduler", "--leader-elect"),
        ("kube-controller-manager", "--allocate-node-cidrs"),
    ] {
        let text = String::from_utf8(krab(&[name, "--help"]).stdout).unwrap();
        assert!(text.contains(flag), "{name}: {text}");
        let version = String::from_utf8(krab(&[name, "--version"]).stdout).unwrap();
        assert_eq!(version, "Kubernetes v1.37.0\n");
        assert!(complaint(&[name, "--nope"]).contains("unknown flag: --nope"));
    }
}

#[test]
fn certificates_are_issued_by_a_server_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", folder.path().display());
    let line =
        ["certs", "node", &data, "--node-name=a", "--node-ip=10.0.0.2", "--server=https://10.0.0.1:6443", "--out=/o"];
    assert!(complaint(&line).contains("no certificate authority"));
    assert!(complaint(&line[..5]).contains("--server is needed"));
}
