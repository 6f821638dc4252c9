//! CSIDrivers: what a driver wants of the cluster. Upstream: ValidateCSIDriver, pkg/registry/storage/csidriver.

use api::field::{Error, ErrorList};
use api::meta;
use json::Value;

use crate::context::RequestContext;
use crate::registry::fields::{At, at};
use crate::registry::strategy::Strategy;
use crate::registry::validation::{immutable, optional_one_of, same};

const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;
const TOKENS_ARE_LOGGED: &str = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
/// Fields that must be given, though defaults see to it, and what they are called when they are not.
const REQUIRED: [(&str, &str); 5] = [
    ("attachRequired", "attachedRequired"),
    ("podInfoOnMount", "podInfoOnMount"),
    ("storageCapacity", "storageCapacity"),
    ("seLinuxMount", "seLinuxMount"),
    ("preventPodSchedulingIfMissing", "preventPodSchedulingIfMissing"),
];

/// The semantics of CSIDrivers.
#[derive(Debug, Clone, Copy)]
pub struct CsiDriver;

impl Strategy for CsiDriver {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        for (_, shown) in REQUIRED.into_iter().filter(|(field, _)| !spec.has(field)) {
            errors.push(spec.field(shown).required(""));
        }
        let modes = spec.field("volumeLifecycleModes");
        for mode in modes.items().filter(|mode| !matches!(mode.str(), "Ephemeral" | "Persistent")) {
            errors.push(Error::not_supported(&modes.path, mode.str(), ["Persistent", "Ephemeral"]));
        }
        optional_one_of(&spec.field("fsGroupPolicy"), &["File", "None", "ReadWriteOnceWithFSType"], &mut errors);
        token_requests(&spec.field("tokenRequests"), &mut errors);
        let period = spec.field("nodeAllocatableUpdatePeriodSeconds");
        if period.is_set() && period.int() < 10 {
            errors.push(period.invalid_int("must be greater than or equal to 10 seconds"));
        }
        let in_secrets = spec.field("serviceAccountTokenInSecrets");
        if in_secrets.is_set() && spec.field("tokenRequests").is_empty() {
            let detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
            errors.push(in_secrets.invalid(detail));
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        token_warning(new).into_iter().collect()
    }

    /// Nothing is counted before the first change.
    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        if !same(&new["spec"], &old["spec"]) {
            meta::set_generation(new, meta::generation(old) + 1);
        }
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let spec = At::root(new).field("spec");
        let attach = At::new(spec.get("attachRequired"), spec.path.child("attachedRequired"));
        immutable(&attach, at(old, &["spec", "attachRequired"]), &mut errors);
        let modes = spec.field("volumeLifecycleModes");
        immutable(&modes, at(old, &["spec", "volumeLifecycleModes"]), &mut errors);
        errors
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        let requests = |driver: &Value| at(driver, &["spec", "tokenRequests"]).clone();
        if same(&requests(new), &requests(old)) { Vec::new() } else { token_warning(new).into_iter().collect() }
    }
}

/// Upstream: validateTokenRequests.
fn token_requests(at: &At<'_>, errors: &mut ErrorList) {
    for (index, request) in at.items().enumerate() {
        let audience = request.text("audience");
        if at.items().take(index).any(|earlier| earlier.text("audience") == audience) {
            errors.push(Error::duplicate(&request.field("audience").path, audience));
            continue;
        }
        let seconds = request.field("expirationSeconds");
        if seconds.is_set() && seconds.int() < SHORTEST_TOKEN {
            errors.push(seconds.invalid_int("may not specify a duration less than 10 minutes"));
        }
        if seconds.int() > LONGEST_TOKEN {
            errors.push(seconds.invalid_int("may not specify a duration larger than 2^32 seconds"));
        }
    }
}

fn token_warning(driver: &Value) -> Option<String> {
    let spec = At::root(driver).field("spec");
    let exposed = !spec.field("tokenRequests").is_empty() && !spec.has("serviceAccountTokenInSecrets");
    exposed.then(|| TOKENS_ARE_LOGGED.to_owned())
}
