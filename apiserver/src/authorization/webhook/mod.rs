//! Somebody else says who may what: a SubjectAccessReview is posted to a webhook, and what it says is remembered for a while.
//!
//! A call that fails in a way that may pass is repeated; one that fails for good is the decision its failurePolicy names, with the
//! error. Nothing is remembered of failures, nor of requests with attributes so long that they would only fill the memory.
//! Upstream: k8s.io/apiserver/plugin/pkg/authorizer/webhook.

pub(super) mod conditions;
mod review;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use self::conditions::{Conditions, Matching};
use self::review::Said;
use bytes::Bytes;
use json::Value;

use super::configuration::WebhookSettings;
use super::metrics::{Called, Metrics};
use super::{Attributes, Decision, Error, Verdict};
use crate::context::Objects;
use crate::webhook::memory::Memory;
use crate::webhook::{self, Backoff, Cause, Webhook};

/// Answers that are remembered at a time.
const REMEMBERED: usize = 8192;
/// Attributes that are longer than this, taken together, are not remembered. Upstream: maxControlledAttrCacheSize.
const MAX_REMEMBERED_ATTRIBUTES: usize = 10_000;

/// The authorizer.
pub(super) struct WebhookAuthorizer {
    name: String,
    webhook: Webhook,
    conditions: Conditions,
    settings: WebhookSettings,
    objects: Arc<dyn Objects>,
    answers: Memory<Said>,
    metrics: Arc<Metrics>,
}

impl WebhookAuthorizer {
    pub(super) fn new(
        name: &str,
        settings: &WebhookSettings,
        objects: Arc<dyn Objects>,
        metrics: Arc<Metrics>,
    ) -> Result<WebhookAuthorizer, Error> {
        let webhook = Webhook::of_kubeconfig(&settings.kubeconfig)?;
        let conditions = Conditions::compile(&settings.match_conditions).map_err(Error::Conditions)?;
        let (name, settings) = (name.to_owned(), settings.clone());
        Ok(WebhookAuthorizer { name, webhook, conditions, settings, objects, answers: Memory::of(REMEMBERED), metrics })
    }

    pub(super) async fn decide(&self, request: &Attributes) -> Decision {
        let spec = review::spec(request, self.settings.version);
        match self.matching(request, &spec) {
            Matching::Holds => {}
            Matching::Fails => return Decision::default(),
            Matching::Errs(error) => return self.failed(error),
        }
        let key = spec.to_string();
        if let Some(said) = self.answers.get(&key) {
            return said.decision();
        }
        let body = Bytes::from(review::of(spec, self.settings.version).to_string());
        match self.ask(body).await {
            Ok(said) => {
                let decision = said.decision();
                if length(request) < MAX_REMEMBERED_ATTRIBUTES {
                    let WebhookSettings { authorized_ttl, unauthorized_ttl, .. } = &self.settings;
                    let ttl = if said.allowed { *authorized_ttl } else { *unauthorized_ttl };
                    self.answers.keep(key, said, ttl);
                }
                decision
            }
            Err((error, called)) => {
                tracing::error!(webhook = self.name, %error, "failed to make webhook authorizer request");
                if !self.settings.fails_closed {
                    self.metrics.failed_open(&self.name, called);
                }
                self.failed(error)
            }
        }
    }

    /// Is it to be asked about this request?
    fn matching(&self, request: &Attributes, spec: &Value) -> Matching {
        if self.conditions.is_empty() {
            return Matching::Holds;
        }
        let began = Instant::now();
        let matching = self.conditions.of(request, spec);
        self.metrics.matched(&self.name, &matching, began.elapsed());
        matching
    }

    /// The decision where there is none.
    fn failed(&self, error: String) -> Decision {
        let verdict = if self.settings.fails_closed { Verdict::Deny } else { Verdict::NoOpinion };
        Decision { verdict, reason: String::new(), error: Some(error) }
    }

    /// Asks, again where that may help.
    async fn ask(&self, body: Bytes) -> Result<Said, (String, Called)> {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let answer = self.webhook.post(self.objects.as_ref(), body.clone(), self.settings.timeout).await;
            let took = began.elapsed();
            let (error, may_pass) = match answer {
                Ok(bytes) => match review::read(&bytes, self.settings.version) {
                    Ok(said) => {
                        self.metrics.called(&self.name, Called::Success, took);
                        return Ok(said);
                    }
                    Err(why) => ((why.to_string(), Called::Error), false),
                },
                Err(error) => ((error.to_string(), outcome(&error)), error.may_pass()),
            };
            self.metrics.called(&self.name, error.1, took);
            match backoff.next().filter(|_| may_pass) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }
}

fn outcome(error: &webhook::Error) -> Called {
    let too_late = match error {
        webhook::Error::Post { cause, .. } | webhook::Error::Waiting(cause) | webhook::Error::Body(cause) => {
            matches!(cause, Cause::Deadline)
        }
        webhook::Error::Refused(status) => status.code == 504,
        _ => false,
    };
    if too_late { Called::Timeout } else { Called::Error }
}

/// Of all that who asks may choose.
fn length(request: &Attributes) -> usize {
    let chosen = [
        &request.namespace,
        &request.verb,
        &request.api_group,
        &request.api_version,
        &request.resource,
        &request.subresource,
        &request.name,
        &request.path,
    ];
    chosen.iter().map(|text| text.len()).sum()
}
