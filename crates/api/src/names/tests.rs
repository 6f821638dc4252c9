use super::*;
use crate::field::{Error, Path};

const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_MESSAGE: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

fn valid(rule: fn(&str) -> Vec<String>, good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(rule(text), Vec::<String>::new(), "{text:?} is valid");
    }
    for text in bad {
        assert!(!rule(text).is_empty(), "{text:?} is invalid");
    }
}

#[test]
fn labels_and_subdomains_are_told_apart() {
    let long = "a".repeat(64);
    valid(is_dns1123_label, &["a", "ab", "0-0", &long[1..]], &["", "-a", "a-", "A", "a.b", "a_b", "é", &long]);
    valid(is_dns1123_subdomain, &["a", "a.b", "0.a-b"], &["", ".", "a.", "a..b", "a/b", "A"]);
    assert_eq!(is_dns1123_label("a.b"), ["must not contain dots"]);
    assert_eq!(is_dns1123_label("A_B"), [LABEL_MESSAGE]);
    assert_eq!(is_dns1123_label(&"A".repeat(64)), ["must be no more than 63 characters", LABEL_MESSAGE]);
    assert_eq!(is_dns1123_subdomain("A"), [SUBDOMAIN_MESSAGE]);
}

#[test]
fn other_dns_shapes_are_checked() {
    valid(is_dns1035_label, &["a", "a-1"], &["1a", "", "a-", "a.b"]);
    valid(is_wildcard_dns1123_subdomain, &["*.a", "*.a.b"], &["*", "*.", "a", "*a.b"]);
    valid(is_dns1123_subdomain_with_underscore, &["_a.b_c", "a"], &["a_", "__a", "a._"]);
}

#[test]
fn label_keys_and_values_have_their_own_texts() {
    valid(is_qualified_name, &["a", "A.b_c-d", "example.com/a"], &["", "/a", "a/", "a/b/c", "-a", "EXAMPLE.com/a"]);
    valid(is_valid_label_value, &["", "a", "A.b_c-d"], &["-", "a b", "é"]);
    assert_eq!(
        is_qualified_name("a b"),
        [
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ]
    );
    assert_eq!(is_qualified_name(&"a".repeat(64)), ["name part must be no more than 63 bytes"]);
    assert_eq!(is_valid_label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
}

#[test]
fn keys_of_maps_and_environments_are_checked() {
    valid(is_config_map_key, &["a", "A.b_c", ".a"], &["", ".", "..", "..a", "a/b"]);
    valid(is_env_var_name, &["A", "_a", "a.b-c"], &["", "1a", "a b", ".."]);
    valid(is_relaxed_env_var_name, &["1 a", "~"], &["", "a=b", "é", "a\n"]);
    assert_eq!(is_config_map_key("..a"), ["must not start with '..'"]);
}

#[test]
fn path_segments_must_be_safe_in_urls() {
    assert_eq!(name_is_path_segment("..", false), ["may not be '..'"]);
    assert!(name_is_path_segment("..", true).is_empty());
    assert_eq!(name_is_path_segment("a/b%", false), ["may not contain '/'", "may not contain '%'"]);
    assert!(name_is_path_segment("system:Node", false).is_empty());
}

#[test]
fn a_generated_name_may_end_in_a_dash() {
    assert!(name_is_dns_label("a-", true).is_empty());
    assert!(!name_is_dns_label("a-", false).is_empty());
    assert!(!name_is_dns_label("-", true).is_empty());
    assert!(name_is_dns1035_label("web-", true).is_empty());
}

#[test]
fn ports_numbers_and_identifiers_are_checked() {
    valid(is_valid_port_name, &["http", "a1", "8a"], &["", "80", "-a", "a--b", "Http", "abcdefghijklmnop"]);
    valid(is_c_identifier, &["a", "_1"], &["", "1a", "a-b"]);
    valid(is_valid_percent, &["0%", "100%"], &["", "%", "1", "-1%", "1.5%"]);
    valid(is_decimal_integer, &["0", "-1", "10"], &["", "-", "01", "-0", "+1", "1a"]);
    assert_eq!(is_valid_port_num(0), ["must be between 1 and 65535, inclusive"]);
    assert!(is_valid_user_id(i64::from(i32::MAX)).is_empty());
    assert!(!is_valid_user_id(-1).is_empty());
}

#[test]
fn domains_need_their_segments() {
    let p = Path::new("f");
    assert!(is_fully_qualified_name(&p, "a.b.c").is_empty());
    assert_eq!(
        is_fully_qualified_name(&p, "a.b").message().as_deref(),
        Some(r#"f: Invalid value: "a.b": should be a domain with at least three segments separated by dots"#)
    );
    assert!(is_fully_qualified_domain_name(&p, "a.b.").is_empty());
    assert!(!is_fully_qualified_domain_name(&p, "a").is_empty());
    assert!(is_domain_prefixed_path(&p, "acme.io/foo").is_empty());
    assert!(!is_domain_prefixed_path(&p, "acme.io").is_empty());
    assert!(!is_domain_prefixed_key(&p, "foo").is_empty());
}

#[test]
fn versions_are_ordered_by_how_far_they_have_come() {
    let mut versions = ["foo1", "v10", "v1beta1", "v2", "v1", "v11alpha2", "foo10", "v3beta1", "v12alpha1", "v11beta2"];
    versions.sort_by(|a, b| compare_versions(b, a));
    let greatest_first =
        ["v10", "v2", "v1", "v11beta2", "v3beta1", "v1beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
    assert_eq!(versions, greatest_first);
}

/// The whole 422 answers of a running kube-apiserver v1.37 to objects with bad names and labels (testdata/names.json).
#[test]
fn bad_names_and_labels_are_answered_as_recorded() {
    use crate::{field::ErrorList, meta::GroupKind, selector::label, status::Status};
    let golden: json::Value = json::from_str(include_str!("../../testdata/names.json")).expect("golden is JSON");
    for row in golden.as_array().expect("rows") {
        let kind = row["kind"].as_str().expect("a kind");
        let rule: NameRule = match kind {
            "Service" | "Namespace" => name_is_dns_label,
            "Role" => name_is_path_segment,
            _ => name_is_dns_subdomain,
        };
        let name = row["metadata"]["name"].as_str().expect("a name");
        let metadata = Path::new("metadata");
        let mut errors: ErrorList =
            rule(name, false).into_iter().map(|e| Error::invalid(&metadata.child("name"), name, e)).collect();
        if kind == "Namespace" {
            // Its name becomes a label.
            let label = |e| Error::invalid(&metadata.child("labels"), name, e);
            errors.extend(is_valid_label_value(name).into_iter().map(label));
        }
        if let Some(labels) = row["metadata"]["labels"].as_object() {
            errors.extend(label::validate_labels(labels, &metadata.child("labels")));
        }
        let kind = GroupKind::new(row["group"].as_str().expect("a group"), kind);
        assert_eq!(Status::invalid(&kind, name, &errors).to_value(), row["status"]);
    }
}
