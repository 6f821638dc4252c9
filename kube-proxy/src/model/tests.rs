use std::sync::Arc;

use serde_json::json;

use super::*;

fn service(spec: serde_json::Value) -> Service {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "ns"}, "spec": spec})).unwrap()
}

fn slice(endpoints: serde_json::Value) -> Arc<EndpointSlice> {
    let value = json!({"metadata": {"name": "web-1"}, "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}]});
    Arc::new(serde_json::from_value(value).unwrap())
}

fn addresses(endpoints: &[SocketAddr]) -> Vec<String> {
    endpoints.iter().map(ToString::to_string).collect()
}

fn one(spec: serde_json::Value, endpoints: serde_json::Value) -> ServicePort {
    let mut ports = service_ports(&service(spec), &[slice(endpoints)], "here");
    assert_eq!(ports.len(), 1);
    ports.remove(0)
}

#[test]
fn ready_endpoints_are_used_and_terminating_ones_only_when_none_is_ready() {
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]});
    let leaving =
        json!({"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}});
    let ready = json!({"addresses": ["10.0.0.1"], "conditions": {"ready": true}});
    let dead = json!({"addresses": ["10.0.0.3"], "conditions": {"ready": false}});
    let both = one(spec.clone(), json!([ready, leaving, dead]));
    assert_eq!(addresses(&both.cluster_endpoints), ["10.0.0.1:8080"]);
    let last = one(spec.clone(), json!([leaving, dead]));
    assert_eq!(addresses(&last.cluster_endpoints), ["10.0.0.2:8080"]);
    assert!(!one(spec, json!([dead])).has_endpoints);
}

#[test]
fn local_policies_keep_to_endpoints_of_this_node() {
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80, "nodePort": 30000}], "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"});
    let endpoints =
        json!([{"addresses": ["10.0.0.1"], "nodeName": "here"}, {"addresses": ["10.0.0.2"], "nodeName": "there"}]);
    let port = one(spec, endpoints);
    assert_eq!(addresses(&port.cluster_endpoints), ["10.0.0.1:8080"]);
    assert_eq!(addresses(&port.local_endpoints), ["10.0.0.1:8080"]);
    assert_eq!(port.node_port, Some(30000));
}

#[test]
fn headless_and_external_name_services_have_no_rules() {
    assert!(
        service_ports(&service(json!({"clusterIP": "None", "ports": [{"port": 80}]})), &[slice(json!([]))], "here")
            .is_empty()
    );
    let external = json!({"type": "ExternalName", "externalName": "x.org", "ports": [{"port": 80}]});
    assert!(service_ports(&service(external), &[slice(json!([]))], "here").is_empty());
}

#[test]
fn an_endpoint_in_two_slices_counts_once() {
    let spec = json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]});
    let twice = slice(json!([{"addresses": ["10.0.0.1"]}]));
    let ports = service_ports(&service(spec), &[twice.clone(), twice], "here");
    assert_eq!(ports[0].cluster_endpoints.len(), 1);
}
