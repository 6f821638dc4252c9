//! Services, endpoints, ingresses, addresses.

use super::*;
use std::collections::BTreeSet;

/// How many addresses or ports a cell lists.
const SHOWN: usize = 3;

pub(in super::super) fn service_cluster_ip(service: &Value, _: &Context<'_>) -> Value {
    let first = items_at(service, "spec.clusterIPs").first().and_then(Value::as_str);
    first.unwrap_or("<none>").into()
}

pub(in super::super) fn service_external_ip(service: &Value, _: &Context<'_>) -> Value {
    let external: Vec<&str> = items_at(service, "spec.externalIPs").iter().filter_map(Value::as_str).collect();
    let text = match str_at(service, "spec.type") {
        "ClusterIP" | "NodePort" if external.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => external.join(","),
        "LoadBalancer" => {
            let balancers = load_balancer(service);
            let all: Vec<&str> = balancers.iter().map(String::as_str).chain(external).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => str_at(service, "spec.externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    };
    text.into()
}

pub(in super::super) fn service_ports(service: &Value, _: &Context<'_>) -> Value {
    let port = |port: &Value| {
        let (number, protocol) = (integer_at(port, "port"), str_at(port, "protocol"));
        match integer_at(port, "nodePort") {
            0 => format!("{number}/{protocol}"),
            node_port => format!("{number}:{node_port}/{protocol}"),
        }
    };
    let ports: Vec<String> = items_at(service, "spec.ports").iter().map(port).collect();
    if ports.is_empty() { "<none>".into() } else { ports.join(",").into() }
}

pub(in super::super) fn endpoints(endpoints: &Value, _: &Context<'_>) -> Value {
    let subsets = items_at(endpoints, "subsets");
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut list = Vec::new();
    for subset in subsets {
        let addresses = || items_at(subset, "addresses").iter().map(|address| str_at(address, "ip"));
        let ports = items_at(subset, "ports");
        if ports.is_empty() {
            list.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            list.extend(addresses().map(|ip| join_host_port(ip, integer_at(port, "port"))));
        }
    }
    with_more(&list, SHOWN, ",", "").into()
}

pub(in super::super) fn slice_ports(slice: &Value, _: &Context<'_>) -> Value {
    let port = |port: &Value| match (at(port, "port").and_then(Value::as_i64), at(port, "name").and_then(Value::as_str))
    {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => "*".to_owned(),
    };
    let ports: Vec<String> = items_at(slice, "ports").iter().map(port).collect();
    with_more(&ports, SHOWN, ",", "<unset>").into()
}

pub(in super::super) fn slice_endpoints(slice: &Value, _: &Context<'_>) -> Value {
    let endpoints = items_at(slice, "endpoints").iter();
    let addresses = endpoints.flat_map(|endpoint| items_at(endpoint, "addresses")).filter_map(Value::as_str);
    let addresses: Vec<String> = addresses.map(str::to_owned).collect();
    with_more(&addresses, SHOWN, ",", "<unset>").into()
}

pub(in super::super) fn ingress_hosts(ingress: &Value, _: &Context<'_>) -> Value {
    let rules = items_at(ingress, "spec.rules");
    let mut hosts = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == SHOWN;
        let host = str_at(rule, "host");
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return "*".into();
    }
    // Rules without a host count among the others, as upstream.
    let rest = if more { format!(" + {} more...", rules.len() - SHOWN) } else { String::new() };
    format!("{}{rest}", hosts.join(",")).into()
}

pub(in super::super) fn ingress_address(ingress: &Value, _: &Context<'_>) -> Value {
    load_balancer(ingress).join(",").into()
}

pub(in super::super) fn ingress_ports(ingress: &Value, _: &Context<'_>) -> Value {
    if items_at(ingress, "spec.tls").is_empty() { "80".into() } else { "80, 443".into() }
}

pub(in super::super) fn ingress_class_name(class: &Value, _: &Context<'_>) -> Value {
    let name = crate::meta::name(class);
    match crate::meta::annotation(class, "ingressclass.kubernetes.io/is-default-class") {
        Some("true") => format!("{name} (default)").into(),
        _ => name.into(),
    }
}

pub(in super::super) fn ingress_class_parameters(class: &Value, _: &Context<'_>) -> Value {
    let Some(parameters) = at(class, "spec.parameters") else { return "<none>".into() };
    let group = at(parameters, "apiGroup").and_then(Value::as_str).map(|g| format!(".{g}")).unwrap_or_default();
    format!("{}{group}/{}", str_at(parameters, "kind"), str_at(parameters, "name")).into()
}

pub(in super::super) fn ip_address_parent(address: &Value, _: &Context<'_>) -> Value {
    let Some(parent) = at(address, "spec.parentRef") else { return "<none>".into() };
    let resource = crate::meta::GroupResource::new(str_at(parent, "group"), str_at(parent, "resource"));
    let namespace = match str_at(parent, "namespace") {
        "" => String::new(),
        namespace => format!("/{namespace}"),
    };
    format!("{}{namespace}/{}", resource.to_string().to_lowercase(), str_at(parent, "name")).into()
}

/// The addresses of a load balancer, sorted, each once.
fn load_balancer(object: &Value) -> Vec<String> {
    let address = |ingress: &Value| match str_at(ingress, "ip") {
        "" => str_at(ingress, "hostname").to_owned(),
        ip => ip.to_owned(),
    };
    let addresses: BTreeSet<String> = items_at(object, "status.loadBalancer.ingress").iter().map(address).collect();
    addresses.into_iter().filter(|address| !address.is_empty()).collect()
}

fn join_host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
