//! Warnings as upstream words them (k8s.io/kubernetes/test/e2e/apimachinery/validatingadmissionpolicy.go checks the same).

use json::json;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;

use super::plan::{Checked, Types, is_due, plan, schema, wanted};
use crate::test_support::{objects, show};

const POLICY: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: p, generation: 2}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps, '*'], apiVersions: [v1], resources: [deployments, deployments/scale, '*'], operations: [CREATE]}]
  variables: [{name: count, expression: object.spec.replicas}]
  validations:
  - {expression: object.spec.replicas > '1', messageExpression: \"'wants to be ' + object.spec.replicas\"}
  - {expression: variables.count > 1}
status: {observedGeneration: 1}
";

fn types() -> Types {
    let document = json!({"components": {"schemas": {
        "apps.v1.Deployment": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
            "properties": {"spec": {"allOf": [{"$ref": "#/components/schemas/apps.v1.DeploymentSpec"}]}},
        },
        "apps.v1.DeploymentSpec": {"type": "object", "properties": {"replicas": {"type": "integer", "format": "int32"}}},
    }}});
    let schema = schema(&document, "apps", "v1", "Deployment").unwrap();
    let deployment =
        Checked { group: "apps".to_owned(), version: "v1".to_owned(), kind: "Deployment".to_owned(), schema };
    Types { objects: vec![deployment], params: None }
}

#[test]
fn only_resources_with_one_type_are_looked_up() {
    let policy = &objects::<ValidatingAdmissionPolicy>(POLICY)[0];
    assert_eq!(wanted(policy), [("apps".to_owned(), "v1".to_owned(), "deployments".to_owned())]);
    assert!(is_due(policy));
}

#[test]
fn what_expressions_get_wrong_is_told() {
    let policy = &objects::<ValidatingAdmissionPolicy>(POLICY)[0];
    let planned = show(&plan(policy, &types()));
    let warnings: Vec<&str> = planned.lines().filter(|line| line.contains("expressionWarnings")).collect();
    assert_eq!(warnings.len(), 1, "{planned}");
    for expected in [
        r#""fieldRef":"spec.validations[0].expression","warning":"apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'"#,
        r#""fieldRef":"spec.validations[0].messageExpression","warning":"apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:16: found no matching overload for '_+_' applied to '(string, int)'"#,
    ] {
        assert!(planned.contains(expected), "{planned}");
    }
    assert!(!planned.contains("validations[1]"), "{planned}");
}
