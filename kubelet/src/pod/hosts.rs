//! A pod's host name and its /etc/hosts. Upstream: `GeneratePodHostNameAndDomain`, `ensureHostsFile`.

use k8s_openapi::api::core::v1::Pod;

use super::PodExt;

/// Linux's HOST_NAME_MAX less one, as DNS labels go.
const MAX_HOSTNAME: usize = 63;

/// Host name and DNS domain ("" when it has none).
pub(crate) fn hostname_and_domain(pod: &Pod, cluster_domain: &str) -> (String, String) {
    let spec = pod.spec();
    if let Some(name) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
        return (name.to_owned(), String::new());
    }
    let name = match spec.hostname.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => truncated(pod.name()),
    };
    let domain = match spec.subdomain.as_deref().filter(|subdomain| !subdomain.is_empty()) {
        Some(subdomain) => format!("{subdomain}.{}.svc.{cluster_domain}", pod.namespace()),
        None => String::new(),
    };
    (name, domain)
}

fn truncated(name: &str) -> String {
    name.chars().take(MAX_HOSTNAME).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

/// The host name the sandbox gets: with setHostnameAsFQDN the whole name.
pub(crate) fn sandbox_hostname(pod: &Pod, cluster_domain: &str) -> String {
    let (name, domain) = hostname_and_domain(pod, cluster_domain);
    if pod.spec().set_hostname_as_fqdn == Some(true) && !domain.is_empty() { format!("{name}.{domain}") } else { name }
}

/// The contents of the hosts file of a pod with its own network.
pub(crate) fn hosts_file(pod: &Pod, ips: &[String], cluster_domain: &str) -> String {
    let (name, domain) = hostname_and_domain(pod, cluster_domain);
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\nfe00::\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    for ip in ips {
        if domain.is_empty() {
            text.push_str(&format!("{ip}\t{name}\n"));
        } else {
            text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n"));
        }
    }
    text.push_str(&aliases(pod));
    text
}

/// The contents for a pod on the host's network: the host's own file and the pod's aliases.
pub(crate) fn host_network_hosts_file(pod: &Pod, of_host: &str) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{of_host}{}", aliases(pod))
}

fn aliases(pod: &Pod) -> String {
    let aliases = pod.spec().host_aliases.as_deref().unwrap_or_default();
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    text
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    #[test]
    fn a_pod_with_a_subdomain_has_a_full_name() {
        let mut pod = Pod {
            metadata: ObjectMeta { name: Some("web-0".into()), namespace: Some("ns".into()), ..Default::default() },
            spec: Some(PodSpec { subdomain: Some("web".into()), ..PodSpec::default() }),
            ..Pod::default()
        };
        let text = hosts_file(&pod, &["10.0.0.5".into()], "cluster.local");
        assert!(text.ends_with("10.0.0.5\tweb-0.web.ns.svc.cluster.local\tweb-0\n"), "{text}");
        assert_eq!(sandbox_hostname(&pod, "cluster.local"), "web-0");
        pod.spec.as_mut().unwrap().set_hostname_as_fqdn = Some(true);
        assert_eq!(sandbox_hostname(&pod, "cluster.local"), "web-0.web.ns.svc.cluster.local");
    }
}
