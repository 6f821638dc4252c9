//! Recorded from a running kube-apiserver v1.37: columns of every kind (testdata/table-columns.json), and objects in many
//! states with the cells it printed (testdata/tables.json).

use super::*;
use json::json;

fn golden(text: &str) -> Value {
    json::from_str(text).expect("golden is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn options(now: &str) -> Options {
    let now = crate::meta::time::parse(now).expect("a time");
    Options { now, include_object: IncludeObject::None, headers: true, api_version: "meta.k8s.io/v1" }
}

/// The columns a recorded table was made with.
fn columns(golden: &Value, table: &Value) -> Columns {
    let (group, kind) = (text(&table["group"]), text(&table["kind"]));
    if group != "api-tables.example.com" {
        return Columns::of(group, kind);
    }
    let additional = (text(&table["version"]) == "v1").then(|| &golden["columns"]);
    Columns::custom(additional).expect("columns compile")
}

#[test]
fn every_served_kind_has_the_columns_recorded() {
    for row in items(&golden(include_str!("../../testdata/table-columns.json"))) {
        let definitions = Columns::of(text(&row[0]), text(&row[2])).definitions();
        let ours: Value =
            items(&definitions).iter().map(|d| json!([d["name"], d["type"], d["format"], d["priority"]])).collect();
        assert_eq!(ours, row[3], "{} {}", row[0], row[2]);
    }
}

#[test]
fn cells_and_conditions_are_those_recorded() {
    let golden = golden(include_str!("../../testdata/tables.json"));
    for table in items(&golden["tables"]) {
        let columns = columns(&golden, table);
        let options = options(text(&table["now"]));
        let objects = items(&table["rows"]).iter().map(|row| &row["object"]);
        let ours = columns.table(objects, &ListMeta::default(), &options);
        for (row, ours) in items(&table["rows"]).iter().zip(items(&ours["rows"])) {
            let name = &row["object"]["metadata"]["name"];
            assert_eq!(ours["cells"], row["cells"], "{} {name}", table["kind"]);
            assert_eq!(ours.get("conditions"), row.get("conditions"), "{} {name}", table["kind"]);
        }
    }
}

#[test]
fn custom_columns_are_described_as_recorded() {
    let golden = golden(include_str!("../../testdata/tables.json"));
    let ours = Columns::custom(Some(&golden["columns"])).expect("columns compile").definitions();
    assert_eq!(&items(&ours)[1..], items(&golden["definitions"]));
    let error =
        Columns::custom(Some(&json!([{"name": "x", "type": "string", "jsonPath": ".a["}]))).expect_err("refused");
    assert_eq!(error.to_string(), r#"unrecognized column definition ".a[""#);
}

#[test]
fn a_table_has_the_metadata_of_its_list_and_upstreams_field_order() {
    let object =
        json!({"metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}});
    let options = Options { include_object: IncludeObject::Metadata, ..options("2026-01-01T00:00:05Z") };
    let list = ListMeta { resource_version: "9".into(), r#continue: "t".into(), remaining_item_count: Some(3) };
    let columns = Columns::of("", "ServiceAccount");
    assert_eq!(
        columns.table([&object], &list, &options).to_string(),
        concat!(
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"9","continue":"t","remainingItemCount":3},"#,
            r#""columnDefinitions":[{"name":"Name","type":"string","format":"name","description":"","priority":0},"#,
            r#"{"name":"Age","type":"string","format":"","description":"","priority":0}],"#,
            r#""rows":[{"cells":["a","5s"],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","#,
            r#""metadata":{"name":"a","resourceVersion":"7","creationTimestamp":"2026-01-01T00:00:00Z"}}}]}"#
        )
    );
    let bare =
        columns.table_of_one(&object, &Options { headers: false, include_object: IncludeObject::None, ..options });
    assert_eq!(
        bare.to_string(),
        r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},"columnDefinitions":null,"rows":[{"cells":["a","5s"],"object":null}]}"#
    );
}

#[test]
fn no_kind_is_listed_twice() {
    let mut seen = std::collections::HashSet::new();
    for kind in columns::all() {
        assert!(seen.insert((kind.group, kind.kind)), "{} {}", kind.group, kind.kind);
    }
}
