use super::*;
use json::json;

#[test]
fn paths_print_as_upstream() {
    let containers = Path::new("spec").child("containers");
    assert_eq!(containers.index(0).child("name").to_string(), "spec.containers[0].name");
    assert_eq!(Path::new("metadata").child("labels").key("a/b").to_string(), "metadata.labels[a/b]");
    assert_eq!(Path::nil().to_string(), "<nil>");
    assert_eq!(Path::nil().child("metadata").to_string(), "metadata");
    assert_eq!(Path::nil().index(1).child("x").to_string(), "[1].x");
}

#[test]
fn each_kind_renders_as_upstream() {
    let p = Path::new("f");
    for (error, text) in [
        (Error::invalid(&p, "a\"b", "why"), r#"f: Invalid value: "a\"b": why"#),
        (Error::invalid(&p, 3, "why"), "f: Invalid value: 3: why"),
        (Error::invalid(&p, 0.00001, ""), "f: Invalid value: 1e-05"),
        (Error::invalid(&p, true, "why"), "f: Invalid value: true: why"),
        (Error::invalid(&p, json!({"a": "<"}), "why"), r#"f: Invalid value: {"a":"\u003c"}: why"#),
        (Error::invalid(&p, json!(null), "why"), "f: Invalid value: null: why"),
        (Error::type_invalid(&p, "x", "why"), r#"f: Invalid value: "x": why"#),
        (Error::required(&p, ""), "f: Required value"),
        (Error::required(&p, "why"), "f: Required value: why"),
        (Error::forbidden(&p, "why"), "f: Forbidden: why"),
        (Error::duplicate(&p, "x"), r#"f: Duplicate value: "x""#),
        (Error::not_found(&p, "x"), r#"f: Not found: "x""#),
        (Error::not_supported(&p, "x", ["a", "b"]), r#"f: Unsupported value: "x": supported values: "a", "b""#),
        (Error::not_supported(&p, "x", [""; 0]), r#"f: Unsupported value: "x""#),
        (Error::too_long(&p, 63), "f: Too long: may not be more than 63 bytes"),
        (Error::too_long_characters(&p, 1), "f: Too long: may not be more than 1 character"),
        (Error::too_short(&p, "", 1), "f: Too short: must be at least 1 character"),
        (Error::too_many(&p, Some(3), 2), "f: Too many: 3: must have at most 2 items"),
        (Error::too_many(&p, None, 1), "f: Too many: must have at most 1 item"),
        (Error::too_few(&p, 0, 1), "f: Too few: 0: must have at least 1 item"),
        (Error::internal(&p, &"boom"), "f: Internal error: boom"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn lists_join_as_an_aggregate() {
    let p = Path::new("f");
    let mut errors = ErrorList::new();
    assert_eq!(errors.message(), None);
    errors.push(Error::required(&p, ""));
    errors.push(Error::required(&p, ""));
    assert_eq!(errors.message().as_deref(), Some("f: Required value"));
    errors.push(Error::forbidden(&p, "no"));
    assert_eq!(errors.message().as_deref(), Some("[f: Required value, f: Forbidden: no]"));
    assert_eq!(errors.len(), 3);
}
