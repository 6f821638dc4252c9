use std::collections::BTreeMap;

use json::json;

use super::*;
use crate::registry::testing::Fixture;

fn authorizer() -> NodeAuthorizer {
    let objects = Fixture::new([
        json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "p"}, "spec": {"nodeName": "n1", "serviceAccountName": "bot",
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"name": "c", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}}]}],
            "volumes": [{"name": "v", "configMap": {"name": "cm"}}, {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}),
        json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "other"}, "spec": {"nodeName": "n2",
            "containers": [], "volumes": [{"name": "v", "secret": {"secretName": "theirs"}}]}}),
        json!({"kind": "PersistentVolume", "metadata": {"name": "pv1"}, "spec": {"claimRef": {"namespace": "a", "name": "data"}}}),
    ]);
    NodeAuthorizer::new(
        Arc::new(objects),
        vec![Rule {
            verbs: vec!["list".into()],
            api_groups: vec!["".into()],
            resources: vec!["services".into()],
            ..Rule::default()
        }],
    )
}

#[track_caller]
fn check(request: &str, reason: &str) {
    let mut words = request.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (verb, resource, namespace, name, selector) = (next(), next(), next(), next(), next());
    let (resource, subresource) = resource.split_once('/').unwrap_or((&resource, ""));
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let user = UserInfo { extra: BTreeMap::new(), ..UserInfo::new("system:node:n1", &["system:nodes"]) };
    let decision = authorizer().decide(&Attributes {
        user,
        verb,
        api_group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.trim_matches('-').to_owned(),
        name: name.trim_matches('-').to_owned(),
        field_selector: selector,
        is_resource_request: true,
        ..Attributes::default()
    });
    let expected = if reason == "allowed" { (true, "") } else { (false, reason) };
    assert_eq!((decision.is_allowed(), decision.reason.as_str()), expected, "{request}");
}

#[test]
fn a_node_reads_what_its_pods_refer_to() {
    let unrelated = "no relationship found between node 'n1' and this object";
    for name in ["pull", "env"] {
        check(&format!("get secrets a {name}"), "allowed");
    }
    check("get secrets a theirs", unrelated);
    check("get configmaps a cm", "allowed");
    check("get configmaps b cm", unrelated);
    check("get persistentvolumeclaims a data", "allowed");
    check("get persistentvolumes - pv1", "allowed");
    check("create serviceaccounts/token a bot", "allowed");
    check("create serviceaccounts/token a other", unrelated);
    check("list secrets a", "No Object name found");
    check("delete secrets a pull", "can only read resources of this type");
}

#[test]
fn a_node_keeps_to_itself() {
    check("get nodes - n1", "allowed");
    check("get nodes - n2", "node 'n1' cannot read 'n2', only its own Node object");
    check("list nodes", "node 'n1' cannot read all nodes, only its own Node object");
    check("list pods - - spec.nodeName=n1", "allowed");
    check("list pods - - spec.nodeName=n2", "can only list/watch pods with spec.nodeName field selector");
    check("get pods a p", "allowed");
    check("update leases.coordination.k8s.io kube-node-lease n1", "allowed");
    check(
        "update leases.coordination.k8s.io kube-system n1",
        "can only access leases in the \"kube-node-lease\" system namespace",
    );
    check("list services", "allowed");
    check("list deployments.apps", "");
}

#[test]
fn only_users_of_the_nodes_group_are_nodes() {
    assert_eq!(node_of(&UserInfo::new("system:node:n1", &[])), None);
    assert_eq!(node_of(&UserInfo::new("system:node:", &["system:nodes"])), Some(""));
}
