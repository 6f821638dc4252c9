//! ServiceAccount: a pod runs as an account that exists, with its token mounted and its pull secrets.
//! Upstream: plugin/pkg/admission/serviceaccount.

use std::sync::Arc;
use std::time::Duration;

use api::meta;
use api::status::Status;
use futures::future::BoxFuture;
use json::{Value, json};

use super::plugins::forbidden;
use super::{AsyncMutating, AsyncValidating, Attributes, Operation, Round};
use crate::registry::core::pod::MIRROR_ANNOTATION;
use crate::registry::fields::{at, items, items_mut, object_mut, set, text};
use crate::registry::name;

const DEFAULT: &str = "default";
const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The magic lifetime by which the token issuer knows these tokens.
const LIFETIME_SECONDS: i64 = 3607;
const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";
/// A new namespace gets its default account a moment after it is made: how long a pod waits for it, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct ServiceAccount;

fn is_pod(attributes: &Attributes<'_>) -> bool {
    attributes.is_resource("", "pods") && attributes.operation == Operation::Create
}

impl AsyncMutating for ServiceAccount {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit<'a>(
        &'a self,
        attributes: Attributes<'a>,
        pod: &'a mut Value,
        _: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move {
            if !is_pod(&attributes) {
                return Ok(());
            }
            if meta::annotation(pod, MIRROR_ANNOTATION).is_some() {
                return mirror(pod).map_err(|why| forbidden(attributes, pod, why));
            }
            let spec = object_mut(pod, "spec");
            if text(spec, "serviceAccountName").is_empty() {
                set(spec, "serviceAccountName", DEFAULT);
                set(spec, "serviceAccount", DEFAULT);
            }
            let account = account(attributes, pod).await?;
            if automounts(&account, pod) {
                mount_token(pod);
            }
            let pull_secrets = items(&account, "imagePullSecrets");
            if items(&pod["spec"], "imagePullSecrets").is_empty() && !pull_secrets.is_empty() {
                let names: Vec<Value> =
                    pull_secrets.iter().map(|secret| json!({"name": text(secret, "name")})).collect();
                set(object_mut(pod, "spec"), "imagePullSecrets", names);
            }
            Ok(())
        })
    }
}

impl AsyncValidating for ServiceAccount {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, pod: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move {
            // Ephemeral containers come later, and mount no more than others may (CVE-2023-2728).
            let is_debugged = attributes.is_subresource("", "pods", "ephemeralcontainers");
            if !is_pod(&attributes) && !is_debugged {
                return Ok(());
            }
            if !is_debugged && meta::annotation(pod, MIRROR_ANNOTATION).is_some() {
                return mirror(pod).map_err(|why| forbidden(attributes, pod, why));
            }
            if text(&pod["spec"], "serviceAccountName").is_empty() {
                let why = format!(
                    "no service account specified for pod {}/{}",
                    attributes.ctx.target.namespace,
                    meta::name(pod)
                );
                return Err(forbidden(attributes, pod, why));
            }
            let account = account(attributes, pod).await?;
            if meta::annotation(&account, ENFORCE_MOUNTABLE) != Some("true") {
                return Ok(());
            }
            if is_debugged {
                // Upstream's refusal has no code of its own here.
                let secrets = secrets_of_containers(&pod["spec"], &EPHEMERAL);
                return mountable(&account, secrets).map_err(|why| Status::unknown(500, why));
            }
            mountable_only(&account, pod).map_err(|why| forbidden(attributes, pod, why))
        })
    }
}

async fn account(attributes: Attributes<'_>, pod: &Value) -> Result<Arc<Value>, Status> {
    let (namespace, name) = (&attributes.ctx.target.namespace, text(&pod["spec"], "serviceAccountName"));
    let look = || attributes.ctx.objects.get("", "serviceaccounts", namespace, name);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(account) = look() {
            return Ok(account);
        }
        if name != DEFAULT || waited >= PATIENCE {
            let why = format!(
                "error looking up service account {namespace}/{name}: serviceaccount {} not found",
                api::go_text::quote(name)
            );
            return Err(forbidden(attributes, pod, why));
        }
        tokio::time::sleep(INTERVAL).await;
        waited += INTERVAL;
    }
}

fn automounts(account: &Value, pod: &Value) -> bool {
    let says = |object: &Value| object.get("automountServiceAccountToken").and_then(Value::as_bool);
    says(&pod["spec"]).or_else(|| says(account)).unwrap_or(true)
}

fn mount_token(pod: &mut Value) {
    let spec = object_mut(pod, "spec");
    let known =
        items(spec, "volumes").iter().map(|volume| text(volume, "name")).find(|name| name.starts_with(VOLUME_PREFIX));
    let (volume, present) = match known {
        Some(name) => (name.to_owned(), true),
        None => (name::generate(VOLUME_PREFIX), false),
    };
    let mut needed = false;
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            if items(container, "volumeMounts").iter().any(|mount| text(mount, "mountPath") == MOUNT_PATH) {
                continue;
            }
            let mut mounts = items(container, "volumeMounts").to_vec();
            mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}));
            set(container, "volumeMounts", mounts);
            needed = true;
        }
    }
    if needed && !present {
        let mut volumes = items(spec, "volumes").to_vec();
        volumes.push(json!({"name": volume, "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": LIFETIME_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ],
            "defaultMode": 420,
        }}));
        set(spec, "volumes", volumes);
    }
}

/// Every secret a pod refers to, and where.
fn secrets(pod: &Value) -> impl Iterator<Item = (String, &str)> {
    let spec = &pod["spec"];
    let of_volumes = items(spec, "volumes").iter().filter_map(|volume| {
        let name = at(volume, &["secret", "secretName"]).as_str()?;
        Some((format!("volume with secret.secretName=\"{name}\""), name))
    });
    of_volumes.chain(secrets_of_containers(spec, &LISTS))
}

/// What a list of containers is called, and where it is.
type List = (&'static str, &'static str);

const LISTS: [List; 2] = [("init container", "initContainers"), ("container", "containers")];
const EPHEMERAL: [List; 1] = [("ephemeral container", "ephemeralContainers")];

fn secrets_of_containers<'v>(spec: &'v Value, lists: &'static [List]) -> impl Iterator<Item = (String, &'v str)> {
    let of_containers =
        lists.iter().flat_map(move |(kind, list)| items(spec, list).iter().map(move |container| (*kind, container)));
    of_containers.flat_map(|(kind, container)| {
        let own = text(container, "name");
        let keys = items(container, "env").iter().filter_map(move |variable| {
            let name = at(variable, &["valueFrom", "secretKeyRef", "name"]).as_str()?;
            let variable = text(variable, "name");
            Some((format!("{kind} {own} with envVar {variable} referencing secret.secretName=\"{name}\""), name))
        });
        let wholes = items(container, "envFrom").iter().filter_map(move |source| {
            let name = at(source, &["secretRef", "name"]).as_str()?;
            Some((format!("{kind} {own} with envFrom referencing secret.secretName=\"{name}\""), name))
        });
        keys.chain(wholes)
    })
}

fn mirror(pod: &Value) -> Result<(), &'static str> {
    let spec = &pod["spec"];
    if !text(spec, "serviceAccountName").is_empty() {
        return Err("a mirror pod may not reference service accounts");
    }
    if secrets(pod).next().is_some() || !items(spec, "imagePullSecrets").is_empty() {
        return Err("a mirror pod may not reference secrets");
    }
    let sources = items(spec, "volumes").iter().flat_map(|volume| items(&volume["projected"], "sources"));
    for source in sources {
        if source.get("secret").is_some() {
            return Err("a mirror pod may not reference secrets");
        }
        if source.get("serviceAccountToken").is_some() {
            return Err("a mirror pod may not use ServiceAccountToken volume projections");
        }
    }
    Ok(())
}

fn names(account: &Value, list: &str, name: &str) -> bool {
    items(account, list).iter().any(|secret| text(secret, "name") == name)
}

/// Does the account name these secrets?
fn mountable<'v>(account: &Value, mut secrets: impl Iterator<Item = (String, &'v str)>) -> Result<(), String> {
    let own = meta::name(account);
    match secrets.find(|(_, secret)| !names(account, "secrets", secret)) {
        None => Ok(()),
        Some((place, _)) => {
            Err(format!("{place} is not allowed because service account {own} does not reference that secret"))
        }
    }
}

fn mountable_only(account: &Value, pod: &Value) -> Result<(), String> {
    let own = meta::name(account);
    mountable(account, secrets(pod))?;
    for (index, secret) in items(&pod["spec"], "imagePullSecrets").iter().enumerate() {
        let name = text(secret, "name");
        if !names(account, "imagePullSecrets", name) {
            let why = "does not reference that imagePullSecret";
            return Err(format!(
                "imagePullSecrets[{index}].name=\"{name}\" is not allowed because service account {own} {why}"
            ));
        }
    }
    Ok(())
}
