//! Priority and fairness as a client sees it.

use super::Cluster;

#[tokio::test]
async fn every_answer_names_its_flow_and_level() {
    let cluster = Cluster::new().await;
    let joe = [("impersonate-user", "joe")];
    for (target, headers, code) in [
        ("/api/v1/pods", &[][..], 200),
        ("/api/v1/namespaces/nope", &[][..], 404),
        ("/nope", &[][..], 404),
        ("/api/v1/pods", &joe[..], 403),
    ] {
        let answer = cluster.call("GET", target, headers, b"").await.expect(code);
        for name in ["x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"] {
            assert!(answer.headers.contains_key(name), "{target} {code}: {name}");
        }
    }
}
