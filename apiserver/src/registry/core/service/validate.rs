//! What a Service must be. Upstream: validateService, ValidateServiceUpdate, ValidateServiceClusterIPsRelatedFields.

use std::collections::HashSet;
use std::net::IpAddr;

use api::field::{BadValue, Error, ErrorList, Path};
use api::meta;
use api::names;
use json::Value;

use super::super::super::fields::{At, at, items, text};
use super::super::super::validation::{
    address_warnings, balancer_address, cidr, dns_label, handler, ip, one_of, optional_one_of, parse_ip_sloppy,
    qualified_name, required_one_of, selector,
};
use super::{NONE, cluster_ips, is_external_name, is_headless, kind, needs_health_check};

/// Upstream: apiservice.ExternallyAccessible.
pub(super) fn externally_accessible(service: &Value) -> bool {
    let external = kind(service) == "ClusterIP" && !items(&service["spec"], "externalIPs").is_empty();
    matches!(kind(service), "LoadBalancer" | "NodePort") || external
}

pub(super) fn service(new: &Value, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(new).field("spec");
    topology_annotations(new, &mut errors);
    let ports = spec.field("ports");
    if ports.is_empty() && !is_headless(new) && !is_external_name(new) {
        errors.push(ports.required(""));
    }
    by_type(new, &spec, &mut errors);
    let mut port_names = HashSet::new();
    for port in ports.items() {
        service_port(&port, ports.slice().len() > 1, &mut port_names, &mut errors);
    }
    selector::labels(&spec.field("selector"), &mut errors);
    let affinity = spec.field("sessionAffinity");
    required_one_of(&affinity, &["ClientIP", "None"], &mut errors);
    affinity_config(&spec, affinity.str(), &mut errors);
    address_fields(new, old, &mut errors);
    let kept: Vec<&str> = old
        .map(|old| items(&old["spec"], "externalIPs").iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for external in spec.field("externalIPs").items() {
        let before = errors.len();
        if !kept.contains(&external.str()) {
            ip(&external, &mut errors);
        }
        if errors.len() == before {
            endpoint_ip(&external, &mut errors);
        }
    }
    required_one_of(&spec.field("type"), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], &mut errors);
    port_uniqueness(new, old.is_some(), &ports, &mut errors);
    source_ranges(new, &spec, &mut errors);
    load_balancer_fields(new, &spec, &mut errors);
    traffic_policies(new, &spec, &mut errors);
    let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    optional_one_of(&spec.field("trafficDistribution"), &distributions, &mut errors);
    errors
}

fn topology_annotations(new: &Value, errors: &mut ErrorList) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    if let (Some(hints), Some(mode)) = (meta::annotation(new, HINTS), meta::annotation(new, MODE))
        && hints != mode
    {
        let path = Path::new("metadata").child("annotations").key(MODE);
        errors.push(Error::invalid(&path, mode, format!("must match annotations[{HINTS}] when both are specified")));
    }
}

fn by_type(new: &Value, spec: &At<'_>, errors: &mut ErrorList) {
    match kind(new) {
        own @ ("LoadBalancer" | "NodePort") if is_headless(new) => {
            let path = spec.path.child("clusterIPs").index(0);
            errors.push(Error::invalid(&path, NONE, format!("may not be set to 'None' for {own} services")));
        }
        "ExternalName" => {
            for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if !spec.field(field).is_empty() {
                    errors.push(spec.field(field).forbidden("may not be set for ExternalName services"));
                }
            }
            let name = spec.field("externalName");
            let canonical = name.str().strip_suffix('.').unwrap_or(name.str());
            if canonical.is_empty() {
                errors.push(name.required(""));
            } else {
                let complaints = names::is_dns1123_subdomain(canonical).into_iter();
                errors.extend(complaints.map(|complaint| Error::invalid(&name.path, canonical, complaint)));
            }
        }
        _ => {}
    }
}

fn service_port(port: &At<'_>, needs_name: bool, seen: &mut HashSet<String>, errors: &mut ErrorList) {
    let name = port.field("name");
    if !name.str().is_empty() {
        dns_label(&name, errors);
        if !seen.insert(name.str().to_owned()) {
            errors.push(name.duplicate());
        }
    } else if needs_name {
        errors.push(name.required(""));
    }
    let number = port.field("port");
    errors.extend(names::is_valid_port_num(number.int()).into_iter().map(|complaint| number.invalid_int(complaint)));
    required_one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"], errors);
    handler::port(&port.field("targetPort"), errors);
    let protocol = port.field("appProtocol");
    if protocol.is_set() {
        qualified_name(&protocol, errors);
    }
}

fn affinity_config(spec: &At<'_>, affinity: &str, errors: &mut ErrorList) {
    let config = spec.field("sessionAffinityConfig");
    let timeout = config.field("clientIP").field("timeoutSeconds");
    match affinity {
        "ClientIP" => {
            let missing = [&config, &config.field("clientIP"), &timeout].into_iter().find(|at| !at.is_set()).cloned();
            if let Some(missing) = missing {
                errors.push(missing.required("when session affinity type is ClientIP"));
            } else if !(1..=86400).contains(&timeout.int()) {
                errors.push(timeout.invalid_int("must be greater than 0 and less than 86400"));
            }
        }
        "None" if config.is_set() => errors.push(config.forbidden("must not be set when session affinity is None")),
        _ => {}
    }
}

fn port_uniqueness(new: &Value, exists: bool, ports: &At<'_>, errors: &mut ErrorList) {
    let (mut node_ports, mut numbers) = (HashSet::new(), HashSet::new());
    if kind(new) == "ClusterIP" {
        for node_port in ports.items().map(|port| port.field("nodePort")).filter(|port| port.int() != 0) {
            errors.push(node_port.forbidden("may not be used when `type` is 'ClusterIP'"));
        }
    }
    for port in ports.items() {
        let node_port = port.field("nodePort");
        // For a new Service the allocator is asked first, and says so in its own words.
        let twice = node_port.int() != 0 && !node_ports.insert((port.text("protocol").to_owned(), node_port.int()));
        if twice && exists {
            errors.push(node_port.duplicate());
        }
    }
    for port in ports.items() {
        let number = port.field("port").int();
        if !numbers.insert((port.text("protocol").to_owned(), number)) {
            // Upstream shows a port of its own type with only these two fields set.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}",
                api::go_text::json_string(port.text("protocol"))
            );
            errors.push(Error::duplicate(&port.path, BadValue::Verbatim(shown)));
        }
    }
}

fn source_ranges(new: &Value, spec: &At<'_>, errors: &mut ErrorList) {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let ranges = spec.field("loadBalancerSourceRanges");
    // The capital letter is upstream's.
    let path = spec.path.child("LoadBalancerSourceRanges");
    let balancer = kind(new) == "LoadBalancer";
    if !ranges.is_empty() {
        if !balancer {
            errors.push(Error::forbidden(&path, ONLY));
        }
        for (index, range) in ranges.items().enumerate() {
            let trimmed = Value::from(range.str().trim());
            cidr(&At::new(&trimmed, path.index(index)), errors);
        }
    } else if let Some(annotation) = meta::annotation(new, ANNOTATION) {
        let path = Path::new("metadata").child("annotations").key(ANNOTATION);
        if !balancer {
            errors.push(Error::forbidden(&path, ONLY));
        }
        for range in annotation.split(',').map(str::trim).filter(|_| !annotation.trim().is_empty()) {
            cidr(&At::new(&Value::from(range), path.clone()), errors);
        }
    }
}

fn load_balancer_fields(new: &Value, spec: &At<'_>, errors: &mut ErrorList) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let (allocate, class) = (spec.field("allocateLoadBalancerNodePorts"), spec.field("loadBalancerClass"));
    let balancer = kind(new) == "LoadBalancer";
    if allocate.is_set() && !balancer {
        errors.push(allocate.forbidden(ONLY));
    }
    if balancer && !allocate.is_set() {
        errors.push(Error::required(&Path::new("allocateLoadBalancerNodePorts"), ""));
    }
    if class.is_set() {
        if balancer { qualified_name(&class, errors) } else { errors.push(class.forbidden(ONLY)) }
    }
}

fn traffic_policies(new: &Value, spec: &At<'_>, errors: &mut ErrorList) {
    let external = spec.field("externalTrafficPolicy");
    if externally_accessible(new) {
        required_one_of(&external, &["Cluster", "Local"], errors);
    } else if !external.str().is_empty() {
        errors.push(external.invalid_str("may only be set for externally-accessible services"));
    }
    let health = spec.field("healthCheckNodePort");
    if !needs_health_check(new) {
        if health.int() != 0 {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(health.invalid_int(detail));
        }
    } else if health.int() != 0 {
        // Zero is filled in by the allocation that follows.
        errors
            .extend(names::is_valid_port_num(health.int()).into_iter().map(|complaint| health.invalid_int(complaint)));
    }
    let internal = spec.field("internalTrafficPolicy");
    if internal.is_set() {
        one_of(&internal, &["Cluster", "Local"], errors);
    } else if matches!(kind(new), "NodePort" | "LoadBalancer" | "ClusterIP") {
        errors.push(internal.required(""));
    }
}

/// clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy. Upstream: ValidateServiceClusterIPsRelatedFields.
pub(super) fn address_fields(new: &Value, old: Option<&Value>, errors: &mut ErrorList) {
    if is_external_name(new) {
        return;
    }
    let spec = At::root(new).field("spec");
    let (one, many) = (spec.text("clusterIP"), spec.field("clusterIPs"));
    let own = cluster_ips(new);
    match own.first() {
        None if !one.is_empty() => errors.push(many.required("")),
        Some(_) if one.is_empty() => errors.push(many.invalid("must be empty when `clusterIP` is not specified")),
        Some(first) if *first != one => errors.push(many.invalid("first value must match `clusterIP`")),
        _ => {}
    }
    let families = spec.field("ipFamilies");
    let mut seen: Vec<&str> = Vec::new();
    for family in families.items() {
        one_of(&family, &["IPv4", "IPv6"], errors);
        if seen.contains(&family.str()) {
            errors.push(family.duplicate());
        }
        seen.push(family.value.as_str().unwrap_or_default());
    }
    optional_one_of(&spec.field("ipFamilyPolicy"), &["PreferDualStack", "RequireDualStack", "SingleStack"], errors);
    let kept = old.map(cluster_ips).unwrap_or_default();
    let before = errors.len();
    for (index, address) in many.items().enumerate() {
        if index == 0 && address.str() == NONE {
            if own.len() > 1 {
                errors.push(many.invalid("'None' must be the first and only value"));
            }
        } else if !kept.contains(&address.str()) {
            ip(&address, errors);
        }
    }
    let broken = errors.len() > before;
    if own.len() > 2 {
        errors.push(many.invalid("may only hold up to 2 values"));
    }
    if broken {
        return;
    }
    let parsed: Vec<IpAddr> = own.iter().filter_map(|address| parse_ip_sloppy(address)).collect();
    let v4 = parsed.iter().filter(|address| address.is_ipv4()).count();
    if own.len() > 1 && (v4 == 0 || v4 == parsed.len()) {
        errors.push(many.invalid("may specify no more than one IP for each IP family"));
    }
    if !is_headless(new) {
        for ((index, address), family) in parsed.iter().enumerate().zip(&seen) {
            if (*family == "IPv4" && !address.is_ipv4()) || (*family == "IPv6" && address.is_ipv4()) {
                let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                errors.push(Error::invalid(&many.path.index(index), own[index], detail));
            }
        }
    }
}

/// What may not change. Upstream: the first half of ValidateServiceUpdate.
pub(super) fn changes(new: &Value, old: &Value, errors: &mut ErrorList) {
    let spec = At::root(new).field("spec");
    if !is_external_name(new) && !is_external_name(old) {
        let headless = (is_headless(new), is_headless(old));
        if headless != (true, true) {
            stable_list(&spec, "clusterIPs", "primary clusterIP can not be unset", "secondary clusterIP", old, errors);
        }
        if headless == (false, false) {
            stable_list(&spec, "ipFamilies", "primary ipFamily can not be unset", "secondary ipFamily", old, errors);
        }
    }
    let class = spec.field("loadBalancerClass");
    let both_balance = kind(new) == "LoadBalancer" && kind(old) == "LoadBalancer";
    if both_balance && class.value != at(old, &["spec", "loadBalancerClass"]) {
        let shown = if class.is_set() { class.bad() } else { BadValue::Verbatim("null".to_owned()) };
        errors.push(Error::invalid(&class.path, shown, "may not change once set"));
    }
    if needs_health_check(new) && needs_health_check(old) {
        let health = spec.field("healthCheckNodePort");
        if health.value != at(old, &["spec", "healthCheckNodePort"]) {
            errors.push(health.forbidden("field is immutable"));
        }
    }
}

fn stable_list(spec: &At<'_>, key: &'static str, unset: &str, secondary: &str, old: &Value, errors: &mut ErrorList) {
    const ONCE: &str = "may not change once set";
    let (list, before) = (spec.field(key), items(&old["spec"], key));
    let now = list.slice();
    let at_index = |index: usize| list.path.index(index);
    let shown = || BadValue::Value(Value::from(now.to_vec()));
    if now.len() == before.len() {
        for (index, (now, before)) in now.iter().zip(before).enumerate() {
            if now != before {
                let index = if key == "ipFamilies" { 0 } else { index };
                errors.push(Error::invalid(&at_index(index), shown(), ONCE));
            }
        }
        return;
    }
    if now.is_empty() {
        errors.push(Error::invalid(&at_index(0), shown(), unset));
    } else if !before.is_empty() && now[0] != before[0] {
        errors.push(Error::invalid(&at_index(0), shown(), ONCE));
    }
    if before.len() > now.len() && now.len() == 1 && spec.text("ipFamilyPolicy") != "SingleStack" {
        let policy = spec.field("ipFamilyPolicy");
        let detail = format!("must be set to 'SingleStack' when releasing the {secondary}");
        errors.push(policy.invalid_str(detail));
    }
}

/// An address endpoints may have: of no special kind. Upstream: ValidateEndpointIP.
pub(crate) fn endpoint_ip(at: &At<'_>, errors: &mut ErrorList) {
    let Some(address) = parse_ip_sloppy(at.str()) else { return };
    let mut bad = |what: &str| errors.push(at.invalid_str(what));
    if address.is_unspecified() {
        bad(&format!("may not be unspecified ({})", at.str()));
    }
    if address.is_loopback() {
        bad("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    if link_local {
        bad("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_local_multicast {
        bad("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// Upstream: GetWarningsForService.
pub(super) fn warnings(new: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = At::root(new).field("spec");
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    if meta::annotation(new, HINTS).is_some() {
        warnings
            .push(format!("annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"));
    }
    if !is_headless(new) && !is_external_name(new) {
        warnings.extend(spec.field("clusterIPs").items().filter_map(|address| address_warnings::of_ip(&address)));
    }
    if is_headless(new) && !is_external_name(new) {
        if !text(&new["spec"], "loadBalancerIP").is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !spec.field("externalIPs").is_empty() {
            warnings.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if !matches!(spec.text("sessionAffinity"), "" | "None") {
            warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    warnings.extend(spec.field("externalIPs").items().filter_map(|address| address_warnings::of_ip(&address)));
    if !spec.field("externalIPs").is_empty() && !is_headless(new) && !is_external_name(new) {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    warnings.extend(address_warnings::of_ip(&spec.field("loadBalancerIP")));
    let ranges = spec.field("loadBalancerSourceRanges");
    warnings.extend(ranges.items().flat_map(|range| address_warnings::of_cidr(&range)));
    if is_external_name(new) && !spec.field("externalIPs").is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if !spec.text("externalName").is_empty() && !is_external_name(new) {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.text("trafficDistribution") == "PreferClose" {
        warnings.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    warnings
}

/// Upstream: ValidateLoadBalancerStatus.
pub(super) fn status(new: &Value, errors: &mut ErrorList) {
    let list = At::root(new).field("status").field("loadBalancer").field("ingress");
    if kind(new) != "LoadBalancer" && !list.is_empty() {
        errors.push(list.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    for ingress in list.items() {
        let (address, mode) = (ingress.field("ip"), ingress.field("ipMode"));
        balancer_address(&ingress, errors);
        match (mode.is_set(), address.str().is_empty()) {
            (true, true) => errors.push(mode.forbidden("may not be specified when `ip` is not set")),
            (false, false) => errors.push(mode.required("must be specified when `ip` is set")),
            (true, false) => one_of(&mode, &["Proxy", "VIP"], errors),
            (false, true) => {}
        }
    }
}
