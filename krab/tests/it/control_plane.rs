//! Stock kubectl against a control plane without a node.

use crate::cluster::{CONTROL_PLANE, Cluster, folder};

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: example/web:1}]}
";

#[test]
fn apply_changes_removes_and_leaves_alone() {
    let cluster = Cluster::control_plane();
    assert_eq!(cluster.feed(&["apply", "-f", "-"], DEPLOYMENT), "deployment.apps/web created\n");
    assert_eq!(cluster.feed(&["apply", "-f", "-"], DEPLOYMENT), "deployment.apps/web unchanged\n");
    let changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3");
    assert_eq!(cluster.feed(&["apply", "-f", "-"], &changed), "deployment.apps/web configured\n");
    assert_eq!(cluster.field("deployment/web", "{.spec.replicas}"), "3");
    let without_label = changed.replace(", labels: {app: web}}\nspec:\n  replicas", "}\nspec:\n  replicas");
    assert_eq!(cluster.feed(&["apply", "-f", "-"], &without_label), "deployment.apps/web configured\n");
    assert_eq!(cluster.field("deployment/web", "{.metadata.labels}"), "");
    assert_eq!(
        cluster.kubectl(&["delete", "deployment", "web"]),
        "deployment.apps \"web\" deleted from default namespace\n"
    );
}

#[test]
fn a_deployment_makes_its_replica_set_and_pods() {
    let cluster = Cluster::control_plane();
    cluster.feed(&["apply", "-f", "-"], DEPLOYMENT);
    cluster.wait("two pods", || cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).lines().count() == 2);
    cluster.kubectl(&["set", "image", "deployment/web", "main=example/web:2"]);
    cluster.wait("a second replica set", || cluster.kubectl(&["get", "rs", "-o", "name"]).lines().count() == 2);
    let history = cluster.kubectl(&["rollout", "history", "deployment/web"]);
    assert!(history.contains("\n1 ") && history.contains("\n2 "), "{history}");
    cluster.kubectl(&["rollout", "undo", "deployment/web"]);
    cluster.wait("the first image again", || {
        cluster.field("deployment/web", "{.spec.template.spec.containers[0].image}") == "example/web:1"
    });
    cluster.kubectl(&["scale", "deployment/web", "--replicas=0"]);
    cluster.wait("no pods", || cluster.kubectl(&["get", "pods", "-o", "name"]).is_empty());
    cluster.kubectl(&["delete", "deployment", "web"]);
    cluster.wait("no replica sets", || cluster.kubectl(&["get", "rs", "-o", "name"]).is_empty());
}

#[test]
fn a_namespace_takes_everything_in_it_along() {
    let cluster = Cluster::control_plane();
    cluster.kubectl(&["create", "namespace", "one"]);
    cluster.kubectl(&["-n", "one", "create", "configmap", "settings", "--from-literal=a=b"]);
    cluster.feed(&["-n", "one", "apply", "-f", "-"], DEPLOYMENT);
    cluster.kubectl(&["delete", "namespace", "one", "--timeout=60s"]);
    assert!(cluster.refused(&["get", "namespace", "one"]).contains("NotFound"));
    assert_eq!(cluster.kubectl(&["get", "pods,configmaps,deployments", "-n", "one", "-o", "name"]), "");
}

#[test]
fn the_usual_questions_are_answered() {
    let cluster = Cluster::control_plane();
    let contains = |arguments: &[&str], part: &str| {
        let text = cluster.kubectl(arguments);
        assert!(text.contains(part), "kubectl {}: {text}", arguments.join(" "));
    };
    contains(&["version"], "Server Version: v1.37.0");
    contains(&["api-resources"], "deployments                         deploy");
    contains(&["api-versions"], "apps/v1");
    contains(&["explain", "deployment.spec.strategy", "--recursive"], "maxSurge");
    contains(&["get", "cs"], "etcd-0");
    contains(&["get", "svc", "kubernetes"], "443/TCP");
    contains(&["cluster-info"], "Kubernetes control plane");
    contains(&["auth", "can-i", "create", "pods"], "yes");
    contains(&["auth", "whoami"], "kubernetes-admin");
    cluster.kubectl(&["create", "deployment", "web", "--image=example/web:1"]);
    contains(&["get", "deployments", "-A", "-o", "wide"], "example/web:1");
    contains(&["get", "deployments", "--field-selector=metadata.name=web", "-o", "yaml"], "kind: Deployment");
    contains(&["describe", "deployment", "web"], "ScalingReplicaSet");
    contains(&["expose", "deployment", "web", "--port=80"], "service/web exposed");
    contains(&["label", "deployment", "web", "tier=front"], "labeled");
    contains(&["get", "deploy", "-l", "tier=front", "-o", "jsonpath={.items[0].metadata.name}"], "web");
    contains(&["annotate", "deployment", "web", "note=yes"], "annotated");
    contains(
        &["patch", "deployment", "web", "--type=json", "-p", r#"[{"op":"replace","path":"/spec/replicas","value":4}]"#],
        "patched",
    );
}

#[test]
fn bad_input_gets_upstreams_answers() {
    let cluster = Cluster::control_plane();
    let refused = |arguments: &[&str], part: &str| {
        let text = cluster.refused(arguments);
        assert!(text.contains(part), "kubectl {}: {text}", arguments.join(" "));
    };
    refused(&["get", "pods", "nope"], "Error from server (NotFound): pods \"nope\" not found");
    refused(&["get", "pods", "--field-selector=spec.nope=1"], "field label not supported: spec.nope");
    refused(&["get", "pods", "-l", "a in (b"], "unable to parse requirement");
    refused(&["create", "configmap", "Not_A_Name"], "a lowercase RFC 1123 subdomain must consist of");
    refused(&["create", "configmap", "x", "-n", "nowhere"], "namespaces \"nowhere\" not found");
    refused(
        &["--as=nobody", "get", "pods"],
        "User \"nobody\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
    );
    let server =
        format!("--server={}", cluster.kubectl(&["config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"]));
    // The last kubeconfig counts: without one there is no client certificate that would vouch for us.
    let foreign = ["--kubeconfig=/dev/null", &server, "--insecure-skip-tls-verify", "--token=nonsense", "get", "pods"];
    refused(&foreign, "You must be logged in to the server");
    refused(&["get", "--raw", "/nowhere"], "the server could not find the requested resource");
    refused(&["scale", "deployment", "nope", "--replicas=1"], "deployments.apps \"nope\" not found");
}

#[test]
fn no_acknowledged_write_is_lost_and_revisions_go_on() {
    let mut cluster = Cluster::control_plane();
    let mut last = 0;
    for round in 0..3 {
        for number in 0..20 {
            cluster.kubectl(&["create", "configmap", &format!("c-{round}-{number}")]);
        }
        cluster.kill();
        cluster.restart();
        let names = cluster.kubectl(&["get", "configmaps", "-o", "name"]);
        assert_eq!(names.lines().filter(|name| name.starts_with("configmap/c-")).count(), (round + 1) * 20);
        let revision: u64 =
            cluster.field(&format!("configmap/c-{round}-19"), "{.metadata.resourceVersion}").parse().unwrap();
        assert!(revision > last);
        last = revision;
    }
}

#[test]
fn a_watch_resumes_from_its_revision_after_a_restart() {
    let mut cluster = Cluster::control_plane();
    cluster.kubectl(&["create", "configmap", "before"]);
    let revision = cluster.field("configmap/before", "{.metadata.resourceVersion}");
    cluster.kubectl(&["create", "configmap", "between"]);
    cluster.kill();
    cluster.restart();
    let path = format!("/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=2&resourceVersion={revision}");
    let events = cluster.kubectl(&["get", "--raw", &path]);
    assert!(
        events.contains("\"ADDED\"") && events.contains("\"between\"") && !events.contains("\"before\""),
        "{events}"
    );
}

#[test]
fn a_backup_brings_the_cluster_back_on_an_empty_disk() {
    let mut cluster = Cluster::control_plane();
    cluster.kubectl(&["create", "configmap", "kept"]);
    cluster.terminate();
    let krab = |words: &[&str], data: &str, file: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_krab"))
            .args(words)
            .arg(format!("--data-dir={}", cluster.path(data).display()))
            .args(Some(file).filter(|file| !file.is_empty()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let file = cluster.path("backup");
    assert!(krab(&["store", "check"], "data", "").contains("is sound"));
    krab(&["store", "backup"], "data", &format!("--to={}", file.display()));
    std::fs::remove_dir_all(cluster.path("data/store")).unwrap();
    krab(&["store", "restore"], "data", &format!("--from={}", file.display()));
    cluster.restart();
    assert_eq!(cluster.field("configmap/kept", "{.metadata.name}"), "kept");
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_sigterm_ends_in_order() {
    let mut cluster = Cluster::control_plane();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_krab"))
        .args(["server", "--disable-node", "--bind-address=127.0.0.1", "--secure-port=0"])
        .arg(format!("--data-dir={}", cluster.path("data").display()))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("another krab"), "{text}");
    assert_eq!(cluster.terminate(), Some(0));
}

#[test]
fn scheduler_and_controller_manager_work_as_processes_of_their_own() {
    let mut flags = CONTROL_PLANE.to_vec();
    flags.push("--disable=scheduler,controller-manager");
    let cluster = Cluster::start(folder(), &flags);
    let _controllers = cluster.component(&["kube-controller-manager", "--use-service-account-credentials"]);
    let _scheduler = cluster.component(&["kube-scheduler"]);
    cluster.feed(&["apply", "-f", "-"], DEPLOYMENT);
    cluster.wait("two pods", || cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).lines().count() == 2);
    cluster.wait("the scheduler's word about them", || {
        cluster.kubectl(&["get", "events", "-o", "wide"]).contains("no nodes available to schedule pods")
    });
    for name in ["kube-controller-manager", "kube-scheduler"] {
        let holder =
            cluster.kubectl(&["-n", "kube-system", "get", "lease", name, "-o", "jsonpath={.spec.holderIdentity}"]);
        assert!(holder.contains('_'), "{name}: {holder}");
    }
}
