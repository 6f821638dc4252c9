//! Admission policies on a whole server: from the policy as it is written to the answer a client gets.

use std::sync::Arc;

use json::{Value, json};

use super::Cluster;
use crate::admission::metrics::Metrics;
use crate::admission::policy::{MutatingAdmissionPolicy, Policies, ValidatingAdmissionPolicy};
use crate::admission::webhook::Source;
use crate::admission::{Admits, Chain, Validates};
use crate::registry::resource::Resources;

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";
pub(super) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn cluster() -> Cluster {
    Cluster::admitting(Default::default(), Arc::new(super::Nobody), plugins).await
}

pub(super) fn plugins(store: &Arc<store::Store>, resources: &Resources) -> Chain {
    let metrics = Arc::<Metrics>::default();
    let source = Source { store: Arc::clone(store), resources: resources.clone(), metrics: Arc::clone(&metrics) };
    let policies = Policies(source);
    let mut chain = Chain::counting(metrics);
    chain.then_admit("MutatingAdmissionPolicy", Admits::Later(Arc::new(MutatingAdmissionPolicy(policies.clone()))));
    chain.then_validate("ValidatingAdmissionPolicy", Validates::Later(Arc::new(ValidatingAdmissionPolicy(policies))));
    chain
}

fn constraints(operations: &[&str]) -> Value {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": operations});
    json!({"resourceRules": [rule], "objectSelector": {"matchExpressions": [{"key": "param", "operator": "DoesNotExist"}]}})
}

pub(super) async fn policy(cluster: &Cluster, kind: &str, mut spec: Value, mut binding: Value) {
    let operations: &[&str] = if kind == "mutating" { &["CREATE", "UPDATE"] } else { &["*"] };
    spec["matchConstraints"] = constraints(operations);
    let path = format!("{REGISTRATION}/{kind}admissionpolic");
    cluster.post(&format!("{path}ies"), json!({"metadata": {"name": "p"}, "spec": spec})).await.expect(201);
    binding["policyName"] = json!("p");
    cluster.post(&format!("{path}ybindings"), json!({"metadata": {"name": "b"}, "spec": binding})).await.expect(201);
}

pub(super) fn config_map(name: &str, size: &str) -> Value {
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

#[tokio::test]
async fn parameters_come_in_the_version_their_kind_is_named_in() {
    let cluster = cluster().await;
    let scaler = json!({"metadata": {"name": "limit"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 7,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}});
    cluster.post("/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", scaler).await.expect(201);
    // It is stored as autoscaling/v2, which has no such field.
    let spec = json!({
        "paramKind": {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"},
        "validations": [{"expression": "int(object.data.size) <= params.spec.targetCPUUtilizationPercentage"}],
    });
    let reference = json!({"selector": {}, "parameterNotFoundAction": "Deny"});
    policy(&cluster, "validating", spec, json!({"validationActions": ["Deny"], "paramRef": reference})).await;
    cluster.post(CONFIG_MAPS, config_map("a", "7")).await.expect(201);
    cluster.post(CONFIG_MAPS, config_map("b", "8")).await.expect(422);
}

#[tokio::test]
async fn what_is_not_found_is_allowed_where_the_binding_says_so() {
    let cluster = cluster().await;
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "params == null || int(object.data.size) <= int(params.data.most)"}],
    });
    let reference = json!({"selector": {"matchLabels": {"param": "yes"}}, "parameterNotFoundAction": "Allow"});
    policy(&cluster, "validating", spec, json!({"validationActions": ["Deny"], "paramRef": reference})).await;
    cluster.post(CONFIG_MAPS, config_map("a", "9")).await.expect(201);
    // Every one the selector finds, in the namespace of the object, has its say.
    for (namespace, name, most) in [("default", "l1", "5"), ("default", "l2", "3"), ("other", "l3", "1")] {
        let limit = json!({"metadata": {"name": name, "labels": {"param": "yes"}}, "data": {"most": most}});
        cluster.post(&format!("/api/v1/namespaces/{namespace}/configmaps"), limit).await.expect(201);
    }
    cluster.post(CONFIG_MAPS, config_map("b", "4")).await.expect(422);
    cluster.post(CONFIG_MAPS, config_map("c", "3")).await.expect(201);
}

#[tokio::test]
async fn a_policy_that_asks_for_it_looks_again_after_a_later_change() {
    let cluster = cluster().await;
    let path = format!("{REGISTRATION}/mutatingadmissionpolic");
    let again = "[JSONPatch{op: 'add', path: '/data/n', value: 'later' in object.data ? 'late' : 'early'}]";
    let once = "[JSONPatch{op: 'add', path: '/data/once', value: 'later' in object.data ? 'late' : 'early'}]";
    let later = "'later' in object.data ? [] : [JSONPatch{op: 'add', path: '/data/later', value: 'yes'}]";
    for (name, reinvocation, expression) in [("a", "IfNeeded", again), ("b", "Never", once), ("c", "Never", later)] {
        let spec = json!({
            "matchConstraints": constraints(&["CREATE"]),
            "reinvocationPolicy": reinvocation,
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        });
        cluster.post(&format!("{path}ies"), json!({"metadata": {"name": name}, "spec": spec})).await.expect(201);
        let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
        cluster.post(&format!("{path}ybindings"), binding).await.expect(201);
    }
    let made = cluster.post(CONFIG_MAPS, config_map("m", "1")).await.expect(201).json();
    assert_eq!(made["data"], json!({"size": "1", "n": "late", "once": "early", "later": "yes"}));
}

#[tokio::test]
async fn a_variable_nobody_uses_is_not_evaluated() {
    let cluster = cluster().await;
    let spec = json!({
        "variables": [
            {"name": "broken", "expression": "int(object.data.size)"},
            {"name": "fine", "expression": "size(object.data.size)"},
        ],
        "validations": [{"expression": "variables.fine < 3 || variables.broken < 3"}],
    });
    policy(&cluster, "validating", spec, json!({"validationActions": ["Deny"]})).await;
    cluster.post(CONFIG_MAPS, config_map("a", "x")).await.expect(201);
    let refused = cluster.post(CONFIG_MAPS, config_map("b", "long")).await.expect(422);
    assert!(refused.message().contains("composited variable \"broken\" fails to evaluate"), "{}", refused.message());
}

#[tokio::test]
async fn what_policies_decide_is_counted_and_audited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let cluster = Cluster::audited(path.clone(), plugins).await;
    let spec = json!({
        "validations": [{"expression": "int(object.data.size) < 5", "message": "too large"}],
        "auditAnnotations": [
            {"key": "size", "valueExpression": "'size ' + object.data.size"},
            {"key": "nothing", "valueExpression": "null"},
        ],
    });
    policy(&cluster, "validating", spec, json!({"validationActions": ["Warn", "Audit"]})).await;
    cluster.post(CONFIG_MAPS, config_map("a", "4")).await.expect(201);
    cluster.post(CONFIG_MAPS, config_map("b", "6")).await.expect(201);
    let text = String::from_utf8(cluster.get("/metrics").await.expect(200).bytes.to_vec()).unwrap();
    for action in ["warn", "audit"] {
        // As upstream calls whatever is no value that allows.
        let labels =
            format!("enforcement_action=\"{action}\",error_type=\"invalid_error\",policy=\"p\",policy_binding=\"b\"");
        for family in ["check_total", "check_duration_seconds_count"] {
            let series = format!("apiserver_validating_admission_policy_{family}{{{labels}}} 1\n");
            assert!(text.contains(&series), "no {series} in\n{text}");
        }
    }
    let log = std::fs::read_to_string(&path).unwrap();
    let mut events = log.lines().map(|line| json::from_str::<Value>(line).unwrap());
    let event = events.rfind(|event| event["responseObject"]["metadata"]["name"] == "b").unwrap();
    let annotations = &event["annotations"];
    assert_eq!(annotations["p/size"], "size 6");
    assert!(annotations.get("p/nothing").is_none());
    let failure = annotations["validation.policy.admission.k8s.io/validation_failure"].as_str().unwrap();
    let expected = json!([{"message": "too large", "policy": "p", "binding": "b", "expressionIndex": 0, "validationActions": ["Warn", "Audit"]}]);
    assert_eq!(json::from_str::<Value>(failure).unwrap(), expected);
}
