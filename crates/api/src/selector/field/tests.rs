use super::*;
use json::json;
use proptest::prelude::*;

fn parse(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn terms_are_split_at_the_first_operator_and_unescaped() {
    for (text, printed) in [
        ("", ""),
        (",,", ""),
        ("b=1,a!=2", "a!=2,b=1"),
        ("a==b", "a=b"),
        ("a=", "a="),
        (r"a=x\,y\=z\\", r"a=x\,y\=z\\"),
        ("=b", "=b"),
    ] {
        assert_eq!(parse(text).to_string(), printed, "{text:?}");
    }
    assert_eq!(parse(r"a=x\,y").terms()[0].value, "x,y");
}

#[test]
fn faults_are_told_as_upstream() {
    for (text, message) in [
        ("a", "invalid selector: 'a'; can't understand 'a'"),
        ("b=1,a>2", "invalid selector: 'b=1,a>2'; can't understand 'a>2'"),
        (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
        (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ] {
        assert_eq!(Selector::parse(text).expect_err(text).to_string(), message);
    }
}

#[test]
fn unknown_fields_are_refused_in_the_words_of_their_kind() {
    for (group, kind, message) in [
        ("", "Pod", "field label not supported: x"),
        ("", "ConfigMap", r#""x" is not a known field selector: only "metadata.name", "metadata.namespace""#),
        ("batch", "Job", r#"field label "x" not supported for Job"#),
        ("resource.k8s.io", "ResourceSlice", "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x"),
    ] {
        let error = parse("x=1").convert(&Supported::of(group, "v1", kind)).expect_err(kind);
        assert_eq!(error.to_string(), message);
    }
    let nodes = Supported::of("", "v1", "Node");
    assert!(parse("metadata.namespace=a").convert(&nodes).is_err());
    let custom = Supported::custom(false, ["spec.color"]);
    assert!(parse("spec.color=a").convert(&custom).is_ok());
    assert!(parse("metadata.namespace=a").convert(&custom).is_err());
}

#[test]
fn old_and_foreign_names_stand_for_the_stored_field() {
    let pods = parse("spec.host=n").convert(&Supported::of("", "v1", "Pod")).expect("known");
    assert_eq!(pods.requires_exact_match("spec.nodeName"), Some("n"));
    let events = Supported::of("events.k8s.io", "v1", "Event");
    assert_eq!(parse("regarding.name=n").convert(&events).expect("known").to_string(), "involvedObject.name=n");
    assert!(parse("involvedObject.name=n").convert(&events).is_err());
}

#[test]
fn fields_are_read_from_the_object() {
    let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "x"},
        "status": {"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]}});
    assert_eq!(fields_in("", "Pod", pod.to_string().as_bytes()), fields_of("", "Pod", &pod));
    let fields = fields_of("", "Pod", &pod);
    for (text, expected) in [
        ("metadata.name=p,metadata.namespace=n", true),
        ("spec.nodeName=x,status.phase!=Pending", true),
        ("spec.nodeName=", false),
        ("spec.hostNetwork=false,status.podIP=1.2.3.4", true),
        ("status.nominatedNodeName=", true),
    ] {
        assert_eq!(parse(text).matches_fields(&fields), expected, "{text:?}");
    }
    let event = json!({"involvedObject": {"name": "a"}, "source": {}, "reportingComponent": "kubelet"});
    assert!(parse("source=kubelet,involvedObject.name=a").matches_fields(&fields_of("", "Event", &event)));
    assert!(parse("status.successful=0").matches_fields(&fields_of("batch", "Job", &json!({}))));
}

proptest! {
    #[test]
    fn any_value_survives_escaping(value in ".{0,20}") {
        let selector = Selector::equal("a", value.clone());
        let again = parse(&selector.to_string());
        prop_assert_eq!(again.requires_exact_match("a"), Some(value.as_str()));
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "[a-b=!,\\\\é]{0,16}") {
        let _ = Selector::parse(&text);
    }
}
