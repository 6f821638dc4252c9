use k8s_openapi::api::core::v1::{
    ConfigMapKeySelector, EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ObjectReference, ServicePort,
    ServiceSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn lookup(name: &str) -> Option<&'static str> {
    match name {
        "A" => Some("one"),
        "B" => Some("two"),
        _ => None,
    }
}

#[test]
fn references_expand_where_the_name_is_known() {
    for (input, expected) in [
        ("$(A)", "one"),
        ("x$(A)y$(B)", "xoneytwo"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$one"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("cost $", "cost $"),
        ("$()", "$()"),
        ("$$", "$"),
    ] {
        assert_eq!(expand(input, lookup), expected, "{input}");
    }
}

fn service(namespace: &str, name: &str, ip: &str, port: i32) -> Arc<Service> {
    Arc::new(Service {
        metadata: ObjectMeta { name: Some(name.into()), namespace: Some(namespace.into()), ..ObjectMeta::default() },
        spec: Some(ServiceSpec {
            cluster_ip: Some(ip.into()),
            ports: Some(vec![ServicePort { port, name: Some("http".into()), ..ServicePort::default() }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    })
}

#[test]
fn services_become_variables() {
    let services = [service("ns", "red-db", "10.0.0.1", 6379), service("default", "kubernetes", "10.0.0.2", 443)];
    let variables = service_variables("ns", &services, true);
    assert_eq!(variables["RED_DB_SERVICE_HOST"], "10.0.0.1");
    assert_eq!(variables["RED_DB_SERVICE_PORT_HTTP"], "6379");
    assert_eq!(variables["RED_DB_PORT"], "tcp://10.0.0.1:6379");
    assert_eq!(variables["RED_DB_PORT_6379_TCP_ADDR"], "10.0.0.1");
    assert_eq!(variables["KUBERNETES_SERVICE_PORT"], "443");
    let variables = service_variables("ns", &services, false);
    assert!(!variables.contains_key("RED_DB_SERVICE_HOST"));
    assert!(variables.contains_key("KUBERNETES_SERVICE_HOST"));
}

#[test]
fn later_variables_see_earlier_ones_and_beat_services() {
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some("p".into()),
            namespace: Some("ns".into()),
            labels: Some([("k".to_owned(), "v".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Pod::default()
    };
    let _ = ObjectReference::default();
    let field = |path: &str| EnvVarSource {
        field_ref: Some(ObjectFieldSelector { field_path: path.into(), ..ObjectFieldSelector::default() }),
        ..EnvVarSource::default()
    };
    let container = Container {
        env_from: Some(vec![EnvFromSource {
            prefix: Some("p_".into()),
            config_map_ref: Some(k8s_openapi::api::core::v1::ConfigMapEnvSource {
                name: "cm".into(),
                ..Default::default()
            }),
            ..EnvFromSource::default()
        }]),
        env: Some(vec![
            EnvVar { name: "NAME".into(), value_from: Some(field("metadata.name")), ..EnvVar::default() },
            EnvVar { name: "LABEL".into(), value_from: Some(field("metadata.labels['k']")), ..EnvVar::default() },
            EnvVar { name: "BOTH".into(), value: Some("$(NAME)-$(p_key)".into()), ..EnvVar::default() },
            EnvVar { name: "RED_DB_SERVICE_HOST".into(), value: Some("mine".into()), ..EnvVar::default() },
        ]),
        ..Container::default()
    };
    let map = ConfigMap { data: Some([("key".to_owned(), "val".to_owned())].into()), ..ConfigMap::default() };
    let sources = Sources {
        config_maps: [("cm".to_owned(), Some(Arc::new(map)))].into(),
        services: vec![service("ns", "red-db", "10.0.0.1", 1)],
        ..Sources::default()
    };
    let env: HashMap<_, _> = environment(&pod, &container, &sources).unwrap().into_iter().collect();
    assert_eq!(env["BOTH"], "p-val");
    assert_eq!(env["LABEL"], "v");
    assert_eq!(env["RED_DB_SERVICE_HOST"], "mine");
    assert_eq!(env["RED_DB_SERVICE_PORT"], "1");
}

#[test]
fn a_missing_reference_is_an_error_unless_optional() {
    let reference = |optional| Container {
        env: Some(vec![EnvVar {
            name: "X".into(),
            value_from: Some(EnvVarSource {
                config_map_key_ref: Some(ConfigMapKeySelector { name: "cm".into(), key: "k".into(), optional }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ..Container::default()
    };
    let sources = Sources::default();
    let error = environment(&Pod::default(), &reference(None), &sources).unwrap_err();
    assert_eq!(error.to_string(), "configmap \"cm\" not found");
    assert_eq!(environment(&Pod::default(), &reference(Some(true)), &sources).unwrap(), []);
}
