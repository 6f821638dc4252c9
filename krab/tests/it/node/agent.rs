//! A node that joins a control plane elsewhere.

use std::process::Command;

use super::{AGNHOST, client_pod, curl, import_images};
use crate::cluster::{Cluster, arena, folder, node_flags};

#[test]
fn a_node_joins_with_the_folder_that_certs_node_writes() {
    import_images();
    let address = arena("KRAB_ARENA_IP");
    let advertise = format!("--advertise-address={address}");
    let cluster = Cluster::start(folder(), &["--disable-node", "--secure-port=6443", &advertise]);
    let (data, out) = (cluster.path("data"), cluster.path("node"));
    let certs = Command::new(env!("CARGO_BIN_EXE_krab"))
        .args(["certs", "node", "--node-name=node-1", &format!("--server=https://{address}:6443")])
        .args([format!("--node-ip={address}"), format!("--data-dir={}", data.display())])
        .arg(format!("--out={}", out.display()))
        .output()
        .unwrap();
    assert!(certs.status.success(), "{}", String::from_utf8_lossy(&certs.stderr));

    let mut line = vec!["agent".to_owned(), format!("--kubeconfig={}", out.join("kubelet.kubeconfig").display())];
    line.push(format!("--node-ip={address}"));
    let server_only = |flag: &String| flag.starts_with("--advertise-address");
    line.extend(node_flags(out.parent().unwrap()).into_iter().filter(|flag| !server_only(flag)));
    let _agent = cluster.component(&line.iter().map(String::as_str).collect::<Vec<_>>());

    cluster.wait("the node", || cluster.try_kubectl(&["get", "node", "node-1"]).is_ok());
    cluster.kubectl(&["wait", "--for=condition=Ready", "node/node-1", "--timeout=60s"]);
    cluster.wait("the service account", || cluster.try_kubectl(&["get", "serviceaccount", "default"]).is_ok());
    cluster.kubectl(&["run", "web", "--image", AGNHOST, "--port=8080", "--", "netexec", "--http-port=8080"]);
    cluster.kubectl(&["expose", "pod", "web"]);
    // exec goes through the API server to the kubelet's own certificate.
    client_pod(&cluster);
    let service = cluster.field("service/web", "{.spec.clusterIP}");
    cluster.wait("the Service through kube-proxy", || {
        curl(&cluster, &format!("http://{service}:8080/hostname")).is_ok_and(|name| name == "web")
    });
}
