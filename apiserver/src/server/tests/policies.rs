//! Admission policies on a whole server: from the policy as it is written to the answer a client gets.

use std::sync::Arc;

use json::{Value, json};

use super::Cluster;
use crate::admission::Chain;
use crate::admission::policy::{MutatingAdmissionPolicy, Policies, ValidatingAdmissionPolicy};
use crate::admission::webhook::Source;

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn cluster() -> Cluster {
    Cluster::admitting(Default::default(), Arc::new(super::Nobody), |store, resources| {
        let policies = Policies(Source { store: Arc::clone(store), resources: resources.clone() });
        Chain {
            mutating: vec![Arc::new(MutatingAdmissionPolicy(policies.clone()))],
            validating: vec![Arc::new(ValidatingAdmissionPolicy(policies))],
        }
    })
    .await
}

fn constraints(operations: &[&str]) -> Value {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": operations});
    json!({"resourceRules": [rule], "objectSelector": {"matchExpressions": [{"key": "param", "operator": "DoesNotExist"}]}})
}

async fn policy(cluster: &Cluster, kind: &str, mut spec: Value, mut binding: Value) {
    let operations: &[&str] = if kind == "mutating" { &["CREATE", "UPDATE"] } else { &["*"] };
    spec["matchConstraints"] = constraints(operations);
    let path = format!("{REGISTRATION}/{kind}admissionpolic");
    cluster.post(&format!("{path}ies"), json!({"metadata": {"name": "p"}, "spec": spec})).await.expect(201);
    binding["policyName"] = json!("p");
    cluster.post(&format!("{path}ybindings"), json!({"metadata": {"name": "b"}, "spec": binding})).await.expect(201);
}

fn config_map(name: &str, size: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"size": size}})
}

#[tokio::test]
async fn what_a_policy_refuses_is_refused_in_its_words() {
    let cluster = cluster().await;
    let spec = json!({
        "variables": [{"name": "size", "expression": "int(object.data.size)"}],
        "matchConditions": [{"name": "named", "expression": "request.name != 'free'"}],
        "validations": [{
            "expression": "variables.size < 10",
            "messageExpression": "'size is ' + string(variables.size)",
            "reason": "Forbidden",
        }],
    });
    policy(&cluster, "validating", spec, json!({"validationActions": ["Deny"]})).await;
    cluster.post(CONFIG_MAPS, config_map("small", "5")).await.expect(201);
    cluster.post(CONFIG_MAPS, config_map("free", "50")).await.expect(201);
    let refused = cluster.post(CONFIG_MAPS, config_map("large", "50")).await.expect(403);
    assert_eq!(
        refused.message(),
        "configmaps \"large\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: size is 50"
    );
    // What has no value is refused, too, unless the policy says otherwise.
    let failed = cluster.post(CONFIG_MAPS, config_map("broken", "x")).await.expect(422);
    assert_eq!(
        failed.message(),
        "configmaps \"broken\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression \
         'variables.size < 10' resulted in error: composited variable \"size\" fails to evaluate: type conversion error from \
         'string' to 'int'"
    );
}

#[tokio::test]
async fn parameters_are_found_by_name_and_what_is_only_warned_of_passes() {
    let cluster = cluster().await;
    let limit = json!({"metadata": {"name": "limit", "labels": {"param": "yes"}}, "data": {"most": "3"}});
    cluster.post(CONFIG_MAPS, limit).await.expect(201);
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "int(object.data.size) <= int(params.data.most)", "message": "too large"}],
    });
    let reference = json!({"name": "limit", "parameterNotFoundAction": "Deny"});
    policy(&cluster, "validating", spec, json!({"validationActions": ["Warn"], "paramRef": reference})).await;
    let answer = cluster.post(CONFIG_MAPS, config_map("a", "4")).await.expect(201);
    assert_eq!(
        answer.headers["warning"],
        "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': too large\""
    );
    cluster.delete(&format!("{CONFIG_MAPS}/limit"), Value::Null).await.expect(200);
    let refused = cluster.post(CONFIG_MAPS, config_map("b", "1")).await.expect(422);
    assert!(
        refused.message().ends_with(
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        ),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn an_object_is_changed_by_what_is_applied_and_patched() {
    let cluster = cluster().await;
    let spec = json!({
        "reinvocationPolicy": "Never",
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
                "Object{metadata: Object.metadata{labels: {'by': request.userInfo.username}}, data: {'added': 'yes'}}"}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression":
                "[JSONPatch{op: 'test', path: '/data/added', value: 'yes'}, \
                 JSONPatch{op: 'add', path: '/data/' + jsonpatch.escapeKey('a.b'), value: object.data.size + '!'}]"}},
        ],
    });
    policy(&cluster, "mutating", spec, json!({})).await;
    let made = cluster.post(CONFIG_MAPS, config_map("a", "1")).await.expect(201);
    assert_eq!(made.json()["data"], json!({"size": "1", "added": "yes", "a.b": "1!"}));
    assert!(made.json()["metadata"]["labels"]["by"].is_string());
}

#[tokio::test]
async fn a_policy_that_means_nothing_is_invalid() {
    let cluster = cluster().await;
    let spec = json!({
        "matchConstraints": constraints(&["CREATE"]),
        "validations": [{"expression": "object.x +"}, {"expression": "nope"}],
    });
    let policies = format!("{REGISTRATION}/validatingadmissionpolicies");
    let refused = cluster.post(&policies, json!({"metadata": {"name": "p"}, "spec": spec})).await.expect(422);
    let message = refused.message();
    assert!(message.contains("spec.validations[0].expression: Invalid value: \"object.x +\": compilation failed: ERROR: <input>:1:11: Syntax error: mismatched input '<EOF>' expecting"), "{message}");
    assert!(message.contains("undeclared reference to 'nope' (in container '')"), "{message}");
}
