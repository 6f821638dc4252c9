use std::sync::atomic::{AtomicUsize, Ordering};

use json::Value;

use super::*;
use crate::authentication::Metrics;
use crate::registry::testing::Fixture;
use crate::webhook::testing::{Reply, Server};

/// A webhook on loopback, and how often it was asked.
struct Fake {
    folder: tempfile::TempDir,
    asked: Arc<AtomicUsize>,
}

impl Fake {
    async fn start(answer: impl Fn(usize, Value) -> Reply + Send + Sync + 'static) -> Fake {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let server = Server::start(move |_, review| answer(counter.fetch_add(1, Ordering::Relaxed), review)).await;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.crt"), &server.bundle).expect("a file");
        let config = json!({
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k"}}],
            "clusters": [{"name": "k", "cluster": {
                "server": format!("https://{}/review", server.address), "certificate-authority": "ca.crt",
            }}],
        });
        std::fs::write(folder.path().join("config"), config.to_string()).expect("a file");
        Fake { folder, asked }
    }

    /// Who asks it, and hardly waits between attempts.
    fn client(&self, version: &str) -> TokenWebhook {
        let own = ["us".to_owned()];
        let opened =
            TokenWebhook::open(&self.folder.path().join("config"), version, &own, Arc::new(Fixture::default()));
        TokenWebhook { backoff: Backoff::of(Duration::from_millis(1)), ..opened.expect("a webhook") }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A review with this status, in the version it was asked in.
fn status(asked: &Value, status: Value) -> Reply {
    Reply::Json(json!({"kind": "TokenReview", "apiVersion": asked["apiVersion"], "status": status}))
}

async fn ask(webhook: &dyn RemoteTokens, token: &str, audience: &str) -> Result<Option<TokenUser>, String> {
    let audiences = [audience.to_owned()];
    let found = webhook.authenticate_token(token, &audiences, Timestamp::UNIX_EPOCH).await;
    found.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_token_is_reviewed_in_the_version_asked_for() {
    for version in ["v1", "v1beta1"] {
        let fake = Fake::start(|_, review| {
            let user = json!({"username": "jane", "uid": "7", "groups": ["devs"], "extra": {"a": ["b"]}});
            match review["spec"]["token"].as_str() {
                Some("good") => status(&review, json!({"authenticated": true, "user": user, "audiences": null})),
                Some("theirs") => status(&review, json!({"authenticated": true, "user": user, "audiences": ["them"]})),
                Some("bad") => status(&review, json!({"authenticated": false, "error": "who is this?"})),
                Some("version") => status(&json!({"apiVersion": "authentication.k8s.io/v9"}), json!({})),
                Some("shown") => Reply::Json(json!({"status": {"error": review.to_string()}})),
                _ => status(&review, json!({})),
            }
        })
        .await;
        let webhook = fake.client(version);
        let found = ask(&webhook, "good", "us").await.unwrap().unwrap();
        let extra = BTreeMap::from([("a".to_owned(), vec!["b".to_owned()])]);
        let jane = UserInfo { name: "jane".into(), uid: "7".into(), groups: vec!["devs".into()], extra };
        assert_eq!((found.user, found.audiences), (jane, vec!["us".to_owned()]));
        assert!(ask(&webhook, "good", "them").await.unwrap().is_none(), "no audiences are this server's own");
        assert_eq!(ask(&webhook, "theirs", "them").await.unwrap().unwrap().audiences, ["them"]);
        assert!(ask(&webhook, "theirs", "us").await.unwrap().is_none());
        assert_eq!(ask(&webhook, "bad", "us").await.unwrap_err(), "who is this?");
        assert!(ask(&webhook, "unknown", "us").await.unwrap().is_none());
        assert!(ask(&webhook, "version", "us").await.unwrap_err().contains("no kind \"TokenReview\" is registered"));
        let shown = format!(
            r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/{version}","metadata":{{}},"spec":{{"token":"shown","audiences":["us"]}},"status":{{"user":{{}}}}}}"#
        );
        assert_eq!(ask(&webhook, "shown", "us").await.unwrap_err(), shown);
    }
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_may_not_is_told() {
    let fake = Fake::start(|attempt, review| match attempt {
        0 | 1 => Reply::Raw(500, b"not now".to_vec()),
        2 => status(&review, json!({"authenticated": true, "user": {"username": "jane"}})),
        3 => Reply::Raw(403, b"never".to_vec()),
        _ => Reply::Raw(503, b"down".to_vec()),
    })
    .await;
    let webhook = fake.client("v1");
    assert_eq!(ask(&webhook, "a", "us").await.unwrap().unwrap().user.name, "jane");
    assert_eq!(fake.asked(), 3);
    assert_eq!(ask(&webhook, "a", "us").await.unwrap_err(), "never");
    assert_eq!(fake.asked(), 4);
    assert!(ask(&webhook, "a", "us").await.is_err());
    assert_eq!(fake.asked(), 5);
}

#[tokio::test]
async fn it_is_asked_once_for_each_token_and_five_times_where_it_fails() {
    let fake = Fake::start(|_, review| match review["spec"]["token"].as_str() {
        Some("good") => status(&review, json!({"authenticated": true, "user": {"username": "jane"}})),
        Some("broken") => Reply::Raw(500, Vec::new()),
        _ => status(&review, json!({"authenticated": false})),
    })
    .await;
    let ttl = Duration::from_secs(120);
    let webhook = Remembered::new(Arc::new(fake.client("v1")), ttl, ttl, Metrics::default().tokens);
    let twice = async |token: &str| {
        let before = fake.asked();
        let (first, second) = futures::join!(ask(&webhook, token, "us"), ask(&webhook, token, "us"));
        assert_eq!(first.is_ok(), second.is_ok());
        let _ = ask(&webhook, token, "us").await;
        fake.asked() - before
    };
    assert_eq!((twice("good").await, twice("bad").await, twice("broken").await), (1, 1, 10));
}

#[tokio::test]
async fn what_cannot_be_opened_is_told() {
    let fake = Fake::start(|_, review| status(&review, json!({}))).await;
    let open = |file: &str, version: &str| {
        let file = fake.folder.path().join(file);
        TokenWebhook::open(&file, version, &[], Arc::new(Fixture::default())).expect_err("refused").to_string()
    };
    assert!(open("config", "v2").contains("supported versions are \"v1\", \"v1beta1\""));
    assert!(open("nope", "v1").contains("cannot read"));
    assert!(open("ca.crt", "v1").contains("the authentication token webhook cannot be used"));
}
