use super::*;
use json::json;

fn check(document: Value, patch: Value, expected: Value) {
    let told = format!("{document} + {patch}");
    assert_eq!(apply(document, patch, false), Ok(expected), "{told}");
}

#[test]
fn objects_merge_nulls_delete_and_the_rest_replaces() {
    check(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
    check(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
    check(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
    check(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
    check(json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]}));
    check(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
    check(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}));
    check(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}));
    check(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
}

#[test]
fn nulls_in_new_values_are_dropped_but_not_list_elements() {
    check(json!({}), json!({"a": [{"b": null}, null]}), json!({"a": [{}, null]}));
    check(json!({"a": 1}), json!({"a": {"b": null}}), json!({"a": {}}));
    check(json!({"a": {}}), json!({"a": [{"b": null}]}), json!({"a": [{"b": null}]}));
}

#[test]
fn what_is_no_object_is_refused_or_replaces_all() {
    assert_eq!(apply(json!({}), json!(null), true), Err(Error::Malformed("Invalid JSON Patch".into())));
    assert_eq!(apply(json!({}), json!(1), false), Err(Error::Malformed("Invalid JSON Patch".into())));
    check(json!({"a": 1}), json!([1]), json!([1]));
    assert_eq!(
        apply(json!({}), json!([1]), true).map_err(|e| e.to_string()),
        Err("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}".into())
    );
}

#[test]
fn other_fields_keep_their_order() {
    let patched = apply(json!({"a": 1, "b": 2, "c": 3}), json!({"a": null, "b": 4}), false).expect("applies");
    assert_eq!(patched.to_string(), r#"{"b":4,"c":3}"#);
}
