//! `limitedResources` of the configuration: what nobody takes without a quota that covers it.
//! Upstream: resourcequota.CheckRequest.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::status::Status;
use json::Value;
use serde::Deserialize;

use super::scope::{Scope, scopes};
use super::usage::Amounts;
use crate::admission::Attributes;
use crate::admission::configuration::Configurations;
use crate::admission::plugins::forbidden;
use crate::configuration_file::shape::{Struct, Type};

const VERSIONS: [&str; 3] =
    ["apiserver.config.k8s.io/v1", "resourcequota.admission.k8s.io/v1beta1", "resourcequota.admission.k8s.io/v1alpha1"];

const FILE: Struct = Struct {
    name: "Configuration",
    fields: &[("apiVersion", Type::Text), ("kind", Type::Text), ("limitedResources", Type::List(&Type::One(&LIMITED)))],
};
const LIMITED: Struct = Struct {
    name: "LimitedResource",
    fields: &[
        ("apiGroup", Type::Text),
        ("resource", Type::Text),
        ("matchContains", Type::List(&Type::Text)),
        ("matchScopes", Type::List(&Type::One(&SCOPE))),
    ],
};
const SCOPE: Struct = Struct {
    name: "v1.ScopedResourceSelectorRequirement",
    fields: &[("scopeName", Type::Text), ("operator", Type::Text), ("values", Type::List(&Type::Text))],
};

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limited {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    /// Parts of names of counted resources.
    #[serde(default)]
    match_contains: Vec<String>,
    #[serde(default)]
    match_scopes: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    limited_resources: Vec<Limited>,
}

pub(super) fn read(configurations: &Configurations) -> Result<Vec<Limited>, String> {
    let kind = match configurations.of("ResourceQuota") {
        Some(own) if own["apiVersion"] != VERSIONS[0] => "Configuration",
        _ => "ResourceQuotaConfiguration",
    };
    let own: Option<Configuration> = configurations.versioned("ResourceQuota", &VERSIONS, kind, &FILE)?;
    Ok(own.unwrap_or_default().limited_resources)
}

/// Refuses an object that takes of a limited resource, or is in a limited scope, and is held to no quota for it.
pub(super) fn check<'q>(
    limited: &[Limited],
    attributes: Attributes<'_>,
    object: &Value,
    wanted: &Amounts,
    quotas: &[Arc<Value>],
    held_to: impl Iterator<Item = &'q Amounts>,
) -> Result<(), Status> {
    let target = &attributes.ctx.target;
    let own = limited.iter().filter(|own| own.api_group == target.group && own.resource == target.resource);
    let parts: Vec<&String> = own.flat_map(|own| &own.match_contains).collect();
    let is_limited = |name: &str| parts.iter().any(|part| name.contains(part.as_str()));
    let taken = wanted.iter().filter(|(name, amount)| amount.sign() > 0 && is_limited(name));
    let mut uncovered: BTreeSet<&str> = taken.map(|(name, _)| name.as_str()).collect();
    held_to.flat_map(Amounts::keys).for_each(|name| {
        uncovered.remove(name.as_str());
    });
    if !uncovered.is_empty() {
        let uncovered: Vec<&str> = uncovered.into_iter().collect();
        let why = format!("insufficient quota to consume: {}", uncovered.join(","));
        return Err(forbidden(attributes, object, why));
    }
    let is_in = |scope: &Scope| scope.selects(&target.resource, object);
    let covered: Vec<Scope> = quotas.iter().flat_map(|quota| scopes(quota)).filter(is_in).collect();
    let limited = limited.iter().flat_map(|own| &own.match_scopes).map(Scope::of).filter(is_in);
    let uncovered: Vec<String> = limited
        .filter(|scope| !covered.iter().any(|other| other.name == scope.name))
        .map(|scope| scope.shown())
        .collect();
    if uncovered.is_empty() {
        return Ok(());
    }
    Err(Status::unknown(500, format!("insufficient quota to match these scopes: [{}]", uncovered.join(" "))))
}
