//! Pod failure policy and success policy: rules that decide what a finished pod means for its job.
//!
//! Upstream: job.matchPodFailurePolicy, job.matchSuccessPolicy.

use k8s_openapi::api::batch::v1::{JobSpec, PodFailurePolicyOnExitCodesRequirement};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use super::indexes::Intervals;
use crate::meta;

/// What the first matching rule says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The job fails at once, with this message.
    pub fail_job: Option<String>,
    /// The pod's index fails at once.
    pub fail_index: bool,
    /// The failure does not count.
    pub ignored: bool,
}

/// The verdict on a failed pod.
pub(super) fn judge(spec: &JobSpec, pod: &Pod) -> Verdict {
    let Some(policy) = &spec.pod_failure_policy else { return Verdict::default() };
    let status = pod.status.clone().unwrap_or_default();
    let (namespace, name) = (meta::namespace(&pod.metadata), meta::name(&pod.metadata));
    for (index, rule) in policy.rules.iter().enumerate() {
        let reason = if let Some(requirement) = &rule.on_exit_codes {
            exit_code(&status, requirement).map(|(container, code)| {
                format!("Container {container} for pod {namespace}/{name} failed with exit code {code}")
            })
        } else {
            let patterns = rule.on_pod_conditions.iter().flatten();
            let conditions = status.conditions.iter().flatten();
            conditions
                .into_iter()
                .find(|condition| {
                    let mut patterns = patterns.clone();
                    patterns.any(|pattern| {
                        pattern.type_ == condition.type_
                            && pattern.status.as_deref().unwrap_or("True") == condition.status
                    })
                })
                .map(|condition| format!("Pod {namespace}/{name} has condition {}", condition.type_))
        };
        let Some(reason) = reason else { continue };
        match rule.action.as_str() {
            "Ignore" => return Verdict { ignored: true, ..Verdict::default() },
            "FailIndex" => return Verdict { fail_index: true, ..Verdict::default() },
            "Count" => return Verdict::default(),
            "FailJob" => {
                let message = format!("{reason} matching {} rule at index {index}", rule.action);
                return Verdict { fail_job: Some(message), ..Verdict::default() };
            }
            // An action of a newer version: this rule says nothing here.
            _ => {}
        }
    }
    Verdict::default()
}

/// Name and exit code of the first container the requirement fits.
fn exit_code(status: &PodStatus, requirement: &PodFailurePolicyOnExitCodesRequirement) -> Option<(String, i32)> {
    let fits = |container: &&ContainerStatus| {
        let named = requirement.container_name.as_ref().is_none_or(|name| *name == container.name);
        code(container).is_some_and(|code| {
            let listed = requirement.values.contains(&code);
            named && code != 0 && matches!((requirement.operator.as_str(), listed), ("In", true) | ("NotIn", false))
        })
    };
    let all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    all.into_iter().find(fits).and_then(|container| Some((container.name.clone(), code(container)?)))
}

fn code(container: &ContainerStatus) -> Option<i32> {
    container.state.as_ref()?.terminated.as_ref().map(|terminated| terminated.exit_code)
}

/// The message if the success policy is met.
pub(super) fn success(spec: &JobSpec, succeeded: &Intervals) -> Option<String> {
    let policy = spec.success_policy.as_ref().filter(|_| !succeeded.is_empty())?;
    let met = policy.rules.iter().position(|rule| match &rule.succeeded_indexes {
        Some(indexes) => {
            let wanted = Intervals::parse(indexes, spec.completions.unwrap_or(0));
            let common = wanted.common(succeeded);
            !wanted.is_empty()
                && (common == wanted.total() || rule.succeeded_count.is_some_and(|count| common >= count))
        }
        None => rule.succeeded_count.is_some_and(|count| succeeded.total() >= count),
    })?;
    Some(format!("Matched rules at index {met}"))
}
