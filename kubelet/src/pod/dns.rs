//! What a pod's resolv.conf says. Upstream: `dns.Configurer`.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod;

use super::PodExt;

/// The lines of a resolv.conf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolver {
    pub(crate) servers: Vec<String>,
    pub(crate) searches: Vec<String>,
    pub(crate) options: Vec<String>,
}

/// glibc and the API agree on these. Upstream: `validation.MaxDNS*`.
const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2048;

/// Reads a resolv.conf; later `search` and `options` lines replace earlier ones, as glibc does for search.
pub(crate) fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            Some("search") => {
                resolver.searches = words.map(|word| word.trim_end_matches('.').to_owned()).collect();
                resolver.searches.retain(|search| !search.is_empty());
            }
            Some("options") => resolver.options = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    resolver
}

/// The resolver of a pod: its policy, the cluster's servers and domain, the host's own, then dnsConfig on top.
pub(crate) fn resolver(pod: &Pod, host: &Resolver, cluster_dns: &[IpAddr], domain: &str) -> Resolver {
    let policy = pod.spec().dns_policy.as_deref().unwrap_or("ClusterFirst");
    let policy = if policy == "ClusterFirst" && pod.host_network() { "Default" } else { policy };
    let mut result = match policy {
        "None" => Resolver::default(),
        "ClusterFirst" | "ClusterFirstWithHostNet" if !cluster_dns.is_empty() => {
            let mut searches = Vec::new();
            if !domain.is_empty() {
                searches.push(format!("{}.svc.{domain}", pod.namespace()));
                searches.push(format!("svc.{domain}"));
                searches.push(domain.to_owned());
            }
            searches.extend(host.searches.iter().cloned());
            Resolver {
                servers: cluster_dns.iter().map(ToString::to_string).collect(),
                searches,
                options: vec!["ndots:5".into()],
            }
        }
        _ => {
            let mut own = host.clone();
            if own.servers.is_empty() {
                own.servers.push("127.0.0.1".into());
            }
            own
        }
    };
    if let Some(config) = &pod.spec().dns_config {
        result.servers.extend(config.nameservers.iter().flatten().cloned());
        result.searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let Some(name) = option.name.as_deref() else { continue };
            result.options.retain(|present| present.split(':').next() != Some(name));
            match option.value.as_deref().filter(|value| !value.is_empty()) {
                Some(value) => result.options.push(format!("{name}:{value}")),
                None => result.options.push(name.to_owned()),
            }
        }
    }
    bounded(result)
}

fn bounded(mut resolver: Resolver) -> Resolver {
    dedup(&mut resolver.servers);
    dedup(&mut resolver.searches);
    resolver.servers.truncate(MAX_SERVERS);
    resolver.searches.truncate(MAX_SEARCHES);
    while resolver.searches.join(" ").len() > MAX_SEARCH_CHARS {
        resolver.searches.pop();
    }
    resolver
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodDNSConfig, PodDNSConfigOption, PodSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn pod(policy: &str) -> Pod {
        Pod {
            metadata: ObjectMeta { namespace: Some("ns".into()), ..ObjectMeta::default() },
            spec: Some(PodSpec { dns_policy: Some(policy.into()), ..PodSpec::default() }),
            ..Pod::default()
        }
    }

    #[test]
    fn cluster_first_searches_its_namespace_first() {
        let host = parse("nameserver 8.8.8.8\nsearch corp.example.\noptions timeout:1\n");
        let dns = ["10.96.0.10".parse().unwrap()];
        let result = resolver(&pod("ClusterFirst"), &host, &dns, "cluster.local");
        assert_eq!(result.servers, ["10.96.0.10"]);
        assert_eq!(result.searches, ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"]);
        assert_eq!(result.options, ["ndots:5"]);
        assert_eq!(resolver(&pod("Default"), &host, &dns, "cluster.local"), host);
    }

    #[test]
    fn dns_config_adds_and_overrides() {
        let mut pod = pod("None");
        pod.spec.as_mut().unwrap().dns_config = Some(PodDNSConfig {
            nameservers: Some(vec!["1.1.1.1".into()]),
            searches: Some(vec!["a.b".into()]),
            options: Some(vec![PodDNSConfigOption { name: Some("ndots".into()), value: Some("2".into()) }]),
        });
        let result = resolver(&pod, &Resolver::default(), &[], "cluster.local");
        assert_eq!((result.servers[0].as_str(), result.searches[0].as_str()), ("1.1.1.1", "a.b"));
        assert_eq!(result.options, ["ndots:2"]);
    }
}
