use std::collections::BTreeMap;

use json::json;

use super::*;

/// Policies from objects as the API would hold them.
#[derive(Default)]
struct Fixed {
    roles: BTreeMap<(String, String), Arc<Role>>,
    bindings: Vec<Binding>,
}

fn fixed(objects: &[Value]) -> Rbac {
    let mut policies = Fixed::default();
    for object in objects {
        let (namespace, name) = (api::meta::namespace(object).to_owned(), api::meta::name(object).to_owned());
        if object.get("roleRef").is_some() {
            policies.bindings.push(Binding::read(object));
        } else {
            policies.roles.insert((namespace, name), Arc::new(Role { rules: Rule::read_all(object) }));
        }
    }
    Rbac::new(Arc::new(policies))
}

impl Policies for Fixed {
    fn bindings(&self, namespace: &str, visit: &mut dyn FnMut(&Binding) -> ControlFlow<()>) {
        for binding in self.bindings.iter().filter(|binding| binding.namespace == namespace) {
            if visit(binding).is_break() {
                return;
            }
        }
    }

    fn role(&self, namespace: &str, name: &str) -> Option<Arc<Role>> {
        self.roles.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }
}

fn request(user: &UserInfo, verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes {
        user: user.clone(),
        verb: verb.to_owned(),
        api_group: group.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        is_resource_request: true,
        ..Attributes::default()
    }
}

fn policy() -> Rbac {
    fixed(&[
        json!({"metadata": {"name": "reader"}, "rules": [
            {"apiGroups": [""], "resources": ["pods", "*/log"], "verbs": ["get", "list"]},
            {"nonResourceURLs": ["/healthz/*"], "verbs": ["get"]},
        ]}),
        json!({"metadata": {"name": "one", "namespace": "a"}, "rules": [
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"], "resourceNames": ["web"]},
        ]}),
        json!({"metadata": {"name": "readers"}, "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "Group", "name": "devs"}]}),
        json!({"metadata": {"name": "bot", "namespace": "a"}, "roleRef": {"kind": "Role", "name": "one"},
            "subjects": [{"kind": "ServiceAccount", "name": "bot"}]}),
        json!({"metadata": {"name": "lost"}, "roleRef": {"kind": "ClusterRole", "name": "nope"},
            "subjects": [{"kind": "User", "name": "jane"}]}),
    ])
}

fn decide(request: &Attributes) -> Decision {
    policy().decide(request, Reasons::OfAll)
}

fn allows(request: &Attributes) -> bool {
    policy().decide(request, Reasons::OfRefusals).is_allowed()
}

#[test]
fn a_group_is_allowed_with_upstreams_reason() {
    let dev = UserInfo::new("joe", &["devs"]);
    let decision = decide(&request(&dev, "get", "", "pods", "a", "x"));
    assert_eq!(
        decision.reason,
        r#"RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "devs""#
    );
    assert!(decision.is_allowed());
    assert!(!allows(&request(&dev, "get", "apps", "deployments/log", "a", "x")));
    assert!(allows(&request(&dev, "get", "", "services/log", "a", "x")));
    assert!(!allows(&request(&dev, "delete", "", "pods", "a", "x")));
}

#[test]
fn a_service_account_of_the_bindings_namespace_needs_no_namespace() {
    let bot = UserInfo::new("system:serviceaccount:a:bot", &[]);
    let decision = decide(&request(&bot, "update", "apps", "deployments", "a", "web"));
    assert_eq!(decision.reason, r#"RBAC: allowed by RoleBinding "bot/a" of Role "one" to ServiceAccount "bot/a""#);
    assert!(!allows(&request(&bot, "update", "apps", "deployments", "a", "other")));
    assert!(!allows(&request(&bot, "update", "apps", "deployments", "b", "web")));
    let other = UserInfo::new("system:serviceaccount:b:bot", &[]);
    assert!(!allows(&request(&other, "update", "apps", "deployments", "a", "web")));
}

#[test]
fn a_binding_to_a_role_that_is_not_there_is_named_in_the_refusal() {
    let jane = UserInfo::new("jane", &[]);
    let decision = decide(&request(&jane, "get", "", "pods", "a", "x"));
    assert_eq!(decision.reason, r#"RBAC: clusterrole.rbac.authorization.k8s.io "nope" not found"#);
}

#[test]
fn urls_match_by_prefix() {
    let dev = UserInfo::new("joe", &["devs"]);
    let url =
        |path: &str| Attributes { user: dev.clone(), verb: "get".into(), path: path.into(), ..Attributes::default() };
    assert!(allows(&url("/healthz/etcd")));
    assert!(!allows(&url("/healthz")));
}
