use json::{Value, json};

use super::*;
use crate::field::Path;

fn node(schema: Value) -> Node {
    Node::compile(&schema).expect("the schema is structural")
}

#[test]
fn unknown_fields_are_dropped_and_told_unless_the_schema_keeps_them() {
    let node = node(json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"tight": {"type": "object", "properties": {"x": {"type": "string"}}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"c": {"type": "string"}}}},
        }},
    }}));
    let mut object = json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"}, "other": 1, "spec": {
        "a": "x", "z": 1, "free": {"any": {"thing": 1}, "tight": {"x": "1", "y": 2}},
        "list": [{"b": "1"}, {"d": 2}], "map": {"k": {"c": "1", "e": 2}}}});
    let dropped = prune(&mut object, Some(&node), true, true);
    assert_eq!(dropped, ["other", "spec.free.tight.y", "spec.list[1].d", "spec.map.k.e", "spec.z"]);
    assert_eq!(
        object,
        json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"}, "spec": {
            "a": "x", "free": {"any": {"thing": 1}, "tight": {"x": "1"}},
            "list": [{"b": "1"}, {}], "map": {"k": {"c": "1"}}}})
    );
}

#[test]
fn nulls_go_unless_they_are_allowed_or_have_a_default() {
    let node = node(json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "b": {"type": "string", "nullable": true},
        "c": {"type": "string", "default": "d"},
        "e": {"type": "object", "properties": {"f": {"type": "integer", "default": 1}}},
        "g": {"type": "array", "items": {"type": "object", "properties": {"h": {"type": "boolean", "default": true}}}},
    }}));
    let mut object = json!({"a": null, "b": null, "c": null, "e": {}, "g": [{}]});
    drop_nulls(&mut object, Some(&node));
    default(&mut object, Some(&node));
    assert_eq!(object, json!({"b": null, "c": "d", "e": {"f": 1}, "g": [{"h": true}]}));
    let once = object.clone();
    default(&mut object, Some(&node));
    assert_eq!(object, once);
}

#[test]
fn what_was_there_before_is_not_complained_about() {
    let node = node(json!({"type": "object", "properties": {
        "old": {"type": "string", "maxLength": 1},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}}},
        "atomic": {"type": "array", "items": {"type": "integer", "maximum": 1}},
    }}));
    let old = json!({"old": "long", "list": [{"k": "a", "v": 5}], "atomic": [5]});
    let new = json!({"old": "long", "list": [{"k": "b", "v": 1}, {"k": "a", "v": 5}], "atomic": [5, 1]});
    let found: Vec<String> = validate_update(&new, &old, &node, &Path::nil()).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["atomic[0]: Invalid value: 5: atomic[0] in body should be less than or equal to 1"]);
}

#[test]
fn sets_and_maps_hold_an_item_once() {
    let node = node(json!({"type": "object", "properties": {
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
    }}));
    let object = json!({"set": ["a", "b", "a", "a"], "map": [{"k": "x"}, {"k": "x"}]});
    let found: Vec<String> = validate_lists(&object, Some(&node)).iter().map(ToString::to_string).collect();
    assert_eq!(found, [r#"set[2]: Duplicate value: "a""#, r#"map[1]: Duplicate value: {"k":"x"}"#]);
}

#[test]
fn every_format_has_a_check() {
    for (name, good, bad) in [
        ("date-time", "2014-12-15T19:30:20.000Z", "2014-12-15"),
        ("date", "2006-01-02", "2006-13-02"),
        ("duration", "22 ns", "soon"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("mac", "01:23:45:67:89:ab", "01:23"),
        ("uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810"),
        ("uuid4", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b-58cc-1372-a567-0e02b2c3d479"),
        ("email", "a@b.c", "a"),
        ("hostname", "example.com", "exa_mple.com"),
        ("uri", "http://example.com/a", "a b"),
        ("byte", "aGVsbG8=", "a"),
        ("isbn10", "0321751043", "0321751044"),
        ("isbn13", "978-0321751041", "978-0321751042"),
        ("hexcolor", "#FFFFFF", "#FFFFF"),
        ("rgbcolor", "rgb(255,255,255)", "rgb(256,255,255)"),
        ("ssn", "111-22-3333", "11122333"),
        ("creditcard", "4111-1111-1111-1111", "4111-1111-1111-1112"),
        ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
        ("k8s-short-name", "a-b", "A"),
        ("k8s-long-name", "a.b", "a_b"),
    ] {
        let format = Format::of(name, Some(Kind::String), false).expect(name);
        assert!(format.matches(good), "{name} {good}");
        assert!(!format.matches(bad), "{name} {bad}");
    }
    assert_eq!(Format::of("nonsense", Some(Kind::String), false), None);
}

#[test]
fn an_item_without_its_keys_has_no_past() {
    let node = node(json!({"type": "object", "properties": {"l": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "string", "enum": ["a"]}}},
    }}}));
    let faults = |object: Value| validate_update(&object, &object, &node, &Path::nil()).message();
    assert_eq!(faults(json!({"l": [{"k": "x", "v": "b"}]})), None);
    assert_eq!(faults(json!({"l": [{"v": "a"}]})), Some("l[0].k: Required value".to_owned()));
}
