use expect_test::expect;
use k8s_openapi::api::core::v1::{Endpoints, Service};

use super::plan::{Snapshot, plan};
use crate::engine::{Action, Operation};
use crate::test_support::{at, objects, show_operations};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ns, labels: {team: a}}
spec:
  clusterIP: 10.0.0.1
  ipFamilies: [IPv4]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: web, protocol: TCP}, {name: admin, port: 81, targetPort: 9000, protocol: TCP}]
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: ns, uid: ua}
spec: {nodeName: n1, containers: [{name: c, ports: [{name: web, containerPort: 8080, protocol: TCP}]}]}
status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: 'True'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: ns, uid: ub}
spec: {nodeName: n2, containers: [{name: c, ports: []}]}
status: {phase: Running, podIP: 10.1.0.2, podIPs: [{ip: 10.1.0.2}], conditions: [{type: Ready, status: 'False'}]}
";

fn snapshot(yaml: &str) -> Snapshot {
    Snapshot {
        service: objects::<Service>(yaml).remove(0),
        pods: objects(yaml),
        present: objects::<Endpoints>(yaml).pop(),
        trigger: Some(at("10:00:00")),
    }
}

#[test]
fn ports_with_the_same_addresses_share_a_subset() {
    let write = plan(&snapshot(SERVICE)).unwrap();
    expect![[r#"
        create v1 endpoints ns/web
          {"apiVersion":"v1","kind":"Endpoints","metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T10:00:00Z"},"labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller","team":"a"},"name":"web","namespace":"ns"},"subsets":[{"addresses":[{"ip":"10.1.0.1","nodeName":"n1","targetRef":{"kind":"Pod","name":"a","namespace":"ns","uid":"ua"}}],"notReadyAddresses":[{"ip":"10.1.0.2","nodeName":"n2","targetRef":{"kind":"Pod","name":"b","namespace":"ns","uid":"ub"}}],"ports":[{"name":"admin","port":9000,"protocol":"TCP"}]},{"addresses":[{"ip":"10.1.0.1","nodeName":"n1","targetRef":{"kind":"Pod","name":"a","namespace":"ns","uid":"ua"}}],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}]}
          else Warning FailedToCreateEndpoint: Failed to create endpoint for service ns/web: {error}
    "#]].assert_eq(&show_operations(&[Operation::Write(write)]));
}

#[test]
fn what_is_right_is_not_written() {
    let Action::Create { object } = plan(&snapshot(SERVICE)).unwrap().action else { panic!("nothing was there") };
    let present: Endpoints = serde_json::from_value(object).unwrap();
    let again = Snapshot { present: Some(present.into()), trigger: None, ..snapshot(SERVICE) };
    assert_eq!(plan(&again), None);
}

#[test]
fn a_headless_service_without_ports_lists_addresses_alone() {
    let yaml = SERVICE.replace("clusterIP: 10.0.0.1", "clusterIP: None\n  publishNotReadyAddresses: true");
    let at = yaml.find("  ports: [{name: http").unwrap();
    let yaml = format!("{}{}", &yaml[..at], &yaml[yaml[at..].find('\n').unwrap() + at..]);
    let write = plan(&snapshot(&yaml)).unwrap();
    expect![[r#"
        create v1 endpoints ns/web
          {"apiVersion":"v1","kind":"Endpoints","metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T10:00:00Z"},"labels":{"endpoints.kubernetes.io/managed-by":"endpoint-controller","service.kubernetes.io/headless":"","team":"a"},"name":"web","namespace":"ns"},"subsets":[{"addresses":[{"ip":"10.1.0.1","nodeName":"n1","targetRef":{"kind":"Pod","name":"a","namespace":"ns","uid":"ua"}},{"ip":"10.1.0.2","nodeName":"n2","targetRef":{"kind":"Pod","name":"b","namespace":"ns","uid":"ub"}}]}]}
          else Warning FailedToCreateEndpoint: Failed to create endpoint for service ns/web: {error}
    "#]].assert_eq(&show_operations(&[Operation::Write(write)]));
}

#[test]
fn more_than_a_thousand_addresses_are_cut() {
    let yaml = SERVICE.replace("{name: http, port: 80, targetPort: web, protocol: TCP}, ", "");
    let mut many = snapshot(&yaml);
    for at in 0..1100 {
        let mut pod = (*many.pods[0]).clone();
        let address = format!("10.2.{}.{}", at / 250, at % 250);
        pod.metadata.uid = Some(format!("u{at}"));
        pod.status.as_mut().unwrap().pod_ips.as_mut().unwrap()[0].ip = address;
        many.pods.push(pod.into());
    }
    let Action::Create { object } = plan(&many).unwrap().action else { panic!("nothing was there") };
    assert_eq!(object["metadata"]["annotations"]["endpoints.kubernetes.io/over-capacity"], "truncated");
    assert_eq!(object["subsets"][0]["addresses"].as_array().unwrap().len(), 1000);
    assert!(object["subsets"][0]["notReadyAddresses"].is_null());
}
