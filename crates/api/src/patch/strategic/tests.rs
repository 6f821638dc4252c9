use super::*;
use crate::scheme::Scheme;
use json::json;

fn schema(kind: &str) -> Schema<'static> {
    let group = if kind == "Deployment" {
        "apps"
    } else if kind == "PodDisruptionBudget" {
        "policy"
    } else {
        ""
    };
    Scheme::builtin().kind(group, "v1", kind).expect("a built-in kind")
}

fn patch(kind: &str, document: Value, patch: Value) -> Result<Value, Error> {
    apply(document, patch, schema(kind))
}

fn check(kind: &str, document: Value, change: Value, expected: Value) {
    let told = format!("{document} + {change}");
    assert_eq!(patch(kind, document, change), Ok(expected), "{told}");
}

/// A pod of these containers, each with an image of its own name.
fn pod(names: &[&str]) -> Value {
    let containers: Vec<Value> = names.iter().map(|name| json!({"name": name, "image": name})).collect();
    json!({"spec": {"containers": containers}})
}

#[test]
fn objects_merge_and_nulls_delete() {
    check(
        "Pod",
        json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}}),
        json!({"metadata": {"labels": {"x": null, "z": "3"}, "annotations": {"a": "b", "c": null}}}),
        json!({"metadata": {"name": "a", "labels": {"y": "2", "z": "3"}, "annotations": {"a": "b"}}}),
    );
}

#[test]
fn lists_merge_by_key_and_keep_the_servers_order() {
    check(
        "Pod",
        pod(&["a", "b"]),
        json!({"spec": {"containers": [{"name": "b", "tty": true}, {"name": "c", "image": "c"}]}}),
        json!({"spec": {"containers": [
            {"name": "a", "image": "a"}, {"name": "b", "image": "b", "tty": true}, {"name": "c", "image": "c"}]}}),
    );
}

#[test]
fn lists_without_a_key_are_replaced_and_sets_are_united() {
    check(
        "Pod",
        json!({"spec": {"containers": [{"name": "a", "command": ["x"]}]}}),
        json!({"spec": {"containers": [{"name": "a", "command": ["y", "z"]}]}}),
        json!({"spec": {"containers": [{"name": "a", "command": ["y", "z"]}]}}),
    );
    check(
        "Pod",
        json!({"metadata": {"finalizers": ["a", "b"]}}),
        json!({"metadata": {"finalizers": ["c", "b"]}}),
        json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
    );
}

#[test]
fn the_replace_directive_takes_the_patch_as_it_is() {
    check(
        "Deployment",
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    check(
        "Pod",
        pod(&["a", "b"]),
        json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
        json!({"spec": {"containers": [{"name": "c"}]}}),
    );
}

#[test]
fn the_delete_directive_empties_objects_and_takes_elements_out() {
    check(
        "Pod",
        json!({"spec": {"securityContext": {"runAsUser": 1}, "nodeName": "n"}}),
        json!({"spec": {"securityContext": {"$patch": "delete"}}}),
        json!({"spec": {"securityContext": {}, "nodeName": "n"}}),
    );
    check(
        "Pod",
        pod(&["a", "b"]),
        json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}, {"name": "zz", "$patch": "delete"}]}}),
        pod(&["b"]),
    );
    check(
        "Pod",
        json!({"spec": {}}),
        json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}], "affinity": {"$patch": "delete"}}}),
        json!({"spec": {"containers": []}}),
    );
}

#[test]
fn retain_keys_drops_every_other_field() {
    check(
        "Deployment",
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    check(
        "Pod",
        json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
        json!({"spec": {"volumes": [{"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {"path": "/x"}}]}}),
        json!({"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}}),
    );
    for retained in [json!("type"), json!(["rollingUpdate"])] {
        assert_eq!(
            patch(
                "Deployment",
                json!({"spec": {"strategy": {}}}),
                json!({"spec": {"strategy": {"$retainKeys": retained, "type": "x"}}})
            ),
            Err(Error::Malformed("invalid patch format of retainKeys".into()))
        );
    }
}

#[test]
fn values_are_taken_out_of_primitive_lists() {
    check(
        "Pod",
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "x"], "finalizers": ["d"]}}),
        json!({"metadata": {"finalizers": ["d", "b", "c"]}}),
    );
    check(
        "Pod",
        json!({"metadata": {}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        json!({"metadata": {}}),
    );
    assert_eq!(
        patch("Pod", json!({"metadata": {}}), json!({"metadata": {"$deleteFromPrimitiveListfinalizers": ["a"]}})),
        Err(Error::Malformed("invalid patch format of primitive list".into()))
    );
}

#[test]
fn element_order_is_the_patchs_with_the_servers_own_woven_in() {
    check(
        "Pod",
        pod(&["a", "s", "b"]),
        json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "tty": true}]}}),
        json!({"spec": {"containers": [
            {"name": "s", "image": "s"}, {"name": "b", "image": "b"}, {"name": "a", "image": "a", "tty": true}]}}),
    );
    check(
        "Pod",
        pod(&["a", "b"]),
        json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}], "containers": [{"name": "c", "image": "c"}]}}),
        pod(&["c", "b", "a"]),
    );
    check(
        "Pod",
        json!({"metadata": {"finalizers": ["a", "b", "c"]}}),
        json!({"metadata": {"$setElementOrder/finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"]}}),
        json!({"metadata": {"finalizers": ["c", "a"]}}),
    );
    check(
        "Pod",
        json!({"spec": {}}),
        json!({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a"}]}}),
        json!({"spec": {"containers": [{"name": "a"}]}}),
    );
    check(
        "Pod",
        json!({"spec": {}}),
        json!({"spec": {"$setElementOrder/containers": [{"name": "a"}]}}),
        json!({"spec": {}}),
    );
    let disordered = json!({"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b"}, {"name": "a"}]}});
    assert_eq!(
        patch("Pod", pod(&["a", "b"]), disordered),
        Err(Error::Failed(
            "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n".into()
        ))
    );
}

#[test]
fn nested_lists_merge_by_their_own_keys() {
    check(
        "Pod",
        json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80}]}]}}),
        json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}],
            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}]}}),
        json!({"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}],
            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]}]}}),
    );
}

#[test]
fn a_field_tagged_replace_is_replaced() {
    check(
        "PodDisruptionBudget",
        json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
        json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
        json!({"spec": {"selector": {"matchLabels": {"c": "d"}}}}),
    );
}

#[test]
fn faults_carry_upstreams_texts() {
    for (document, change, error) in [
        (
            pod(&["a"]),
            json!({"spec": {"containers": [{"image": "x"}]}}),
            Error::Failed("map: map[image:x] does not contain declared merge key: name".into()),
        ),
        (
            pod(&["a"]),
            json!({"spec": {"$patch": "spin"}}),
            Error::Failed("unknown patch type: spin in map: map[$patch:spin]".into()),
        ),
        (
            pod(&["a"]),
            json!({"spec": {"containers": [{"name": "a", "$patch": "merge"}]}}),
            Error::Failed("merging lists cannot yet be specified in the patch".into()),
        ),
        (
            pod(&["a"]),
            json!({"spec": {"containers": ["x"]}}),
            Error::Failed("list element types are not identical: [[map[image:a name:a]] [x]]".into()),
        ),
        (
            pod(&["a"]),
            json!({"spec": {"$setElementOrder/containers": "x"}}),
            Error::Failed("expected a []interface {}, but received a string".into()),
        ),
        (
            pod(&["a"]),
            json!({"spec": {"$setElementOrdercontainers": []}}),
            Error::Malformed("invalid patch format of setElementOrder list".into()),
        ),
        (
            json!({"spec": {"zzz": {}}}),
            json!({"spec": {"zzz": {"a": 1}}}),
            Error::Failed(r#"unable to find api field in struct PodSpec for the json field "zzz""#.into()),
        ),
    ] {
        let told = change.to_string();
        assert_eq!(patch("Pod", document, change), Err(error), "{told}");
    }
    assert_eq!(
        patch("Pod", json!({}), json!([])),
        Err(Error::Malformed("json: cannot unmarshal array into Go value of type map[string]interface {}".into()))
    );
}

/// Computed by upstream's strategicpatch.StrategicMergePatch v0.37: patches made between random pods and deployments, applied
/// to themselves and to others, and one of each directive.
#[test]
fn results_are_those_upstream_computes() {
    let golden: Value = json::from_str(include_str!("../../../testdata/strategic-merge.json")).expect("golden is JSON");
    for case in golden.as_array().expect("a list of cases") {
        let kind = case["kind"].as_str().expect("a kind");
        let result = patch(kind, case["document"].clone(), case["patch"].clone());
        let told = format!("{} + {}", case["document"], case["patch"]);
        match case["error"].as_str() {
            None => assert_eq!(result.as_ref(), Ok(&case["result"]), "{told}"),
            Some(error) => assert_eq!(result.map_err(|e| e.to_string()), Err(error.to_owned()), "{told}"),
        }
    }
}
