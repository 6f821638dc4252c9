use super::*;
use crate::field::Path;
use json::json;
use proptest::prelude::*;

fn parse(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn fault(text: &str) -> String {
    Selector::parse(text).expect_err(text).to_string()
}

#[test]
fn selectors_print_sorted_and_normalised() {
    for (text, printed) in [
        ("", ""),
        ("a=b", "a=b"),
        ("b=1,a=2", "a=2,b=1"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        (" a  ==\tb , c != d ", "a==b,c!=d"),
        ("!a,b", "!a,b"),
        ("a=,b!=", "a=,b!="),
        ("a>1,b<2", "a>1,b<2"),
        ("in in (in,notin)", "in in (in,notin)"),
        ("a=in", "a=in"),
        ("a in (,)", "a in ()"),
        ("example.com/a=b", "example.com/a=b"),
    ] {
        assert_eq!(parse(text).to_string(), printed, "{text:?}");
    }
}

#[test]
fn each_operator_matches_as_upstream() {
    let labels = [("a", "1"), ("b", "x")];
    for (text, expected) in [
        ("", true),
        ("a", true),
        ("c", false),
        ("!c", true),
        ("!a", false),
        ("a=1", true),
        ("a==2", false),
        ("a!=2", true),
        ("c!=2", true),
        ("c=", false),
        ("a in (1,2)", true),
        ("a in (2)", false),
        ("c notin (1)", true),
        ("a notin (1)", false),
        ("a>0", true),
        ("a>1", false),
        ("a<2", true),
        ("b>0", false),
        ("c<5", false),
        ("a=1,b=y", false),
    ] {
        assert_eq!(parse(text).matches(&labels), expected, "{text:?}");
    }
}

#[test]
fn faults_are_told_as_upstream() {
    for (text, message) in [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!=a", "found '!=', expected: !, identifier, or 'end of string'"),
        ("a==", ""),
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        (
            "a>b",
            r#"unable to parse requirement: values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer"#,
        ),
        (
            "a=-",
            r#"unable to parse requirement: values[0][a]: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"#,
        ),
        (
            "-=a",
            r#"unable to parse requirement: <nil>: Invalid value: "-": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"#,
        ),
    ] {
        if message.is_empty() {
            parse(text);
        } else {
            assert_eq!(fault(text), message, "{text:?}");
        }
    }
}

#[test]
fn absent_objects_match_nothing_and_empty_ones_everything() {
    let object = |value| Selector::from_object(Some(&value)).expect("valid");
    assert!(!Selector::from_object(None).expect("valid").matches(&[("a", "b")]));
    assert!(!object(json!(null)).matches(&[("a", "b")]));
    assert!(object(json!({})).is_everything());
    let selector = object(json!({"matchLabels": {"a": "b"}, "matchExpressions": [
        {"key": "c", "operator": "In", "values": ["x", "y"]}, {"key": "d", "operator": "DoesNotExist"}]}));
    assert_eq!(selector.to_string(), "a=b,c in (x,y),!d");
    assert!(selector.matches_object(&json!({"metadata": {"labels": {"a": "b", "c": "x"}}})));
    assert!(!selector.matches_object(&json!({"metadata": {}})));
    assert_eq!(selector.requires_exact_match("a"), Some("b"));
    assert_eq!(selector.requires_exact_match("c"), None);
    let bad = Selector::from_object(Some(&json!({"matchExpressions": [{"key": "a", "operator": "x"}]})));
    assert_eq!(bad.expect_err("unknown").to_string(), r#""x" is not a valid label selector operator"#);
}

#[test]
fn validation_lists_every_fault_with_its_path() {
    let selector = json!({"matchLabels": {"a": "-"}, "matchExpressions": [
        {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["b"]},
        {"key": "", "operator": "Is"}, {"key": "a", "operator": "NotIn", "values": ["-"]}]});
    let errors = validate(Some(&selector), ValidateOptions::default(), &Path::new("spec").child("selector"));
    let texts: Vec<String> = errors.iter().map(|e| e.to_string().chars().take(75).collect()).collect();
    assert_eq!(
        texts,
        [
            r#"spec.selector.matchLabels: Invalid value: "-": a valid label must be an emp"#,
            r#"spec.selector.matchExpressions[0].values: Required value: must be specified"#,
            r#"spec.selector.matchExpressions[1].values: Forbidden: may not be specified w"#,
            r#"spec.selector.matchExpressions[2].operator: Invalid value: "Is": not a vali"#,
            r#"spec.selector.matchExpressions[2].key: Invalid value: "": name part must be"#,
            r#"spec.selector.matchExpressions[2].key: Invalid value: "": name part must co"#,
            r#"spec.selector.matchExpressions[3].values[0]: Invalid value: "-": a valid la"#,
        ]
    );
    assert!(has_invalid_value(Some(&selector)));
    assert_eq!(format(Some(&json!({}))), "<none>");
    assert_eq!(format(Some(&json!({"matchLabels": {"a": "-"}}))), "<error>");
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused(text in "[a-z!=<>(), \\-\u{0}é]{0,24}") {
        let _ = Selector::parse(&text);
    }

    #[test]
    fn printing_and_parsing_again_changes_nothing(text in "[ab](=[xy]?|!=x| in \\([xy](,[xyz]){0,3}\\)| notin \\(x\\)|>[0-9])?(,!?[cd]){0,2}") {
        let selector = parse(&text);
        prop_assert_eq!(parse(&selector.to_string()), selector);
    }
}
