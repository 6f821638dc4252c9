//! Create, get, update, patch, delete, and what an object lives through.

use json::json;

use super::Cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn a_created_object_is_read_back_with_what_the_server_added() {
    let cluster = Cluster::new().await;
    let created = cluster.config_map("a", "x").await;
    let object = created.json();
    assert_eq!(object["metadata"]["namespace"], "default");
    assert_eq!(object["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert!(object["metadata"]["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    let got = cluster.get(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(got.json(), object);
    let again = cluster.post(MAPS, json!({"metadata": {"name": "a"}})).await.expect(409);
    assert_eq!(again.message(), "configmaps \"a\" already exists");
}

#[tokio::test]
async fn names_are_generated_and_differ() {
    let cluster = Cluster::new().await;
    let mut names = Vec::new();
    for _ in 0..20 {
        let created = cluster.post(MAPS, json!({"metadata": {"generateName": "g-"}})).await.expect(201);
        names.push(created.json()["metadata"]["name"].as_str().unwrap().to_string());
    }
    assert!(names.iter().all(|name| name.starts_with("g-") && name.len() == 7));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 20);
}

#[tokio::test]
async fn an_update_with_a_stale_version_conflicts_and_without_one_does_not() {
    let cluster = Cluster::new().await;
    let first = cluster.config_map("a", "x").await.json();
    let mut second = first.clone();
    second["data"]["k"] = "w".into();
    let updated = cluster.put(&format!("{MAPS}/a"), second.clone()).await.expect(200);
    assert!(updated.version() > first["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap());
    let stale = cluster.put(&format!("{MAPS}/a"), second.clone()).await.expect(409);
    assert!(
        stale.message().starts_with("Operation cannot be fulfilled on configmaps \"a\": the object has been modified")
    );
    second["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    cluster.put(&format!("{MAPS}/a"), second).await.expect(200);
}

#[tokio::test]
async fn an_update_that_changes_nothing_writes_nothing() {
    let cluster = Cluster::new().await;
    let first = cluster.config_map("a", "x").await;
    let again = cluster.put(&format!("{MAPS}/a"), first.json()).await.expect(200);
    assert_eq!(again.version(), first.version());
    let patched = cluster.merge(&format!("{MAPS}/a"), json!({"data": {"k": "v"}})).await.expect(200);
    assert_eq!(patched.version(), first.version());
}

#[tokio::test]
async fn every_patch_format_is_applied() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    let target = format!("{MAPS}/a");
    let merged = cluster.merge(&target, json!({"data": {"k": null, "n": "1"}})).await.expect(200);
    assert_eq!(merged.json()["data"], json!({"n": "1"}));
    let json_patch = br#"[{"op":"test","path":"/data/n","value":"1"},{"op":"add","path":"/data/m","value":"2"}]"#;
    let patched = cluster.call("PATCH", &target, &[("content-type", "application/json-patch+json")], json_patch).await;
    assert_eq!(patched.expect(200).json()["data"], json!({"n": "1", "m": "2"}));
    let strategic = br#"{"data":{"$patch":"replace","z":"9"}}"#;
    let media_type = [("content-type", "application/strategic-merge-patch+json; charset=utf-8")];
    let patched = cluster.call("PATCH", &target, &media_type, strategic).await.expect(200);
    assert_eq!(patched.json()["data"], json!({"z": "9"}));
    let media_type = [("content-type", "application/apply-patch+yaml")];
    cluster.call("PATCH", &target, &media_type, b"{}").await.expect(422);
    let applied = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: 'yes'\n";
    let applied = cluster.call("PATCH", &format!("{target}?fieldManager=m"), &media_type, applied).await.expect(200);
    assert_eq!(applied.json()["data"], json!({"z": "9", "k": "yes"}));
}

#[tokio::test]
async fn concurrent_patches_all_take_effect() {
    let cluster = std::sync::Arc::new(Cluster::new().await);
    cluster.config_map("a", "x").await;
    let patches = (0..20).map(|index| {
        let cluster = cluster.clone();
        async move {
            let patch = json!({"data": {format!("k{index}"): "v"}});
            cluster.merge(&format!("{MAPS}/a"), patch).await.expect(200);
        }
    });
    futures::future::join_all(patches).await;
    let data = cluster.get(&format!("{MAPS}/a")).await.json()["data"].as_object().unwrap().len();
    assert_eq!(data, 21);
}

#[tokio::test]
async fn a_dry_run_answers_the_same_and_changes_nothing() {
    let cluster = Cluster::new().await;
    let created = cluster.post(&format!("{MAPS}?dryRun=All"), json!({"metadata": {"name": "d"}})).await.expect(201);
    assert!(created.json()["metadata"]["uid"].is_string());
    assert!(created.json()["metadata"].get("resourceVersion").is_none());
    cluster.get(&format!("{MAPS}/d")).await.expect(404);
    let first = cluster.config_map("a", "x").await;
    let target = format!("{MAPS}/a?dryRun=All");
    let patched = cluster.merge(&target, json!({"data": {"k": "w"}})).await.expect(200);
    assert_eq!(patched.json()["data"]["k"], "w");
    cluster.delete(&target, json!(null)).await.expect(200);
    assert_eq!(cluster.get(&format!("{MAPS}/a")).await.json(), first.json());
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_removed() {
    let cluster = Cluster::new().await;
    let target = format!("{MAPS}/f");
    cluster.post(MAPS, json!({"metadata": {"name": "f", "finalizers": ["x.io/a"]}})).await.expect(201);
    let marked = cluster.delete(&target, json!(null)).await.expect(200).json();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let again = cluster.delete(&target, json!(null)).await.expect(200).json();
    assert_eq!(again["metadata"]["resourceVersion"], marked["metadata"]["resourceVersion"]);
    let refused = cluster.merge(&target, json!({"metadata": {"finalizers": ["x.io/a", "x.io/b"]}})).await.expect(422);
    assert!(refused.message().contains("no new finalizers can be added if the object is being deleted"));
    cluster.merge(&target, json!({"metadata": {"finalizers": null}})).await.expect(200);
    cluster.get(&target).await.expect(404);
}

#[tokio::test]
async fn propagation_policies_become_finalizers() {
    let cluster = Cluster::new().await;
    for (name, policy, finalizer) in [("a", "Orphan", "orphan"), ("b", "Foreground", "foregroundDeletion")] {
        cluster.config_map(name, "x").await;
        let marked = cluster.delete(&format!("{MAPS}/{name}"), json!({"propagationPolicy": policy})).await.expect(200);
        assert_eq!(marked.json()["metadata"]["finalizers"], json!([finalizer]), "{policy}");
    }
    cluster.config_map("c", "x").await;
    let gone = cluster.delete(&format!("{MAPS}/c"), json!({"propagationPolicy": "Background"})).await.expect(200);
    assert_eq!(gone.json()["status"], "Success");
    assert_eq!(gone.json()["details"]["kind"], "configmaps");
}

#[tokio::test]
async fn delete_preconditions_are_held_to() {
    let cluster = Cluster::new().await;
    let object = cluster.config_map("a", "x").await.json();
    let target = format!("{MAPS}/a");
    cluster.delete(&target, json!({"preconditions": {"uid": "other"}})).await.expect(409);
    cluster.delete(&target, json!({"preconditions": {"resourceVersion": "1"}})).await.expect(409);
    let own = json!({"preconditions": {
        "uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"]}});
    cluster.delete(&target, own).await.expect(200);
    cluster.delete(&target, json!(null)).await.expect(404);
}

#[tokio::test]
async fn a_status_update_changes_the_status_and_an_update_does_not() {
    let cluster = Cluster::new().await;
    let path = "/apis/apps/v1/namespaces/default/replicasets";
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template});
    let body = json!({"metadata": {"name": "r"}, "spec": spec, "status": {"replicas": 9}});
    let created = cluster.post(path, body).await.expect(201).json();
    assert_eq!(created["metadata"]["generation"], 1);
    assert_ne!(created["status"]["replicas"], 9);
    let target = format!("{path}/r/status");
    let patch = json!({"spec": {"replicas": 7}, "status": {"replicas": 3}});
    let patched = cluster.merge(&target, patch).await.expect(200).json();
    assert_eq!((&patched["spec"]["replicas"], &patched["status"]["replicas"]), (&json!(2), &json!(3)));
    assert_eq!(patched["metadata"]["generation"], 1);
    let patch = json!({"spec": {"replicas": 7}, "status": {"replicas": 5}});
    let patched = cluster.merge(&format!("{path}/r"), patch).await.expect(200).json();
    assert_eq!((&patched["spec"]["replicas"], &patched["status"]["replicas"]), (&json!(7), &json!(3)));
    assert_eq!(patched["metadata"]["generation"], 2);
    let scale = cluster.get(&format!("{path}/r/scale")).await.expect(200).json();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(7)));
    assert_eq!(scale["status"]["selector"], "a=b");
    let scaled = cluster.merge(&format!("{path}/r/scale"), json!({"spec": {"replicas": 4}})).await.expect(200);
    assert_eq!(scaled.json()["spec"]["replicas"], 4);
    assert_eq!(cluster.get(&format!("{path}/r")).await.json()["metadata"]["generation"], 3);
}

#[tokio::test]
async fn put_creates_where_the_kind_allows_it() {
    let cluster = Cluster::new().await;
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "x"}});
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    cluster.put(&format!("{leases}/l"), lease).await.expect(201);
    let gone = json!({"metadata": {"name": "gone", "resourceVersion": "1"}, "spec": {"holderIdentity": "x"}});
    let made = cluster.put(&format!("{leases}/gone"), gone).await.expect(201).json();
    assert_ne!(made["metadata"]["resourceVersion"], "1");
    cluster.put(&format!("{MAPS}/nope"), json!({"metadata": {"name": "nope"}})).await.expect(404);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let cluster = Cluster::new().await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        cluster.config_map(name, label).await;
    }
    let deleted = cluster.delete(&format!("{MAPS}?labelSelector=l%3Dx"), json!(null)).await.expect(200).json();
    assert_eq!(deleted["items"].as_array().unwrap().len(), 2);
    let left = cluster.get(MAPS).await.json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(left["items"][0]["metadata"]["name"], "b");
}

#[tokio::test]
async fn events_are_one_resource_in_two_groups() {
    let cluster = Cluster::new().await;
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "r", "message": "m", "type": "Normal", "source": {"component": "c"}});
    cluster.post("/api/v1/namespaces/default/events", event).await.expect(201);
    let target = "/apis/events.k8s.io/v1/namespaces/default/events/e";
    let got = cluster.get(target).await.expect(200).json();
    assert_eq!((&got["apiVersion"], &got["note"]), (&json!("events.k8s.io/v1"), &json!("m")));
    assert_eq!(got["regarding"]["name"], "p");
    let listed = cluster.get("/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dp").await.expect(200).json();
    assert_eq!(listed["items"][0]["note"], "m");
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let cluster = Cluster::new().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    cluster.post(pods, pod).await.expect(201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    let bound = cluster.post(&format!("{pods}/p/binding"), binding.clone()).await.expect(201);
    assert_eq!(bound.json()["status"], "Success");
    let got = cluster.get(&format!("{pods}/p")).await.json();
    assert_eq!(got["spec"]["nodeName"], "n");
    assert!(
        got["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["type"] == "PodScheduled" && c["status"] == "True")
    );
    let again = cluster.post(&format!("{pods}/p/binding"), binding).await.expect(409);
    assert!(again.message().contains("is already assigned to node \"n\""));
}

#[tokio::test]
async fn pods_that_are_not_ready_are_evicted_as_their_budget_says() {
    let cluster = Cluster::new().await;
    let (pods, budgets) =
        ("/api/v1/namespaces/default/pods", "/apis/policy/v1/namespaces/default/poddisruptionbudgets");
    for (name, policy, healthy, code) in [
        ("a", Some("AlwaysAllow"), 0, 201),
        ("b", None, 2, 201),
        ("c", Some("IfHealthyBudget"), 1, 429),
        ("d", None, 1, 429),
    ] {
        let labels = json!({"n": name});
        let spec = json!({"nodeName": "n", "containers": [{"name": "c", "image": "i"}]});
        cluster.post(pods, json!({"metadata": {"name": name, "labels": labels}, "spec": spec})).await.expect(201);
        cluster.merge(&format!("{pods}/{name}/status"), json!({"status": {"phase": "Running"}})).await.expect(200);
        let selector = json!({"matchLabels": labels});
        let spec = json!({"minAvailable": 2, "selector": selector, "unhealthyPodEvictionPolicy": policy});
        cluster.post(budgets, json!({"metadata": {"name": name}, "spec": spec})).await.expect(201);
        let status = json!({"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": healthy, "desiredHealthy": 2,
            "expectedPods": 3});
        cluster.merge(&format!("{budgets}/{name}/status"), json!({"status": status})).await.expect(200);
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        cluster.post(&format!("{pods}/{name}/eviction"), eviction).await.expect(code);
    }
}
