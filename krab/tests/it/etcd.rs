//! Several API servers on one etcd, which wants TLS and a certificate of theirs: each serves what the others made, none is special.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use apiserver::pki::{Pki, ServingNames};
use tempfile::TempDir;

use crate::apiserver::{Running, answer, free_port, kubectl};
use crate::cluster::{PATIENCE, folder};

/// How many Services each server is asked for at the same time as the other.
const SERVICES: usize = 20;
const ADDRESSES: &str = "-o=jsonpath={.endpoints[*].addresses[0]}";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n\
    spec: {group: example.com, scope: Namespaced, names: {plural: things, kind: Thing}, versions: [{name: v1, served: true, storage: true, \
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}\n";

/// What all servers share: keys and the etcd.
struct Shared {
    folder: TempDir,
    pki: Pki,
    url: String,
    _etcd: Running,
}

/// One API server.
struct Server {
    running: Running,
    kubeconfig: PathBuf,
    log: PathBuf,
}

impl Shared {
    fn start() -> Shared {
        let folder = folder();
        let names = ServingNames { ips: vec![[127, 0, 0, 1].into()], ..ServingNames::default() };
        let pki = Pki::open(&folder.path().join("pki"), &names, SystemTime::now()).expect("keys can be made");
        // Another program may take a port first.
        let (url, etcd) = (0..5).find_map(|_| etcd(folder.path())).expect("etcd starts");
        Shared { folder, pki, url, _etcd: etcd }
    }

    /// An API server that says it is at this address.
    fn server(&self, name: &str, address: &str) -> Server {
        let at = |name: &str| self.folder.path().join(name);
        let file = |flag: &str, name: &str| format!("--{flag}={}", at(name).display());
        let log = at(&format!("{name}.log"));
        let child = Command::new(env!("CARGO_BIN_EXE_krab"))
            .args(["kube-apiserver", "--bind-address=127.0.0.1", "--authorization-mode=Node,RBAC", "--v=2"])
            .args([format!("--advertise-address={address}"), "--secure-port=0".to_owned()])
            .args([format!("--etcd-servers={}", self.url), file("etcd-cafile", "pki/ca.crt")])
            .args([file("etcd-certfile", "pki/apiserver-kubelet-client.crt")])
            .args([file("etcd-keyfile", "pki/apiserver-kubelet-client.key"), file("client-ca-file", "pki/ca.crt")])
            .args([file("tls-cert-file", "pki/apiserver.crt"), file("tls-private-key-file", "pki/apiserver.key")])
            .args([file("service-account-signing-key-file", "pki/sa.key")])
            .args([file("service-account-key-file", "pki/sa.pub")])
            .args(["--service-account-issuer=https://kubernetes.default.svc"])
            .args(["--service-cluster-ip-range=10.96.0.0/24"])
            .stderr(std::fs::File::create(&log).expect("the folder is the test's own"))
            .spawn()
            .expect("krab was built for this test");
        let running = Running(child);
        let kubeconfig = at(&format!("{name}.kubeconfig"));
        let user = self.pki.kubeconfig(&serving(&log), "admin", &self.pki.admin);
        user.write(&kubeconfig).expect("the folder is the test's own");
        Server { running, kubeconfig, log }
    }
}

/// Where the server that writes this log serves.
fn serving(log: &Path) -> String {
    const SAYS: &str = "serving address=";
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let said = text.split_once(SAYS).and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((address, _)) = said {
            return format!("https://{}", address.split_whitespace().next().unwrap_or_default());
        }
        assert!(begun.elapsed() < PATIENCE, "it does not serve: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An etcd that wants a certificate, and where it listens; none if it has ended.
fn etcd(folder: &Path) -> Option<(String, Running)> {
    let port = free_port();
    let (url, peer) = (format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", free_port()));
    let at = |name: &str| folder.join(name).display().to_string();
    let program = std::env::var_os("ETCD").unwrap_or_else(|| "etcd".into());
    let etcd = Command::new(program)
        .args(["--name=default", "--unsafe-no-fsync", "--log-level=error", "--client-cert-auth"])
        .arg(format!("--data-dir={}", at("etcd")))
        .args([format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}")])
        .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
        .arg(format!("--initial-cluster=default={peer}"))
        .args([format!("--cert-file={}", at("pki/apiserver.crt")), format!("--key-file={}", at("pki/apiserver.key"))])
        .arg(format!("--trusted-ca-file={}", at("pki/ca.crt")))
        .stderr(std::fs::File::create(at("etcd.log")).expect("the folder is the test's own"))
        .spawn()
        .expect("etcd is there (set ETCD)");
    let mut etcd = Running(etcd);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && matches!(etcd.0.try_wait(), Ok(None)) {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some((url, etcd));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(etcd);
    let _ = std::fs::remove_dir_all(folder.join("etcd"));
    None
}

impl Server {
    fn kubectl(&self, arguments: &[&str]) -> String {
        answer(&self.kubeconfig, arguments)
    }

    /// Waits until kubectl's answer is this.
    fn until(&self, arguments: &[&str], expected: &str) {
        let begun = Instant::now();
        loop {
            let output = kubectl(&self.kubeconfig, arguments);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if said == expected {
                return;
            }
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "kubectl {arguments:?}: {said:?}, not {expected:?}: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn until_ready(&self) {
        self.until(&["get", "--raw", "/readyz"], "ok");
    }

    fn until_endpoints(&self, addresses: &str) {
        self.until(&["get", "endpointslice", "kubernetes", ADDRESSES], addresses);
        let of_endpoints = "-o=jsonpath={.subsets[*].addresses[*].ip}";
        self.until(&["get", "endpoints", "kubernetes", of_endpoints], addresses);
    }

    fn terminate(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.running.0.id()).expect("pids are small"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it is our child");
        assert_eq!(self.running.0.wait().expect("it is our child").code(), Some(0));
    }
}

/// Services that each want an address and a port of every node.
fn services(folder: &Path, of: &str) -> PathBuf {
    let service = |n| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {of}-{n}}}\nspec: {{type: NodePort, ports: [{{port: 80}}]}}\n"
        )
    };
    let text: Vec<String> = (0..SERVICES).map(service).collect();
    let path = folder.join(format!("{of}.yaml"));
    std::fs::write(&path, text.join("---\n")).expect("the folder is the test's own");
    path
}

#[test]
fn api_servers_on_one_etcd_are_equal() {
    let shared = Shared::start();
    // Both find nothing, and make what every cluster begins with.
    let (a, b) = std::thread::scope(|scope| {
        let both = [("a", "192.0.2.1"), ("b", "192.0.2.2")];
        let [a, b] = both.map(|(name, address)| scope.spawn(|| shared.server(name, address)));
        (a.join().expect("a starts"), b.join().expect("b starts"))
    });
    a.until_ready();
    b.until_ready();
    for server in [&a, &b] {
        server.until_endpoints("192.0.2.1 192.0.2.2");
    }

    // What one is asked for the other does not give away as well.
    let files = ["a", "b"].map(|of| services(shared.folder.path(), of).display().to_string());
    std::thread::scope(|scope| {
        for (server, file) in [&a, &b].into_iter().zip(&files) {
            scope.spawn(move || server.kubectl(&["create", "-f", file]));
        }
    });
    let given = "-o=jsonpath={range .items[*]}{.spec.clusterIP} {.spec.ports[0].nodePort}{'\\n'}{end}";
    let given = a.kubectl(&["get", "services", given]);
    let distinct = |at: usize| given.lines().filter_map(|line| line.split(' ').nth(at)).collect::<BTreeSet<_>>().len();
    // With that of the Service kubernetes, and its lack of a node port.
    assert_eq!((distinct(0), distinct(1)), (2 * SERVICES + 1, 2 * SERVICES + 1), "{given}");

    // A definition made here is served there, and what is made there is seen here.
    let definition = shared.folder.path().join("definition.yaml");
    std::fs::write(&definition, DEFINITION).unwrap();
    a.kubectl(&["create", "-f", &definition.display().to_string()]);
    b.kubectl(&["wait", "--for=condition=Established", "crd/things.example.com", "--timeout=60s"]);
    let thing = shared.folder.path().join("thing.yaml");
    std::fs::write(&thing, "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\n").unwrap();
    b.kubectl(&["create", "-f", &thing.display().to_string()]);
    assert_eq!(a.kubectl(&["get", "things", "-o=name"]), "thing.example.com/one\n");

    // Who counts servers finds this machine.
    let identities =
        a.kubectl(&["get", "lease", "-n=kube-system", "-l=apiserver.kubernetes.io/identity=kube-apiserver", "-o=name"]);
    assert!(
        identities.starts_with("lease.coordination.k8s.io/apiserver-") && identities.lines().count() == 1,
        "{identities}"
    );

    // A server that is killed is gone when its lease is; one that ends says so.
    drop(b);
    a.until_endpoints("192.0.2.1");
    let b = shared.server("b", "192.0.2.2");
    b.until_ready();
    a.until_endpoints("192.0.2.1 192.0.2.2");
    a.terminate();
    b.until_endpoints("192.0.2.2");
}
