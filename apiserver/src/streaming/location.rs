//! Where a log, exec or proxy request goes: pure functions from objects and parameters to an address and a path.
//! Upstream: pkg/registry/core/{pod,node,service}.

use std::net::IpAddr;

use api::meta;
use api::status::Status;
use http::HeaderValue;
use json::Value;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::endpoints::query::Query;

/// What stays as it is in a path handed on.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'%');

/// Plain or TLS, and with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    /// A pod or service: whatever certificate it has, and it gets none of ours.
    Https,
    /// A kubelet: its certificate is checked, and ours shown.
    Kubelet,
}

/// One backend and the path asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    /// What the host was found to be when it was checked, if it was: it is not looked up again (CVE-2020-8562).
    pub(crate) checked: Option<IpAddr>,
}

impl Location {
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What is dialled.
    pub(crate) fn dialled(&self) -> (String, u16) {
        (self.checked.map_or_else(|| self.host.clone(), |address| address.to_string()), self.port)
    }

    pub(crate) fn host_header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.address()).unwrap_or(HeaderValue::from_static("backend"))
    }
}

/// May what users name be proxied to? Addresses of this host and its link are nobody's backend. Upstream: IP.IsGlobalUnicast.
pub(crate) fn is_proxyable(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0) == 0xfe80,
    };
    !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !link_local
}

/// Parameters of each stream, as the API and as the kubelet call them.
const EXEC: [(&str, &str); 4] = [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")];
const LOG: [&str; 9] = [
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
    "insecureSkipTLSVerifyBackend",
];

/// The kubelet of a node.
pub(crate) fn kubelet(node: &Value, path: String) -> Result<Location, Status> {
    let addresses = node["status"]["addresses"].as_array();
    let of = |kind: &str| {
        addresses
            .into_iter()
            .flatten()
            .find(|address| address["type"] == kind)
            .and_then(|address| address["address"].as_str())
    };
    let host = ["InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS"].iter().find_map(|kind| of(kind));
    let host = host.ok_or_else(|| {
        let name = meta::name(node);
        Status::internal_error(&format!(
            "no preferred addresses found for node {}; known addresses: []",
            api::go_text::quote(name)
        ))
    })?;
    let port =
        node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64().and_then(|port| u16::try_from(port).ok());
    let port = port.filter(|port| *port > 0).unwrap_or(10250);
    Ok(Location { scheme: Scheme::Kubelet, host: host.to_string(), port, path, checked: None })
}

/// The container a request is about. Upstream: pod.validateContainer and its callers.
pub(crate) fn container(pod: &Value, asked: &str) -> Result<String, Status> {
    let names = |list: &str| -> Vec<&str> {
        pod["spec"][list].as_array().into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
    };
    let (main, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    let name = meta::name(pod);
    if asked.is_empty() {
        return match main.as_slice() {
            [only] => Ok((*only).to_string()),
            [] => Err(Status::bad_request(format!("a container name must be specified for pod {name}"))),
            several => {
                let mut message = format!(
                    "a container name must be specified for pod {name}, choose one of: [{}]",
                    several.join(" ")
                );
                if !init.is_empty() {
                    message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                if !ephemeral.is_empty() {
                    message.push_str(&format!(" or one of the ephemeral containers: [{}]", ephemeral.join(" ")));
                }
                Err(Status::bad_request(message))
            }
        };
    }
    if main.iter().chain(&init).chain(&ephemeral).any(|own| *own == asked) {
        return Ok(asked.to_string());
    }
    Err(Status::bad_request(format!("container {asked} is not valid for pod {name}")))
}

/// The kubelet's path for a stream of a pod.
pub(crate) fn stream_path(pod: &Value, subresource: &str, query: &Query) -> Result<String, Status> {
    let (namespace, name) = (meta::namespace(pod), meta::name(pod));
    let asked = query.get("container").unwrap_or_default();
    let mut parameters: Vec<(String, String)> = Vec::new();
    let path = match subresource {
        "log" => {
            for key in LOG {
                parameters.extend(query.all(key).take(1).map(|value| (key.to_string(), value.to_string())));
            }
            format!("/containerLogs/{namespace}/{name}/{}", container(pod, asked)?)
        }
        "portforward" => {
            let ports = query.all("ports").flat_map(|ports| ports.split(','));
            parameters.extend(ports.map(|port| ("port".to_string(), port.to_string())));
            format!("/portForward/{namespace}/{name}")
        }
        _ => {
            let container = container(pod, asked)?;
            for (from, to) in EXEC {
                if query.get(from).is_some_and(|value| !matches!(value, "false" | "0")) {
                    parameters.push((to.to_string(), "1".to_string()));
                }
            }
            if subresource == "exec" {
                parameters.extend(query.all("command").map(|part| ("command".to_string(), part.to_string())));
            }
            format!("/{subresource}/{namespace}/{name}/{container}")
        }
    };
    Ok(with_query(&path, parameters.iter().map(|(key, value)| (key.as_str(), value.as_str()))))
}

/// A path with a query.
pub(crate) fn with_query<'a>(path: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = utf8_percent_encode(path, PATH).to_string();
    for (index, (key, value)) in pairs.enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.extend(utf8_percent_encode(key, NON_ALPHANUMERIC));
        out.push('=');
        out.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    out
}

/// `[SCHEME:]NAME[:PORT]` of a proxied pod or service. Upstream: utilnet.SplitSchemeNamePort.
pub(crate) fn split_name(id: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = id.split(':').collect();
    match parts.as_slice() {
        [name] => Some(("", *name, "")),
        [name, port] => Some(("", *name, *port)),
        [scheme @ ("" | "http" | "https"), name, port] => Some((*scheme, *name, *port)),
        _ => None,
    }
    .filter(|(_, name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use json::json;

    fn pod() -> Value {
        json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "a"}, {"name": "b"}],
               "initContainers": [{"name": "i"}]}})
    }

    #[test]
    fn exec_parameters_become_the_kubelets() {
        let query = Query::parse("container=a&stdin=true&stdout=1&tty=false&command=sh&command=-c&command=echo+hi");
        let path = stream_path(&pod(), "exec", &query).unwrap();
        assert_eq!(path, "/exec/n/p/a?input=1&output=1&command=sh&command=%2Dc&command=echo%20hi");
    }

    #[test]
    fn a_container_must_be_named_when_there_are_several() {
        let status = stream_path(&pod(), "log", &Query::default()).unwrap_err();
        let expect =
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]";
        assert_eq!((status.code, status.message.as_str()), (400, expect));
        assert_eq!(container(&pod(), "x").unwrap_err().message, "container x is not valid for pod p");
        assert_eq!(container(&pod(), "i").unwrap(), "i");
    }

    #[test]
    fn proxied_names_may_hold_scheme_and_port() {
        assert_eq!(split_name("web"), Some(("", "web", "")));
        assert_eq!(split_name("web:80"), Some(("", "web", "80")));
        assert_eq!(split_name("https:web:port"), Some(("https", "web", "port")));
        assert_eq!(split_name("ftp:web:1"), None);
        assert_eq!(split_name(":80"), None);
    }
}
