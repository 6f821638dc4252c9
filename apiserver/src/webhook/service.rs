//! Where a Service is reached from the API server: at its cluster IP, as upstream without --enable-aggregator-routing.
//! Upstream: k8s.io/apiserver/pkg/util/proxy.ResolveCluster.

use json::Value;

use crate::context::Objects;

/// `HOST:PORT` of a Service; the error is upstream's text.
pub(crate) fn resolve(objects: &dyn Objects, namespace: &str, name: &str, port: u16) -> Result<String, String> {
    let quoted = api::go_text::quote(name);
    let service = objects.get("", "services", namespace, name).ok_or_else(|| format!("service {quoted} not found"))?;
    let spec = &service["spec"];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    match kind {
        "ClusterIP" if spec["clusterIP"] == "None" => Err("cannot route to service with ClusterIP \"None\"".to_owned()),
        "ClusterIP" | "LoadBalancer" | "NodePort" => {
            let mut ports = spec["ports"].as_array().into_iter().flatten();
            if !ports.any(|own| own["port"].as_u64() == Some(u64::from(port))) {
                return Err(format!("no service port {port} found for service {quoted}"));
            }
            Ok(authority(text(&spec["clusterIP"]), port))
        }
        "ExternalName" => Ok(authority(text(&spec["externalName"]), port)),
        other => Err(format!("unsupported service type {}", api::go_text::quote(other))),
    }
}

/// `HOST:PORT`, with brackets where IPv6 needs them.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
