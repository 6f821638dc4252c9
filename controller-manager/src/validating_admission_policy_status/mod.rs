//! validatingadmissionpolicy-status-controller: says in a policy's status what its expressions get wrong about the types they are
//! for. It changes nothing: a policy with warnings acts all the same.
//!
//! Types are those of the published OpenAPI; what is not published is not checked.
//! Upstream: pkg/controller/validatingadmissionpolicystatus, admission/plugin/policy/validating.TypeChecker.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use client::{Change, Informer};
use expressions::Schema;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use serde_json::Value;

use self::plan::{Checked, Types, plan, wanted};
use crate::discovery::get;
use crate::engine::{Context, Controller, Error, Plan, Requeue};
use crate::meta;

const WORKERS: usize = 5;
/// Most types one policy is checked for.
const MOST_TYPES: usize = 10;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let policies: Informer<ValidatingAdmissionPolicy> = context.informers.of();
    let (applier, client, read) = (context.applier(name), context.client.clone(), policies.clone());
    Controller::new(name, &context)
        .watch(&policies, |change: &Change<ValidatingAdmissionPolicy>, queue| {
            queue.add(meta::name(&change.object().metadata).to_owned());
        })
        .run(WORKERS, move |name: String| {
            let policy = read.get("", &name);
            let (applier, client) = (applier.clone(), client.clone());
            async move {
                let plan = match policy {
                    Some(policy) if plan::is_due(&policy) => plan(&policy, &types(&client, &policy).await?),
                    _ => Plan::default(),
                };
                match applier.apply_plan(plan).await {
                    Err(error) if error.is_not_found() => Ok(Requeue::Done),
                    other => other,
                }
            }
        })
        .await;
}

/// The types a policy is for, and that of its parameters, as the server publishes them.
async fn types(client: &kube::Client, policy: &ValidatingAdmissionPolicy) -> Result<Types, Error> {
    let mut types = Types::default();
    let mut kinds = BTreeSet::new();
    for (group, version, resource) in wanted(policy) {
        if kinds.len() == MOST_TYPES {
            break;
        }
        let list = get::<Value>(client, &path("", &group, &version), "application/json").await;
        let Some(list) = found(list)? else { continue };
        let served = list["resources"].as_array().into_iter().flatten().find(|served| served["name"] == *resource);
        if let Some(kind) = served.and_then(|served| served["kind"].as_str()) {
            kinds.insert((group, version, kind.to_owned()));
        }
    }
    for (group, version, kind) in kinds {
        if let Some(schema) = schema(client, &group, &version, &kind).await? {
            types.objects.push(Checked { group, version, kind, schema });
        }
    }
    if let Some(params) = policy.spec.as_ref().and_then(|spec| spec.param_kind.as_ref()) {
        let api_version = params.api_version.clone().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        types.params = schema(client, group, version, params.kind.as_deref().unwrap_or_default()).await?;
    }
    Ok(types)
}

fn path(prefix: &str, group: &str, version: &str) -> String {
    if group.is_empty() { format!("{prefix}/api/{version}") } else { format!("{prefix}/apis/{group}/{version}") }
}

/// None for what is not served.
fn found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn schema(client: &kube::Client, group: &str, version: &str, kind: &str) -> Result<Option<Schema>, Error> {
    let document = get(client, &path("/openapi/v3", group, version), "application/json").await;
    Ok(found(document)?.and_then(|document| plan::schema(&document, group, version, kind)))
}
