//! What a configuration file may ask for; all that is wrong is told at once, in upstream's words.
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver/validation.ValidateAuthorizationConfiguration,
//! pkg/kubeapiserver/authorizer.LoadAndValidateData.

use std::path::Path as FilePath;
use std::time::Duration;

use api::field::{Error, ErrorList, Path};
use api::names;
use json::json;

use super::file::{Authorizer, Span, Webhook};
use super::{Configured, Mode, ReviewVersion, WebhookSettings};
use crate::authorization::rbac::aggregate;
use crate::authorization::webhook::conditions;

const WEBHOOK: &str = "Webhook";
const TYPES: [&str; 6] = ["ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK];
const MAX_CONDITIONS: usize = 64;
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// The authorizers, if nothing is wrong with them and those of `required` types are among them.
pub(super) fn checked(authorizers: &[Authorizer], required: &[&str]) -> Result<Vec<Configured>, String> {
    let mut errors = ErrorList::new();
    let root = Path::new("authorizers");
    if authorizers.is_empty() {
        errors.push(Error::required(&root, "at least one authorization mode must be defined"));
    }
    for (at, authorizer) in authorizers.iter().enumerate() {
        validate(authorizer, &authorizers[..at], &root.index(at), &mut errors);
    }
    if let Some(why) = errors.message() {
        return Err(why);
    }
    let plain = || authorizers.iter().filter(|own| own.kind != WEBHOOK);
    let misnamed = plain().filter(|own| own.kind.to_lowercase() != own.name).map(|own| {
        format!("expected name {} for authorizer {} instead of {}", own.kind.to_lowercase(), own.kind, own.name)
    });
    let mut wrong: Vec<String> = misnamed.collect();
    let missing = required.iter().filter(|kind| plain().all(|own| own.kind != **kind));
    let missing: Vec<&str> = missing.copied().collect();
    if !missing.is_empty() {
        wrong.push(format!("missing required types: [{}]", missing.join(" ")));
    }
    match aggregate(&wrong) {
        Some(why) => Err(why),
        None => Ok(authorizers.iter().filter_map(configured).collect()),
    }
}

/// An authorizer with nothing wrong.
fn configured(authorizer: &Authorizer) -> Option<Configured> {
    let mode = match &authorizer.webhook {
        Some(webhook) => Mode::Webhook(Box::new(settings(webhook)?)),
        None => Mode::plain(&authorizer.kind)?,
    };
    Some(Configured { name: authorizer.name.clone(), mode })
}

fn settings(webhook: &Webhook) -> Option<WebhookSettings> {
    let ttl = |remembers: bool, ttl: Span| if remembers { ttl.length } else { Duration::ZERO };
    Some(WebhookSettings {
        kubeconfig: webhook.kubeconfig.as_ref()?.into(),
        version: ReviewVersion::parse(&webhook.version)?,
        authorized_ttl: ttl(webhook.remembers_authorized, webhook.authorized_ttl),
        unauthorized_ttl: ttl(webhook.remembers_unauthorized, webhook.unauthorized_ttl),
        timeout: webhook.timeout.length,
        fails_closed: webhook.failure_policy == "Deny",
        match_conditions: webhook.conditions.clone(),
    })
}

fn validate(authorizer: &Authorizer, before: &[Authorizer], path: &Path, errors: &mut ErrorList) {
    let Authorizer { kind, name, webhook } = authorizer;
    let at_type = path.child("type");
    if kind.is_empty() {
        return errors.push(Error::required(&at_type, ""));
    }
    if !TYPES.contains(&kind.as_str()) {
        return errors.push(Error::not_supported(&at_type, kind.as_str(), TYPES));
    }
    if kind != WEBHOOK && before.iter().any(|other| other.kind == *kind) {
        return errors.push(Error::duplicate(&at_type, kind.as_str()));
    }
    // Those that are not looked at for their type have no name.
    let mut known = before.iter().enumerate().filter(|(at, other)| {
        let is_repeated = other.kind != WEBHOOK && before[..*at].iter().any(|first| first.kind == other.kind);
        TYPES.contains(&other.kind.as_str()) && !is_repeated
    });
    let at_name = path.child("name");
    let faults = names::name_is_dns_subdomain(name, false);
    if name.is_empty() {
        errors.push(Error::required(&at_name, ""));
    } else if known.any(|(_, other)| other.name == *name) {
        errors.push(Error::duplicate(&at_name, name.as_str()));
    } else if !faults.is_empty() {
        let detail = format!("authorizer name is invalid: {}", faults.join(", "));
        errors.push(Error::invalid(&at_name, name.as_str(), detail));
    }
    let at_webhook = path.child("webhook");
    match webhook {
        None if kind == WEBHOOK => errors.push(Error::required(&at_webhook, "required when type=Webhook")),
        None => {}
        // What is wrong there is told as if it were here, as upstream does.
        Some(webhook) if kind == WEBHOOK => validate_webhook(webhook, path, errors),
        Some(_) => errors.push(Error::invalid(&at_webhook, "non-null", "may only be specified when type=Webhook")),
    }
}

fn validate_webhook(webhook: &Webhook, path: &Path, errors: &mut ErrorList) {
    let at_timeout = path.child("timeout");
    let timeout = webhook.timeout;
    if timeout.length.is_zero() {
        errors.push(Error::required(&at_timeout, ""));
    } else if timeout.is_negative || timeout.length > MAX_TIMEOUT {
        errors.push(Error::invalid(&at_timeout, timeout.to_string(), "must be > 0s and <= 30s"));
    }
    for (name, ttl) in [("authorizedTTL", webhook.authorized_ttl), ("unauthorizedTTL", webhook.unauthorized_ttl)] {
        if ttl.is_negative {
            errors.push(Error::invalid(&path.child(name), ttl.to_string(), "must be > 0s"));
        }
    }
    one_of(&path.child("subjectAccessReviewVersion"), &webhook.version, &["v1", "v1beta1"], errors);
    let at_version = path.child("matchConditionSubjectAccessReviewVersion");
    if !webhook.condition_version.is_empty() {
        one_of(&at_version, &webhook.condition_version, &["v1"], errors);
    } else if !webhook.conditions.is_empty() {
        errors.push(Error::required(&at_version, "required if match conditions are specified"));
    }
    one_of(&path.child("failurePolicy"), &webhook.failure_policy, &["NoOpinion", "Deny"], errors);
    validate_connection(webhook, &path.child("connectionInfo"), errors);
    validate_conditions(&webhook.conditions, &path.child("matchConditions"), errors);
}

fn one_of(path: &Path, value: &str, supported: &[&str], errors: &mut ErrorList) {
    if value.is_empty() {
        errors.push(Error::required(path, ""));
    } else if !supported.contains(&value) {
        errors.push(Error::not_supported(path, value, supported));
    }
}

fn validate_connection(webhook: &Webhook, path: &Path, errors: &mut ErrorList) {
    let (at_type, at_file) = (path.child("type"), path.child("kubeConfigFile"));
    let file = webhook.kubeconfig.as_deref();
    let invalid = |file: &str, detail: &str| Error::invalid(&at_file, file, detail);
    match (webhook.connection.as_str(), file) {
        ("", _) => errors.push(Error::required(&at_type, "")),
        // It would be this server asking itself.
        ("InClusterConfig", None) => {
            errors.push(Error::invalid(&at_type, "InClusterConfig", "not allowed for kube-apiserver"));
        }
        ("InClusterConfig", Some(file)) => errors.push(invalid(file, "can only be set when type=KubeConfigFile")),
        ("KubeConfigFile", None | Some("")) => errors.push(Error::required(&at_file, "")),
        ("KubeConfigFile", Some(file)) if !FilePath::new(file).is_absolute() => {
            errors.push(invalid(file, "must be an absolute path"));
        }
        ("KubeConfigFile", Some(file)) => match std::fs::metadata(file) {
            Ok(found) if found.is_file() => {}
            Ok(_) => errors.push(invalid(file, "must be a regular file")),
            Err(why) => {
                let why = match why.kind() {
                    std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                    std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    _ => why.to_string(),
                };
                errors.push(invalid(file, &format!("error loading file: stat {file}: {why}")));
            }
        },
        (other, file) => {
            let shown = json!({"Type": other, "KubeConfigFile": file});
            errors.push(Error::not_supported(&at_type, shown, ["InClusterConfig", "KubeConfigFile"]));
        }
    }
}

fn validate_conditions(conditions: &[String], path: &Path, errors: &mut ErrorList) {
    if conditions.len() > MAX_CONDITIONS {
        return errors.push(Error::too_many(path, Some(conditions.len()), MAX_CONDITIONS));
    }
    for (at, expression) in conditions.iter().enumerate() {
        let path = path.index(at).child("expression");
        if expression.trim().is_empty() {
            errors.push(Error::required(&path, ""));
        } else if conditions[..at].contains(expression) {
            errors.push(Error::duplicate(&path, expression.as_str()));
        } else if let Err(why) = conditions::compile(expression) {
            errors.push(Error::invalid(&path, expression.as_str(), why));
        }
    }
}
