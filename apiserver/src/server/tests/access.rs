//! Who may what: impersonation and refusals in upstream's words, as kube-apiserver v1.37.0 answered them.

use json::{Value, json};

use super::Cluster;

const NS: &str = "/api/v1/namespaces/default";

async fn as_user(cluster: &Cluster, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let answer = cluster.call(method, target, headers, b"").await;
    (answer.code, answer.json())
}

#[tokio::test]
async fn refusals_say_who_cannot_do_what() {
    let cluster = Cluster::new().await;
    let rows = [
        (
            format!("{NS}/pods"),
            "pods is forbidden: User \"joe\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
            json!({"kind": "pods"}),
        ),
        (
            format!("{NS}/pods/x/log"),
            "pods \"x\" is forbidden: User \"joe\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"default\"",
            json!({"name": "x", "kind": "pods"}),
        ),
        (
            "/api/v1/nodes/x".to_string(),
            "nodes \"x\" is forbidden: User \"joe\" cannot get resource \"nodes\" in API group \"\" at the cluster scope",
            json!({"name": "x", "kind": "nodes"}),
        ),
        (
            "/apis/apps/v1/deployments?watch=1".to_string(),
            "deployments.apps is forbidden: User \"joe\" cannot watch resource \"deployments\" in API group \"apps\" at the cluster scope",
            json!({"group": "apps", "kind": "deployments"}),
        ),
        ("/foo".to_string(), "forbidden: User \"joe\" cannot get path \"/foo\"", json!({})),
    ];
    for (target, message, details) in rows {
        let (code, body) = as_user(&cluster, "GET", &target, &[("impersonate-user", "joe")]).await;
        assert_eq!((code, body["message"].as_str().unwrap()), (403, message));
        assert_eq!((&body["reason"], &body["details"]), (&json!("Forbidden"), &details), "{target}");
    }
}

#[tokio::test]
async fn impersonation_needs_a_name_and_carries_its_groups() {
    let cluster = Cluster::new().await;
    let (code, body) = as_user(&cluster, "GET", &format!("{NS}/pods"), &[("impersonate-group", "joe")]).await;
    let expect = "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"joe\"}, Extra:map[string][]string(nil)} without impersonating a user name";
    assert_eq!((code, body["message"].as_str().unwrap()), (400, expect));
    let masters = [("impersonate-user", "joe"), ("impersonate-group", "system:masters")];
    let (code, _) = as_user(&cluster, "GET", &format!("{NS}/pods"), &masters).await;
    assert_eq!(code, 200);
    let account = [("impersonate-user", "system:serviceaccount:ns:sa")];
    let (_, body) = as_user(&cluster, "GET", &format!("{NS}/pods"), &account).await;
    assert!(body["message"].as_str().unwrap().contains("User \"system:serviceaccount:ns:sa\" cannot list"));
}

#[tokio::test]
async fn whoever_is_not_allowed_to_cannot_impersonate() {
    let cluster = Cluster::new().await;
    let joe = crate::authentication::UserInfo::new("joe", &[]);
    let request =
        http::Request::builder().uri(format!("{NS}/pods")).header("impersonate-user", "root").body(Vec::new());
    let refused = cluster.server.client(joe).request::<Value>(request.unwrap()).await.unwrap_err();
    let expect = "pods is forbidden: User \"joe\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert!(refused.to_string().contains(expect), "{refused}");
}
