//! What a conversion webhook is sent, and what of its answers is taken.

use json::{Value, json};

use super::{ConversionWebhook, described};
use crate::registry::testing::Fixture;
use crate::webhook::testing::{Reply, Server};

fn object(version: &str, name: &str) -> Value {
    json!({
        "apiVersion": format!("a.example.com/{version}"), "kind": "Thing",
        "metadata": {"name": name, "uid": format!("uid-{name}"), "resourceVersion": "7", "labels": {"l": "old"}},
    })
}

/// A ConversionReview with these objects, in answer to a request.
fn converted(asked: &Value, objects: &Value) -> Reply {
    let response = json!({
        "uid": asked["request"]["uid"], "result": {"status": "Success"}, "convertedObjects": objects,
    });
    Reply::Json(json!({"kind": "ConversionReview", "apiVersion": asked["apiVersion"], "response": response}))
}

/// The objects of a request, each changed.
fn each(asked: &Value, change: impl Fn(&mut Value)) -> Reply {
    let mut objects = asked["request"]["objects"].clone();
    objects.as_array_mut().expect("objects").iter_mut().for_each(|object| {
        object["apiVersion"] = asked["request"]["desiredAPIVersion"].clone();
        change(object);
    });
    converted(asked, &objects)
}

async fn convert(
    answer: impl Fn(&Value) -> Reply + Send + Sync + 'static,
    objects: Vec<Value>,
) -> Result<Vec<Value>, String> {
    let server = Server::start(move |_, review| answer(&review)).await;
    let webhook = json!({"clientConfig": server.client_config("convert"), "conversionReviewVersions": ["v2", "v1"]});
    let webhook = ConversionWebhook::new(&webhook);
    let as_list = objects.len() > 1;
    webhook.convert(&Fixture::default(), objects, "a.example.com/v2", as_list).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn only_what_is_in_another_version_is_sent_and_the_order_stays() {
    let answer = |asked: &Value| {
        assert_eq!(asked["request"]["objects"].as_array().map(Vec::len), Some(2));
        each(asked, |object| {
            object["metadata"]["labels"] = json!({"l": "new"});
            object["metadata"]["resourceVersion"] = json!("9");
            object["spec"] = json!({"converted": true});
        })
    };
    let objects = vec![object("v1", "a"), object("v2", "b"), object("v1", "c")];
    let all = convert(answer, objects).await.unwrap();
    let of = |pointer: &str| all.iter().map(|own| own.pointer(pointer).cloned()).collect::<Vec<_>>();
    assert_eq!(of("/metadata/name"), [Some(json!("a")), Some(json!("b")), Some(json!("c"))]);
    assert_eq!(of("/spec/converted"), [Some(json!(true)), None, Some(json!(true))]);
    // Labels are the webhook's to change, the rest of the metadata is not.
    assert_eq!(of("/metadata/labels/l"), [Some(json!("new")), Some(json!("old")), Some(json!("new"))]);
    assert_eq!(of("/metadata/resourceVersion"), [Some(json!("7")), Some(json!("7")), Some(json!("7"))]);
}

#[tokio::test]
async fn lies_are_refused_in_upstreams_words() {
    type Lie = fn(&Value) -> Reply;
    let table: [(Lie, &str); 9] = [
        (|asked| converted(asked, &json!([])), "returned 0 objects, expected 1"),
        (
            |asked| converted(asked, &asked["request"]["objects"]),
            "returned invalid object at index 0: invalid groupVersion (expected a.example.com/v2, received a.example.com/v1)",
        ),
        (
            |asked| each(asked, |object| object["kind"] = json!("Other")),
            "returned invalid object at index 0: invalid kind (expected Thing, received Other)",
        ),
        (
            |asked| each(asked, |object| object["metadata"]["name"] = json!("b")),
            "returned invalid object: must have the same name: a != b",
        ),
        (
            |asked| each(asked, |object| object["metadata"]["uid"] = json!("other")),
            "returned invalid object: must have the same UID: uid-a != other",
        ),
        (
            |asked| each(asked, |object| object["metadata"]["labels"]["l"] = json!(1)),
            "returned invalid metadata: metadata.labels[l] must be a string, but is int64 in converted object",
        ),
        (
            |asked| {
                let result = json!({"status": "Failure", "message": "cannot"});
                let response = json!({"uid": asked["request"]["uid"], "result": result});
                Reply::Json(
                    json!({"kind": "ConversionReview", "apiVersion": asked["apiVersion"], "response": response}),
                )
            },
            "failed: cannot",
        ),
        (
            |asked| Reply::Json(json!({"kind": "ConversionReview", "apiVersion": asked["apiVersion"]})),
            "failed: no response provided",
        ),
        (|_| Reply::Raw(404, Vec::new()), "failed: the server could not find the requested resource"),
    ];
    for (lie, expected) in table {
        let error = convert(lie, vec![object("v1", "a")]).await.unwrap_err();
        assert_eq!(error, format!("conversion webhook for a.example.com/v1, Kind=Thing {expected}"));
    }
    assert_eq!(described(&object("v1", "a"), true), "a.example.com/v1, Kind=ThingList");
}
