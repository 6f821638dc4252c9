use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use json::{Value, json};

use super::*;
use crate::authentication::tokens::TokenAuthenticator;
use crate::context::{Objects, RequestContext};
use crate::pki::{Pki, ServingNames};
use crate::registry::testing::{Fixture, context};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

struct Setup {
    issuer: TokenIssuer,
    public: Vec<String>,
}

fn setup() -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(dir.path(), &ServingNames::default(), std::time::SystemTime::now()).unwrap();
    let public = pki.service_account_public_keys.clone();
    let issuer = TokenIssuer {
        keys: Arc::new(SigningKeys::new(SigningKey::from_pem(&pki.service_account_key).unwrap())),
        issuer: ISSUER.to_owned(),
        audiences: vec![ISSUER.to_owned()],
        extend_expiration: true,
        max_expiration_seconds: 0,
    };
    Setup { issuer, public }
}

fn account() -> Value {
    json!({"kind": "ServiceAccount", "metadata": {"namespace": "a", "name": "bot", "uid": "u-sa"}})
}

fn pod(uid: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "p", "uid": uid}, "spec": {"serviceAccountName": "bot", "nodeName": "n1"}})
}

fn ask(objects: impl IntoIterator<Item = Value>) -> RequestContext {
    context("serviceaccounts/token", "a", "bot", objects)
}

fn authenticator(setup: &Setup, objects: impl IntoIterator<Item = Value>) -> ServiceAccountTokens {
    let keys = VerifyingKeys::from_pems(setup.public.iter().map(String::as_str)).unwrap();
    let objects: Arc<dyn Objects> = Arc::new(Fixture::new(objects));
    ServiceAccountTokens::new(vec![ISSUER.to_owned()], vec![ISSUER.to_owned()], keys, objects)
}

fn pod_bound() -> Value {
    json!({"spec": {"expirationSeconds": 3607, "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}})
}

#[test]
fn a_pods_token_is_good_while_the_pod_is_there() {
    let setup = setup();
    let answer = setup.issuer.create(&ask([account(), pod("u-pod")]), pod_bound()).unwrap();
    let token = answer["status"]["token"].as_str().unwrap();
    let now = Timestamp::now();

    let found = authenticator(&setup, [account(), pod("u-pod")]).authenticate_token(token, &[], now).unwrap().unwrap();
    assert_eq!(found.user.name, "system:serviceaccount:a:bot");
    assert_eq!(found.user.uid, "u-sa");
    assert_eq!(found.user.groups, ["system:serviceaccounts", "system:serviceaccounts:a"]);
    assert_eq!(found.user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
    assert_eq!(found.user.extra["authentication.kubernetes.io/node-name"], ["n1"]);
    assert_eq!(found.audiences, [ISSUER]);

    for gone in [vec![account()], vec![account(), pod("another")], vec![pod("u-pod")]] {
        assert!(authenticator(&setup, gone).authenticate_token(token, &[], now).is_err());
    }
    // The extension: asked for an hour, good for a year.
    let after = |hours| now + SignedDuration::from_hours(hours);
    assert!(authenticator(&setup, [account(), pod("u-pod")]).authenticate_token(token, &[], after(24)).is_ok());
    assert!(authenticator(&setup, [account(), pod("u-pod")]).authenticate_token(token, &[], after(366 * 24)).is_err());
}

#[test]
fn foreign_and_misdirected_tokens_are_refused() {
    let (ours, theirs) = (setup(), setup());
    let request = || json!({"spec": {"audiences": ["vault"]}});
    let foreign = theirs.issuer.create(&ask([account()]), json!({"spec": {}})).unwrap();
    let vault = ours.issuer.create(&ask([account()]), request()).unwrap();
    let authenticator = authenticator(&ours, [account()]);
    let now = Timestamp::now();
    assert!(authenticator.authenticate_token(foreign["status"]["token"].as_str().unwrap(), &[], now).is_err());
    let vault = vault["status"]["token"].as_str().unwrap();
    assert!(authenticator.authenticate_token(vault, &[], now).is_err());
    assert!(authenticator.authenticate_token(vault, &["vault".to_owned()], now).unwrap().is_some());
    assert!(authenticator.authenticate_token("no.jwt", &[], now).unwrap().is_none());
    assert!(authenticator.authenticate_token("a.b.c", &[], now).unwrap().is_none());
}

#[test]
fn bad_token_requests_get_upstreams_answers() {
    let setup = setup();
    let refusal = |request: Value| setup.issuer.create(&ask([account(), pod("u-pod")]), request).unwrap_err().message;
    expect_test::expect![[r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes"#]]
        .assert_eq(&refusal(json!({"spec": {"expirationSeconds": 5}})));
    expect_test::expect![[r#"pods "nope" not found"#]]
        .assert_eq(&refusal(json!({"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "nope"}}})));
    expect_test::expect![[r#"TokenRequest.authentication.k8s.io "bot" is invalid: metadata.name: Invalid value: "x": must match the service account name if specified"#]]
        .assert_eq(&refusal(json!({"metadata": {"name": "x"}, "spec": {}})));
    expect_test::expect![[r#"cannot bind token to object of type apps/v1, Kind=Deployment"#]].assert_eq(&refusal(
        json!({"spec": {"boundObjectRef": {"kind": "Deployment", "apiVersion": "apps/v1", "name": "d"}}}),
    ));
}

#[test]
fn discovery_documents_name_issuer_and_keys() {
    let setup = setup();
    let keys = VerifyingKeys::from_pems(setup.public.iter().map(String::as_str)).unwrap();
    let discovery = Discovery::new(ISSUER, "https://10.0.0.1:6443/openid/v1/jwks", &keys).unwrap();
    let configuration: Value = json::from_slice(&discovery.configuration).unwrap();
    assert_eq!(configuration["jwks_uri"], "https://10.0.0.1:6443/openid/v1/jwks");
    assert_eq!(configuration["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let jwks: Value = json::from_slice(&discovery.jwks).unwrap();
    assert_eq!(jwks["keys"][0]["kty"], "EC");
    assert!(Discovery::new("http://plain", "https://x:1", &keys).is_none());
}
