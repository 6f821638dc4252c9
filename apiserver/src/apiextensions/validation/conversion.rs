//! `spec.conversion`. Upstream: validateCustomResourceConversion.

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::one_of;
use crate::apiextensions::definition::is_condition_true;
use crate::registry::fields::At;
use crate::registry::validation::webhook;
use crate::webhook::check_bundle;

/// Versions of ConversionReview that are understood.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

pub(super) fn validate(spec: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    let conversion = spec.field("conversion");
    if !conversion.is_set() {
        return;
    }
    let strategy = conversion.field("strategy");
    one_of(&strategy, &["None", "Webhook"], errors);
    let said = conversion.field("webhook");
    // Upstream's internal form has them one level higher.
    let config = At::new(said.get("clientConfig"), conversion.path.child("webhookClientConfig"));
    let reviews = At::new(said.get("conversionReviewVersions"), conversion.path.child("conversionReviewVersions"));
    if strategy.str() != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        if config.is_set() {
            errors.push(config.forbidden(detail));
        }
        if !reviews.slice().is_empty() {
            errors.push(reviews.forbidden(detail));
        }
        return;
    }
    if config.is_set() {
        webhook::client_config(&config, errors);
        let bundle = config.field("caBundle");
        if let (Err(why), false) = (check_bundle(bundle.value), old.is_none_or(may_distrust)) {
            errors.push(bundle.invalid(why.to_string()));
        }
    } else {
        errors.push(config.required("required when strategy is set to Webhook"));
    }
    review_versions(&reviews, old, errors);
}

/// A definition that is not established, or whose bundle was of no use before, may have one that is of none.
fn may_distrust(old: &Value) -> bool {
    let bundle = &old["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"];
    !is_condition_true(old, "Established") || check_bundle(bundle).is_err()
}

fn review_versions(reviews: &At<'_>, old: Option<&Value>, errors: &mut ErrorList) {
    if reviews.slice().is_empty() {
        errors.push(reviews.required(""));
        return;
    }
    for (index, version) in reviews.items().enumerate() {
        if reviews.slice()[..index].contains(version.value) {
            errors.push(version.invalid_str("duplicate version"));
            continue;
        }
        for fault in names::is_dns1035_label(version.str()) {
            errors.push(version.invalid_str(fault));
        }
    }
    let understood = |versions: &[Value]| versions.iter().any(|version| REVIEWS.iter().any(|known| version == known));
    let before = old.and_then(|old| old["spec"]["conversion"]["webhook"]["conversionReviewVersions"].as_array());
    // What was not understood before may stay so.
    let strict = before.is_none_or(|before| before.is_empty() || understood(before));
    if strict && !understood(reviews.slice()) {
        let detail = format!("must include at least one of {}", REVIEWS.join(", "));
        errors.push(Error::invalid(&reviews.path, reviews.value.clone(), detail));
    }
}
