//! APIServices: which group-versions there are, and who serves them. Upstream: kube-aggregator/pkg/apis/apiregistration/validation.

use api::field::{Error, ErrorList};
use api::meta;
use api::names::{self, NameRule};
use json::{Value, json};

use super::fields::{At, at};
use super::strategy::Strategy;
use crate::context::RequestContext;

/// The semantics of APIServices.
#[derive(Debug, Clone, Copy)]
pub struct ApiService;

impl Strategy for ApiService {
    fn name_rule(&self) -> NameRule {
        names::name_is_path_segment
    }

    /// What this server serves itself is there at once.
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        if at(new, &["spec", "service"]).is_null() {
            let local = json!({
                "type": "Available",
                "status": "True",
                "lastTransitionTime": ctx.timestamp(),
                "reason": "Local",
                "message": "Local APIServices are always available",
            });
            new["status"] = json!({"conditions": [local]});
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let (group, version) = (spec.field("group"), spec.field("version"));
        let required = format!("{}.{}", version.str(), group.str());
        let name = meta::name(new);
        if name != required && names::name_is_path_segment(name, false).is_empty() {
            let why = format!("must be `spec.version+\".\"+spec.group`: {}", api::go_text::quote(&required));
            errors.push(At::root(new).field("metadata").field("name").invalid_str(why));
        }
        if group.str().is_empty() && version.str() != "v1" {
            errors.push(group.required("only v1 may have an empty group and it better be legacy kube"));
        }
        if !group.str().is_empty() {
            errors.extend(names::is_dns1123_subdomain(group.str()).into_iter().map(|why| group.invalid_str(why)));
        }
        errors.extend(names::is_dns1035_label(version.str()).into_iter().map(|why| version.invalid_str(why)));
        for (field, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
            let priority = spec.field(field);
            if !(1..=most).contains(&priority.int()) {
                errors.push(priority.invalid_int(format!("must be positive and less than {most}")));
            }
        }
        if spec.has("service") {
            remote(&spec, &mut errors)
        } else {
            local(&spec, &mut errors)
        }
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for condition in At::root(new).field("status").field("conditions").items() {
            let status = condition.field("status");
            if !matches!(status.str(), "True" | "False" | "Unknown") {
                errors.push(Error::not_supported(&status.path, status.str(), ["True", "False", "Unknown"]));
            }
        }
        errors
    }
}

/// Who serves itself needs no certificates.
fn local(spec: &At<'_>, errors: &mut ErrorList) {
    let bundle = spec.field("caBundle");
    if !bundle.is_empty() {
        let length = bundle.str().trim_end_matches('=').len() * 3 / 4;
        errors.push(Error::invalid(
            &bundle.path,
            format!("{length} bytes"),
            "local APIServices may not have a caBundle",
        ));
    }
    let insecure = spec.field("insecureSkipTLSVerify");
    if insecure.bool() {
        errors.push(insecure.invalid("local APIServices may not have insecureSkipTLSVerify"));
    }
}

fn remote(spec: &At<'_>, errors: &mut ErrorList) {
    let service = spec.field("service");
    for field in ["namespace", "name"].map(|field| service.field(field)) {
        if field.str().is_empty() {
            errors.push(field.required(""));
        }
    }
    let port = service.field("port");
    let complaints = names::is_valid_port_num(port.int());
    if !complaints.is_empty() {
        errors.push(port.invalid_int(format!("port is not valid: {}", complaints.join(", "))));
    }
    let insecure = spec.field("insecureSkipTLSVerify");
    if insecure.bool() && !spec.field("caBundle").is_empty() {
        errors.push(insecure.invalid("may not be true if caBundle is present"));
    }
}
