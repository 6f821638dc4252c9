use client::Key;

use super::*;

fn using(claim: &str) -> Value {
    json!({"metadata": {"name": "new"},
        "spec": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}})
}

fn bound_to(volume: &str) -> Value {
    json!({"metadata": {"name": "c", "namespace": "ns", "annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": volume}, "status": {"phase": "Bound"}})
}

impl Fixture {
    fn claim(mut self, claim: Value) -> Self {
        let name = claim["metadata"]["name"].as_str().unwrap().to_owned();
        self.cluster.claims.insert(Key::new("ns", name), Arc::new(serde_json::from_value(claim).unwrap()));
        self
    }

    fn volume(mut self, volume: Value) -> Self {
        let name = volume["metadata"]["name"].as_str().unwrap().to_owned();
        self.cluster.volumes.insert(Key::new("", name), Arc::new(serde_json::from_value(volume).unwrap()));
        self
    }

    fn class(mut self, class: Value) -> Self {
        let name = class["metadata"]["name"].as_str().unwrap().to_owned();
        self.cluster.storage_classes.insert(Key::new("", name), Arc::new(serde_json::from_value(class).unwrap()));
        self
    }
}

fn two_nodes() -> Fixture {
    Fixture::default()
        .labelled("a", json!({"topology.kubernetes.io/zone": "z1"}))
        .labelled("b", json!({"topology.kubernetes.io/zone": "z2"}))
}

#[test]
fn claims_that_cannot_be_used_yet_hold_the_pod_back() {
    let nodes = two_nodes()
        .claim(json!({"metadata": {"name": "unbound"}, "spec": {}}))
        .claim(json!({"metadata": {"name": "lost"}, "spec": {"volumeName": "gone"}, "status": {"phase": "Lost"}}))
        .claim(json!({"metadata": {"name": "leaving", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}));
    let cases = [
        ("missing", "persistentvolumeclaim \"missing\" not found"),
        ("unbound", "pod has unbound immediate PersistentVolumeClaims"),
        ("lost", "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"gone\""),
        ("leaving", "persistentvolumeclaim \"leaving\" is being deleted"),
    ];
    for (claim, expected) in cases {
        assert_eq!(nodes.filter("VolumeBinding", using(claim)), [expected]);
    }
    let ephemeral = json!({"metadata": {"name": "new"}, "spec": {"volumes": [{"name": "v", "ephemeral": {}}]}});
    assert_eq!(
        nodes.filter("VolumeBinding", ephemeral),
        ["waiting for ephemeral volume controller to create the persistentvolumeclaim \"new-v\""]
    );
}

#[test]
fn a_bound_volume_is_used_where_it_can_be_reached() {
    let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions":
        [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z2"]}]}]}});
    let nodes =
        two_nodes().claim(bound_to("v")).volume(json!({"metadata": {"name": "v"}, "spec": {"nodeAffinity": affinity}}));
    assert_eq!(
        nodes.filter("VolumeBinding", using("c")),
        ["node(s) didn't match PersistentVolume's node affinity", ""]
    );
    let gone = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
    assert_eq!(two_nodes().claim(bound_to("v")).filter("VolumeBinding", using("c")), [gone, gone]);
}

#[test]
fn a_waiting_claim_needs_a_volume_or_a_provisioner() {
    let waiting = json!({"metadata": {"name": "c"}, "spec": {"storageClassName": "local",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let class = |provisioner: &str| {
        json!({"metadata": {"name": "local"}, "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer"})
    };
    let none = "node(s) didn't find available persistent volumes to bind";
    let nodes = || two_nodes().claim(waiting.clone()).class(class("kubernetes.io/no-provisioner"));
    assert_eq!(nodes().filter("VolumeBinding", using("c")), [none, none]);
    let volume = |size: &str| {
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchFields":
            [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]}});
        json!({"metadata": {"name": "v"}, "status": {"phase": "Available"}, "spec": {"storageClassName": "local",
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "nodeAffinity": affinity}})
    };
    assert_eq!(nodes().volume(volume("2Gi")).filter("VolumeBinding", using("c")), ["", none]);
    assert_eq!(nodes().volume(volume("1Mi")).filter("VolumeBinding", using("c")), [none, none]);
    let provisioned = two_nodes().claim(waiting.clone()).class(class("example.com/p"));
    assert_eq!(provisioned.filter("VolumeBinding", using("c")), ["", ""]);
    let mut chosen = waiting.clone();
    chosen["metadata"]["annotations"] = json!({"volume.kubernetes.io/selected-node": "b"});
    let provisioned = two_nodes().claim(chosen).class(class("example.com/p"));
    assert_eq!(provisioned.filter("VolumeBinding", using("c")), [none, ""]);
}

#[test]
fn a_volume_with_a_zone_is_used_from_there() {
    let nodes = two_nodes()
        .claim(bound_to("v"))
        .volume(json!({"metadata": {"name": "v", "labels": {"failure-domain.beta.kubernetes.io/zone": "z2__z3"}}}))
        .labelled("nowhere", json!({}));
    assert_eq!(nodes.filter("VolumeZone", using("c")), ["node(s) had no available volume zone", "", ""]);
}

#[test]
fn a_disk_is_attached_once_unless_all_only_read() {
    let disk = |kind: &str, source: Value| json!({"spec": {"volumes": [{"name": "v", kind: source}]}});
    let gce = |read_only: bool| disk("gcePersistentDisk", json!({"pdName": "d", "readOnly": read_only}));
    let refused = "node(s) had no available disk";
    let nodes = two_nodes().running(gce(true));
    assert_eq!(nodes.filter("VolumeRestrictions", gce(false)), ["", refused]);
    assert_eq!(nodes.filter("VolumeRestrictions", gce(true)), ["", ""]);
    let aws = disk("awsElasticBlockStore", json!({"volumeID": "d", "readOnly": true}));
    assert_eq!(two_nodes().running(aws.clone()).filter("VolumeRestrictions", aws), ["", refused]);
}

#[test]
fn a_claim_for_one_pod_is_used_by_one_pod() {
    let mut claim = bound_to("v");
    claim["spec"]["accessModes"] = json!(["ReadWriteOncePod"]);
    let mut running = using("c");
    running["metadata"]["name"] = "running".into();
    let nodes = two_nodes().running(running).claim(claim);
    let refused = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use \
                   by another pod";
    assert_eq!(nodes.filter("VolumeRestrictions", using("c")), [refused, refused]);
}

#[test]
fn a_driver_attaches_no_more_than_its_limit() {
    let volume =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"csi": {"driver": "d", "volumeHandle": name}}});
    let mut second = bound_to("v2");
    second["metadata"]["name"] = "c2".into();
    let mut running = using("c");
    running["metadata"]["name"] = "running".into();
    let mut nodes =
        two_nodes().running(running).claim(bound_to("v")).claim(second).volume(volume("v")).volume(volume("v2"));
    let csi = json!({"metadata": {"name": "b"},
        "spec": {"drivers": [{"name": "d", "nodeID": "b", "allocatable": {"count": 1}}]}});
    nodes.cluster.csi_nodes.insert(Key::new("", "b"), Arc::new(serde_json::from_value(csi).unwrap()));
    assert_eq!(nodes.filter("NodeVolumeLimits", using("c2")), ["", "node(s) exceed max volume count"]);
    assert_eq!(nodes.filter("NodeVolumeLimits", using("c")), ["", ""], "attached already");
}
