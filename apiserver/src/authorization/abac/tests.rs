use super::*;

/// The examples of upstream's documentation, and the corners of its rules.
const FILE: &str = r#"
# Alice may do anything; the kubelet reads pods, and writes events.
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "alice", "namespace": "*", "resource": "*", "apiGroup": "*"}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "kubelet", "namespace": "*", "resource": "pods", "readonly": true}}
  # a comment that is indented
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "kubelet", "namespace": "*", "resource": "events"}}

{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "bob", "namespace": "projectCaribou", "resource": "pods", "readonly": true}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"group": "*", "readonly": true, "nonResourcePath": "/version"}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"user": "carol", "group": "devs", "namespace": "a", "resource": "deployments", "apiGroup": "apps", "nonResourcePath": "/logs*"}}
{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": {"namespace": "*", "resource": "*"}}
{"user": "dave", "resource": "services"}
{"kind": "Policy", "user": "erin", "readonly": true}
"#;

fn user(text: &str) -> UserInfo {
    let (name, group) = text.split_once('@').unwrap_or((text, ""));
    if name == "nobody" { UserInfo::anonymous() } else { UserInfo::new(name, &[group]) }
}

/// `who verb resource.group namespace`, or `who verb /path`.
fn asked(text: &str) -> Attributes {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (who, verb, what, namespace) = (next(), next(), next(), next());
    let user = user(&who);
    if what.starts_with('/') {
        return Attributes { user, verb, path: what, ..Attributes::default() };
    }
    let (resource, api_group) = what.split_once('.').unwrap_or((&what, ""));
    let (resource, api_group) = (resource.to_owned(), api_group.to_owned());
    Attributes { user, verb, resource, api_group, namespace, is_resource_request: true, ..Attributes::default() }
}

#[test]
fn a_policy_that_matches_allows() {
    let abac = Abac::parse(FILE).unwrap();
    let table = [
        ("alice delete deployments.apps x", true),
        ("alice get /metrics", false),
        ("kubelet list pods", true),
        ("kubelet create pods a", false),
        ("kubelet create events a", true),
        ("kubelet create events.events.k8s.io a", false),
        ("bob watch pods projectCaribou", true),
        ("bob get pods other", false),
        ("bob get services projectCaribou", false),
        ("bob get /version", true),
        ("bob post /version", false),
        ("nobody get /version", false),
        ("carol@devs delete deployments.apps a", true),
        ("carol get deployments.apps a", false),
        ("other@devs get deployments.apps a", false),
        ("carol@devs get deployments a", false),
        ("carol@devs put /logs/x", true),
        ("carol@devs put /logs", true),
        ("carol@devs put /log", false),
        ("somebody get pods a", false),
        ("dave delete services.serving.example.com anywhere", true),
        ("dave get pods anywhere", false),
        ("dave get /version/x", false),
        ("erin list pods.metrics.k8s.io", true),
        ("erin get /anything", true),
        ("erin create pods", false),
    ];
    for (request, allowed) in table {
        assert_eq!(abac.decide(&asked(request)).is_allowed(), allowed, "{request}");
    }
    assert_eq!(abac.decide(&asked("somebody get pods a")), Decision::no_opinion("No policy matched."));
}

#[test]
fn an_old_policy_without_anybody_is_about_all_who_are_known() {
    let abac = Abac::parse(r#"{"resource": "pods"}"#).unwrap();
    assert!(abac.decide(&asked("anybody delete pods x")).is_allowed());
    assert!(!abac.decide(&asked("nobody delete pods x")).is_allowed());
    let star = Abac::parse(r#"{"user": "*"}"#).unwrap();
    assert_eq!(star.policies, Abac::parse("{}").unwrap().policies, "`*` is the same as nobody");
}

#[test]
fn the_rules_of_a_user_are_those_of_the_policies_about_them() {
    let rules = Abac::parse(FILE).unwrap().rules_for(&user("carol@devs"), "a");
    let shown: Vec<_> = rules
        .iter()
        .map(|rule| (rule.verbs.join(","), rule.resources.join(","), rule.non_resource_urls.join(",")))
        .collect();
    let all = |resource: &str, path: &str| ("*".to_owned(), resource.to_owned(), path.to_owned());
    assert_eq!(shown, [all("deployments", ""), all("", "/logs*")]);
    assert!(Abac::parse(FILE).unwrap().rules_for(&user("carol@devs"), "b").is_empty());
}

#[test]
fn a_line_that_is_no_policy_is_named() {
    let wrong = |text: &str| Abac::parse(text).unwrap_err();
    let (line, text, why) = wrong("# first\n{\"user\": 5}");
    assert_eq!((line, text.as_str()), (2, "{\"user\": 5}"));
    assert_eq!(why, "json: cannot unmarshal number into Go struct field Policy.user of type string");
    assert!(wrong("nonsense").2.starts_with("couldn't get version/kind; json parse error"));
    let other = wrong(r#"{"apiVersion": "v1", "kind": "Pod"}"#).2;
    assert!(other.starts_with("no kind \"Pod\" is registered for version \"v1\""), "{other}");
}
