//! A server whose authorizer has to be waited for, wherever it is asked.

use std::sync::Mutex;

use super::policies::{CONFIG_MAPS, config_map, plugins, policy};
use super::*;
use crate::authorization::{Answer as Authorized, Verdict};

/// Answers by name and verb after a while, and keeps what it was asked.
#[derive(Default)]
struct Slow {
    asked: Mutex<Vec<String>>,
}

impl Slow {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("nobody panicked"))
    }
}

fn decide(question: &str) -> Decision {
    match question {
        "impersonate users jane" => Decision::default(),
        "get configmaps forbidden" => Decision::no_opinion("it is closed"),
        "get configmaps broken" => Decision {
            verdict: Verdict::Deny,
            reason: "not told".to_owned(),
            error: Some("Post \"https://w?timeout=3s\": <nobody> is there".to_owned()),
        },
        "create leases late" => Decision::no_opinion("no leases"),
        "use configmaps small" => Decision::allow(),
        question if question.starts_with("use ") => Decision::default(),
        _ => Decision::allow(),
    }
}

impl Authorizer for Slow {
    fn authorize<'a>(&'a self, attributes: &'a Attributes, _: Reasons) -> Authorized<'a> {
        Authorized::Later(Box::pin(async move {
            tokio::task::yield_now().await;
            let question = format!("{} {} {}", attributes.verb, attributes.resource, attributes.name);
            self.asked.lock().expect("nobody panicked").push(question.clone());
            decide(&question)
        }))
    }

    fn may_wait(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_request_is_allowed_refused_or_failed_by_what_is_said_in_the_end() {
    let cluster = Cluster::asking(Arc::new(Slow::default()), |_, _| Chain::default()).await;
    cluster.get(&format!("{CONFIG_MAPS}/other")).await.expect(404);
    let refused = cluster.get(&format!("{CONFIG_MAPS}/forbidden")).await.expect(403);
    assert_eq!(
        refused.message(),
        "configmaps \"forbidden\" is forbidden: User \"admin\" cannot get resource \"configmaps\" in API group \"\" \
         in the namespace \"default\": it is closed"
    );
    let failed = cluster.get(&format!("{CONFIG_MAPS}/broken")).await.expect(500);
    assert_eq!(
        String::from_utf8_lossy(&failed.bytes),
        "Internal Server Error: \"/api/v1/namespaces/default/configmaps/broken\": \
         Post \"https://w?timeout=3s\": &lt;nobody&gt; is there\n"
    );
    let jane = cluster.call("GET", CONFIG_MAPS, &[("impersonate-user", "jane")], b"").await;
    jane.expect(200);
}

#[tokio::test]
async fn what_a_write_needs_besides_is_waited_for() {
    let slow = Arc::new(Slow::default());
    let cluster = Cluster::asking(slow.clone(), |_, _| Chain::default()).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let lease = |name: &str| json!({"metadata": {"name": name}, "spec": {}});
    slow.asked();
    cluster.put(&format!("{leases}/early"), lease("early")).await.expect(201);
    assert_eq!(slow.asked(), ["update leases early", "create leases early"]);
    let refused = cluster.put(&format!("{leases}/late"), lease("late")).await.expect(403);
    assert!(refused.message().ends_with("in the namespace \"default\": no leases"), "{}", refused.message());
}

#[tokio::test]
async fn expressions_get_the_answer_and_each_question_is_asked_once() {
    let slow = Arc::new(Slow::default());
    let cluster = Cluster::asking(slow.clone(), plugins).await;
    let allowed = "authorizer.group('').resource('configmaps').name(object.metadata.name).check('use').allowed()";
    let twice = json!([{"expression": allowed}, {"expression": allowed}]);
    policy(&cluster, "validating", json!({"validations": twice}), json!({"validationActions": ["Deny"]})).await;
    slow.asked();
    cluster.post(CONFIG_MAPS, config_map("small", "1")).await.expect(201);
    assert_eq!(slow.asked(), ["create configmaps ", "use configmaps small"]);
    let refused = cluster.post(CONFIG_MAPS, config_map("large", "1")).await.expect(422);
    assert_eq!(refused.message().matches("denied request").count(), 1, "{}", refused.message());
}

#[tokio::test]
async fn a_policy_that_changes_objects_gets_the_answer_too() {
    let cluster = Cluster::asking(Arc::new(Slow::default()), plugins).await;
    let may = "authorizer.group('').resource('configmaps').name(object.metadata.name).check('use').allowed()";
    let spec = json!({
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConditions": [{"name": "may", "expression": may}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {
            "expression": format!("[JSONPatch{{op: 'add', path: '/data/may', value: string({may})}}]"),
        }}],
    });
    policy(&cluster, "mutating", spec, json!({})).await;
    let changed = cluster.post(CONFIG_MAPS, config_map("small", "1")).await.expect(201);
    assert_eq!(changed.json()["data"]["may"], "true");
    let same = cluster.post(CONFIG_MAPS, config_map("large", "1")).await.expect(201);
    assert_eq!(same.json()["data"].get("may"), None);
}
