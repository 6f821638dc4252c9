use super::Scheme;
use crate::schema::{ListType, Type};

#[test]
fn every_resource_has_a_schema_and_its_kind_is_found() {
    let scheme = Scheme::builtin();
    for resource in scheme.all_resources() {
        let schema = scheme.kind(&resource.group, &resource.version, &resource.kind);
        let schema = schema.unwrap_or_else(|| panic!("no schema for {resource:?}"));
        assert!(schema.field("metadata").is_some(), "{}", resource.kind);
        if resource.has_verb("list") {
            assert!(scheme.kind(&resource.group, &resource.version, &format!("{}List", resource.kind)).is_some());
        }
        assert_eq!(resource.has_verb("watch"), !resource.key_prefix.is_empty(), "{}", resource.plural);
        for subresource in &resource.subresources {
            let body = scheme.kind(&subresource.group, &subresource.version, &subresource.kind);
            assert!(body.is_some(), "no schema for {subresource:?}");
        }
    }
}

#[test]
fn group_versions_come_in_upstreams_order() {
    let order: Vec<String> = Scheme::builtin().group_versions().iter().map(|gv| gv.api_version()).collect();
    assert_eq!(order[..3], ["v1", "apiregistration.k8s.io/v1", "apps/v1"]);
    assert_eq!(Scheme::builtin().versions("autoscaling").collect::<Vec<_>>(), ["v2", "v1"]);
    assert_eq!(order.len(), 23);
}

#[test]
fn keys_in_the_store_are_upstreams() {
    let prefix = |group, plural| Scheme::builtin().resource(group, "v1", plural).map(|found| found.key_prefix.as_ref());
    for (group, plural, expected) in [
        ("", "pods", "/registry/pods"),
        ("", "services", "/registry/services/specs"),
        ("", "endpoints", "/registry/services/endpoints"),
        ("", "nodes", "/registry/minions"),
        ("", "replicationcontrollers", "/registry/controllers"),
        ("apps", "deployments", "/registry/deployments"),
        ("networking.k8s.io", "ingresses", "/registry/ingress"),
        ("apiregistration.k8s.io", "apiservices", "/registry/apiregistration.k8s.io/apiservices"),
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "/registry/apiextensions.k8s.io/customresourcedefinitions",
        ),
    ] {
        assert_eq!(prefix(group, plural), Some(expected));
    }
}

#[test]
fn a_field_carries_its_facts() {
    let pod = Scheme::builtin().kind("", "v1", "Pod").unwrap();
    let containers = pod.at(&["spec"]).unwrap().field("containers").unwrap();
    assert_eq!((containers.number, containers.required, containers.patch_merge), (2, true, true));
    assert_eq!((containers.list_type, containers.merge_key.as_deref()), (ListType::Map, Some("name")));
    assert!(matches!(&containers.r#type, Type::List(element) if matches!(**element, Type::Object(_))));
    let host_path = pod.at(&["spec", "volumes"]).unwrap().field("hostPath").unwrap();
    assert_eq!((host_path.inline.as_slice(), host_path.via.as_deref()), (&[2][..], Some("VolumeSource")));
    let ports = pod.at(&["spec", "containers"]).unwrap().field("ports").unwrap();
    assert_eq!(ports.map_keys, ["containerPort", "protocol"]);
}

#[test]
fn options_are_kinds_of_every_group_version() {
    for (group, version, kind) in
        [("apps", "v1", "DeleteOptions"), ("", "v1", "Status"), ("meta.k8s.io", "v1", "Table")]
    {
        assert!(Scheme::builtin().kind(group, version, kind).is_some(), "{group}/{version} {kind}");
    }
}

#[test]
fn tables_load_fast() {
    let start = std::time::Instant::now();
    let scheme = super::load::builtin();
    let took = start.elapsed();
    assert!(scheme.types().iter().count() > 500);
    // Unoptimized test builds take about ten times as long as the product.
    assert!(took.as_millis() < 500, "{took:?}");
}

#[test]
fn what_is_not_kept_is_not_served_and_stays_known() {
    let scheme = Scheme::serving(|info| info.group != "autoscaling" || info.version == "v1");
    assert_eq!(scheme.versions("autoscaling").collect::<Vec<_>>(), ["v1"]);
    assert!(scheme.resource("autoscaling", "v2", "horizontalpodautoscalers").is_none());
    assert!(scheme.resource("apps", "v1", "deployments").is_some());
    assert!(scheme.kind("autoscaling", "v2", "HorizontalPodAutoscaler").is_some());
}
