//! A whole cluster on a real containerd: what issue 3 ends with. Each test has a cluster of its own in the one arena.

mod agent;
mod faults;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::cluster::{Cluster, arena, surroundings};

const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";

/// A cluster whose containerd has the images.
fn cluster() -> Cluster {
    import_images();
    Cluster::with_node()
}

fn import_images() {
    let images = surroundings("KRAB_IMAGES");
    for image in ["agnhost", "busybox"] {
        let archive = images.join(format!("{image}.tar"));
        assert!(ctr(&["images", "import", &archive.to_string_lossy()]).is_ok(), "cannot import {}", archive.display());
    }
}

/// containerd's own client, in the namespace of Kubernetes.
fn ctr(arguments: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new("ctr")
        .args(["-a", &arena("KRAB_ARENA_SOCKET"), "-n", "k8s.io"])
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Pods with their container and how often it was restarted, a line each.
fn containers(cluster: &Cluster) -> Vec<String> {
    let path = "{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}";
    let mut lines: Vec<String> = cluster.field("pods", path).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A pod in which to run commands.
fn client_pod(cluster: &Cluster) {
    cluster.kubectl(&["run", "client", "--image", AGNHOST, "--", "pause"]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/client", "--timeout=60s"]);
}

fn curl(cluster: &Cluster, url: &str) -> Result<String, String> {
    cluster.try_kubectl(&["exec", "client", "--", "curl", "-sf", "-m", "5", url])
}

fn from_host(url: &str) -> Result<String, String> {
    let output =
        std::process::Command::new("curl").args(["-sf", "-m", "5", url]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(output.status.to_string())
    }
}

#[test]
fn guestbook_works_by_name_by_address_and_by_node_port() {
    let cluster = cluster();
    let manifests = surroundings("KUBERNETES_SOURCE").join("test/e2e/testing-manifests/guestbook");
    for name in [
        "agnhost-primary-deployment.yaml.in",
        "agnhost-primary-service.yaml",
        "agnhost-replica-deployment.yaml.in",
        "agnhost-replica-service.yaml",
        "frontend-deployment.yaml.in",
        "frontend-service.yaml",
    ] {
        let text = std::fs::read_to_string(manifests.join(name)).unwrap().replace("{{.AgnhostImage}}", AGNHOST);
        cluster.feed(&["apply", "-f", "-"], &text);
    }
    for name in ["agnhost-primary", "agnhost-replica", "frontend"] {
        cluster.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=120s"]);
    }
    client_pod(&cluster);
    let page = |host: &str, query: &str| format!("http://{host}/guestbook?{query}");
    cluster.wait("an entry through the frontend", || {
        curl(&cluster, &page("frontend", "cmd=set&key=messages&value=TestEntry"))
            .is_ok_and(|text| text.contains("Updated"))
    });
    cluster.wait("the entry by the Service's name", || {
        curl(&cluster, &page("frontend.default.svc.cluster.local", "cmd=get&key=messages"))
            .is_ok_and(|text| text.contains("TestEntry"))
    });
    let address = cluster.field("service/frontend", "{.spec.clusterIP}");
    assert!(curl(&cluster, &page(&address, "cmd=get&key=messages")).unwrap().contains("TestEntry"));
    cluster.kubectl(&["patch", "service", "frontend", "-p", r#"{"spec":{"type":"NodePort"}}"#]);
    let port = cluster.field("service/frontend", "{.spec.ports[0].nodePort}");
    let node = std::env::var("KRAB_ARENA_IP").unwrap();
    cluster.wait("the node port from the host", || {
        from_host(&page(&format!("{node}:{port}"), "cmd=get&key=messages")).is_ok_and(|text| text.contains("TestEntry"))
    });
}

#[test]
fn exec_logs_and_port_forward_reach_the_container() {
    let cluster = cluster();
    cluster.kubectl(&["run", "web", "--image", AGNHOST, "--port=8080", "--", "netexec", "--http-port=8080"]);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);

    assert_eq!(cluster.kubectl(&["exec", "web", "--", "echo", "hello"]), "hello\n");
    assert!(cluster.refused(&["exec", "web", "--", "sh", "-c", "exit 3"]).contains("exit code 3"));
    // Closing standard input alone ends cat.
    assert_eq!(cluster.feed(&["exec", "-i", "web", "--", "cat"], "from outside\n"), "from outside\n");

    let mut logs = cluster.command(&["logs", "-f", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("Started HTTP server"));

    let mut forward = cluster.command(&["port-forward", "pod/web", ":8080"]).stdout(Stdio::piped()).spawn().unwrap();
    // Kept open: kubectl reports each connection there, and a closed pipe would end it.
    let mut reports = BufReader::new(forward.stdout.take().unwrap()).lines();
    let first = reports.next().unwrap().unwrap();
    let port: u16 = first.split(':').nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET /hostname HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("web"), "{answer}");
    // The request is in the log that is being followed.
    assert!(lines.any(|line| line.unwrap().contains("/hostname")));
    for child in [&mut logs, &mut forward] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ran = cluster.feed(
        &["run", "once", "--rm", "-i", "--restart=Never", "--image", AGNHOST, "--command", "--", "cat"],
        "typed\n",
    );
    assert!(ran.contains("typed"), "{ran}");
}

#[test]
fn a_failing_container_backs_off_and_an_unready_pod_leaves_its_service() {
    let cluster = cluster();
    cluster.kubectl(&["run", "fails", "--image", AGNHOST, "--command", "--", "sh", "-c", "exit 7"]);
    cluster.wait("back-off", || {
        cluster.field("pod/fails", "{.status.containerStatuses[0].state.waiting.reason}") == "CrashLoopBackOff"
    });
    assert_eq!(cluster.field("pod/fails", "{.status.containerStatuses[0].lastState.terminated.exitCode}"), "7");

    let probed = format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: probed, labels: {{app: probed}}}}
spec:
  containers:
  - name: main
    image: {AGNHOST}
    command: [sh, -c, 'touch /tmp/ready; exec sleep 1000']
    readinessProbe: {{exec: {{command: [cat, /tmp/ready]}}, periodSeconds: 1, failureThreshold: 1}}
"
    );
    cluster.feed(&["apply", "-f", "-"], &probed);
    cluster.kubectl(&["expose", "pod", "probed", "--port=80"]);
    let ready = || {
        cluster.field(
            "endpointslices",
            "{.items[?(@.metadata.labels.kubernetes\\.io/service-name==\"probed\")].endpoints[*].conditions.ready}",
        )
    };
    cluster.wait("the endpoint", || ready() == "true");
    cluster.kubectl(&["exec", "probed", "--", "rm", "/tmp/ready"]);
    cluster.wait("the endpoint to be unready", || ready() == "false");
    cluster.kubectl(&["exec", "probed", "--", "touch", "/tmp/ready"]);
    cluster.wait("the endpoint again", || ready() == "true");
}

#[test]
fn a_rolling_update_stays_within_its_bounds_and_deleting_leaves_nothing() {
    let cluster = cluster();
    let containers = || ctr(&["containers", "list", "-q"]).unwrap().lines().count();
    let folders = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let left = || (containers(), folders("/var/lib/kubelet/pods"), folders("/run/netns"));
    // What earlier tests left is nobody's in this cluster, so the kubelet removes it first.
    cluster.wait("an empty node", || left() == (0, 0, 0));
    cluster.kubectl(&["create", "namespace", "short"]);
    cluster.kubectl(&[
        "-n",
        "short",
        "create",
        "deployment",
        "web",
        "--image",
        AGNHOST,
        "--replicas=3",
        "--",
        "/agnhost",
        "pause",
    ]);
    cluster.kubectl(&["-n", "short", "rollout", "status", "deployment/web", "--timeout=120s"]);
    cluster.kubectl(&["-n", "short", "set", "env", "deployment/web", "CHANGED=yes"]);
    cluster.wait("the update", || {
        let status = cluster.kubectl(&[
            "-n",
            "short",
            "get",
            "deployment",
            "web",
            "-o",
            "jsonpath={.status.availableReplicas} {.status.replicas} {.status.updatedReplicas}",
        ]);
        let numbers: Vec<i32> = status.split(' ').filter_map(|number| number.parse().ok()).collect();
        // 25 % of 3: none may be missing, one may be too many.
        assert!(numbers[0] >= 3, "too few available: {status}");
        assert!(numbers[1] <= 4, "too many: {status}");
        numbers == [3, 3, 3]
            && cluster
                .try_kubectl(&["-n", "short", "rollout", "status", "deployment/web", "--watch=false"])
                .is_ok_and(|text| text.contains("successfully"))
    });
    cluster.kubectl(&["delete", "namespace", "short", "--timeout=100s"]);
    cluster.wait("everything to be gone", || left() == (0, 0, 0));
}

#[test]
fn after_kill_dash_nine_running_containers_are_adopted() {
    let mut cluster = cluster();
    cluster.kubectl(&["create", "deployment", "web", "--image", AGNHOST, "--replicas=2", "--", "/agnhost", "netexec"]);
    cluster.kubectl(&["rollout", "status", "deployment/web", "--timeout=120s"]);
    let before = containers(&cluster);
    cluster.kill();
    cluster.restart();
    cluster.kubectl(&["wait", "--for=condition=Ready", "node/node-1", "--timeout=60s"]);
    cluster.kubectl(&["scale", "deployment/web", "--replicas=3"]);
    cluster.wait("a third pod", || cluster.field("deployment/web", "{.status.readyReplicas}") == "3");
    let after = containers(&cluster);
    assert!(before.iter().all(|line| after.contains(line)), "{before:?} {after:?}");
}
