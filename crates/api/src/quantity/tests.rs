use super::*;
use json::Value;
use proptest::prelude::*;

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn canonical_form_has_no_fraction_and_the_largest_suffix() {
    for (text, canonical) in [
        ("0", "0"),
        ("1.5", "1500m"),
        ("1000m", "1"),
        ("1024Mi", "1Gi"),
        ("1025Ki", "1025Ki"),
        ("0.5Gi", "512Mi"),
        ("1.1Ki", "1126400m"),
        ("100Ki", "100Ki"),
        ("1e3", "1e3"),
        ("1000", "1k"),
        ("123456789", "123456789"),
        ("1.250k", "1.250k"),
        ("+5", "+5"),
        ("-0.001", "-1m"),
        ("0.0000000001", "1n"),
        ("1e-12", "1e-9"),
        ("9223372036854775807", "9223372036854775807"),
        ("16Ei", "9223372036854775807"),
        ("1e100", "10e99"),
        (".", "0"),
    ] {
        assert_eq!(quantity(text).to_string(), canonical, "{text:?}");
    }
}

#[test]
fn bad_texts_are_refused_with_upstreams_reason() {
    for (text, error) in [
        ("", Error::FormatWrong),
        ("x", Error::FormatWrong),
        ("1.2.3", Error::FormatWrong),
        ("1 ", Error::FormatWrong),
        ("--1", Error::Suffix),
        ("1K", Error::Suffix),
        ("1mm", Error::Suffix),
        ("1e", Error::Suffix),
        ("1Ki1", Error::Suffix),
    ] {
        assert_eq!(Quantity::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn values_round_away_from_zero() {
    assert_eq!((quantity("1.1").value(), quantity("-1.1").value()), (2, -2));
    assert_eq!((quantity("100m").milli_value(), quantity("1u").milli_value()), (100, 1));
    assert_eq!(quantity("1e30").value(), i64::MAX);
    assert_eq!((quantity("1Ki").as_i64(), quantity("1m").as_i64()), (Some(1024), None));
    let mut q = quantity("1001m");
    assert!(!q.round_up(0));
    assert_eq!(q.to_string(), "2");
}

#[test]
fn sums_keep_the_format_of_the_first_that_is_not_zero() {
    let mut sum = Quantity::default();
    sum.add(&quantity("1Gi"));
    sum.add(&quantity("512Mi"));
    assert_eq!(sum.to_string(), "1536Mi");
    sum.sub(&quantity("1536Mi"));
    assert_eq!(sum.to_string(), "0");
    let mut cpu = quantity("1");
    cpu.sub(&quantity("250m"));
    assert_eq!(cpu.to_string(), "750m");
    assert!(
        quantity("1") == quantity("1000m") && quantity("1k") < quantity("1Ki") && quantity("1e99") > quantity("1E")
    );
}

/// Computed by upstream's resource package v0.37: text, canonical text or error, Value, MilliValue.
#[test]
fn texts_and_values_are_those_upstream_computes() {
    let golden: Value = json::from_str(include_str!("../../testdata/quantity.json")).expect("golden is JSON");
    for row in golden["parse"].as_array().expect("rows") {
        let (text, expected) = (row[0].as_str().expect("text"), row[1].as_str().expect("canonical"));
        let parsed = Quantity::parse(text);
        let printed = parsed.as_ref().map_or_else(|error| format!("error: {error}"), |q| q.to_string());
        assert_eq!(printed, expected, "{text:?}");
        if let (Ok(q), Some(value)) = (parsed, row[2].as_i64()) {
            assert_eq!(Some(q.value()), Some(value), "{text:?}");
            assert_eq!(Some(q.milli_value()), row[3].as_i64(), "{text:?}");
        }
    }
    for row in golden["pairs"].as_array().expect("rows") {
        let cell = |i: usize| row[i].as_str().expect("a cell");
        let (a, b) = (quantity(cell(0)), quantity(cell(1)));
        let (mut sum, mut difference) = (a.clone(), a.clone());
        sum.add(&b);
        difference.sub(&b);
        let order = format!("{}", a.cmp(&b) as i8);
        assert_eq!([sum.to_string().as_str(), &difference.to_string(), &order], [cell(2), cell(3), cell(4)], "{row}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[-+]?[0-9.]{0,60}[a-zA-Z]{0,3}[-+]?[0-9]{0,12}") {
        if let Ok(q) = Quantity::parse(&text) {
            let _ = (q.to_string(), q.value(), q.milli_value());
        }
    }

    #[test]
    fn canonical_text_reads_back_as_the_same_value(
        number in "-?[0-9]{1,12}(\\.[0-9]{1,9})?", suffix in "(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]|e-[0-9])"
    ) {
        let q = quantity(&format!("{number}{suffix}"));
        let written = Quantity { text: None, ..q.clone() }.to_string();
        // Powers beyond exa have no suffix: upstream drops them, so only what has one reads back.
        if q.format() != Format::DecimalSI || q.to_f64().abs() < 1e18 {
            prop_assert_eq!(&quantity(&written), &q);
            prop_assert_eq!(quantity(&written).to_string(), written);
        }
    }

    #[test]
    fn adding_and_subtracting_again_changes_nothing(a in any::<i32>(), b in any::<i32>(), milli in any::<bool>()) {
        let make = |value: i32| if milli { Quantity::from_milli(value.into(), Format::DecimalSI) } else { Quantity::new(value.into(), Format::DecimalSI) };
        let mut sum = make(a);
        sum.add(&quantity("0.5"));
        sum.add(&make(b));
        sum.sub(&make(b));
        sum.sub(&quantity("500m"));
        prop_assert_eq!(sum, make(a));
        prop_assert_eq!(make(a).cmp(&make(b)), a.cmp(&b));
    }
}
