use super::*;
use crate::status::Status;
use json::json;

fn apply(document: Value, patch: Value) -> Result<Value, Error> {
    Patch::decode(patch, true)?.apply(document)
}

fn check(document: Value, patch: Value, expected: Value) {
    let told = format!("{document} + {patch}");
    assert_eq!(apply(document, patch), Ok(expected), "{told}");
}

fn refuse(document: Value, patch: Value) {
    let told = format!("{document} + {patch}");
    assert!(matches!(apply(document, patch), Err(Error::NotApplicable(_))), "{told}");
}

#[test]
fn each_operation_does_what_the_rfc_says() {
    check(json!({"a": 1}), json!([{"op": "add", "path": "/b", "value": 2}]), json!({"a": 1, "b": 2}));
    check(json!({"a": [1, 3]}), json!([{"op": "add", "path": "/a/1", "value": 2}]), json!({"a": [1, 2, 3]}));
    check(json!({"a": [1]}), json!([{"op": "add", "path": "/a/-", "value": 2}]), json!({"a": [1, 2]}));
    check(json!({"a": 1, "b": 2}), json!([{"op": "remove", "path": "/a"}]), json!({"b": 2}));
    check(json!({"a": [1, 2]}), json!([{"op": "replace", "path": "/a/0", "value": 9}]), json!({"a": [9, 2]}));
    check(
        json!({"a": {"x": 1}, "b": {}}),
        json!([{"op": "move", "from": "/a/x", "path": "/b/y"}]),
        json!({"a": {}, "b": {"y": 1}}),
    );
    check(json!({"a": [1]}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"a": [1], "b": [1]}));
    check(
        json!({"a": {"b": [1]}}),
        json!([{"op": "test", "path": "/a", "value": {"b": [1]}}]),
        json!({"a": {"b": [1]}}),
    );
    check(
        json!({"a/b": {"c~d": 1}}),
        json!([{"op": "replace", "path": "/a~1b/c~0d", "value": 2}]),
        json!({"a/b": {"c~d": 2}}),
    );
}

#[test]
fn upstreams_leniencies_are_kept() {
    check(json!({}), json!([{"op": "replace", "path": "/a", "value": 1}]), json!({"a": 1}));
    check(json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/-1"}]), json!({"a": [1]}));
    check(json!({"a": [1, 2]}), json!([{"op": "add", "path": "/a/-1", "value": 3}]), json!({"a": [1, 2, 3]}));
    check(json!({}), json!([{"op": "test", "path": "/a", "value": null}]), json!({}));
    check(json!({}), json!([{"op": "test", "path": "/a"}]), json!({}));
    check(json!({}), json!([{"op": "copy", "from": "/a", "path": "/b"}]), json!({"b": null}));
    check(json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {"b": 1}}]), json!({"b": 1}));
    check(json!({"a": 1}), json!(null), json!({"a": 1}));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    for patch in [
        json!([{"op": "remove", "path": "/x"}]),
        json!([{"op": "add", "path": "/x/y", "value": 1}]),
        json!([{"op": "add", "path": "/l/3", "value": 1}]),
        json!([{"op": "replace", "path": "/l/2", "value": 1}]),
        json!([{"op": "replace", "path": "/l/x", "value": 1}]),
        json!([{"op": "remove", "path": "/l/-3"}]),
        json!([{"op": "test", "path": "/l/0", "value": 2}]),
        json!([{"op": "test", "path": "/l", "value": [1, 2.0]}]),
        json!([{"op": "move", "from": "/x", "path": "/y"}]),
        json!([{"op": "add", "path": "", "value": {}}]),
        json!([{"op": "add", "value": {}}]),
        json!([{"op": "spin", "path": "/l"}]),
        json!([{"path": "/l"}]),
        json!([null]),
        json!([{"op": "add", "path": "/s/x", "value": 1}]),
    ] {
        refuse(json!({"l": [1, 2], "s": "text"}), patch);
    }
}

#[test]
fn malformed_patches_are_told_as_encoding_json_does() {
    for (patch, strict, message) in [
        (
            json!({}),
            true,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (json!({}), false, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (
            json!(["x"]),
            true,
            "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp",
        ),
        (json!([1]), false, "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
        (
            json!([{"op": 1}]),
            true,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
    ] {
        assert_eq!(Patch::decode(patch, strict), Err(Error::Malformed(message.into())));
    }
    let patch = Patch::decode(json!([{"op": "add", "path": "/a", "vale": 1}]), true).expect("a list of operations");
    assert_eq!(patch.unknown_fields, [r#"json patch unknown field "[0].vale""#]);
}

#[test]
fn sizes_are_bounded_and_told_with_upstreams_code() {
    let many = vec![json!({"op": "test", "path": "/a"}); MAX_JSON_PATCH_OPERATIONS + 1];
    let status = Status::from(Patch::decode(many.into(), false).expect_err("too many"));
    assert_eq!(
        (status.code, status.message.as_str()),
        (413, "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001")
    );
    let doubling: Vec<Value> = (0..64).map(|_| json!({"op": "copy", "from": "/a", "path": "/a/-"})).collect();
    let status = Status::from(apply(json!({"a": ["x".repeat(100)]}), doubling.into()).expect_err("too large"));
    assert_eq!(
        (status.code, status.message.as_str()),
        (422, "the server rejected our request due to an error in our request")
    );
}
