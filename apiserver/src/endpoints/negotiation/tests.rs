use super::*;

fn negotiate(accept: &str) -> Result<(Format, Shape), u16> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, accept.parse().unwrap());
    Output::negotiate(&headers, &Query::default(), Formats::default(), Offer::Shapes)
        .map(|output| (output.format, output.shape))
        .map_err(|status| status.code)
}

#[test]
fn the_best_clause_that_is_offered_wins() {
    let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
    assert_eq!(negotiate(kubectl), Ok((Format::Json, Shape::Table)));
    assert_eq!(
        negotiate("application/vnd.kubernetes.protobuf,application/json"),
        Ok((Format::Protobuf, Shape::Object))
    );
    assert_eq!(negotiate("application/json;q=0.1,application/yaml"), Ok((Format::Yaml, Shape::Object)));
    assert_eq!(negotiate("*/*"), Ok((Format::Json, Shape::Object)));
    assert_eq!(negotiate("application/*"), Ok((Format::Json, Shape::Object)));
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert_eq!(negotiate(partial), Ok((Format::Json, Shape::PartialObjectMetadataList)));
}

#[test]
fn what_is_not_offered_is_406() {
    for accept in
        ["text/html", "application/json;as=Foo;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v2;g=meta.k8s.io"]
    {
        assert_eq!(negotiate(accept), Err(406), "{accept}");
    }
}

fn accepting(accept: &str) -> HeaderMap {
    HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))])
}

#[test]
fn routes_know_media_types_by_name_only() {
    for accept in ["", "*/*", "image/png, */*;q=0", "application/json;q=0", "application/yaml;as=Nope"] {
        assert!(Route::Single.accepts(&accepting(accept), Formats::default()).is_ok(), "{accept}");
    }
    for accept in ["application/*", "text/html", ";;;", "application/json;stream=watch-x/"] {
        let known = accept.starts_with("application/json;");
        assert_eq!(Route::Collection.accepts(&accepting(accept), Formats::default()).is_ok(), known, "{accept}");
    }
    let refusal = Route::Json.accepts(&accepting("application/yaml"), Formats::default()).unwrap_err();
    assert_eq!(refusal.message, "406: Not Acceptable\n\nAvailable representations: application/json");
}

#[test]
fn errors_have_the_form_that_was_asked_for_but_not_its_shape() {
    let output = |accept: &str| Output::of_error(&accepting(accept), &Query::default(), Formats::default());
    assert_eq!(output("application/yaml").format, Format::Yaml);
    assert!(!output("application/*").pretty);
    assert!(!output("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").pretty);
    assert!(output("application/json;as=Table;v=v1;g=meta.k8s.io").pretty);
    assert!(output("text/html").pretty);
}

#[test]
fn a_media_type_with_broken_parameters_is_none() {
    let input = |given: &str| {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, given.parse().expect("a header"))]);
        super::input(&headers, Formats::default()).is_ok()
    };
    assert!(input("application/json; charset=utf-8") && input("application/json;") && input("application/json"));
    assert!(!input("application/json;;") && !input("application/json; charset"));
}

#[test]
fn what_has_no_rows_is_sent_as_itself_or_not_at_all() {
    let negotiate = |accept: &str| {
        Output::negotiate(&accepting(accept), &Query::default(), Formats::default(), Offer::ShapesWithoutTable)
            .map(|output| output.shape)
            .map_err(|status| status.code)
    };
    assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io"), Err(406));
    assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), Ok(Shape::Object));
}

#[test]
fn tables_have_no_protobuf_form_but_metadata_has() {
    let of = |kind: &str| negotiate(&format!("application/vnd.kubernetes.protobuf;as={kind};v=v1;g=meta.k8s.io"));
    assert_eq!(of("Table"), Err(406));
    assert_eq!(of("PartialObjectMetadata"), Ok((Format::Protobuf, Shape::PartialObjectMetadata)));
    let table = "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/vnd.kubernetes.protobuf";
    assert_eq!(negotiate(table), Ok((Format::Protobuf, Shape::Object)));
}

#[test]
fn custom_resources_have_no_protobuf_form_but_their_metadata_has() {
    let of = |accept: &str| {
        let formats = Formats { custom: true, ..Formats::default() };
        Output::negotiate(&accepting(accept), &Query::default(), formats, Offer::Shapes).map(|output| output.format)
    };
    assert!(of("application/vnd.kubernetes.protobuf").is_err());
    assert_eq!(of("application/vnd.kubernetes.protobuf, application/json"), Ok(Format::Json));
    let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io";
    assert_eq!(of(metadata), Ok(Format::Protobuf));
}

#[test]
fn cbor_is_offered_behind_its_gate_only() {
    let of = |formats| {
        Output::negotiate(&accepting("application/cbor"), &Query::default(), formats, Offer::Shapes)
            .map(|output| output.format)
            .map_err(|status| status.message)
    };
    let refused = "only the following media types are accepted: application/json, application/yaml, \
                   application/vnd.kubernetes.protobuf";
    assert_eq!(of(Formats::default()), Err(refused.to_owned()));
    assert_eq!(of(Formats { cbor: true, ..Formats::default() }), Ok(Format::Cbor));
}

#[test]
fn clauses_are_sorted_as_upstream_sorts_them() {
    for (accept, expect) in [
        ("*/*;q=0.9, application/yaml;q=0.1", Format::Yaml),
        ("application/*, application/yaml", Format::Yaml),
        ("application/json;q=0.5, application/yaml;q=broken", Format::Json),
        ("application/yaml;q=0.2, application/vnd.kubernetes.protobuf;q=0.7", Format::Protobuf),
        ("*/*;stream=watch", Format::Json),
        ("application/yaml;stream=watch, */*", Format::Json),
        ("application/yaml;sv=v1", Format::Yaml),
        ("application/yaml;sv=v2, application/vnd.kubernetes.protobuf", Format::Protobuf),
    ] {
        assert_eq!(negotiate(accept), Ok((expect, Shape::Object)), "{accept}");
    }
}
