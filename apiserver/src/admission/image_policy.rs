//! ImagePolicyWebhook: somebody else says which images may run. What they said is remembered for a while.
//! Upstream: plugin/pkg/admission/imagepolicy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use api::meta;
use api::status::Status;
use futures::future::BoxFuture;
use json::{Value, json};
use serde::Deserialize;

use super::configuration::Configurations;
use super::plugins::forbidden;
use super::{AsyncValidating, Attributes, Operation};
use crate::registry::fields::{items, text};
use crate::webhook::memory::Memory;
use crate::webhook::{Backoff, Error, Webhook};

const NAME: &str = "ImagePolicyWebhook";
const API_VERSION: &str = "imagepolicy.k8s.io/v1alpha1";
const AUDIT_PREFIX: &str = "imagepolicywebhook.image-policy.k8s.io/";
/// Only annotations of such keys are shown to the webhook.
const SHOWN: &str = ".image-policy.k8s.io/";
const TIMEOUT: Duration = Duration::from_secs(30);
const REMEMBERED: usize = 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    kube_config_file: PathBuf,
    #[serde(rename = "allowTTL", default)]
    allow_ttl: i64,
    #[serde(rename = "denyTTL", default)]
    deny_ttl: i64,
    #[serde(default)]
    retry_backoff: i64,
    #[serde(default)]
    default_allow: bool,
}

/// What the webhook says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    allowed: bool,
    reason: String,
    audit_annotations: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct ImagePolicyWebhook {
    webhook: Webhook,
    allow_ttl: Duration,
    deny_ttl: Duration,
    backoff: Duration,
    /// Do images run while nobody answers?
    default_allow: bool,
    answers: Memory<Answer>,
}

impl ImagePolicyWebhook {
    pub(super) fn new(configurations: &Configurations) -> Result<ImagePolicyWebhook, String> {
        let own = configurations.of(NAME).ok_or("no config specified")?;
        let own = own.get("imagePolicy").cloned().unwrap_or_else(|| json!({}));
        let own: Configuration = json::from_value(own).map_err(|error| error.to_string())?;
        let second = Duration::from_secs(1);
        let half_an_hour = Duration::from_secs(30 * 60);
        let millisecond = Duration::from_millis(1);
        Ok(ImagePolicyWebhook {
            backoff: duration(
                own.retry_backoff,
                millisecond,
                Duration::from_nanos(1)..=Duration::from_secs(300),
                500 * millisecond,
            )?,
            allow_ttl: duration(own.allow_ttl, second, second..=half_an_hour, 300 * second)?,
            deny_ttl: duration(own.deny_ttl, second, second..=half_an_hour, 30 * second)?,
            default_allow: own.default_allow,
            webhook: Webhook::of_kubeconfig(&own.kube_config_file).map_err(|error| error.to_string())?,
            answers: Memory::of(REMEMBERED),
        })
    }

    async fn check(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        let lists: &[&str] = match attributes.ctx.target.subresource.as_str() {
            "ephemeralcontainers" => &["ephemeralContainers"],
            _ => &["containers", "initContainers"],
        };
        let containers = lists.iter().flat_map(|list| items(&pod["spec"], list));
        let mut spec = json!({});
        let images: Vec<Value> = containers.map(|container| json!({"image": text(container, "image")})).collect();
        if !images.is_empty() {
            spec["containers"] = Value::Array(images);
        }
        for (key, value) in meta::annotations(pod).into_iter().flatten().filter(|(key, _)| key.contains(SHOWN)) {
            spec["annotations"][key.as_str()] = value.clone();
        }
        spec["namespace"] = attributes.ctx.target.namespace.as_str().into();
        let asked = spec.to_string();
        let answer = match self.answers.get(&asked) {
            Some(answer) => answer,
            None => match self.ask(attributes, &spec).await {
                Ok(answer) => {
                    let ttl = if answer.allowed { self.allow_ttl } else { self.deny_ttl };
                    self.answers.keep(asked, answer.clone(), ttl);
                    answer
                }
                Err(error) if self.default_allow => {
                    tracing::warn!(%error, "the image policy webhook failed: images are allowed, as its configuration says");
                    attributes.ctx.audit_annotation(&format!("{AUDIT_PREFIX}failed-open"), "true");
                    return Ok(());
                }
                Err(error) => return Err(forbidden(attributes, pod, error.to_string())),
            },
        };
        for (key, value) in &answer.audit_annotations {
            attributes.ctx.audit_annotation(&format!("{AUDIT_PREFIX}{key}"), value.as_str());
        }
        let why = match answer.reason.as_str() {
            _ if answer.allowed => return Ok(()),
            "" => "one or more images rejected by webhook backend".to_owned(),
            reason => format!("image policy webhook backend denied one or more images: {reason}"),
        };
        Err(forbidden(attributes, pod, why))
    }

    /// Asks, again where that may help.
    async fn ask(&self, attributes: Attributes<'_>, spec: &Value) -> Result<Answer, Error> {
        let review = json!({"kind": "ImageReview", "apiVersion": API_VERSION, "metadata": {}, "spec": spec, "status": {"allowed": false}});
        let body = bytes::Bytes::from(review.to_string());
        let mut backoff = Backoff::of(self.backoff);
        loop {
            match self.webhook.post(attributes.ctx.objects.as_ref(), body.clone(), TIMEOUT).await {
                Ok(bytes) => return Ok(read(&bytes)),
                Err(error) => match backoff.next().filter(|_| error.may_pass()) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }
}

/// What is no review says nothing, which is a no.
fn read(bytes: &[u8]) -> Answer {
    let review: Value = json::from_slice(bytes).unwrap_or_default();
    json::from_value(review["status"].clone()).unwrap_or_default()
}

/// A number of the configuration: -1 is none at all, 0 the default. Upstream: normalizeConfigDuration.
fn duration(
    value: i64,
    scale: Duration,
    range: std::ops::RangeInclusive<Duration>,
    default: Duration,
) -> Result<Duration, String> {
    match value {
        -1 => Ok(Duration::ZERO),
        0 => Ok(default),
        _ => {
            let scaled = u32::try_from(value).ok().and_then(|value| scale.checked_mul(value));
            scaled
                .filter(|own| range.contains(own))
                .ok_or_else(|| format!("valid value is between {:?} and {:?}, got {value}", range.start(), range.end()))
        }
    }
}

impl AsyncValidating for ImagePolicyWebhook {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, pod: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let concerned =
            attributes.is_resource("", "pods") || attributes.is_subresource("", "pods", "ephemeralcontainers");
        Box::pin(async move { if concerned { self.check(attributes, pod).await } else { Ok(()) } })
    }
}
