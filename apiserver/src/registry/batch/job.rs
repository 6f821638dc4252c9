//! Jobs. Upstream: pkg/registry/batch/job/strategy.go, ValidateJobSpec, ValidateJobSpecUpdate.

use api::field::{Error, ErrorList, Path};
use api::meta;
use api::names;
use api::status::Status;
use json::{Value, json};

use super::super::apps::template;
use super::super::core::pod_warnings;
use super::super::fields::{At, at, items_mut, object_mut, remove, set, text};
use super::super::strategy::{Extra, Strategy};
use super::super::validation::{FIELD_IMMUTABLE, immutable, nonnegative, pod_spec, same, selector};
use super::job_policy;
use crate::context::RequestContext;

const LEGACY_NAME: &str = "job-name";
const NAME: &str = "batch.kubernetes.io/job-name";
const LEGACY_UID: &str = "controller-uid";
const UID: &str = "batch.kubernetes.io/controller-uid";
/// More indexes than this, and more pods at once than that, and failed indexes may not all be remembered.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_AT_ONCE: i64 = 10_000;

/// Of the spec at `path`, also of the jobs that a CronJob will make. Upstream: WarningsForJobSpec.
pub(super) fn spec_warnings(object: &Value, path: &[&'static str]) -> Vec<String> {
    let spec = At::root(at(object, path));
    let mut warnings = Vec::new();
    if spec.text("completionMode") == "Indexed"
        && spec.field("completions").int() > MANY_COMPLETIONS
        && spec.field("parallelism").int() > MANY_AT_ONCE
    {
        warnings.push(format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            path.join(".")
        ));
    }
    warnings.extend(pod_warnings::of_template(object, &[path, &["template"]].concat()));
    warnings
}

/// The semantics of jobs.
#[derive(Debug, Clone, Copy)]
pub struct Job;

impl Strategy for Job {
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        if at(new, &["spec", "manualSelector"]) != true {
            let template = at(new, &["spec", "template", "metadata", "labels"]);
            let labelled_by_default =
                !ctx.was_labelled() && template.as_object().is_some_and(|labels| !labels.is_empty());
            generate_selector(new);
            if labelled_by_default {
                // Go's default is the template's map itself: it has what was put in there.
                remove(object_mut(new, "metadata"), "labels");
                label_as_template(new);
            }
        }
        set(new, "status", json!({}));
    }

    fn allocate_on_create(&self, _ctx: &RequestContext, new: &mut Value) -> Result<Extra, Status> {
        // Upstream's defaulting does it at each read: not before validation.
        label_as_template(new);
        Ok(Extra::default())
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        generated_selector(new, &mut errors);
        let spec = At::root(new).field("spec");
        job_spec(&spec, &mut errors);
        selected(&spec, &mut errors);
        name_allows_completions(new, &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let mut warnings = pod_warnings::of_name(new, "Pod names and hostnames");
        warnings.extend(spec_warnings(new, &["spec"]));
        warnings
    }

    /// Only somebody who changes the spec is told about it. Upstream compares generations.
    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        if same(&new["spec"], &old["spec"]) { Vec::new() } else { spec_warnings(new, &["spec"]) }
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let (spec, before) = (At::root(new).field("spec"), at(old, &["spec"]));
        job_spec(&spec, &mut errors);
        selected(&spec, &mut errors);
        completions(&spec, before, &mut errors);
        immutable(&spec.field("selector"), at(before, &["selector"]), &mut errors);
        template_update(&spec, old, &mut errors);
        for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
            let (own, was) = (spec.field(field), at(before, &[field]));
            // What is there and empty is not what is not there.
            if own.is_set() == was.is_null() {
                errors.push(own.invalid(FIELD_IMMUTABLE));
            } else {
                immutable(&own, was, &mut errors);
            }
        }
        name_allows_completions(new, &mut errors);
        errors
    }

    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let status = At::root(new).field("status");
        for field in ["active", "succeeded", "failed", "ready", "terminating"] {
            nonnegative(&status.field(field), &mut errors);
        }
        let conditions = status.field("conditions");
        let has = |object: &Value, kind: &str| {
            let conditions = at(object, &["status", "conditions"]).as_array();
            conditions
                .into_iter()
                .flatten()
                .any(|condition| text(condition, "type") == kind && text(condition, "status") == "True")
        };
        for kind in ["Failed", "Complete", "FailureTarget", "SuccessCriteriaMet"] {
            if has(old, kind) && !has(new, kind) {
                let terminal = if kind == "SuccessCriteriaMet" { "" } else { "terminal " };
                let detail = format!("cannot disable the {terminal}{kind}=True condition");
                errors.push(Error::invalid(&conditions.path, api::field::BadValue::Omitted, detail));
            }
        }
        for (one, other, detail) in [
            ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
            ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
        ] {
            if has(new, one) && has(new, other) {
                errors.push(Error::invalid(&conditions.path, api::field::BadValue::Omitted, detail));
            }
        }
        for counter in ["failed", "succeeded"] {
            let own = status.field(counter);
            if own.int() < at(old, &["status", counter]).as_i64().unwrap_or(0) {
                errors.push(own.invalid_int(format!("cannot decrease the {counter} counter")));
            }
        }
        errors
    }

    fn default_propagation_orphans(&self) -> bool {
        true
    }

    fn orphaning_warning(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set \
             propagationPolicy=Orphan to suppress this warning",
        )
    }
}

/// Labels and selector by uid. Upstream: generateSelector.
fn generate_selector(job: &mut Value) {
    let (name, uid) = (meta::name(job).to_owned(), meta::uid(job).to_owned());
    let spec = object_mut(job, "spec");
    let labels = object_mut(object_mut(object_mut(spec, "template"), "metadata"), "labels");
    for (key, value) in [(LEGACY_NAME, &name), (NAME, &name), (LEGACY_UID, &uid), (UID, &uid)] {
        super::super::fields::set_default(labels, key, value.as_str());
    }
    let matched = object_mut(object_mut(spec, "selector"), "matchLabels");
    super::super::fields::set_default(matched, UID, uid);
}

/// Upstream: SetDefaults_Job.
fn label_as_template(job: &mut Value) {
    let labels = at(job, &["spec", "template", "metadata", "labels"]);
    if meta::labels(job).is_none_or(json::Map::is_empty) && labels.as_object().is_some_and(|labels| !labels.is_empty())
    {
        let labels = labels.clone();
        set(object_mut(job, "metadata"), "labels", labels);
    }
}

/// Upstream: validateGeneratedSelector.
fn generated_selector(job: &Value, errors: &mut ErrorList) {
    let own = At::root(job).field("spec").field("selector");
    if at(job, &["spec", "manualSelector"]) == true || !own.is_set() {
        return;
    }
    let path = Path::new("spec").child("template").child("metadata");
    let labels = at(job, &["spec", "template", "metadata", "labels"]);
    let expected =
        [(LEGACY_UID, meta::uid(job)), (LEGACY_NAME, meta::name(job)), (UID, meta::uid(job)), (NAME, meta::name(job))];
    for (key, value) in expected {
        match labels.get(key).and_then(Value::as_str) {
            None => errors.push(Error::required(&path.child("labels").key(key), format!("must be '{value}'"))),
            Some(own) if own != value => {
                let shown = labels.clone();
                errors.push(Error::invalid(&path.child("labels").key(key), shown, format!("must be '{value}'")));
            }
            Some(_) => {}
        }
    }
    let map = expected.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    if !selector::matches(own.value, Some(&map)) {
        errors.push(own.invalid("`selector` not auto-generated"));
    }
}

fn selected(spec: &At<'_>, errors: &mut ErrorList) {
    let own = spec.field("selector");
    if !own.is_set() {
        errors.push(own.required(""));
    } else {
        selector::label_selector(&own, errors);
    }
    template::labels_match(&spec.field("template"), own.value, errors);
}

/// Upstream: validateJobSpec. Also of a CronJob's template.
pub(super) fn job_spec(spec: &At<'_>, errors: &mut ErrorList) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        nonnegative(&spec.field(field), errors);
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        errors.push(spec.field("backoffLimitPerIndex").required("when maxFailedIndexes is specified"));
    }
    let manager = spec.field("managedBy");
    if manager.is_set() {
        errors.extend(names::is_domain_prefixed_path(&manager.path, manager.str()));
        if manager.str().len() > 63 {
            errors.push(Error::too_long(&manager.path, 63));
        }
    }
    job_policy::indexes(spec, errors);
    job_policy::failure_policy(spec, errors);
    job_policy::success_policy(spec, errors);
    job_policy::replacement_policy(spec, errors);
    let pods = spec.field("template");
    pod_spec::template(&pods, errors);
    let policy = pods.field("spec").field("restartPolicy");
    match policy.str() {
        "Always" | "" => errors.push(policy.required("valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec.has("podFailurePolicy") => {
            errors.push(policy.invalid_str("only \"Never\" is supported when podFailurePolicy is specified"));
        }
        "OnFailure" | "Never" => {}
        _ => errors.push(policy.not_supported(&["OnFailure", "Never"])),
    }
}

fn name_allows_completions(job: &Value, errors: &mut ErrorList) {
    let completions = at(job, &["spec", "completions"]).as_i64().unwrap_or(0);
    if at(job, &["spec", "completionMode"]) == "Indexed" && completions > 0 {
        let host = format!("{}-{}", meta::name(job), completions - 1);
        if !names::is_dns1123_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            errors.push(Error::invalid(&Path::new("metadata").child("name"), meta::name(job), detail));
        }
    }
}

fn completions(spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let (own, before) = (spec.field("completions"), at(old, &["completions"]));
    if spec.text("completionMode") != "Indexed" {
        immutable(&own, before, errors);
    } else if !same(own.value, before) && own.is_set() && own.value != spec.get("parallelism") {
        errors.push(own.invalid_int("can only be modified in tandem with spec.parallelism"));
    }
}

/// A suspended job that has not started may still be told where to run and with how much. Upstream: validatePodTemplateUpdate.
fn template_update(spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let own = spec.field("template");
    let mut allowed = at(old, &["spec", "template"]).clone();
    if at(old, &["spec", "suspend"]) == true && at(old, &["status", "active"]).as_i64().unwrap_or(0) == 0 {
        let take = |from: &Value, to: &mut Value, key: &str| match from.get(key) {
            Some(value) => set(to, key, value.clone()),
            None => {
                remove(to, key);
            }
        };
        for key in ["labels", "annotations"] {
            take(own.field("metadata").value, object_mut(&mut allowed, "metadata"), key);
        }
        let (new_spec, old_spec) = (own.field("spec").value, object_mut(&mut allowed, "spec"));
        for key in ["nodeSelector", "tolerations", "schedulingGates"] {
            take(new_spec, old_spec, key);
        }
        if let Some(node) = new_spec.get("affinity").and_then(|affinity| affinity.get("nodeAffinity")) {
            set(object_mut(old_spec, "affinity"), "nodeAffinity", node.clone());
        } else if let Some(affinity) = old_spec.get_mut("affinity") {
            remove(affinity, "nodeAffinity");
        }
        for list in ["containers", "initContainers"] {
            let wanted = super::super::fields::items(new_spec, list);
            for (container, wanted) in items_mut(old_spec, list).zip(wanted) {
                if text(container, "name") == text(wanted, "name") {
                    take(wanted, container, "resources");
                }
            }
        }
    }
    immutable(&own, &allowed, errors);
}
