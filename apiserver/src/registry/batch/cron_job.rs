//! CronJobs. Upstream: validateCronJobSpec.

use api::field::{Error, ErrorList, Path};
use api::meta;
use json::{Value, json};

use super::super::core::pod_warnings;
use super::super::fields::{At, at, set};
use super::super::strategy::Strategy;
use super::super::validation::{nonnegative, required_one_of, required_text, same};
use super::{job, schedule};
use crate::context::RequestContext;

/// Room for what the controller appends to name a job.
const MAX_NAME: usize = 52;

/// The semantics of cron jobs.
#[derive(Debug, Clone, Copy)]
pub struct CronJob;

impl Strategy for CronJob {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = spec(new, None);
        if meta::name(new).len() > MAX_NAME {
            let path = Path::new("metadata").child("name");
            errors.push(Error::invalid(&path, meta::name(new), format!("must be no more than {MAX_NAME} characters")));
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let mut warnings = pod_warnings::of_name(new, "Pod names and hostnames");
        warnings.extend(template_warnings(new));
        warnings
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        let mut warnings = if same(&new["spec"], &old["spec"]) { Vec::new() } else { template_warnings(new) };
        if at(new, &["spec", "schedule"]).as_str().is_some_and(|schedule| schedule.contains("TZ")) {
            // The path is upstream's.
            let instead = "use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
            warnings.push(format!("cannot use TZ or CRON_TZ in spec.spec.schedule, {instead}"));
        }
        warnings
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        spec(new, Some(old))
    }
}

fn template_warnings(new: &Value) -> Vec<String> {
    job::spec_warnings(new, &["spec", "jobTemplate", "spec"])
}

fn spec(new: &Value, old: Option<&Value>) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(new).field("spec");
    let (when, zone) = (spec.field("schedule"), spec.field("timeZone"));
    if required_text(&when, &mut errors) {
        if let Err(reason) = schedule::parse(when.str()) {
            errors.push(when.invalid_str(reason));
        }
        let had_zone =
            old.is_some_and(|old| at(old, &["spec", "schedule"]).as_str().is_some_and(|text| text.contains("TZ")));
        if when.str().contains("TZ") {
            if had_zone && zone.is_set() {
                errors.push(when.invalid_str("cannot use both timeZone field and TZ or CRON_TZ in schedule"));
            } else if !had_zone {
                errors.push(when.invalid_str("cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
            }
        }
    }
    nonnegative(&spec.field("startingDeadlineSeconds"), &mut errors);
    if old.is_none_or(|old| at(old, &["spec", "timeZone"]) != zone.value) {
        time_zone(&zone, &mut errors);
    }
    required_one_of(&spec.field("concurrencyPolicy"), &["Allow", "Forbid", "Replace"], &mut errors);
    let job = spec.field("jobTemplate").field("spec");
    job::job_spec(&job, &mut errors);
    if job.has("selector") {
        errors.push(job.field("selector").invalid("`selector` will be auto-generated"));
    }
    if job.field("manualSelector").bool() {
        errors.push(Error::not_supported(&job.field("manualSelector").path, true, ["nil", "false"]));
    }
    nonnegative(&spec.field("successfulJobsHistoryLimit"), &mut errors);
    nonnegative(&spec.field("failedJobsHistoryLimit"), &mut errors);
    errors
}

fn time_zone(zone: &At<'_>, errors: &mut ErrorList) {
    if !zone.is_set() {
        return;
    }
    let name = zone.str();
    if name.is_empty() {
        errors.push(zone.invalid_str("timeZone must be nil or non-empty string"));
        return;
    }
    let plain = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
        !part.is_empty()
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
            && part.len() <= 14
            && part.bytes().all(allowed)
    };
    if !name.split('/').all(plain) {
        errors.push(zone.invalid_str(format!("unknown time zone {name}")));
        return;
    }
    if name.eq_ignore_ascii_case("local") {
        errors.push(
            zone.invalid_str("timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
        );
    }
    if name != "Local" && jiff::tz::TimeZone::get(name).is_err() {
        errors.push(zone.invalid_str(format!("unknown time zone {name}")));
    }
}
