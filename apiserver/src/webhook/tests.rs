//! Webhooks that are slow, down, lying or not who they say they are: each call ends, and says why in upstream's words.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use json::{Value, json};
use tokio::net::TcpListener;

use super::kubeconfig::Users;
use super::testing::{Reply, Server};
use super::{Caller, MAX_ANSWER, Trust, Webhook};
use crate::registry::testing::Fixture;

const LONG: Duration = Duration::from_secs(30);

/// What a call comes to: the answer, or the error.
async fn post(client_config: &Value, limit: Duration) -> Result<Bytes, String> {
    let service = |name: &str, spec: Value| json!({"kind": "Service", "metadata": {"namespace": "n", "name": name}, "spec": spec});
    let services = Fixture::new([
        service("headless", json!({"type": "ClusterIP", "clusterIP": "None", "ports": [{"port": 443}]})),
        service("other-port", json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80}]})),
    ]);
    let webhook = Webhook::new(client_config, Caller::Admission).map_err(|error| error.to_string())?;
    webhook.post(&services, Bytes::from_static(b"{}"), limit).await.map_err(|error| error.to_string())
}

fn yes(_: &str, _: Value) -> Reply {
    Reply::Json(json!({"ok": true}))
}

#[tokio::test]
async fn a_webhook_is_asked_over_connections_that_are_kept() {
    let server = Server::start(yes).await;
    let webhook = Webhook::new(&server.client_config("yes"), Caller::Admission).unwrap();
    for _ in 0..3 {
        let answer = webhook.post(&Fixture::default(), Bytes::from_static(b"{}"), LONG).await.unwrap();
        assert_eq!(answer, r#"{"ok":true}"#);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_silent_webhook_is_waited_for_no_longer_than_said() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let error = post(&server.client_config("x"), Duration::from_millis(30)).await.unwrap_err();
    let url = format!("https://{}/x?timeout=30ms", server.address);
    assert_eq!(error, format!("Post \"{url}\": context deadline exceeded"));
}

#[tokio::test]
async fn what_takes_the_connection_and_says_nothing_is_waited_for_no_longer_either() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    let error = post(&json!({"url": url}), Duration::from_millis(30)).await.unwrap_err();
    assert_eq!(error, format!("Post \"{url}?timeout=30ms\": context deadline exceeded"));
}

#[tokio::test]
async fn nobody_there_is_told_as_such() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = post(&json!({"url": format!("https://{address}/x")}), LONG).await.unwrap_err();
    let expected = format!("Post \"https://{address}/x?timeout=30s\": dial tcp {address}: connect: connection refused");
    assert_eq!(error, expected);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::start(|_, _| Reply::Raw(200, vec![b' '; MAX_ANSWER + 1])).await;
    let error = post(&server.client_config("x"), LONG).await.unwrap_err();
    assert_eq!(error, format!("the response body is larger than {MAX_ANSWER} bytes"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server =
        Server::start(|path, review| if path == "/x" { Reply::Redirect("/yes") } else { yes(path, review) }).await;
    let error = post(&server.client_config("x"), LONG).await.unwrap_err();
    assert_eq!(error, "the server responded with the status code 307 but did not return more information");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_status_code_is_told_in_upstreams_words() {
    let server = Server::start(|path, _| match path {
        "/missing" => Reply::Raw(404, b"404 page not found\n".to_vec()),
        "/broken" => Reply::Raw(500, b"boom".to_vec()),
        "/away" => Reply::Raw(503, b"away".to_vec()),
        "/empty" => Reply::Raw(200, Vec::new()),
        _ => Reply::Raw(
            500,
            br#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"my message","code":410}"#.to_vec(),
        ),
    })
    .await;
    for (path, expected) in [
        ("missing", "the server could not find the requested resource"),
        ("broken", "an error on the server (\"boom\") has prevented the request from succeeding"),
        ("away", "the server is currently unable to handle the request"),
        ("empty", "0-length response with status code: 200 and content type: application/json"),
        ("status", "my message"),
    ] {
        assert_eq!(post(&server.client_config(path), LONG).await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = Server::start_as("other.example.com", yes).await;
    let url = format!("https://localhost:{}/x", server.address.port());
    let config = json!({"url": url, "caBundle": STANDARD.encode(&server.bundle)});
    let error = post(&config, LONG).await.unwrap_err();
    let why = "tls: failed to verify certificate: x509: certificate is valid for other.example.com, not localhost";
    assert_eq!(error, format!("Post \"{url}?timeout=30s\": {why}"));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (server, other) = (Server::start(yes).await, Server::start(yes).await);
    let url = format!("https://{}/x", server.address);
    let why = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    let expected = format!("Post \"{url}?timeout=30s\": {why}");
    let others = json!({"url": url, "caBundle": STANDARD.encode(&other.bundle)});
    assert_eq!(post(&others, LONG).await.unwrap_err(), expected);
    // Without a bundle the system's authorities count, and ours is none of them.
    assert_eq!(post(&json!({"url": url}), LONG).await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_only_where_it_is_in_the_bundle() {
    let server = Server::start_self_signed(yes).await;
    assert_eq!(post(&server.client_config("x"), LONG).await.unwrap(), r#"{"ok":true}"#);
    let other = Server::start_self_signed(yes).await;
    let config = json!({"url": format!("https://{}/x", server.address), "caBundle": STANDARD.encode(&other.bundle)});
    assert!(post(&config, LONG).await.unwrap_err().ends_with("x509: certificate signed by unknown authority"));
}

#[tokio::test]
async fn a_service_that_leads_nowhere_is_named() {
    for (name, why) in [
        ("absent", "service \"absent\" not found"),
        ("headless", "cannot route to service with ClusterIP \"None\""),
        ("other-port", "no service port 443 found for service \"other-port\""),
    ] {
        let config = json!({"service": {"namespace": "n", "name": name, "path": "/x"}});
        let error = post(&config, LONG).await.unwrap_err();
        assert_eq!(error, format!("Post \"https://{name}.n.svc:443/x?timeout=30s\": {why}"));
    }
}

#[tokio::test]
async fn a_configuration_that_leads_nowhere_is_told() {
    assert_eq!(post(&json!({}), LONG).await.unwrap_err(), "webhook configuration must have either service or URL");
    let bundle = STANDARD.encode("nonsense");
    assert_eq!(
        post(&json!({"url": "https://localhost/x", "caBundle": bundle}), LONG).await.unwrap_err(),
        "unable to load root certificates: unable to parse bytes as PEM block"
    );
}

/// Upstream: defaultAuthenticationInfoResolver.clientConfig.
#[test]
fn a_webhook_is_shown_what_the_user_of_its_name_shows() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "of-a-file\n").unwrap();
    let file = folder.path().join("kubeconfig");
    let read = |rest: &str| {
        let users = "\
users:
- {name: hook.n.svc, user: {token: service}}
- {name: 'hook.n.svc:8443', user: {tokenFile: token}}
- {name: '*.example.com', user: {username: me, password: secret}}
";
        std::fs::write(&file, format!("{users}{rest}")).unwrap();
        Users::read(&file).unwrap()
    };
    let shown = |users: &Users, authority: &str| {
        let shown = users.of(authority).map(|user| user.access(Trust::System).authorization.unwrap());
        shown.map(|header| header.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let users = read("");
    let expected = [
        ("hook.n.svc:443", "Bearer service"),
        ("hook.n.svc:8443", "Bearer of-a-file"),
        ("hook.n.svc:1", ""),
        ("a.b.example.com", "Basic bWU6c2VjcmV0"),
        ("a.example.com:443", "Basic bWU6c2VjcmV0"),
        ("a.example.com:1", ""),
        ("example.com", ""),
    ];
    for (authority, header) in expected {
        assert_eq!(shown(&users, authority), header, "{authority}");
    }
    let users = read("current-context: c\ncontexts:\n- {name: c, context: {user: hook.n.svc}}\n");
    assert_eq!(shown(&users, "else.where"), "Bearer service");
    let users = read("- {name: '*', user: {token: anybody}}\n");
    assert_eq!(shown(&users, "else.where"), "Bearer anybody");
}
