use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Value, json};

use super::*;
use crate::authentication::UserInfo;
use crate::authorization::configuration::ReviewVersion;
use crate::registry::testing::Fixture;
use crate::webhook::testing::{Reply, Server};

/// A webhook, what it was asked, and the authorizer that asks it.
struct Asked {
    authorizer: WebhookAuthorizer,
    reviews: Arc<Mutex<Vec<Value>>>,
    metrics: Arc<Metrics>,
    _folder: tempfile::TempDir,
}

impl Asked {
    /// `change` says what differs from a webhook of flags.
    async fn of(
        answer: impl Fn(usize) -> Reply + Send + Sync + 'static,
        change: impl FnOnce(&mut WebhookSettings),
    ) -> Asked {
        let reviews: Arc<Mutex<Vec<Value>>> = Arc::default();
        let asked = Arc::clone(&reviews);
        let server = Server::start(move |_, review| {
            let mut asked = asked.lock().expect("nobody panicked");
            asked.push(review);
            answer(asked.len())
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = folder.path().join("webhook.kubeconfig");
        std::fs::write(&kubeconfig, self::kubeconfig(&server)).expect("it can be written");
        let mut settings = WebhookSettings {
            kubeconfig,
            version: ReviewVersion::V1,
            authorized_ttl: Duration::from_secs(300),
            unauthorized_ttl: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            fails_closed: false,
            match_conditions: Vec::new(),
        };
        change(&mut settings);
        let metrics = Arc::new(Metrics::default());
        let objects = Arc::new(Fixture::new([]));
        let authorizer =
            WebhookAuthorizer::new("default", &settings, objects, Arc::clone(&metrics)).expect("its files are good");
        Asked { authorizer, reviews, metrics, _folder: folder }
    }

    /// One that says this of everything.
    async fn says(status: Value) -> Asked {
        Asked::of(move |_| said(&status), |_| {}).await
    }

    async fn decide(&self, request: &Attributes) -> Decision {
        self.authorizer.decide(request).await
    }

    fn times(&self) -> usize {
        self.reviews.lock().expect("nobody panicked").len()
    }

    /// Lines of a metric.
    fn counted(&self, name: &str) -> Vec<String> {
        let text = component::metrics::encode([&self.metrics.registry()]).expect("it can be shown");
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }
}

fn kubeconfig(server: &Server) -> String {
    let (address, bundle) = (server.address, STANDARD.encode(&server.bundle));
    json!({
        "current-context": "w",
        "contexts": [{"name": "w", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": format!("https://{address}/authorize"), "certificate-authority-data": bundle}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    })
    .to_string()
}

fn said(status: &Value) -> Reply {
    Reply::Json(json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": status}))
}

fn jane() -> UserInfo {
    UserInfo {
        uid: "7".to_owned(),
        extra: [("scopes".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
        ..UserInfo::new("jane", &["devs"])
    }
}

fn list_pods() -> Attributes {
    Attributes {
        user: jane(),
        verb: "list".to_owned(),
        api_version: "v1".to_owned(),
        resource: "pods".to_owned(),
        namespace: "n".to_owned(),
        is_resource_request: true,
        field_selector: "spec.nodeName=a,status.phase!=Failed".to_owned(),
        label_selector: "app in (x,y),!gone,size>3,tier!=web".to_owned(),
        ..Attributes::default()
    }
}

#[test]
fn a_review_says_all_that_is_known_in_upstreams_order() {
    let spec = review::spec(&list_pods(), ReviewVersion::V1);
    assert_eq!(
        spec.to_string(),
        r#"{"resourceAttributes":{"namespace":"n","verb":"list","version":"v1","resource":"pods","fieldSelector":{"requirements":[{"key":"spec.nodeName","operator":"In","values":["a"]},{"key":"status.phase","operator":"NotIn","values":["Failed"]}]},"labelSelector":{"requirements":[{"key":"app","operator":"In","values":["x","y"]},{"key":"gone","operator":"DoesNotExist"},{"key":"tier","operator":"NotIn","values":["web"]}]}},"user":"jane","groups":["devs","system:authenticated"],"extra":{"scopes":["a","b"]},"uid":"7"}"#
    );
    let path =
        Attributes { user: jane(), verb: "get".to_owned(), path: "/metrics".to_owned(), ..Attributes::default() };
    let review = review::of(review::spec(&path, ReviewVersion::V1Beta1), ReviewVersion::V1Beta1);
    assert_eq!(
        review.to_string(),
        r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1beta1","metadata":{},"spec":{"nonResourceAttributes":{"path":"/metrics","verb":"get"},"user":"jane","group":["devs","system:authenticated"],"extra":{"scopes":["a","b"]},"uid":"7"},"status":{"allowed":false}}"#
    );
}

#[tokio::test]
async fn a_webhook_allows_denies_or_leaves_it_to_others() {
    let decision = |verdict, reason: &str, error: Option<&str>| Decision {
        verdict,
        reason: reason.to_owned(),
        error: error.map(str::to_owned),
    };
    let contradiction = "webhook subject access review returned both allow and deny response";
    let table = [
        (json!({"allowed": true, "reason": "r"}), decision(Verdict::Allow, "r", None)),
        (json!({"allowed": false, "denied": true, "reason": "r"}), decision(Verdict::Deny, "r", None)),
        (json!({"allowed": false, "reason": "r"}), decision(Verdict::NoOpinion, "r", None)),
        (json!({"allowed": true, "denied": true}), decision(Verdict::Deny, "", Some(contradiction))),
        (Value::Null, Decision::default()),
    ];
    for (status, expected) in table {
        assert_eq!(Asked::says(status.clone()).await.decide(&list_pods()).await, expected, "{status}");
    }
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_time() {
    for (status, ttl) in [(json!({"allowed": true}), 300), (json!({"allowed": false}), 30)] {
        let asked = Asked::says(status).await;
        let first = asked.decide(&list_pods()).await;
        assert_eq!(asked.decide(&list_pods()).await, first);
        assert_eq!(asked.times(), 1, "the second time it is known");
        asked.decide(&Attributes { namespace: "other".to_owned(), ..list_pods() }).await;
        assert_eq!(asked.times(), 2, "another request is another question");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(ttl)).await;
        tokio::time::resume();
        asked.decide(&list_pods()).await;
        assert_eq!(asked.times(), 3, "after {ttl} seconds it is asked again");
    }
}

#[tokio::test]
async fn what_is_long_and_what_has_no_time_is_not_remembered() {
    let asked = Asked::says(json!({"allowed": true})).await;
    let long = Attributes { name: "x".repeat(MAX_REMEMBERED_ATTRIBUTES), ..list_pods() };
    asked.decide(&long).await;
    asked.decide(&long).await;
    assert_eq!(asked.times(), 2);
    let forgetful =
        Asked::of(|_| said(&json!({"allowed": true})), |settings| settings.authorized_ttl = Duration::ZERO).await;
    forgetful.decide(&list_pods()).await;
    forgetful.decide(&list_pods()).await;
    assert_eq!(forgetful.times(), 2);
}

#[tokio::test]
async fn a_failure_is_the_decision_of_the_failure_policy_and_is_not_remembered() {
    for (fails_closed, verdict) in [(false, Verdict::NoOpinion), (true, Verdict::Deny)] {
        let broken = |_| Reply::Raw(403, b"no".to_vec());
        let asked = Asked::of(broken, |settings| settings.fails_closed = fails_closed).await;
        let decision = asked.decide(&list_pods()).await;
        assert_eq!((decision.verdict, decision.reason.as_str()), (verdict, ""));
        assert_eq!(decision.error.as_deref(), Some("no"));
        asked.decide(&list_pods()).await;
        assert_eq!(asked.times(), 2);
        let evaluated = "apiserver_authorization_webhook_evaluations_total{name=\"default\",result=\"error\"} 2";
        assert_eq!(asked.counted("apiserver_authorization_webhook_evaluations_total"), [evaluated]);
        let open = "apiserver_authorization_webhook_evaluations_fail_open_total{name=\"default\",result=\"error\"} 2";
        let open: &[&str] = if fails_closed { &[] } else { &[open] };
        assert_eq!(asked.counted("apiserver_authorization_webhook_evaluations_fail_open_total"), open);
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again() {
    let answer = |time| if time < 3 { Reply::Raw(500, b"later".to_vec()) } else { said(&json!({"allowed": true})) };
    let asked = Asked::of(answer, |_| {}).await;
    assert!(asked.decide(&list_pods()).await.is_allowed());
    assert_eq!(asked.times(), 3);
}

#[tokio::test]
async fn one_that_does_not_answer_in_time_has_failed() {
    let asked = Asked::of(|_| Reply::Silence, |settings| settings.timeout = Duration::from_millis(50)).await;
    let error = asked.decide(&list_pods()).await.error.unwrap();
    assert!(error.ends_with("/authorize?timeout=50ms\": context deadline exceeded"), "{error}");
    let evaluated = "apiserver_authorization_webhook_evaluations_total{name=\"default\",result=\"timeout\"} 1";
    assert_eq!(asked.counted("apiserver_authorization_webhook_evaluations_total"), [evaluated]);
}

#[tokio::test]
async fn an_answer_that_is_no_review_is_a_failure() {
    let other = |_| Reply::Json(json!({"kind": "Pod", "apiVersion": "v1"}));
    let asked = Asked::of(other, |_| {}).await;
    let error = asked.decide(&list_pods()).await.error.unwrap();
    assert!(error.starts_with("no kind \"Pod\" is registered for version \"v1\""), "{error}");
}

#[tokio::test]
async fn a_webhook_is_asked_only_where_all_conditions_hold() {
    let only = |condition: &str| {
        let condition = condition.to_owned();
        move |settings: &mut WebhookSettings| {
            settings.match_conditions = vec![condition, "request.user == 'jane'".to_owned()];
            settings.fails_closed = true;
        }
    };
    let table = [
        ("has(request.resourceAttributes) && request.resourceAttributes.namespace == 'n'", Verdict::Allow, 1),
        ("has(request.nonResourceAttributes)", Verdict::NoOpinion, 0),
        ("'devs' in request.groups && request.extra['scopes'][1] == 'b' && request.uid == '7'", Verdict::Allow, 1),
        (
            "request.resourceAttributes.fieldSelector.requirements.exists(r, r.key == 'spec.nodeName' && r.operator == 'In' && r.values == ['a'])",
            Verdict::Allow,
            1,
        ),
        ("request.extra['none'] == ['x']", Verdict::Deny, 0),
    ];
    for (condition, verdict, times) in table {
        let asked = Asked::of(|_| said(&json!({"allowed": true})), only(condition)).await;
        let decision = asked.decide(&list_pods()).await;
        assert_eq!((decision.verdict, asked.times()), (verdict, times), "{condition}: {decision:?}");
        assert_eq!(decision.error.is_some(), verdict == Verdict::Deny);
    }
    let excluded = Asked::of(|_| said(&json!({"allowed": true})), only("false")).await;
    excluded.decide(&list_pods()).await;
    let exclusion = "apiserver_authorization_match_condition_exclusions_total{name=\"default\",type=\"Webhook\"} 1";
    assert_eq!(excluded.counted("apiserver_authorization_match_condition_exclusions_total"), [exclusion]);
}
