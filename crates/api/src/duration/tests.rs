use super::*;
use proptest::prelude::*;

#[test]
fn go_texts_are_read_and_written() {
    for (text, nanoseconds, written) in [
        ("0", 0, "0s"),
        ("1h2m3s", 3_723_000_000_000, "1h2m3s"),
        ("1.5h", 5_400_000_000_000, "1h30m0s"),
        ("90s", 90_000_000_000, "1m30s"),
        ("100ms", 100_000_000, "100ms"),
        ("1.5us", 1_500, "1.5µs"),
        ("-1ns", -1, "-1ns"),
        (".5s", 500_000_000, "500ms"),
        ("1.s", 1_000_000_000, "1s"),
        ("1s1s", 2_000_000_000, "2s"),
        ("1m0.001s", 60_001_000_000, "1m0.001s"),
    ] {
        assert_eq!(parse(text), Ok(nanoseconds), "{text}");
        assert_eq!(format(nanoseconds), written, "{text}");
    }
}

#[test]
fn faults_are_told_as_go_does() {
    for (text, message) in [
        ("", r#"time: invalid duration """#),
        ("x", r#"time: invalid duration "x""#),
        (".s", r#"time: invalid duration ".s""#),
        ("1", r#"time: missing unit in duration "1""#),
        ("1.2.3s", r#"time: missing unit in duration "1.2.3s""#),
        ("1d", r#"time: unknown unit "d" in duration "1d""#),
        ("9999999999h", r#"time: invalid duration "9999999999h""#),
    ] {
        assert_eq!(parse(text).expect_err(text).to_string(), message);
    }
}

#[test]
fn people_read_two_or_three_figures() {
    let (m, h, d) = (60, 3600, 24 * 3600);
    for (seconds, text) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * m, "2m"),
        (9 * m + 59, "9m59s"),
        (10 * m + 5, "10m"),
        (179 * m, "179m"),
        (3 * h, "3h"),
        (7 * h + 59 * m, "7h59m"),
        (8 * h + 59 * m, "8h"),
        (47 * h, "47h"),
        (48 * h, "2d"),
        (2 * d + h, "2d1h"),
        (8 * d + h, "8d"),
        (729 * d, "729d"),
        (730 * d, "2y"),
        (800 * d, "2y70d"),
        (365 * 8 * d + 5 * d, "8y"),
    ] {
        assert_eq!(human(seconds * 1_000_000_000), text, "{seconds}s");
    }
}

proptest! {
    #[test]
    fn any_duration_reads_back(nanoseconds in any::<i64>()) {
        prop_assert_eq!(parse(&format(nanoseconds)), Ok(nanoseconds));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+]?[0-9.hmsnuµ]{0,30}") {
        let _ = parse(&text);
    }
}
