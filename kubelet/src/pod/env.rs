//! A container's environment: all sources, in upstream's order of precedence, with `$(VAR)` expanded.
//!
//! [`environment`] is pure: what it needs of ConfigMaps, Secrets and Services is fetched before and handed in.
//! Upstream: `kubelet.makeEnvironmentVariables`, `envvars.FromServices`, `expansion.Expand`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret, Service};

use super::PodExt;
use super::fields::{self, NodeFacts};

/// Why a container's environment cannot be made. Ends in the waiting reason `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("{kind} \"{name}\" not found")]
    NoObject { kind: &'static str, name: String },
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey { kind: &'static str, namespace: String, name: String, key: String },
    #[error(transparent)]
    Field(#[from] fields::Error),
}

/// What the environment is made from, beside the pod.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By name, in the pod's namespace.
    pub(crate) config_maps: HashMap<String, Option<Arc<ConfigMap>>>,
    /// By name, in the pod's namespace.
    pub(crate) secrets: HashMap<String, Option<Arc<Secret>>>,
    /// Of the pod's namespace, and `default/kubernetes`.
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) node: NodeFacts,
    pub(crate) pod_ips: Vec<String>,
}

/// The names a container's environment needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) config_maps: Vec<String>,
    pub(crate) secrets: Vec<String>,
}

/// Which objects have to be fetched before [`environment`] can be called.
pub(crate) fn needs(container: &Container) -> Needs {
    let mut needs = Needs::default();
    for from in container.env_from.iter().flatten() {
        needs.config_maps.extend(from.config_map_ref.iter().map(|r| r.name.clone()));
        needs.secrets.extend(from.secret_ref.iter().map(|r| r.name.clone()));
    }
    for from in container.env.iter().flatten().filter_map(|env| env.value_from.as_ref()) {
        needs.config_maps.extend(from.config_map_key_ref.iter().map(|r| r.name.clone()));
        needs.secrets.extend(from.secret_key_ref.iter().map(|r| r.name.clone()));
    }
    needs
}

/// Name and value of each variable, in the order in which they were set.
pub(crate) fn environment(pod: &Pod, container: &Container, sources: &Sources) -> Result<Vec<(String, String)>, Error> {
    let mut result: Vec<(String, String)> = Vec::new();
    let mut own: HashMap<String, String> = HashMap::new();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            if let Some(found) = config_map(sources, &reference.name, reference.optional)? {
                for (key, value) in found.data.iter().flatten() {
                    put(&mut result, &mut own, format!("{prefix}{key}"), value.clone());
                }
            }
        } else if let Some(reference) = &from.secret_ref
            && let Some(found) = secret(sources, &reference.name, reference.optional)?
        {
            for (key, value) in found.data.iter().flatten() {
                put(&mut result, &mut own, format!("{prefix}{key}"), String::from_utf8_lossy(&value.0).into_owned());
            }
        }
    }
    let service_links = pod.spec().enable_service_links.unwrap_or(true);
    let services = service_variables(pod.namespace(), &sources.services, service_links);

    for env in container.env.iter().flatten() {
        let value = match (&env.value, &env.value_from) {
            (_, Some(from)) => match from_source(pod, container, from, sources)? {
                Some(value) => value,
                None => continue,
            },
            (Some(value), None) => {
                expand(value, |name| own.get(name).or_else(|| services.get(name)).map(String::as_str))
            }
            (None, None) => String::new(),
        };
        put(&mut result, &mut own, env.name.clone(), value);
    }
    for (name, value) in services {
        if !own.contains_key(&name) {
            result.push((name, value));
        }
    }
    Ok(result)
}

fn put(result: &mut Vec<(String, String)>, own: &mut HashMap<String, String>, name: String, value: String) {
    if own.insert(name.clone(), value.clone()).is_some() {
        result.retain(|(present, _)| *present != name);
    }
    result.push((name, value));
}

fn from_source(
    pod: &Pod,
    container: &Container,
    from: &k8s_openapi::api::core::v1::EnvVarSource,
    sources: &Sources,
) -> Result<Option<String>, Error> {
    let missing_key = |kind, name: &str, key: &str| Error::NoKey {
        kind,
        namespace: pod.namespace().into(),
        name: name.into(),
        key: key.into(),
    };
    if let Some(reference) = &from.field_ref {
        return Ok(Some(fields::field(pod, &reference.field_path, &sources.node, &sources.pod_ips)?));
    }
    if let Some(reference) = &from.resource_field_ref {
        return Ok(Some(fields::resource(pod, Some(container), reference, &sources.node)?));
    }
    if let Some(reference) = &from.config_map_key_ref {
        let Some(found) = config_map(sources, &reference.name, reference.optional)? else { return Ok(None) };
        return match found.data.as_ref().and_then(|data| data.get(&reference.key)) {
            Some(value) => Ok(Some(value.clone())),
            None if reference.optional == Some(true) => Ok(None),
            None => Err(missing_key("ConfigMap", &reference.name, &reference.key)),
        };
    }
    if let Some(reference) = &from.secret_key_ref {
        let Some(found) = secret(sources, &reference.name, reference.optional)? else { return Ok(None) };
        return match found.data.as_ref().and_then(|data| data.get(&reference.key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None if reference.optional == Some(true) => Ok(None),
            None => Err(missing_key("Secret", &reference.name, &reference.key)),
        };
    }
    Ok(Some(String::new()))
}

fn config_map<'a>(s: &'a Sources, name: &str, optional: Option<bool>) -> Result<Option<&'a ConfigMap>, Error> {
    match s.config_maps.get(name).and_then(Option::as_deref) {
        Some(found) => Ok(Some(found)),
        None if optional == Some(true) => Ok(None),
        None => Err(Error::NoObject { kind: "configmap", name: name.into() }),
    }
}

fn secret<'a>(s: &'a Sources, name: &str, optional: Option<bool>) -> Result<Option<&'a Secret>, Error> {
    match s.secrets.get(name).and_then(Option::as_deref) {
        Some(found) => Ok(Some(found)),
        None if optional == Some(true) => Ok(None),
        None => Err(Error::NoObject { kind: "secret", name: name.into() }),
    }
}

/// Replaces `$(NAME)` where `lookup` knows the name; `$$` stands for `$`; anything else is left as it is.
pub(crate) fn expand<'a>(input: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.as_bytes().first() {
            Some(b'$') => {
                out.push('$');
                rest = &rest[1..];
            }
            Some(b'(') => match rest.find(')') {
                Some(end) => {
                    let name = &rest[1..end];
                    match lookup(name) {
                        Some(value) => out.push_str(value),
                        None => {
                            out.push_str("$(");
                            out.push_str(name);
                            out.push(')');
                        }
                    }
                    rest = &rest[end + 1..];
                }
                None => {
                    out.push_str("$(");
                    rest = &rest[1..];
                }
            },
            _ => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// The variables by which pods find Services without DNS. `default/kubernetes` is always among them; the pod's namespace wins.
pub(crate) fn service_variables(namespace: &str, services: &[Arc<Service>], links: bool) -> BTreeMap<String, String> {
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let its_namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let has_ip = service
            .spec
            .as_ref()
            .and_then(|spec| spec.cluster_ip.as_deref())
            .is_some_and(|ip| !ip.is_empty() && ip != "None");
        if !has_ip {
            continue;
        }
        if its_namespace == namespace && links {
            chosen.insert(name, service);
        } else if its_namespace == "default" && name == "kubernetes" {
            chosen.entry(name).or_insert(service);
        }
    }
    let mut variables = BTreeMap::new();
    for (name, service) in chosen {
        let Some(spec) = &service.spec else { continue };
        let prefix = name.to_uppercase().replace('-', "_");
        let ip = spec.cluster_ip.as_deref().unwrap_or_default();
        let ports = spec.ports.as_deref().unwrap_or_default();
        let Some(first) = ports.first() else { continue };
        variables.insert(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
        variables.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
        for port in ports {
            if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                let key = format!("{prefix}_SERVICE_PORT_{}", port_name.to_uppercase().replace('-', "_"));
                variables.insert(key, port.port.to_string());
            }
        }
        let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
            if index == 0 {
                variables.insert(format!("{prefix}_PORT"), url.clone());
            }
            let key = format!("{prefix}_PORT_{}_{protocol}", port.port);
            variables.insert(format!("{key}_PROTO"), protocol.to_lowercase());
            variables.insert(format!("{key}_PORT"), port.port.to_string());
            variables.insert(format!("{key}_ADDR"), ip.to_owned());
            variables.insert(key, url);
        }
    }
    variables
}
