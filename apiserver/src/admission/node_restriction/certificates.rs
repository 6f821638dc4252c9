//! Certificates a kubelet asks for: of its own node, and of pods that run on it.
//! Upstream: noderestriction.Plugin.{admitCSR, admitPodCertificateRequest}.

use std::sync::Arc;

use api::go_text::quote;
use api::meta;
use api::status::Status;
use json::Value;

use super::{Answer, Refusal, refuse};
use crate::admission::{Attributes, Operation};
use crate::context::RequestContext;
use crate::registry::certificates;
use crate::registry::core::pod::MIRROR_ANNOTATION;
use crate::registry::fields::{items, text};

/// A certificate for a node is for this node.
pub(super) fn signing_request(node: &str, attributes: Attributes<'_>, object: &Value) -> Answer {
    const SIGNERS: [&str; 2] = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
    if attributes.operation != Operation::Create || !SIGNERS.contains(&text(&object["spec"], "signerName")) {
        return Ok(());
    }
    let own = format!("system:node:{node}");
    let named_so = certificates::parse(&object["spec"], |request| {
        let mut names = request.certification_request_info.subject.iter_common_name();
        names.next().and_then(|name| name.as_str().ok()) == Some(own.as_str())
    });
    match named_so {
        Ok(true) => Ok(()),
        Ok(false) => refuse(format!("can only create a node CSR with CN={own}")),
        Err(why) => refuse(format!("unable to parse csr: {why}")),
    }
}

/// What may be true in a moment: the client is not told that it never may.
fn perhaps_later(why: String) -> Answer {
    Err(Refusal::Other(Status::unknown(500, why)))
}

/// A certificate for a pod is for one that runs here as this ServiceAccount, and that wants it.
pub(super) fn pod_request(node: &str, attributes: Attributes<'_>, request: &Value) -> Answer {
    let ctx = attributes.ctx;
    if attributes.operation != Operation::Create {
        return refuse(format!("unexpected operation {}", attributes.operation.as_str()));
    }
    if !ctx.target.subresource.is_empty() {
        return refuse(format!("unexpected subresource {}", ctx.target.subresource));
    }
    let spec = &request["spec"];
    let namespace = &ctx.target.namespace;
    let named = text(spec, "nodeName");
    if named != node {
        let node = quote(node);
        let why =
            format!("PodCertificateRequest.Spec.NodeName={}, which is not the requesting node {node}", quote(named));
        return refuse(why);
    }
    let subject = quote(&format!("{namespace}/{}", text(spec, "podName")));
    let own = found(ctx, ("nodes", "node"), "", named, || format!("node {}", quote(named)))?;
    if meta::uid(&own) != text(spec, "nodeUID") {
        return perhaps_later(format!(
            "PodCertificateRequest for pod {subject} names node UID {}, inconsistent with the running node ({})",
            quote(text(spec, "nodeUID")),
            quote(meta::uid(&own))
        ));
    }
    let pod = found(ctx, ("pods", "pod"), namespace, text(spec, "podName"), || format!("pod {subject}"))?;
    if meta::uid(&pod) != text(spec, "podUID") {
        return perhaps_later(format!(
            "PodCertificateRequest for pod {subject} contains pod UID ({}) which differs from running pod {}",
            quote(text(spec, "podUID")),
            quote(meta::uid(&pod))
        ));
    }
    if text(&pod["spec"], "nodeName") != node {
        let node = quote(node);
        return refuse(format!("pod {subject} is not running on node {node} named in the PodCertificateRequest"));
    }
    if meta::annotation(&pod, MIRROR_ANNOTATION).is_some() {
        return refuse(format!("pod {subject} is a mirror pod"));
    }
    let (account, running) = (text(spec, "serviceAccountName"), text(&pod["spec"], "serviceAccountName"));
    if account != running {
        let (account, running) = (quote(account), quote(running));
        return refuse(format!(
            "PodCertificateRequest for pod {subject} contains serviceAccountName ({account}) that differs from running pod ({running})"
        ));
    }
    let what = || format!("service account {}", quote(&format!("{namespace}/{account}")));
    let own = found(ctx, ("serviceaccounts", "serviceaccount"), namespace, account, what)?;
    if meta::uid(&own) != text(spec, "serviceAccountUID") {
        return perhaps_later(format!(
            "PodCertificateRequest for pod {subject} names service account UID {}, which differs from the running service account ({})",
            quote(text(spec, "serviceAccountUID")),
            quote(meta::uid(&own))
        ));
    }
    let signer = text(spec, "signerName");
    if mounts(&pod, signer) || may_ask(ctx, signer, account) {
        return Ok(());
    }
    refuse(format!("pod {subject} does not mount a podCertificate projected volume for signer {}", quote(signer)))
}

/// An object the request names. Upstream's words for one that its caches do not have.
fn found(
    ctx: &RequestContext,
    (resource, singular): (&str, &str),
    namespace: &str,
    name: &str,
    what: impl Fn() -> String,
) -> Result<Arc<Value>, Refusal> {
    ctx.objects.get("", resource, namespace, name).ok_or_else(|| {
        let missing = format!("{singular} {} not found", quote(name));
        let why = format!("while retrieving {} named in the PodCertificateRequest: {missing}", what());
        Refusal::Other(Status::unknown(500, why))
    })
}

/// Has the pod a volume with a certificate of this signer?
fn mounts(pod: &Value, signer: &str) -> bool {
    let sources = items(&pod["spec"], "volumes").iter().flat_map(|volume| items(&volume["projected"], "sources"));
    sources.into_iter().any(|source| !signer.is_empty() && text(&source["podCertificate"], "signerName") == signer)
}

/// May this be asked for although no volume is of this signer?
fn may_ask(ctx: &RequestContext, signer: &str, account: &str) -> bool {
    // Rules cannot name what has a slash.
    let mut question = ctx.question("request-serviceaccounts-podcertificate-signer", "", &signer.replace('/', ":"));
    question.api_version.clone_from(&ctx.target.version);
    question.namespace.clone_from(&ctx.target.namespace);
    account.clone_into(&mut question.name);
    ctx.may(&question)
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;
    use crate::registry::testing::context;

    fn answer(change: impl Fn(&mut Value)) -> String {
        let object = |kind: &str, name: &str, rest: Value| {
            let mut object =
                json!({"kind": kind, "metadata": {"name": name, "uid": format!("{name}-uid")}, "spec": rest});
            if kind != "Node" {
                object["metadata"]["namespace"] = "ns".into();
            }
            object
        };
        let volume =
            json!({"name": "v", "projected": {"sources": [{"podCertificate": {"signerName": "a.example.com/s"}}]}});
        let pod = json!({"nodeName": "n", "serviceAccountName": "sa", "volumes": [volume]});
        let objects =
            [object("Node", "n", json!({})), object("Pod", "p", pod), object("ServiceAccount", "sa", json!({}))];
        let ctx = context("podcertificaterequests.certificates.k8s.io", "ns", "r", objects);
        let mut request = json!({"metadata": {"name": "r"}, "spec": {
            "signerName": "a.example.com/s", "nodeName": "n", "nodeUID": "n-uid", "podName": "p", "podUID": "p-uid",
            "serviceAccountName": "sa", "serviceAccountUID": "sa-uid",
        }});
        change(&mut request);
        let (options, operation) = (Value::Null, Operation::Create);
        let attributes =
            Attributes { ctx: &ctx, operation, kind: "PodCertificateRequest", options: &options, old: None };
        match pod_request("n", attributes, &request) {
            Ok(()) => "allowed".to_owned(),
            Err(Refusal::Forbidden(why)) => format!("403 {why}"),
            Err(Refusal::Missing(resource, name)) => format!("404 {resource} {name}"),
            Err(Refusal::Other(status)) => format!("{} {}", status.code, status.message),
        }
    }

    #[test]
    fn a_kubelet_asks_for_certificates_of_its_own_pods_only() {
        let with =
            |field: &'static str, value: &'static str| answer(move |request| request["spec"][field] = value.into());
        assert_eq!(answer(|_| ()), "allowed");
        assert!(with("nodeName", "m").starts_with("403 PodCertificateRequest.Spec.NodeName=\"m\", which is not"));
        assert!(with("nodeUID", "x").starts_with("500 PodCertificateRequest for pod \"ns/p\" names node UID \"x\""));
        assert!(with("podUID", "x").starts_with("500 PodCertificateRequest for pod \"ns/p\" contains pod UID (\"x\")"));
        assert!(
            with("serviceAccountName", "x")
                .starts_with("403 PodCertificateRequest for pod \"ns/p\" contains serviceAccountName")
        );
        assert!(
            with("serviceAccountUID", "x")
                .starts_with("500 PodCertificateRequest for pod \"ns/p\" names service account UID")
        );
        let why = "403 pod \"ns/p\" does not mount a podCertificate projected volume for signer \"b.example.com/s\"";
        assert_eq!(with("signerName", "b.example.com/s"), why);
    }
}
