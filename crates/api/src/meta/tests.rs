use super::*;
use json::json;

#[test]
fn names_print_as_upstream() {
    assert_eq!(GroupResource::new("apps", "deployments").to_string(), "deployments.apps");
    assert_eq!(GroupResource::new("", "pods").to_string(), "pods");
    assert_eq!(GroupKind::new("apps", "Deployment").to_string(), "Deployment.apps");
    assert_eq!(GroupVersionKind::new("", "v1", "Pod").to_string(), "/v1, Kind=Pod");
    assert_eq!(GroupVersion::new("apps", "v1").to_string(), "apps/v1");
}

#[test]
fn api_versions_parse_as_upstream() {
    assert_eq!(GroupVersion::parse("v1"), Ok(GroupVersion::new("", "v1")));
    assert_eq!(GroupVersion::parse("apps/v1"), Ok(GroupVersion::new("apps", "v1")));
    assert_eq!(GroupVersion::parse(""), Ok(GroupVersion::default()));
    assert_eq!(
        GroupVersion::parse("a/b/c").map_err(|e| e.to_string()),
        Err("unexpected GroupVersion string: a/b/c".into())
    );
}

#[test]
fn metadata_is_read_and_written_in_place() {
    let mut object = json!({"apiVersion": "v1", "kind": "Pod"});
    set_name(&mut object, "a");
    set_label(&mut object, "k", "v");
    set_generation(&mut object, 2);
    assert_eq!((name(&object), label(&object, "k"), generation(&object)), ("a", Some("v"), 2));
    set_generation(&mut object, 0);
    set(&mut object, "labels", Value::Null);
    assert_eq!(object, json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
}

use json::Value;

#[test]
fn the_controller_is_the_reference_marked_so() {
    let object = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"},
        {"apiVersion": "v1", "kind": "B", "name": "b", "uid": "2", "controller": true, "blockOwnerDeletion": true}]}});
    let controller = controller_of(&object).expect("one is marked");
    assert_eq!((controller.kind, controller.uid, controller.block_owner_deletion), ("B", "2", true));
    assert!(controller_of(&json!({})).is_none());
}

#[test]
fn times_are_written_in_utc_and_read_in_any_offset() {
    let at = time::parse("2026-01-02T05:04:05.123456789+02:00").expect("RFC 3339");
    assert_eq!(time::format(at), "2026-01-02T03:04:05Z");
    assert_eq!(time::format_micro(at), "2026-01-02T03:04:05.123456Z");
    for bad in [
        "",
        "2026-01-02",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05Z[UTC]",
        "20260102T030405Z",
    ] {
        assert_eq!(time::parse(bad), None, "{bad}");
    }
}
