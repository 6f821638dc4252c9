use std::sync::Arc;

use super::*;

/// A cluster as lists.
#[derive(Default)]
struct Cluster {
    services: Vec<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
}

impl Lookup for Cluster {
    fn namespace_exists(&self, namespace: &str) -> bool {
        namespace == "default"
    }

    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        let wanted = |service: &&Arc<Service>| {
            service.metadata.namespace.as_deref() == Some(namespace) && service.metadata.name.as_deref() == Some(name)
        };
        self.services.iter().find(wanted).cloned()
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        let wanted = format!("{namespace}/{service}");
        self.slices.iter().filter(|slice| service_of(slice).as_ref() == Some(&wanted)).cloned().collect()
    }

    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        self.services.iter().find(|service| cluster_ips(service).contains(&address.to_string())).cloned()
    }

    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>> {
        let has = |slice: &&Arc<EndpointSlice>| {
            slice.endpoints.iter().flatten().any(|endpoint| endpoint.addresses.contains(&address.to_string()))
        };
        self.slices.iter().filter(has).cloned().collect()
    }

    fn complete(&self) -> bool {
        true
    }
}

fn cluster() -> Cluster {
    let service = |value| Arc::new(serde_json::from_value::<Service>(value).unwrap());
    let slice = |value| Arc::new(serde_json::from_value::<EndpointSlice>(value).unwrap());
    let meta = |name: &str| serde_json::json!({"name": name, "namespace": "default"});
    Cluster {
        services: vec![
            service(
                serde_json::json!({"metadata": meta("web"), "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00::7"],
                "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}),
            ),
            service(serde_json::json!({"metadata": meta("db"), "spec": {"clusterIP": "None"}})),
            service(serde_json::json!({"metadata": meta("empty"), "spec": {"clusterIP": "None"}})),
            service(
                serde_json::json!({"metadata": meta("out"), "spec": {"type": "ExternalName", "externalName": "example.org"}}),
            ),
        ],
        slices: vec![slice(serde_json::json!({
            "metadata": {"name": "db-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "db"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.244.0.5"], "hostname": "db-0", "conditions": {"ready": true}},
                {"addresses": ["10.244.0.6"], "conditions": {"ready": true}},
                {"addresses": ["10.244.0.7"], "conditions": {"ready": false}},
            ],
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        }))],
    }
}

/// The answer as `dig +short` would print it, additional records after a bar.
fn ask(name: &str, kind: RecordType) -> String {
    let zone = Zone::new("cluster.local", 5).unwrap();
    match zone.find(&cluster(), &Name::from_ascii(name).unwrap(), kind) {
        Found::Records(records, additional) => {
            let text = |records: Vec<Record>| {
                records.iter().map(|record| record.data.to_string()).collect::<Vec<_>>().join(" ; ")
            };
            let (answers, additional) = (text(records), text(additional));
            if additional.is_empty() { answers } else { format!("{answers} | {additional}") }
        }
        Found::Alias(_, target) => format!("-> {target}"),
        Found::NoData => "no data".to_owned(),
        Found::NoName => "no name".to_owned(),
        Found::Elsewhere => "elsewhere".to_owned(),
    }
}

#[test]
fn a_service_answers_with_its_cluster_addresses_by_family() {
    assert_eq!(ask("web.default.svc.cluster.local.", RecordType::A), "10.96.0.7");
    assert_eq!(ask("WEB.default.svc.Cluster.Local.", RecordType::A), "10.96.0.7");
    assert_eq!(ask("web.default.svc.cluster.local.", RecordType::AAAA), "fd00::7");
    assert_eq!(ask("web.default.svc.cluster.local.", RecordType::MX), "no data");
}

#[test]
fn a_headless_service_answers_with_ready_endpoints() {
    assert_eq!(ask("db.default.svc.cluster.local.", RecordType::A), "10.244.0.5 ; 10.244.0.6");
    assert_eq!(ask("db-0.db.default.svc.cluster.local.", RecordType::A), "10.244.0.5");
    assert_eq!(ask("10-244-0-6.db.default.svc.cluster.local.", RecordType::A), "10.244.0.6");
    assert_eq!(ask("db-9.db.default.svc.cluster.local.", RecordType::A), "no name");
    assert_eq!(ask("empty.default.svc.cluster.local.", RecordType::A), "no name");
}

#[test]
fn named_ports_have_srv_records_with_the_addresses_beside() {
    assert_eq!(
        ask("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV),
        "0 100 80 web.default.svc.cluster.local. | 10.96.0.7 ; fd00::7"
    );
    assert_eq!(
        ask("_sql._tcp.db.default.svc.cluster.local.", RecordType::SRV),
        "0 50 5432 10-244-0-6.db.default.svc.cluster.local. ; 0 50 5432 db-0.db.default.svc.cluster.local. | 10.244.0.6 ; 10.244.0.5"
    );
    assert_eq!(ask("_nope._tcp.web.default.svc.cluster.local.", RecordType::SRV), "no name");
}

#[test]
fn external_names_are_aliases() {
    assert_eq!(ask("out.default.svc.cluster.local.", RecordType::A), "-> example.org.");
}

#[test]
fn pods_have_a_name_by_their_address_where_the_namespace_exists() {
    assert_eq!(ask("10-1-2-3.default.pod.cluster.local.", RecordType::A), "10.1.2.3");
    assert_eq!(ask("10-1-2-3.nowhere.pod.cluster.local.", RecordType::A), "no name");
    assert_eq!(ask("ten.default.pod.cluster.local.", RecordType::A), "no name");
}

#[test]
fn reverse_names_exist_for_services_and_named_endpoints() {
    assert_eq!(ask("7.0.96.10.in-addr.arpa.", RecordType::PTR), "web.default.svc.cluster.local.");
    assert_eq!(ask("5.0.244.10.in-addr.arpa.", RecordType::PTR), "db-0.db.default.svc.cluster.local.");
    assert_eq!(ask("6.0.244.10.in-addr.arpa.", RecordType::PTR), "elsewhere");
    assert_eq!(ask("0.244.10.in-addr.arpa.", RecordType::PTR), "elsewhere");
}

#[test]
fn the_domain_itself_and_names_outside_are_told_apart() {
    assert_eq!(ask("dns-version.cluster.local.", RecordType::TXT), "1.1.0");
    assert_eq!(ask("default.svc.cluster.local.", RecordType::A), "no data");
    assert_eq!(ask("nope.default.svc.cluster.local.", RecordType::A), "no name");
    assert_eq!(ask("a.b.c.d.e.f.cluster.local.", RecordType::A), "no name");
    assert_eq!(ask("example.org.", RecordType::A), "elsewhere");
    assert_eq!(ask("notcluster.local.", RecordType::A), "elsewhere");
}
