use super::*;
use json::json;
use proptest::prelude::*;

/// Hexadecimal digits as bytes.
fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

#[test]
fn values_are_written_as_upstream_writes_them() {
    for (value, expect) in [
        (json!({"kind": "Pod", "a": [1, -1, true, null]}), "d9d9f7 a2 446b696e64 43506f64 4161 84 01 20 f5 f6"),
        (json!(24), "d9d9f7 1818"),
        (json!(1000), "d9d9f7 1903e8"),
        (json!(i64::MIN), "d9d9f7 3b7fffffffffffffff"),
        (json!(1.5), "d9d9f7 f93e00"),
        (json!(100_000.5), "d9d9f7 fa47c35040"),
        (json!(1.1), "d9d9f7 fb3ff199999999999a"),
        (json!(-0.0), "d9d9f7 f98000"),
    ] {
        assert_eq!(encode(&value), bytes(expect), "{value}");
        assert_eq!(decode(&bytes(expect)), Ok(value), "{expect}");
    }
}

#[test]
fn what_is_stored_is_sorted_by_length_and_what_is_read_by_name() {
    let value = json!({"name": 1, "b": {"bb": 2, "c": 3}, "aa": 4});
    assert_eq!(encode_sorted(&value), bytes("d9d9f7 a3 4162 a2 4163 03 426262 02 426161 04 446e616d65 01"));
    let read = decode(&encode_sorted(&value)).unwrap();
    assert_eq!(read.to_string(), r#"{"aa":4,"b":{"bb":2,"c":3},"name":1}"#);
}

#[test]
fn other_forms_of_the_same_are_read() {
    for (given, expect) in [
        ("63 616263", json!("abc")),
        ("7f 61 61 62 6263 ff", json!("abc")),
        ("9f 01 02 ff", json!([1, 2])),
        ("bf 61 61 01 ff", json!({"a": 1})),
        ("d6 43 010203", json!("AQID")),
        ("d5 42 fbff", json!("-_8")),
        ("d7 42 0aff", json!("0aff")),
        ("c0 74 323031332d30332d32315432303a30343a30305a", json!("2013-03-21T20:04:00Z")),
        ("c1 1a 514b67b0", json!("2013-03-21T20:04:00Z")),
        ("d9 d9f7 d9 d9f7 f4", json!(false)),
        ("fa 3fc00000", json!(1.5)),
        ("f9 0001", json!(5.960464477539063e-8)),
    ] {
        assert_eq!(decode(&bytes(given)), Ok(expect), "{given}");
    }
}

#[test]
fn what_json_has_no_form_for_is_refused() {
    for (given, expect) in [
        ("", Error::Truncated),
        ("5b 7fffffffffffffff 00", Error::Truncated),
        ("9b ffffffffffffffff", Error::Truncated),
        ("01 02", Error::Extraneous(1, 1)),
        ("1c", Error::Malformed(28, 0)),
        ("ff", Error::Malformed(31, 7)),
        ("7f 41 61 ff", Error::Malformed(1, 2)),
        ("61 ff", Error::Utf8),
        ("a2 61 61 01 41 61 02", Error::Duplicate("a".to_owned(), 1)),
        ("a1 01 02", Error::NoForm("a map key that is no string")),
        ("1b ffffffffffffffff", Error::NoForm("an integer of more than 64 bits")),
        ("c2 41 01", Error::NoForm("a bignum")),
        ("f7", Error::NoForm("a simple value that JSON does not have")),
        ("f9 7e00", Error::NoForm("a float that is no number")),
    ] {
        assert_eq!(decode(&bytes(given)), Err(expect), "{given}");
    }
    assert_eq!(decode(&[0x81; 100_000]), Err(Error::TooDeep));
    assert_eq!(decode(&[0xc6; 100_000]), Err(Error::TooDeep));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has finite numbers", |float| Number::from_f64(float).map(Value::Number)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".*", inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(value in any_value()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }
}
