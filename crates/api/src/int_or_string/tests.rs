use super::*;
use json::json;

#[test]
fn percentages_are_rounded_as_asked() {
    for (value, total, up, expected) in [
        (json!(3), 10, true, 3),
        (json!("25%"), 10, true, 3),
        (json!("25%"), 10, false, 2),
        (json!("100%"), 7, false, 7),
        (json!("0%"), 7, true, 0),
        (json!("-25%"), 10, true, -2),
    ] {
        assert_eq!(scaled(Some(&value), total, up), Ok(expected), "{value} of {total}");
    }
}

#[test]
fn faults_are_told_as_upstream() {
    for (value, message) in [
        (json!("3"), "invalid value for IntOrString: invalid type: string is not a percentage"),
        (
            json!("x%"),
            r#"invalid value for IntOrString: invalid value "x%": strconv.Atoi: parsing "x": invalid syntax"#,
        ),
        (json!(null), "nil value for IntOrString"),
        (json!(true), "invalid value for IntOrString: invalid type: neither int nor percentage"),
    ] {
        assert_eq!(scaled(Some(&value), 1, true).expect_err("refused").to_string(), message);
    }
    assert_eq!((text(&json!(80)), text(&json!("http"))), ("80".into(), "http".into()));
}
