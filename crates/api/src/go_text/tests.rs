use super::*;
use json::json;

#[test]
fn quote_escapes_as_strconv_does() {
    assert_eq!(quote("a\"b\\c\n\u{7}\u{1}\u{7f}"), r#""a\"b\\c\n\a\x01\x7f""#);
    assert_eq!(quote("é 世 \u{301}"), "\"é 世 \u{301}\"");
    assert_eq!(quote("\u{a0}\u{200b}\u{e000}\u{10ffff}"), r#""\u00a0\u200b\ue000\U0010ffff""#);
}

#[test]
fn json_escapes_html_and_keeps_order() {
    assert_eq!(
        json(&json!({"b": "<&>", "a": [1, null, true, 1.5]})),
        r#"{"b":"\u003c\u0026\u003e","a":[1,null,true,1.5]}"#
    );
    assert_eq!(json(&json!([1e-7, 1e21, 0.00001])), "[1e-7,1e+21,0.00001]");
}

#[test]
fn floats_print_as_percent_v() {
    for (value, text) in
        [(1.0, "1"), (0.00001, "1e-05"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (-2.5, "-2.5"), (0.0, "0")]
    {
        assert_eq!(float(value), text);
    }
}

#[test]
fn values_print_as_percent_v() {
    assert_eq!(
        percent_v(&json!({"b": [1, "x", null, true], "a": {}, "c": 1.5})),
        "map[a:map[] b:[1 x <nil> true] c:1.5]"
    );
}
