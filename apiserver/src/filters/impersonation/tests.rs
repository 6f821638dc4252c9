use component::metrics::{Registrar, Registry};
use futures::FutureExt;

use super::*;
use crate::authorization::{Answer, Decision, Reasons};

/// Allows what its rows name: verb, group, resource and name.
struct Rows(&'static [(&'static str, &'static str, &'static str, &'static str)]);

impl Authorizer for Rows {
    fn authorize<'a>(&'a self, asked: &'a Attributes, _: Reasons) -> Answer<'a> {
        let row = (asked.verb.as_str(), asked.api_group.as_str(), asked.resource.as_str(), asked.name.as_str());
        Answer::Now(if self.0.contains(&row) { Decision::allow() } else { Decision::default() })
    }
}

fn list_pods(user: UserInfo) -> Attributes {
    Attributes {
        user,
        verb: "list".to_string(),
        resource: "pods".to_string(),
        is_resource_request: true,
        ..Attributes::default()
    }
}

fn alice() -> UserInfo {
    UserInfo { name: "alice".to_string(), ..UserInfo::default() }
}

/// Name and groups of who the request goes on as, or what it is told.
fn applied(headers: &[(&'static str, &str)], requestor: UserInfo, rows: Rows) -> Result<(String, Vec<String>), String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().expect("a header"));
    }
    let request = list_pods(requestor);
    let registry = Registry::new();
    let metrics = ImpersonationMetrics::new(&Registrar::of(&registry)).expect("its first metrics");
    let checks = Checks { authorizer: &rows, metrics: &metrics };
    let applied = apply(&mut map, &request, checks).now_or_never().expect("rows answer at once");
    let user = applied.map_err(|status| status.message)?;
    assert!(map.is_empty(), "headers are left: {map:?}");
    user.map(|user| (user.name, user.groups)).ok_or_else(|| "nobody".to_string())
}

#[test]
fn who_may_in_no_way_is_told_of_the_first() {
    let refused = |user: &str| applied(&[("impersonate-user", user)], alice(), Rows(&[])).unwrap_err();
    let words = |mode: &str| {
        format!(
            "pods is forbidden: User \"alice\" cannot impersonate-on:{mode}:list resource \"pods\" in API group \"\" at the cluster scope"
        )
    };
    assert_eq!(refused("jane"), words("user-info"));
    assert_eq!(refused("system:serviceaccount:a:b"), words("serviceaccount"));
    assert_eq!(refused("system:node:n"), words("arbitrary-node"));
}

#[test]
fn the_plain_verb_is_enough() {
    let rows = Rows(&[("impersonate", "", "users", "jane"), ("impersonate", "", "groups", "g")]);
    let user = applied(&[("impersonate-user", "jane"), ("impersonate-group", "g")], alice(), rows);
    assert_eq!(user.unwrap(), ("jane".to_string(), vec!["g".to_string(), "system:authenticated".to_string()]));
}

#[test]
fn a_constrained_mode_wants_the_request_and_the_user_allowed() {
    let jane = [("impersonate-user", "jane")];
    const ON: (&str, &str, &str, &str) = ("impersonate-on:user-info:list", "", "pods", "");
    const USER_ALLOWED: (&str, &str, &str, &str) = ("impersonate:user-info", AUTHENTICATION, "users", "jane");
    assert!(
        applied(&jane, alice(), Rows(&[ON])).unwrap_err().contains("cannot impersonate:user-info resource \"users\"")
    );
    assert!(applied(&jane, alice(), Rows(&[USER_ALLOWED])).is_err());
    assert_eq!(applied(&jane, alice(), Rows(&[ON, USER_ALLOWED])).unwrap().0, "jane");
}

#[test]
fn nobody_becomes_a_master_by_a_constrained_mode() {
    let rows = Rows(&[
        ("impersonate-on:user-info:list", "", "pods", ""),
        ("impersonate:user-info", AUTHENTICATION, "users", "jane"),
        ("impersonate:user-info", AUTHENTICATION, "groups", "system:masters"),
    ]);
    let refused = applied(&[("impersonate-user", "jane"), ("impersonate-group", "system:masters")], alice(), rows);
    assert!(refused.unwrap_err().ends_with("impersonating the system:masters group is not allowed"));
}

#[test]
fn a_service_account_becomes_the_node_its_pod_is_on_and_no_other() {
    const ON: (&str, &str, &str, &str) = ("impersonate-on:associated-node:list", "", "pods", "");
    const NODES: (&str, &str, &str, &str) = ("impersonate:associated-node", AUTHENTICATION, "nodes", "*");
    let agent = || UserInfo {
        name: "system:serviceaccount:a:b".to_string(),
        extra: [(NODE_NAME.to_string(), vec!["n1".to_string()])].into(),
        ..UserInfo::default()
    };
    let as_node = |node: &str| applied(&[("impersonate-user", node)], agent(), Rows(&[ON, NODES]));
    let groups = vec!["system:nodes".to_string(), "system:authenticated".to_string()];
    assert_eq!(as_node("system:node:n1").unwrap(), ("system:node:n1".to_string(), groups));
    assert!(as_node("system:node:n2").unwrap_err().contains("impersonate-on:arbitrary-node"));
}
