//! A webhook configuration, compiled.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook.WebhookAccessor.

use std::time::Duration;

use api::meta;
use json::Value;

use super::rules::Matching;
use crate::admission::policy::{Known, MatchConditions};
use crate::webhook::kubeconfig::Users;
use crate::webhook::{Caller, Error, Webhook};

/// What upstream asks when a configuration does not say; defaulting writes it out.
const DEFAULT_TIMEOUT: u64 = 10;

/// The webhooks of one stored object.
#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) hooks: Vec<Hook>,
}

/// One webhook.
#[derive(Debug)]
pub(super) struct Hook {
    /// Tells it from all others: configuration, name and the how manieth of that name.
    pub(super) id: String,
    pub(super) name: String,
    /// The object it is configured in.
    pub(super) configuration: String,
    pub(super) matching: Matching,
    pub(super) match_conditions: MatchConditions,
    /// failurePolicy Ignore.
    pub(super) ignores_failures: bool,
    pub(super) side_effects: Option<String>,
    pub(super) timeout: Duration,
    /// The first of `admissionReviewVersions` we know.
    pub(super) review_version: Option<&'static str>,
    /// reinvocationPolicy IfNeeded.
    pub(super) is_reinvocable: bool,
    /// What can be called; what is wrong with it is told by each request it is for.
    pub(super) webhook: Result<Webhook, Error>,
}

impl Configuration {
    pub(super) fn compile(stored: &Value, users: &Users) -> Configuration {
        let configuration = meta::name(stored);
        let webhooks = stored["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let hooks = webhooks.iter().enumerate().map(|(index, hook)| Hook::compile(configuration, index, hook, users));
        Configuration { hooks: hooks.collect() }
    }
}

impl Hook {
    fn compile(configuration: &str, index: usize, hook: &Value, users: &Users) -> Hook {
        let name = hook["name"].as_str().unwrap_or_default().to_owned();
        let mut versions = hook["admissionReviewVersions"].as_array().into_iter().flatten();
        Hook {
            id: format!("{configuration}/{name}/{index}"),
            configuration: configuration.to_owned(),
            matching: Matching::of_webhook(hook),
            match_conditions: MatchConditions::of_webhook(&hook["matchConditions"], &Known::All),
            ignores_failures: hook["failurePolicy"] == "Ignore",
            side_effects: hook["sideEffects"].as_str().map(str::to_owned),
            timeout: Duration::from_secs(hook["timeoutSeconds"].as_u64().unwrap_or(DEFAULT_TIMEOUT)),
            review_version: versions.find_map(|version| match version.as_str() {
                Some("v1") => Some("v1"),
                Some("v1beta1") => Some("v1beta1"),
                _ => None,
            }),
            is_reinvocable: hook["reinvocationPolicy"] == "IfNeeded",
            webhook: Webhook::shown(&hook["clientConfig"], Caller::Admission, users),
            name,
        }
    }
}
