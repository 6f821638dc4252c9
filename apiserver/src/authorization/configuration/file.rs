//! The file of `--authorization-config`, read strictly: an AuthorizationConfiguration as it stands there.
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver/{load,v1}.

use std::fmt;
use std::time::Duration;

use api::go_text::quote;
use component::duration::GoDuration;
use json::Value;

use crate::configuration_file;
use crate::configuration_file::shape::{Struct, Type};
use crate::registry::fields::items;
use crate::webhook::review::{Fields, Malformed};

const KIND: &str = "AuthorizationConfiguration";
const AUTHORIZED_TTL: Duration = Duration::from_secs(300);
const UNAUTHORIZED_TTL: Duration = Duration::from_secs(30);

const FILE: Struct = Struct {
    name: "AuthorizationConfiguration",
    fields: &[("apiVersion", Type::Text), ("kind", Type::Text), ("authorizers", Type::List(&Type::One(&AUTHORIZER)))],
};
const AUTHORIZER: Struct = Struct {
    name: "AuthorizerConfiguration",
    fields: &[("type", Type::Text), ("name", Type::Text), ("webhook", Type::One(&WEBHOOK))],
};
const WEBHOOK: Struct = Struct {
    name: "WebhookConfiguration",
    fields: &[
        ("authorizedTTL", Type::Text),
        ("cacheAuthorizedRequests", Type::Bool),
        ("unauthorizedTTL", Type::Text),
        ("cacheUnauthorizedRequests", Type::Bool),
        ("timeout", Type::Text),
        ("subjectAccessReviewVersion", Type::Text),
        ("matchConditionSubjectAccessReviewVersion", Type::Text),
        ("failurePolicy", Type::Text),
        ("connectionInfo", Type::One(&CONNECTION)),
        ("matchConditions", Type::List(&Type::One(&CONDITION))),
    ],
};
const CONNECTION: Struct =
    Struct { name: "WebhookConnectionInfo", fields: &[("type", Type::Text), ("kubeConfigFile", Type::Text)] };
const CONDITION: Struct = Struct { name: "WebhookMatchCondition", fields: &[("expression", Type::Text)] };

/// One authorizer of the file, defaults filled in.
#[derive(Debug, Default)]
pub(super) struct Authorizer {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) webhook: Option<Webhook>,
}

/// What is said of a webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    pub(super) authorized_ttl: Span,
    pub(super) remembers_authorized: bool,
    pub(super) unauthorized_ttl: Span,
    pub(super) remembers_unauthorized: bool,
    pub(super) timeout: Span,
    pub(super) version: String,
    pub(super) condition_version: String,
    pub(super) failure_policy: String,
    pub(super) connection: String,
    pub(super) kubeconfig: Option<String>,
    pub(super) conditions: Vec<String>,
}

/// A duration, also one that is none: less than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) is_negative: bool,
    pub(super) length: Duration,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_negative { "-" } else { "" }, GoDuration(self.length))
    }
}

/// Reads a file. An empty one asks for nothing.
pub(super) fn read(text: &str) -> Result<Vec<Authorizer>, Malformed> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    configuration_file::read(text, KIND, &FILE, |document| {
        items(document, "authorizers").iter().map(authorizer).collect()
    })
}

fn authorizer(value: &Value) -> Result<Authorizer, Malformed> {
    let Some(fields) = Fields::of_all(value, "AuthorizerConfiguration.authorizers") else {
        return Ok(Authorizer::default());
    };
    Ok(Authorizer {
        kind: text(fields, "type")?,
        name: text(fields, "name")?,
        webhook: Fields::of(value, "webhook", "WebhookConfiguration.authorizers.webhook")?
            .map(|fields| webhook(fields, &value["webhook"]))
            .transpose()?,
    })
}

fn webhook(fields: Fields<'_>, value: &Value) -> Result<Webhook, Malformed> {
    let place = "WebhookConnectionInfo.authorizers.webhook.connectionInfo";
    let connection = Fields::of(value, "connectionInfo", place)?;
    let of_connection = |name| connection.map_or(Ok(None), |fields| fields.text(name));
    let or_on = |name| fields.get(name).map_or(Ok(true), |_| fields.bool(name));
    Ok(Webhook {
        authorized_ttl: span(fields, "authorizedTTL", AUTHORIZED_TTL)?,
        remembers_authorized: or_on("cacheAuthorizedRequests")?,
        unauthorized_ttl: span(fields, "unauthorizedTTL", UNAUTHORIZED_TTL)?,
        remembers_unauthorized: or_on("cacheUnauthorizedRequests")?,
        timeout: span(fields, "timeout", Duration::ZERO)?,
        version: text(fields, "subjectAccessReviewVersion")?,
        condition_version: text(fields, "matchConditionSubjectAccessReviewVersion")?,
        failure_policy: text(fields, "failurePolicy")?,
        connection: of_connection("type")?.unwrap_or_default().to_owned(),
        kubeconfig: of_connection("kubeConfigFile")?.map(str::to_owned),
        conditions: items(value, "matchConditions").iter().map(condition).collect::<Result<_, _>>()?,
    })
}

fn condition(value: &Value) -> Result<String, Malformed> {
    let fields = Fields::of_all(value, "WebhookMatchCondition.authorizers.webhook.matchConditions");
    fields.map_or_else(|| Ok(String::new()), |fields| text(fields, "expression"))
}

fn text(fields: Fields<'_>, name: &str) -> Result<String, Malformed> {
    fields.text(name).map(|text| text.unwrap_or_default().to_owned())
}

/// Nothing, and none at all, is the default.
fn span(fields: Fields<'_>, name: &str, default: Duration) -> Result<Span, Malformed> {
    let given = fields.text(name)?.unwrap_or("0s");
    let (is_negative, length) = given.strip_prefix('-').map_or((false, given), |length| (true, length));
    let invalid = |_| Malformed(format!("time: invalid duration {}", quote(given)));
    let GoDuration(length) = length.parse().map_err(invalid)?;
    Ok(Span { is_negative, length: if length.is_zero() { default } else { length } })
}
