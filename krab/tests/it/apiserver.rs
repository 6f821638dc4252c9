//! `kube-apiserver` alone, under upstream's flags: what others make of its answers is theirs, so kubectl is asked.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant, SystemTime};

use apiserver::pki::{Pki, ServingNames};

use crate::cluster::{PATIENCE, folder};

const POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n\
    - {level: RequestResponse, resources: [{group: '', resources: [configmaps]}], omitManagedFields: true}\n- {level: None}\n";

/// Stops the process when the test is over.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Output {
    let program = std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into());
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).env("HOME", kubeconfig.with_file_name("home"));
    command.output().expect("kubectl is there (set KUBECTL)")
}

/// One that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    free.local_addr().expect("a bound socket has an address").port()
}

#[track_caller]
pub(crate) fn answer(kubeconfig: &Path, arguments: &[&str]) -> String {
    let output = kubectl(kubeconfig, arguments);
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn upstreams_flags_make_a_server_that_kubectl_uses() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let pki = Pki::open(&at("pki"), &ServingNames::default(), SystemTime::now()).unwrap();
    std::fs::write(at("policy.yaml"), POLICY).unwrap();
    let port = free_port();
    let kubeconfig = at("kubeconfig");
    pki.kubeconfig(&format!("https://127.0.0.1:{port}"), "admin", &pki.admin).write(&kubeconfig).unwrap();

    let file = |flag: &str, name: &str| format!("--{flag}={}", at(name).display());
    let child = Command::new(env!("CARGO_BIN_EXE_krab"))
        .args(["kube-apiserver", "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1"])
        .arg(format!("--secure-port={port}"))
        .args([file("data-dir", "data"), file("client-ca-file", "pki/ca.crt")])
        .args([file("tls-cert-file", "pki/apiserver.crt"), file("tls-private-key-file", "pki/apiserver.key")])
        .args([file("service-account-signing-key-file", "pki/sa.key"), file("service-account-key-file", "pki/sa.pub")])
        .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=Node,RBAC"])
        .args(["--runtime-config=autoscaling/v1=false", "--allow-privileged=true"])
        .args([file("audit-policy-file", "policy.yaml"), file("audit-log-path", "audit.log")])
        .stderr(std::fs::File::create(at("log")).unwrap())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let begun = Instant::now();
    while !kubectl(&kubeconfig, &["get", "--raw", "/readyz"]).status.success() {
        assert!(begun.elapsed() < PATIENCE, "not ready: {}", std::fs::read_to_string(at("log")).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }

    assert_eq!(answer(&kubeconfig, &["create", "configmap", "one", "--from-literal=a=b"]), "configmap/one created\n");
    // The server wrote config maps of its own before.
    let log = std::fs::read_to_string(at("audit.log")).unwrap();
    let audit = log.lines().find(|line| line.contains("kubernetes-admin")).unwrap_or_else(|| panic!("{log}"));
    for part in
        ["\"verb\":\"create\"", "\"name\":\"one\"", "\"code\":201", "\"decision\":\"allow\"", "\"data\":{\"a\":\"b\"}"]
    {
        let part = part.replace("\"decision\"", "\"authorization.k8s.io/decision\"");
        assert!(audit.contains(&part), "{part}: {audit}");
    }
    assert!(audit.contains("responseObject") && !audit.contains("managedFields"), "{audit}");

    let versions = answer(&kubeconfig, &["api-versions"]);
    assert!(versions.contains("autoscaling/v2\n") && !versions.contains("autoscaling/v1\n"), "{versions}");
    let dangling = "-o=jsonpath={.status.conditions[?(@.type=='Dangling')].status}";
    assert_eq!(answer(&kubeconfig, &["get", "flowschema", "probes", dangling]), "False");
    // A flow that every cluster has comes back.
    answer(&kubeconfig, &["delete", "flowschema", "probes"]);
    answer(&kubeconfig, &["wait", "--for=create", "flowschema/probes", "--timeout=60s"]);
}
