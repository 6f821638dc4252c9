use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;

use crate::{Map, Text, Value, from_str, from_value, json, to_value};

#[test]
fn a_value_is_no_larger_than_serde_jsons() {
    assert!(size_of::<Value>() <= 32, "{}", size_of::<Value>());
    assert_eq!(size_of::<(Text, Value)>(), size_of::<Text>() + size_of::<Value>());
}

#[test]
fn the_macro_takes_what_json_and_rust_write() {
    let (name, list, none) = ("n".to_owned(), vec![1, 2], None::<i32>);
    let value = json!({
        "null": null, "flag": true, "list": [1, -2.5, [], {}, null, [null], list.len(), [1, 2].len(),],
        name.clone(): {"inner": list}, (format!("{name}{name}")): none, "a key of more than twenty-three bytes": "x",
    });
    assert_eq!(
        value.to_string(),
        concat!(
            r#"{"null":null,"flag":true,"list":[1,-2.5,[],{},null,[null],2,2],"n":{"inner":[1,2]},"nn":null,"#,
            r#""a key of more than twenty-three bytes":"x"}"#
        )
    );
    assert_eq!(json!(null), Value::Null);
    assert_eq!(json!(name), "n");
}

#[test]
fn members_keep_their_order_as_serde_json_keeps_it() {
    let mut map: Map = ["a", "b", "c", "d"].into_iter().map(|key| (key, Value::from(key))).collect();
    let keys = |map: &Map| map.keys().map(Text::as_str).collect::<String>();
    assert_eq!(map.insert("b", json!(2)), Some(json!("b")));
    assert_eq!(keys(&map), "abcd");
    assert_eq!(map.shift_remove("b"), Some(json!(2)));
    assert_eq!(keys(&map), "acd");
    assert_eq!(map.remove("a"), Some(json!("a")));
    assert_eq!(keys(&map), "dc");
    map.shift_insert(1, "x", Value::Null);
    map.entry("y").or_insert(Value::Null);
    assert_eq!(keys(&map), "dxcy");
    map.sort_keys();
    map.retain(|key, _| key != "x");
    assert_eq!(keys(&map), "cdy");
}

#[test]
fn objects_are_equal_and_hash_equal_in_any_order() {
    let (left, right) = (json!({"a": {"x": 1, "y": 2}, "b": 2}), json!({"b": 2, "a": {"y": 2, "x": 1}}));
    assert_eq!(left, right);
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(&left), hasher.hash_one(&right));
    assert_ne!(left, json!({"b": 2, "a": {"y": 2, "x": 3}}));
    assert_ne!(json!({"a": 1}), json!({"b": 1}));
    assert_ne!(json!(1), json!(1.0));
}

#[test]
fn an_object_of_100_000_members_is_read_found_and_emptied() {
    let text = format!("{{{}}}", (0..100_000).map(|n| format!("\"key-{n}\":{n}")).collect::<Vec<_>>().join(","));
    let mut value: Value = from_str(&text).unwrap();
    assert!((0..100_000).all(|n| value[format!("key-{n}")] == n));
    assert_eq!(value.to_string(), text);
    assert_eq!(value.clone(), value);
    let map = value.as_object_mut().unwrap();
    assert_eq!(map.shift_remove("key-50000"), Some(json!(50_000)));
    assert_eq!(map["key-50001"], 50_001);
    // Each takes a hash and a swap: a search of the vector for each would take minutes.
    assert!((0..100_000).all(|n| map.remove(&format!("key-{n}")).is_some() == (n != 50_000)));
    assert!(map.is_empty());
}

#[test]
fn an_index_reads_null_where_nothing_is_and_writes_into_null() {
    let mut value = json!({"list": [1]});
    assert_eq!(value["list"][0], 1);
    assert!(value["missing"]["below"][3].is_null());
    value["new"]["below"] = json!(true);
    value["list"][0] = json!("x");
    assert_eq!(value, json!({"list": ["x"], "new": {"below": true}}));
    assert_eq!(value.pointer("/new/below"), Some(&json!(true)));
    assert_eq!(value.pointer("/list/00"), None);
    assert_eq!(json!({"a/b~": 1}).pointer("/a~1b~0"), Some(&json!(1)));
}

#[test]
fn errors_are_serde_jsons() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in ["", "{", "[1,]", "{\"a\":1,}", "01", "1e999", "\"\\ud800\"", "nul", "{1:2}", "[] []", &deep] {
        let theirs = serde_json::from_str::<serde_json::Value>(text).unwrap_err().to_string();
        assert_eq!(from_str::<Value>(text).unwrap_err().to_string(), theirs, "{text}");
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Choice {
    Plain,
    One(u8),
    Two(u8, String),
    Named { inner: Option<f64> },
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Typed {
    name: String,
    choices: Vec<Choice>,
    counts: std::collections::BTreeMap<String, i64>,
    pair: (bool, char),
    absent: Option<Box<Typed>>,
}

#[test]
fn types_go_there_and_back_as_with_serde_json() {
    let typed = || Typed {
        name: "n".into(),
        choices: vec![Choice::Plain, Choice::One(1), Choice::Two(2, "t".into()), Choice::Named { inner: Some(0.5) }],
        counts: [("a".to_owned(), -1)].into(),
        pair: (true, 'c'),
        absent: None,
    };
    let value = to_value(typed()).unwrap();
    assert_eq!(value.to_string(), serde_json::to_value(typed()).unwrap().to_string());
    assert_eq!(from_value::<Typed>(value).unwrap(), typed());
    let numbered = std::collections::BTreeMap::from([(3, true)]);
    assert_eq!(json!(numbered), json!({"3": true}));
    for wrong in [json!("x"), json!({"name": 1}), json!({"name": "n", "choices": ["Unknown"]}), json!({"choices": [3]})]
    {
        let theirs: serde_json::Value = from_str(&wrong.to_string()).unwrap();
        let theirs = serde_json::from_value::<Typed>(theirs).unwrap_err().to_string();
        assert_eq!(from_value::<Typed>(wrong).unwrap_err().to_string(), theirs);
    }
}

fn documents() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Theirs;
    let leaf = prop_oneof![
        Just(Theirs::Null),
        any::<bool>().prop_map(Theirs::from),
        any::<i64>().prop_map(Theirs::from),
        any::<u64>().prop_map(Theirs::from),
        any::<f64>().prop_map(Theirs::from),
        ".{0,40}".prop_map(Theirs::from),
    ];
    leaf.prop_recursive(4, 64, 30, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Theirs::from),
            prop::collection::vec((".{0,30}", inner), 0..40).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_document_is_read_written_and_shown_as_by_serde_json(document in documents()) {
        let text = document.to_string();
        let theirs: serde_json::Value = from_str(&text).unwrap();
        let ours: Value = from_str(&text).unwrap();
        prop_assert_eq!(ours.to_string(), theirs.to_string());
        prop_assert_eq!(format!("{ours:#}"), format!("{theirs:#}"));
        prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        prop_assert_eq!(to_value(&theirs).unwrap(), ours);
    }
}
