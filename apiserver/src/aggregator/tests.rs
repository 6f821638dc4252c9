//! What stored objects say of a server, the condition that comes of it, discovery joined, and users spoken for.

use std::sync::Arc;

use http::HeaderMap;
use jiff::Timestamp;
use json::{Value, json};

use super::availability::{Unavailable, from_objects, with_condition};
use super::discovery::from_list;
use super::proxy::speak_for;
use super::service::ApiService;
use crate::authentication::UserInfo;

fn api_service() -> ApiService {
    ApiService::compile(
        &json!({"metadata": {"name": "v1.a.example.com"}, "spec": {
            "group": "a.example.com", "version": "v1", "service": {"namespace": "n", "name": "s", "port": 443}}}),
        None,
    )
}

fn against(service: Option<&Value>, slices: &[Arc<Value>]) -> (String, String) {
    let own = api_service();
    match from_objects(own.remote.as_ref().unwrap(), service, slices) {
        Ok(()) => (String::new(), String::new()),
        Err(Unavailable { reason, message }) => (reason.to_owned(), message),
    }
}

#[test]
fn stored_objects_must_lead_to_an_endpoint() {
    let pair = |reason: &str, message: &str| (reason.to_owned(), message.to_owned());
    assert_eq!(against(None, &[]), pair("ServiceNotFound", "service/s in \"n\" is not present"));
    let elsewhere = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}});
    let expected = pair("ServicePortError", "service/s in \"n\" is not listening on port 443");
    assert_eq!(against(Some(&elsewhere), &[]), expected);
    let service = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 443, "name": "https"}]}});
    let expected = pair("EndpointsNotFound", "cannot find endpointslices for service/s in \"n\"");
    assert_eq!(against(Some(&service), &[]), expected);
    let slice = |ready: bool, port: &str| {
        let endpoints = json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}]);
        [Arc::new(json!({"endpoints": endpoints, "ports": [{"name": port, "port": 8443}]}))]
    };
    let missing = "endpointslices for service/s in \"n\" have no addresses with port name \"https\"";
    assert_eq!(against(Some(&service), &slice(false, "https")), pair("MissingEndpoints", missing));
    assert_eq!(against(Some(&service), &slice(true, "other")), pair("MissingEndpoints", missing));
    assert_eq!(against(Some(&service), &slice(true, "https")), pair("", ""));
    // What is not a cluster IP is only asked over the network.
    assert_eq!(against(Some(&json!({"spec": {"type": "ExternalName"}})), &[]), pair("", ""));
}

#[test]
fn a_condition_keeps_its_time_until_it_changes() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let first = with_condition(&json!({"metadata": {"name": "x"}}), Ok(()), at(0)).unwrap();
    assert_eq!(first["status"]["conditions"][0]["reason"], "Passed");
    assert_eq!(with_condition(&first, Ok(()), at(60)), None);
    let failed = || Err(Unavailable { reason: "ServiceNotFound", message: "gone".to_owned() });
    let second = with_condition(&first, failed(), at(120)).unwrap();
    let condition = &second["status"]["conditions"][0];
    assert_eq!(
        (&condition["status"], &condition["lastTransitionTime"]),
        (&json!("False"), &json!("1970-01-01T00:02:00Z"))
    );
}

#[test]
fn a_resource_list_becomes_aggregated_discovery() {
    let list = json!({"resources": [
        {"name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["get"]},
        {"name": "flunders/status", "singularName": "", "namespaced": true, "kind": "Flunder", "verbs": ["patch"]},
    ]});
    let kind = json!({"group": "", "version": "", "kind": "Flunder"});
    assert_eq!(
        from_list(&list),
        json!([{
            "resource": "flunders", "responseKind": kind, "scope": "Namespaced", "singularResource": "flunder",
            "verbs": ["get"],
            "subresources": [{"subresource": "status", "responseKind": kind, "verbs": ["patch"]}],
        }])
    );
}

#[test]
fn only_we_say_who_asks() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-remote-user", "somebody else"),
        ("x-remote-group", "system:masters"),
        ("x-remote-extra-scopes", "all"),
        ("x-forwarded-for", "10.0.0.1"),
        ("accept", "*/*"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let mut user = UserInfo::new("jane", &["a", "b"]);
    user.extra.insert("example.com/scope".to_string(), vec!["one".to_owned()]);
    speak_for(&mut headers, &user, Some([10, 0, 0, 2].into()));
    let of = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(of("x-remote-user"), ["jane"]);
    assert_eq!(of("x-remote-group"), ["a", "b", "system:authenticated"]);
    assert_eq!(of("x-remote-extra-scopes"), Vec::<&str>::new());
    assert_eq!(of("x-remote-extra-example.com%2fscope"), ["one"]);
    assert_eq!(of("x-forwarded-for"), ["10.0.0.1, 10.0.0.2"]);
    assert_eq!(of("accept"), ["*/*"]);
}
