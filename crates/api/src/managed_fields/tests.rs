use std::fmt::Write;

use json::{Value, json};

use super::compare::difference;
use super::extract::field_set;
use super::owners::Owners;
use super::set::Set;
use super::*;
use crate::schema::Schema;
use crate::scheme::Scheme;

struct NoOther;

impl Versions for NoOther {
    fn place(&self, _api_version: &str) -> Option<Place<'_>> {
        None
    }

    fn reset(&self, _api_version: &str) -> Reset {
        Reset::Nothing
    }

    fn convert(&self, _object: &Value, _api_version: &str) -> Result<Value, Unconverted> {
        Err(Unconverted::NoVersion)
    }
}

fn schema(group: &str, kind: &str) -> Schema<'static> {
    Scheme::builtin().kind(group, "v1", kind).expect("a built-in kind")
}

fn rules(api_version: &'static str, place: Place<'static>) -> Rules<'static> {
    Rules { api_version, place, subresource: "", reset: Reset::Nothing, versions: &NoOther }
}

fn deployments() -> Rules<'static> {
    Rules { reset: Reset::Fields(&[&["status"]]), ..rules("apps/v1", Place::Root(schema("apps", "Deployment"))) }
}

fn maps() -> Rules<'static> {
    rules("v1", Place::Root(schema("", "ConfigMap")))
}

fn at(second: u8) -> String {
    format!("2026-01-01T00:00:{second:02}Z")
}

/// Applies in order, each `(manager, second, force, configuration)`.
fn applied(rules: &Rules<'_>, steps: &[(&str, u8, bool, Value)]) -> Result<Value, apply::Error> {
    let mut live = json!({"metadata": {"uid": "u"}});
    for (manager, second, force, configuration) in steps {
        let now = at(*second);
        live = apply(rules, Writer { manager, now: &now }, *force, &live, configuration)?;
    }
    Ok(live)
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

/// A line an entry: manager, operation, time's second, fields.
fn owners_of(object: &Value) -> String {
    let mut out = String::new();
    for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
        let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
        let time = text("time");
        let second = time.get(17..19).unwrap_or("-");
        writeln!(out, "{} {} {second} {}", text("manager"), text("operation"), entry["fieldsV1"]).expect("memory");
    }
    out
}

#[test]
fn fields_are_written_in_upstreams_order_and_read_back() {
    let text = r#"{"f:metadata":{"f:finalizers":{".":{},"v:\"a\"":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{}}}},"i:3":{}}}"#;
    let fields: Value = json::from_str(text).unwrap();
    let set = Set::decode(&fields).unwrap();
    assert_eq!(set.encode().to_string(), text);
    let shuffled = json!({"f:spec": fields["f:spec"], "x:unknown": {"f:a": {}}, "f:metadata": fields["f:metadata"]});
    assert_eq!(Set::decode(&shuffled).unwrap().encode().to_string(), text);
    for bad in ["f", "fa:b", "", "k:{", "v:x", "i:a", "k:1"] {
        assert!(Set::decode(&json!({bad: {}})).is_err(), "{bad}");
    }
}

#[test]
fn sets_are_joined_cut_and_taken_apart() {
    let set = |text: &str| -> Value { json::from_str(text).unwrap() };
    let (a, b) = (set(r#"{"f:a":{".":{},"f:b":{}},"f:c":{}}"#), set(r#"{"f:a":{"f:b":{},"f:d":{}},"f:e":{}}"#));
    let (a, b) = (Set::decode(&a).unwrap(), Set::decode(&b).unwrap());
    let shown = |set: Set<'_>| set.encode().to_string();
    assert_eq!(shown(a.clone().plus(b.clone())), r#"{"f:a":{".":{},"f:b":{},"f:d":{}},"f:c":{},"f:e":{}}"#);
    assert_eq!(shown(a.common(&b)), r#"{"f:a":{"f:b":{}}}"#);
    assert_eq!(shown(a.clone().minus(&b)), r#"{"f:a":{},"f:c":{}}"#);
    assert_eq!(shown(b.clone().minus(&a)), r#"{"f:a":{"f:d":{}},"f:e":{}}"#);
    assert_eq!(shown(b.minus_whole(&a)), r#"{"f:e":{}}"#);
    let paths: Vec<String> = a.paths().iter().map(ToString::to_string).collect();
    assert_eq!(paths, [".a", ".c", ".a.b"]);
}

#[test]
fn lists_are_owned_by_item_by_value_or_whole() {
    let place = Place::Root(schema("", "Pod"));
    let pod = json!({"metadata": {"finalizers": ["x/b", "x/a"], "labels": {"l": "v"}}, "spec": {
        "nodeSelector": {"a": "b"}, "tolerations": [{"key": "t"}],
        "containers": [{"name": "c", "args": ["x"], "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]}]}});
    let expected = json!({
        "f:metadata": {"f:finalizers": {"v:\"x/a\"": {}, "v:\"x/b\"": {}}, "f:labels": {"f:l": {}}},
        "f:spec": {
            "f:containers": {"k:{\"name\":\"c\"}": {".": {}, "f:args": {}, "f:name": {}, "f:ports": {
                "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                "k:{\"containerPort\":81,\"protocol\":\"UDP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}}}},
            "f:nodeSelector": {}, "f:tolerations": {}}});
    assert_eq!(field_set(&pod, place).encode().to_string(), expected.to_string());
}

#[test]
fn without_a_schema_maps_are_granular_and_lists_whole() {
    let object = json!({"spec": {"a": {"b": 1}, "list": [{"name": "x"}], "none": null, "empty": {}}});
    let fields = field_set(&object, Place::Deduced).encode();
    let expected = json!({"f:spec": {".": {}, "f:a": {".": {}, "f:b": {}}, "f:empty": {}, "f:list": {}, "f:none": {}}});
    assert_eq!(fields, expected);
    let other = json!({"spec": {"a": 1, "list": [{"name": "y"}], "none": null, "empty": {"x": 1}}});
    let difference = difference(&object, &other, Place::Deduced).unwrap();
    assert_eq!(difference.changed.encode(), json!({"f:spec": {"f:a": {}, "f:empty": {"f:x": {}}, "f:list": {}}}));
    assert_eq!(difference.removed.encode(), json!({"f:spec": {"f:a": {"f:b": {}}}}));
}

#[test]
fn what_an_update_changes_is_its_managers() {
    let rules = deployments();
    let empty = crate::decode::empty(schema("apps", "Deployment"));
    let mut object = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "d", "namespace": "n"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {}, "spec": {"containers": null}},
                 "strategy": {}}, "status": {"replicas": 5}});
    let now = at(1);
    let entries = after_update(&rules, Writer { manager: "one", now: &now }, &empty, &object).unwrap();
    set_managed_fields(&mut object, entries);
    assert_eq!(owners_of(&object), "one Update 01 {\"f:spec\":{\"f:replicas\":{},\"f:selector\":{}}}\n");
    object["metadata"]["uid"] = "u".into();

    let mut new = object.clone();
    new["spec"]["replicas"] = 2.into();
    new["metadata"]["labels"] = json!({"l": "x"});
    let now = at(2);
    let entries = after_update(&rules, Writer { manager: "two", now: &now }, &object, &new).unwrap();
    set_managed_fields(&mut new, entries);
    let expected = "one Update 01 {\"f:spec\":{\"f:selector\":{}}}\n\
                    two Update 02 {\"f:metadata\":{\"f:labels\":{\".\":{},\"f:l\":{}}},\"f:spec\":{\"f:replicas\":{}}}\n";
    assert_eq!(owners_of(&new), expected);

    // What is only sent again keeps its owner, and its time.
    let entries = after_update(&rules, Writer { manager: "three", now: &at(3) }, &new, &new).unwrap();
    assert_eq!(entries.as_ref(), new["metadata"].get("managedFields"));
}

#[test]
fn clients_may_set_and_clear_entries_but_not_through_subresources() {
    let entry = json!({"manager": "m", "operation": "Update", "apiVersion": "v1", "time": at(1), "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}}});
    let mut live = map(json!({"a": "1"}));
    live["metadata"]["uid"] = "u".into();
    live["metadata"]["managedFields"] = json!([entry]);
    let with = |entries: Value| {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = entries;
        new
    };
    let now = at(9);
    let after = |rules: &Rules<'_>, entries: Value| {
        after_update(rules, Writer { manager: "w", now: &now }, &live, &with(entries)).unwrap()
    };
    assert_eq!(after(&maps(), json!([{}])), None);
    assert_eq!(after(&maps(), json!([])), Some(json!([entry])));
    assert_eq!(after(&maps(), json!([{"manager": "x", "operation": "Sing"}])), Some(json!([entry])));
    let mut renamed = entry.clone();
    renamed["manager"] = "n".into();
    assert_eq!(after(&maps(), json!([renamed])), Some(json!([renamed])));
    let status = Rules { subresource: "status", ..maps() };
    assert_eq!(after(&status, json!([renamed])), Some(json!([entry])));
    // Nobody starts to own what nobody owned.
    let mut unowned = live.clone();
    set_managed_fields(&mut unowned, None);
    let mut new = unowned.clone();
    new["data"]["a"] = "2".into();
    assert_eq!(after_update(&maps(), Writer { manager: "w", now: &now }, &unowned, &new).unwrap(), None);
}

#[test]
fn only_ten_updaters_are_kept_apart() {
    let mut live = map(json!({}));
    live["metadata"]["uid"] = "u".into();
    let entry = |number: u8| {
        json!({"manager": format!("m{number:02}"), "operation": "Update", "apiVersion": "v1", "time": at(number),
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:k{number:02}"): {}}}})
    };
    live["metadata"]["managedFields"] = (1..=12).map(entry).collect();
    let entries = after_update(&maps(), Writer { manager: "w", now: &at(20) }, &live, &live).unwrap().unwrap();
    let names: Vec<&str> = entries.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 10);
    assert_eq!(names[0], "ancient-changes");
    let fields = json!({"f:data": {"f:k01": {}, "f:k02": {}, "f:k03": {}}});
    assert_eq!((&entries[0]["fieldsV1"], &entries[0]["time"]), (&fields, &json!(at(3))));
}

#[test]
fn what_is_no_longer_applied_goes_unless_another_owns_it() {
    let object = applied(
        &maps(),
        &[
            ("a", 1, false, map(json!({"k1": "x", "k2": "x", "k3": "x"}))),
            ("b", 2, false, map(json!({"k2": "x"}))),
            ("a", 3, false, map(json!({"k1": "y"}))),
        ],
    )
    .unwrap();
    assert_eq!(object["data"], json!({"k1": "y", "k2": "x"}));
    assert_eq!(owners_of(&object), "b Apply - {\"f:data\":{\"f:k2\":{}}}\na Apply 03 {\"f:data\":{\"f:k1\":{}}}\n");
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let steps = [("a", 1, false, map(json!({"k1": "x"}))), ("a", 5, false, map(json!({"k1": "x"})))];
    assert_eq!(applied(&maps(), &steps[..1]).unwrap(), applied(&maps(), &steps).unwrap());
}

#[test]
fn conflicts_name_the_managers_and_fields() {
    let first = ("a", 1, false, map(json!({"k1": "x", "k2": "x"})));
    let refused = |data: Value| applied(&maps(), &[first.clone(), ("b", 2, false, map(data))]).unwrap_err().to_string();
    assert_eq!(refused(json!({"k1": "y"})), "Apply failed with 1 conflict: conflict with \"a\": .data.k1");
    let both = "Apply failed with 2 conflicts: conflicts with \"a\":\n- .data.k1\n- .data.k2";
    assert_eq!(refused(json!({"k1": "y", "k2": "y"})), both);
    let forced = applied(&maps(), &[first, ("b", 2, true, map(json!({"k1": "y"})))]).unwrap();
    assert_eq!(owners_of(&forced), "a Apply 01 {\"f:data\":{\"f:k2\":{}}}\nb Apply 02 {\"f:data\":{\"f:k1\":{}}}\n");
    assert_eq!(forced["data"], json!({"k1": "y", "k2": "x"}));
}

#[test]
fn an_item_of_a_list_goes_with_its_last_owner_and_the_applied_order_wins() {
    let deployment = |containers: Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
               "spec": {"template": {"spec": {"containers": containers}}}})
    };
    let names = |object: &Value| -> Vec<String> {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
        containers.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect()
    };
    let c = |name: &str| json!({"name": name, "image": "i"});
    let steps = [
        ("a", 1, false, deployment(json!([c("1"), c("2"), c("3")]))),
        ("b", 2, false, deployment(json!([c("3"), c("4"), c("1")]))),
        ("a", 3, false, deployment(json!([c("2")]))),
    ];
    assert_eq!(names(&applied(&deployments(), &steps[..2]).unwrap()), ["2", "3", "4", "1"]);
    assert_eq!(names(&applied(&deployments(), &steps).unwrap()), ["2", "3", "4", "1"]);
    let gone = ("b", 4, false, deployment(json!([])));
    let steps: Vec<_> = steps.into_iter().chain([gone]).collect();
    assert_eq!(names(&applied(&deployments(), &steps).unwrap()), ["2"]);
}

#[test]
fn configurations_are_held_to_the_schema_in_upstreams_words() {
    let refused = |object: Value| applied(&deployments(), &[("a", 1, false, object)]).unwrap_err().to_string();
    let with = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}, "spec": spec});
    let prefix = "failed to create typed patch object (n/d; apps/v1, Kind=Deployment): ";
    let containers = |containers: Value| with(json!({"template": {"spec": {"containers": containers}}}));
    for (object, why) in [
        (with(json!({"bogus": 1})), ".spec.bogus: field not declared in schema"),
        (with(json!({"replicas": "1"})), ".spec.replicas: expected numeric (int or float), got string"),
        (with(json!({"paused": 1})), ".spec.paused: expected boolean, got &{1}"),
        (with(json!([1])), ".spec: expected map, got &{[1]}"),
        (containers(json!({"a": 1})), ".spec.template.spec.containers: expected list, got &{map[a:1]}"),
        (
            containers(json!([{"name": 1}])),
            ".spec.template.spec.containers[name=1].name: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (
            containers(json!([{"name": "a"}, {"name": "a"}])),
            ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]",
        ),
        (
            containers(json!([null])),
            ".spec.template.spec.containers: element 0: associative list with keys may not have a null element",
        ),
        (
            with(json!({"paused": 1, "replicas": []})),
            "errors:\n  .spec.paused: expected boolean, got &{1}\n  .spec.replicas: expected numeric (int or float), got []interface {}",
        ),
    ] {
        assert_eq!(refused(object), format!("{prefix}{why}"));
    }
}

#[test]
fn what_was_there_before_the_first_apply_has_an_owner() {
    let mut live = map(json!({"a": "1", "b": "1"}));
    live["metadata"]["uid"] = "u".into();
    let now = at(1);
    let writer = Writer { manager: "m", now: &now };
    let error = apply(&maps(), writer, false, &live, &map(json!({"a": "2"}))).unwrap_err();
    let expected = "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a";
    assert_eq!(error.to_string(), expected);
    let object = apply(&maps(), writer, true, &live, &map(json!({"a": "2"}))).unwrap();
    let expected =
        "m Apply 01 {\"f:data\":{\"f:a\":{}}}\nbefore-first-apply Update 01 {\"f:data\":{\".\":{},\"f:b\":{}}}\n";
    assert_eq!(owners_of(&object), expected);
}

#[test]
fn kubectl_takes_over_what_client_side_apply_left_as_it_was() {
    let last = map(json!({"a": "1", "b": "1"}));
    let mut live = map(json!({"a": "1", "b": "changed"}));
    live["metadata"]["uid"] = "u".into();
    live["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    live["metadata"]["managedFields"] = json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
        "time": at(1), "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}, "f:b": {}}}}]);
    let apply_as =
        |manager: &str, data: Value| apply(&maps(), Writer { manager, now: &at(2) }, false, &live, &map(data));
    assert!(apply_as("other", json!({"a": "2"})).is_err());
    let object = apply_as("kubectl", json!({"a": "2"})).unwrap();
    assert_eq!(object["data"], json!({"a": "2", "b": "changed"}));
    let annotation = meta_annotation(&object);
    assert_eq!(
        annotation,
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"
    );
    let error = apply_as("kubectl", json!({"a": "2", "b": "2"})).unwrap_err().to_string();
    let expected = "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.b";
    assert_eq!(error, expected);
}

fn meta_annotation(object: &Value) -> &str {
    crate::meta::annotation(object, "kubectl.kubernetes.io/last-applied-configuration").unwrap_or_default()
}

#[test]
fn sets_of_an_earlier_schema_own_the_whole_of_what_is_whole_today() {
    let fields = json!({"f:spec": {"f:selector": {"f:matchLabels": {"f:a": {}}}, "f:replicas": {}}});
    let set = Set::decode(&fields).unwrap().reconciled(Place::Root(schema("apps", "Deployment")));
    assert_eq!(set.encode(), json!({"f:spec": {"f:replicas": {}, "f:selector": {}}}));
}

#[test]
fn entries_are_sorted_by_operation_time_and_manager() {
    let entry = |manager: &str, operation: &str, second: u8| {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": at(second), "fieldsType": "FieldsV1",
            "fieldsV1": {"f:a": {}}})
    };
    let entries = [entry("b", "Update", 2), entry("a", "Update", 2), entry("z", "Update", 1), entry("y", "Apply", 9)];
    let sorted = Owners::decode(&entries).unwrap().encode().unwrap();
    let names: Vec<&str> = sorted.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    assert_eq!(names, ["y", "z", "a", "b"]);
}
