use super::{Pattern, compile};

/// Expression, text, whether Go finds a match.
const MATCHES: [(&str, &str, bool); 24] = [
    ("^[a-z]+$", "abc", true),
    ("^[a-z]+$", "aBc", false),
    (r"^\d+$", "12", true),
    (r"^\d+$", "١٢", false),
    (r"^\w$", "é", false),
    (r"^[\w-]+$", "a-b", true),
    (r"^[\d.]+$", "1.2", true),
    ("^[[]$", "[", true),
    ("^[]a]$", "]", true),
    ("^[a&&b]$", "&", true),
    ("^[^]]$", "a", true),
    ("^a{2}$", "aa", true),
    ("^a{,2}$", "a{,2}", true),
    ("^{}$", "{}", true),
    (r"^\Qa.b\E$", "a.b", true),
    (r"^\Qa.b\E$", "axb", false),
    ("(?i)^abc$", "ABC", true),
    ("^(?P<n>a)(?:b)$", "ab", true),
    ("^[[:alpha:]]$", "a", true),
    (r"^\p{L}+$", "äß", true),
    (r"^\x41\x{42}$", "AB", true),
    (r"^a\/b\-c$", "a/b-c", true),
    ("^$|^a$", "", true),
    (r"\bword\b", "a word.", true),
];

#[test]
fn expressions_mean_what_they_mean_to_go() {
    for (pattern, text, matches) in MATCHES {
        assert_eq!(Pattern::new(pattern).matches(text), Ok(matches), "{pattern} {text}");
    }
}

#[test]
fn faults_are_told_in_the_words_of_go() {
    for (pattern, message) in [
        ("*", "error parsing regexp: missing argument to repetition operator: `*`"),
        ("a**", "error parsing regexp: invalid nested repetition operator: `**`"),
        ("(a", "error parsing regexp: missing closing ): `(a`"),
        ("a)", "error parsing regexp: unexpected ): `a)`"),
        ("[a", "error parsing regexp: missing closing ]: `[a`"),
        ("(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
        ("(?<!a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?<!`"),
        (r"\y", r"error parsing regexp: invalid escape sequence: `\y`"),
        ("a{1001}", "error parsing regexp: invalid repeat count: `{1001}`"),
        (r"a\", "error parsing regexp: trailing backslash at end of expression: ``"),
    ] {
        assert_eq!(compile(pattern).map(|_| ()).unwrap_err().to_string(), message, "{pattern}");
    }
}

#[test]
fn flags_alone_open_no_group() {
    assert_eq!(Pattern::new("(?s)a.b").matches("a\nb"), Ok(true));
    assert!(compile("(?s)a)").is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(pattern in r"[a-c\[\]\(\)\\\*\+\?\{\},\^\$|:0-9-]{0,16}") {
        let _ = compile(&pattern);
    }
}
