use super::*;

#[test]
fn a_document_of_another_kind_is_refused() {
    let fields = parse("apiVersion: v1\nkind: Thing\nsize: 3\n", "v1", "Thing").unwrap();
    assert_eq!(fields.len(), 1);
    let error = parse("apiVersion: v2\nkind: Thing\n", "v1", "Thing").unwrap_err();
    assert_eq!(error.to_string(), "want kind Thing of v1, found Thing of v2");
    assert!(matches!(parse("- 1", "v1", "Thing"), Err(Error::Yaml(_))));
}

#[test]
fn fields_are_applied_told_or_refused() {
    let mut size = 0_u8;
    let mut run = |yaml: &str| {
        let fields = parse(&format!("apiVersion: v1\nkind: Thing\n{yaml}"), "v1", "Thing").unwrap();
        apply(&fields, &["color"], |field| match field.name {
            "size" => {
                size = field.number()?;
                Ok(true)
            }
            _ => Ok(false),
        })
    };
    assert_eq!(run("size: 3\ncolor: red\nshape:\n").unwrap(), ["color"]);
    assert_eq!(run("sise: 3").unwrap_err(), Error::Unknown("sise".into()));
    assert!(matches!(run("size: 300"), Err(Error::Value { field, .. }) if field == "size"));
    assert!(matches!(run("size: -1"), Err(Error::Value { .. })));
    assert_eq!(size, 3);
}
