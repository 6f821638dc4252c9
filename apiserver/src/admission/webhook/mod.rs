//! Admission webhooks: MutatingAdmissionWebhook and ValidatingAdmissionWebhook.
//!
//! A stored configuration is compiled once per revision and kept with its entry ([`store::Entry::slot`]), connections included: it
//! acts from its commit on, a changed one is another entry, and a request without any configuration costs two looks into an
//! empty range. What a webhook is asked about is decided by [`request`], how it is asked by [`call`]; the mutating ones are asked
//! one after the other, the validating ones all at once.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook.

mod call;
mod hook;
mod mutating;
mod request;
mod review;
mod rules;
#[cfg(test)]
mod tests;
mod validating;

pub(crate) use mutating::MutatingAdmissionWebhook;
pub(in crate::admission) use mutating::keep_entries_readable;
pub(in crate::admission) use request::Asked;
pub(in crate::admission) use rules::Matching;
pub(crate) use validating::ValidatingAdmissionWebhook;

use std::path::PathBuf;
use std::sync::Arc;

use api::go_text::quote;
use json::Value;
use serde::Deserialize;
use store::Store;

use self::hook::Configuration;
use super::Attributes;
use super::configuration::Configurations;
use super::metrics::Metrics;
use crate::configuration_file::shape::{Struct, Type};
use crate::registry::resource::Resources;
use crate::webhook::kubeconfig::Users;

const VERSION: &str = "apiserver.config.k8s.io/v1";

/// Reviews that decide who may do what: a webhook in their way could lock everybody out.
/// Upstream: kubeapiserver/admission/exclusion.Excluded.
pub(crate) const EXCLUDED: [(&str, &str); 6] = [
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
];

/// Kinds of admissionregistration.k8s.io no webhook is asked about, or a broken one could not be repaired.
/// Upstream: rules.IsExemptAdmissionConfigurationResource.
const EXEMPT: [&str; 6] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
];

/// Where configurations come from, what is known of resources, and where calls are counted.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) store: Arc<Store>,
    pub(crate) resources: Resources,
    pub(crate) metrics: Arc<Metrics>,
}

impl Source {
    pub(in crate::admission) fn asked<'a>(&self, attributes: Attributes<'a>) -> Option<Asked<'a>> {
        Asked::new(attributes, self.resources.current())
    }
}

/// What both plugins are made of.
#[derive(Debug)]
pub(crate) struct Hooks {
    source: Source,
    users: Users,
}

const FILE: Struct = Struct {
    name: "WebhookAdmission",
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("kubeConfigFile", Type::Text),
        ("staticManifestsDir", Type::Text),
    ],
};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Own {
    kube_config_file: PathBuf,
}

impl Hooks {
    /// Those who call as nobody.
    #[cfg(test)]
    pub(crate) fn anonymous(source: Source) -> Hooks {
        Hooks { source, users: Users::default() }
    }

    /// Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/config.LoadConfig.
    pub(in crate::admission) fn new(
        source: Source,
        plugin: &str,
        configurations: &Configurations,
    ) -> Result<Hooks, String> {
        let kind = if configurations.of(plugin).is_some_and(|own| own["apiVersion"] == VERSION) {
            "WebhookAdmissionConfiguration"
        } else {
            "WebhookAdmission"
        };
        let own: Option<Own> =
            configurations.versioned(plugin, &[VERSION, "apiserver.config.k8s.io/v1alpha1"], kind, &FILE)?;
        let users = match own.map(|own| own.kube_config_file) {
            None => Users::default(),
            Some(file) if !file.is_absolute() => {
                let file = file.display().to_string();
                return Err(format!("kubeConfigFile: Invalid value: {}: must be an absolute file path", quote(&file)));
            }
            Some(file) => Users::read(&file).map_err(|error| error.to_string())?,
        };
        Ok(Hooks { source, users })
    }

    /// The configurations below a prefix, by name. Nothing for what webhooks are never asked about.
    fn configurations(&self, prefix: &str, attributes: Attributes<'_>) -> Vec<Arc<Configuration>> {
        let snapshot = self.source.store.snapshot();
        let mut entries = snapshot.range(prefix, None).peekable();
        if entries.peek().is_none() || is_exempt(attributes) {
            return Vec::new();
        }
        entries
            .map(|entry| {
                entry.slot(|entry| {
                    let stored: Value = json::from_slice(&entry.value).unwrap_or_default();
                    Configuration::compile(&stored, &self.users)
                })
            })
            .collect()
    }
}

pub(in crate::admission) fn is_exempt(attributes: Attributes<'_>) -> bool {
    let target = &attributes.ctx.target;
    EXCLUDED.contains(&(target.group.as_str(), target.resource.as_str()))
        || (target.group == "admissionregistration.k8s.io" && EXEMPT.contains(&attributes.kind))
}
