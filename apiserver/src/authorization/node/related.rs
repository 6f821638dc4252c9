//! Which objects have to do with a node: through the pods bound to it.

use json::Value;

use crate::context::Objects;
use crate::registry::fields::{at, items, text};

/// A kind of object whose relation to a node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Related {
    Pod,
    Secret,
    ConfigMap,
    ServiceAccount,
    Claim,
    Volume,
    ResourceClaim,
    Attachment,
    ResourceSlice,
    CertificateRequest,
}

impl Related {
    pub(super) fn to_node(self, objects: &dyn Objects, node: &str, namespace: &str, name: &str) -> bool {
        let names_node = |group: &str, resource: &str| {
            objects
                .get(group, resource, namespace, name)
                .is_some_and(|object| text(&object["spec"], "nodeName") == node)
        };
        match self {
            Related::Pod => names_node("", "pods"),
            Related::Attachment => names_node("storage.k8s.io", "volumeattachments"),
            Related::ResourceSlice => names_node("resource.k8s.io", "resourceslices"),
            Related::CertificateRequest => names_node("certificates.k8s.io", "podcertificaterequests"),
            Related::Volume => volume_claim(objects, name).is_some_and(|(namespace, claim)| {
                self.on_node(objects, node, &namespace, |pod| refers(Related::Claim, pod, &claim))
            }),
            Related::Secret => {
                self.on_node(objects, node, namespace, |pod| refers(self, pod, name))
                    || volume_secret(objects, node, namespace, name)
            }
            Related::ConfigMap if config_source(objects, node, namespace, name) => true,
            _ => self.on_node(objects, node, namespace, |pod| refers(self, pod, name)),
        }
    }

    fn on_node(self, objects: &dyn Objects, node: &str, namespace: &str, wanted: impl Fn(&Value) -> bool) -> bool {
        objects.pods_on(node, namespace).iter().any(|pod| {
            // A mirror pod is the kubelet's own making: it proves nothing about what the node may see.
            let mirror = pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some();
            !mirror && wanted(pod)
        })
    }
}

fn refers(what: Related, pod: &Value, name: &str) -> bool {
    let spec = &pod["spec"];
    let named = |object: &Value, key: &str| text(object, key) == name;
    let containers =
        || ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| items(spec, list));
    let volumes = || items(spec, "volumes").iter();
    let sources = || volumes().flat_map(|volume| items(&volume["projected"], "sources"));
    let env = |reference: &str, source: &str| {
        containers().any(|container| {
            items(container, "env").iter().any(|variable| named(at(variable, &["valueFrom", reference]), "name"))
                || items(container, "envFrom").iter().any(|from| named(&from[source], "name"))
        })
    };
    match what {
        Related::ServiceAccount => named(spec, "serviceAccountName"),
        Related::Secret => {
            items(spec, "imagePullSecrets").iter().any(|secret| named(secret, "name"))
                || env("secretKeyRef", "secretRef")
                || volumes().any(|volume| {
                    named(&volume["secret"], "secretName") || inline_secrets(volume).any(|secret| secret == name)
                })
                || sources().any(|source| named(&source["secret"], "name"))
        }
        Related::ConfigMap => {
            env("configMapKeyRef", "configMapRef")
                || volumes().any(|volume| named(&volume["configMap"], "name"))
                || sources().any(|source| named(&source["configMap"], "name"))
        }
        Related::Claim => volumes().any(|volume| {
            let ephemeral = volume.get("ephemeral").is_some()
                && format!("{}-{}", text(&pod["metadata"], "name"), text(volume, "name")) == name;
            named(&volume["persistentVolumeClaim"], "claimName") || ephemeral
        }),
        Related::ResourceClaim => {
            items(spec, "resourceClaims").iter().any(|claim| named(claim, "resourceClaimName"))
                || items(&pod["status"], "resourceClaimStatuses").iter().any(|claim| named(claim, "resourceClaimName"))
        }
        _ => false,
    }
}

/// Secrets that volumes refer to in their own source.
fn inline_secrets(volume: &Value) -> impl Iterator<Item = &str> {
    const SOURCES: [(&str, &str, &str); 7] = [
        ("azureFile", "", "secretName"),
        ("cephfs", "secretRef", "name"),
        ("flexVolume", "secretRef", "name"),
        ("iscsi", "secretRef", "name"),
        ("rbd", "secretRef", "name"),
        ("scaleIO", "secretRef", "name"),
        ("csi", "nodePublishSecretRef", "name"),
    ];
    SOURCES.iter().filter_map(move |(source, reference, key)| {
        let source = volume.get(source)?;
        let holder = if reference.is_empty() { source } else { source.get(reference)? };
        holder.get(key)?.as_str()
    })
}

/// Namespace and name of the claim a volume is bound to.
fn volume_claim(objects: &dyn Objects, volume: &str) -> Option<(String, String)> {
    let volume = objects.get("", "persistentvolumes", "", volume)?;
    let reference = volume["spec"].get("claimRef")?;
    Some((text(reference, "namespace").to_owned(), text(reference, "name").to_owned()))
}

/// Is it a secret of a volume that a pod on the node has a claim on?
fn volume_secret(objects: &dyn Objects, node: &str, namespace: &str, name: &str) -> bool {
    const REFERENCES: [&[&str]; 7] = [
        &["csi", "nodePublishSecretRef"],
        &["csi", "nodeStageSecretRef"],
        &["csi", "nodeExpandSecretRef"],
        &["cephfs", "secretRef"],
        &["flexVolume", "secretRef"],
        &["iscsi", "secretRef"],
        &["rbd", "secretRef"],
    ];
    objects.list("", "persistentvolumes", "").iter().any(|volume| {
        let spec = &volume["spec"];
        let claim = &spec["claimRef"];
        let refers_to = REFERENCES.iter().any(|path| {
            let reference = at(spec, path);
            let own = reference.get("namespace").and_then(Value::as_str).unwrap_or_else(|| text(claim, "namespace"));
            text(reference, "name") == name && own == namespace
        });
        refers_to && Related::Claim.to_node(objects, node, text(claim, "namespace"), text(claim, "name"))
    })
}

/// Is it the configmap the node's own configuration comes from?
fn config_source(objects: &dyn Objects, node: &str, namespace: &str, name: &str) -> bool {
    let Some(node) = objects.get("", "nodes", "", node) else { return false };
    let source = at(&node, &["spec", "configSource", "configMap"]);
    text(source, "namespace") == namespace && text(source, "name") == name && !name.is_empty()
}
