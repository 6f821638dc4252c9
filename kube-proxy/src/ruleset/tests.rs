use expect_test::{Expect, expect};

use super::*;
use crate::nftables;

fn port() -> ServicePort {
    ServicePort {
        service: "ns/web".to_owned(),
        port_name: "http".to_owned(),
        protocol: Protocol::Tcp,
        cluster_ip: "10.96.0.7".parse().unwrap(),
        port: 80,
        node_port: None,
        external_ips: Vec::new(),
        load_balancer_ips: Vec::new(),
        source_ranges: Vec::new(),
        external_local: false,
        affinity_seconds: None,
        cluster_endpoints: vec!["10.244.0.5:8080".parse().unwrap(), "10.244.0.6:8080".parse().unwrap()],
        local_endpoints: Vec::new(),
        has_endpoints: true,
    }
}

fn config() -> Config {
    Config { cluster_cidr: vec!["10.244.0.0/16".parse().unwrap()], ..Config::default() }
}

fn key() -> Key {
    Key::new("ns", "web")
}

/// The transaction that installs `port`, from nothing.
#[track_caller]
fn check(port: &ServicePort, expect: &Expect) {
    let plan = Installed::default().plan([(key(), fragment(std::slice::from_ref(port), &config()))]);
    expect.assert_eq(&nftables::transaction(&plan, false, &config()));
}

#[test]
fn a_cluster_address_leads_to_its_endpoints() {
    check(
        &port(),
        &expect![[r#"
            add chain ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080
            add chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
            add chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
            flush chain ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080
            add rule ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 ip saddr 10.244.0.6 jump mark-for-masquerade
            add rule ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 meta l4proto tcp dnat to 10.244.0.6:8080
            flush chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
            add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 ip saddr 10.244.0.5 jump mark-for-masquerade
            add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 meta l4proto tcp dnat to 10.244.0.5:8080
            flush chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
            add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http ip daddr 10.96.0.7 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
            add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http numgen random mod 2 vmap { 0 : goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080, 1 : goto endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 }
            add element ip kube-proxy cluster-ips { 10.96.0.7 }
            add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : goto service-C7A03E88-ns/web/tcp/http }
        "#]],
    );
}

#[test]
fn without_endpoints_clients_are_refused_at_once() {
    let port = ServicePort { cluster_endpoints: Vec::new(), has_endpoints: false, node_port: Some(30080), ..port() };
    check(
        &port,
        &expect![[r#"
        add element ip kube-proxy cluster-ips { 10.96.0.7 }
        add element ip kube-proxy no-endpoint-nodeports { tcp . 30080 : goto reject-chain }
        add element ip kube-proxy no-endpoint-services { 10.96.0.7 . tcp . 80 : goto reject-chain }
    "#]],
    );
}

#[test]
fn node_ports_masquerade_and_share_the_service_chain() {
    let port =
        ServicePort { node_port: Some(30080), cluster_endpoints: vec!["10.244.0.5:8080".parse().unwrap()], ..port() };
    check(
        &port,
        &expect![[r#"
        add chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add chain ip kube-proxy external-C7A03E88-ns/web/tcp/http
        add chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        flush chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 ip saddr 10.244.0.5 jump mark-for-masquerade
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 meta l4proto tcp dnat to 10.244.0.5:8080
        flush chain ip kube-proxy external-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http jump mark-for-masquerade
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http goto service-C7A03E88-ns/web/tcp/http
        flush chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http ip daddr 10.96.0.7 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add element ip kube-proxy cluster-ips { 10.96.0.7 }
        add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : goto service-C7A03E88-ns/web/tcp/http }
        add element ip kube-proxy service-nodeports { tcp . 30080 : goto external-C7A03E88-ns/web/tcp/http }
    "#]],
    );
}

#[test]
fn local_external_traffic_keeps_its_source() {
    let port = ServicePort {
        node_port: Some(30080),
        external_local: true,
        local_endpoints: vec!["10.244.0.5:8080".parse().unwrap()],
        ..port()
    };
    check(
        &port,
        &expect![[r#"
        add chain ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080
        add chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add chain ip kube-proxy external-C7A03E88-ns/web/tcp/http
        add chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        flush chain ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080
        add rule ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 ip saddr 10.244.0.6 jump mark-for-masquerade
        add rule ip kube-proxy endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 meta l4proto tcp dnat to 10.244.0.6:8080
        flush chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 ip saddr 10.244.0.5 jump mark-for-masquerade
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 meta l4proto tcp dnat to 10.244.0.5:8080
        flush chain ip kube-proxy external-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http ip saddr 10.244.0.0/16 goto service-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http fib saddr type local jump mark-for-masquerade
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http fib saddr type local goto service-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy external-C7A03E88-ns/web/tcp/http goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        flush chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http ip daddr 10.96.0.7 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http numgen random mod 2 vmap { 0 : goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080, 1 : goto endpoint-3FB9A8EE-ns/web/tcp/http__10.244.0.6.8080 }
        add element ip kube-proxy cluster-ips { 10.96.0.7 }
        add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : goto service-C7A03E88-ns/web/tcp/http }
        add element ip kube-proxy service-nodeports { tcp . 30080 : goto external-C7A03E88-ns/web/tcp/http }
    "#]],
    );
}

#[test]
fn affinity_remembers_the_endpoint_of_a_client() {
    let port = ServicePort {
        affinity_seconds: Some(10800),
        cluster_endpoints: vec!["10.244.0.5:8080".parse().unwrap()],
        ..port()
    };
    check(
        &port,
        &expect![[r#"
        add set ip kube-proxy affinity-60423DE2-ns/web/tcp/http__10.244.0.5.8080 { type ipv4_addr; flags dynamic,timeout; timeout 10800s; }
        add chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        flush chain ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 ip saddr 10.244.0.5 jump mark-for-masquerade
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 update @affinity-60423DE2-ns/web/tcp/http__10.244.0.5.8080 { ip saddr }
        add rule ip kube-proxy endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080 meta l4proto tcp dnat to 10.244.0.5:8080
        flush chain ip kube-proxy service-C7A03E88-ns/web/tcp/http
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http ip daddr 10.96.0.7 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http ip saddr @affinity-60423DE2-ns/web/tcp/http__10.244.0.5.8080 goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add rule ip kube-proxy service-C7A03E88-ns/web/tcp/http goto endpoint-60423DE2-ns/web/tcp/http__10.244.0.5.8080
        add element ip kube-proxy cluster-ips { 10.96.0.7 }
        add element ip kube-proxy service-ips { 10.96.0.7 . tcp . 80 : goto service-C7A03E88-ns/web/tcp/http }
    "#]],
    );
}

#[test]
fn a_change_costs_what_changed() {
    let mut installed = Installed::default();
    let plan = installed.plan([(key(), fragment(&[port()], &config()))]);
    installed.commit(plan);
    assert!(installed.plan([(key(), fragment(&[port()], &config()))]).is_empty());
    let fewer = ServicePort { cluster_endpoints: vec!["10.244.0.5:8080".parse().unwrap()], ..port() };
    let plan = installed.plan([(key(), fragment(&[fewer], &config()))]);
    assert_eq!((plan.fill_chains.len(), plan.delete_chains.len(), plan.add_elements.len()), (1, 1, 0));
}

#[test]
fn a_removed_service_leaves_nothing() {
    let mut installed = Installed::default();
    let plan = installed.plan([(key(), fragment(&[port()], &config()))]);
    let chains = plan.fill_chains.len();
    installed.commit(plan);
    let plan = installed.plan([(key(), Fragment::default())]);
    assert_eq!((plan.delete_chains.len(), plan.delete_elements.len()), (chains, 2));
    installed.commit(plan);
    assert!(installed.fragments.is_empty() && installed.owners.is_empty());
}

#[test]
fn the_first_of_two_services_keeps_an_external_address() {
    let mut installed = Installed::default();
    let shared = ServicePort { external_ips: vec!["192.0.2.9".parse().unwrap()], ..port() };
    let plan = installed.plan([(key(), fragment(std::slice::from_ref(&shared), &config()))]);
    installed.commit(plan);
    let other = ServicePort { service: "ns/other".to_owned(), cluster_ip: "10.96.0.8".parse().unwrap(), ..shared };
    let plan = installed.plan([(Key::new("ns", "other"), fragment(&[other], &config()))]);
    assert!(!plan.add_elements.keys().any(|(_, _, key)| key.starts_with("192.0.2.9")));
}

#[test]
fn removed_udp_endpoints_are_reported_for_conntrack() {
    let mut installed = Installed::default();
    let udp = ServicePort { protocol: Protocol::Udp, ..port() };
    let plan = installed.plan([(key(), fragment(std::slice::from_ref(&udp), &config()))]);
    installed.commit(plan);
    let fewer = ServicePort { cluster_endpoints: vec!["10.244.0.5:8080".parse().unwrap()], ..udp };
    let plan = installed.plan([(key(), fragment(&[fewer], &config()))]);
    let stale: Vec<String> = plan.stale_udp.iter().map(|(address, endpoint)| format!("{address} {endpoint}")).collect();
    assert_eq!(stale, ["10.96.0.7:80 10.244.0.6:8080"]);
}
