//! Deployments, jobs, revisions, quotas.

use super::*;
use crate::meta::{self, GroupKind, GroupVersion};
use crate::selector::label::Selector;

pub(in super::super) fn deployment_selector(deployment: &Value, _: &Context<'_>) -> Value {
    match Selector::from_object(at(deployment, "spec.selector")) {
        Ok(selector) => selector.to_string().into(),
        Err(_) => "<invalid>".into(),
    }
}

pub(in super::super) fn job_status(job: &Value, _: &Context<'_>) -> Value {
    let is = |r#type: &str| condition_is_true(job, "status.conditions", r#type);
    let status = match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if meta::is_being_deleted(job) => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    status.into()
}

pub(in super::super) fn job_completions(job: &Value, _: &Context<'_>) -> Value {
    let succeeded = integer_at(job, "status.succeeded");
    match (at(job, "spec.completions").and_then(Value::as_i64), integer_at(job, "spec.parallelism")) {
        (Some(completions), _) => format!("{succeeded}/{completions}").into(),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}").into(),
        (None, _) => format!("{succeeded}/1").into(),
    }
}

pub(in super::super) fn job_duration(job: &Value, context: &Context<'_>) -> Value {
    let time = |path: &str| meta::time::parse(str_at(job, path));
    match (time("status.startTime"), time("status.completionTime")) {
        (None, _) => "".into(),
        (Some(start), end) => between(start, end.unwrap_or(context.now)).into(),
    }
}

pub(in super::super) fn revision_controller(revision: &Value, _: &Context<'_>) -> Value {
    let Some(owner) = meta::controller_of(revision) else { return "<none>".into() };
    let group = GroupVersion::parse(owner.api_version).map(|gv| gv.group).unwrap_or_default();
    let kind = GroupKind::new(group, owner.kind).to_string().to_lowercase();
    if kind.is_empty() { owner.name.into() } else { format!("{kind}/{}", owner.name).into() }
}

pub(in super::super) fn quota_requests(quota: &Value, _: &Context<'_>) -> Value {
    quota_usage(quota, false)
}

pub(in super::super) fn quota_limits(quota: &Value, _: &Context<'_>) -> Value {
    quota_usage(quota, true)
}

/// `cpu: 1/2, memory: 1Gi/2Gi`: used and hard, of the resources that are limits or of those that are not.
fn quota_usage(quota: &Value, limits: bool) -> Value {
    let mut resources: Vec<&json::Text> =
        at(quota, "status.hard").and_then(Value::as_object).into_iter().flat_map(|hard| hard.keys()).collect();
    resources.sort_unstable();
    let amount = |map: &str, resource: &str| {
        let amount = at(quota, map).and_then(|map| map.get(resource)).and_then(Value::as_str);
        amount.unwrap_or("0").to_owned()
    };
    let usage: Vec<String> = resources
        .into_iter()
        .filter(|resource| resource.starts_with("limits.") == limits)
        .map(|resource| format!("{resource}: {}/{}", amount("status.used", resource), amount("status.hard", resource)))
        .collect();
    usage.join(", ").into()
}
