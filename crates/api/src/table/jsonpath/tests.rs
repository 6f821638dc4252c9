use super::*;
use json::json;
use proptest::prelude::*;

fn object() -> Value {
    json!({
        "a": {"b": 1, "c.d": 2, "e-f": 3},
        "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2.5, "ok": true}, {"n": "z)", "v": 3}],
        "null": null,
    })
}

fn find(path: &str) -> Value {
    let object = object();
    let path = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    path.find(&object).map_or_else(|error| error.to_string().into(), |v| v.into_iter().map(Cow::into_owned).collect())
}

#[test]
fn each_kind_of_part_finds_what_upstream_finds() {
    for (path, expected) in [
        (".a.b", json!([1])),
        ("a.b", json!([1])),
        ("$.a.b", json!([1])),
        (r".a.c\.d", json!([2])),
        (r".a['c\.d']", json!([2])),
        (".a['e-f']", json!([3])),
        (".a.*", json!([1, 2, 3])),
        (".list[0].n", json!(["x"])),
        (".list[-1].n", json!(["z)"])),
        (".list[*].v", json!([1, 2.5, 3])),
        (".list[0:2].n", json!(["x", "y"])),
        (".list[::2].n", json!(["x", "z)"])),
        (".list[0,2].n", json!(["x", "z)"])),
        (r#".list[?(@.n=="y")].v"#, json!([2.5])),
        (r#".list[?(@.n=='z)')].v"#, json!([3])),
        (".list[?(@.v>1)].n", json!(["y", "z)"])),
        (".list[?(@.v <= 2.5)].n", json!(["x", "y"])),
        (".list[?(@.ok)].n", json!(["y"])),
        (".list[?(@.ok==true)].n", json!(["y"])),
        (r#".list[?(@.n!="y")].v"#, json!([1, 3])),
        ("..n", json!(["x", "y", "z)"])),
        (".missing.deep", json!([])),
        (".null", json!([null])),
        (".null.x", json!([])),
    ] {
        let expected = if path == "a.b" { json!([]) } else { expected };
        assert_eq!(find(path), expected, "{path}");
    }
}

#[test]
fn faults_are_told() {
    assert_eq!(find(".list[9]"), "array index out of bounds: index 9, length 3");
    assert_eq!(find(".a[0]"), "map[string]interface {} is not array or slice");
    assert_eq!(find(r#".list[?(@.v=="x")]"#), "incompatible types for comparison");
    for (path, error) in [
        (".a[", Error::Unterminated("array")),
        (".a[x]", Error::Index("x".into())),
        (".a[?(@.b", Error::Unterminated("filter")),
        ("....a", Error::Recursive),
        ("#", Error::Unrecognized('#')),
        (".a[?(@.b=~1)]", Error::Operator("=".into())),
    ] {
        assert_eq!(JsonPath::parse(path), Err(error), "{path}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[.a-c\\[\\]0-9:,*?(@)=<\"' \\\\-]{0,20}") {
        if let Ok(path) = JsonPath::parse(&text) {
            let object = object();
            let _ = path.find(&object);
        }
    }
}
