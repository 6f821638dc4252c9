//! LimitRanges. Upstream: ValidateLimitRange.

use std::collections::BTreeSet;

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::resources::{quantity, quantity_value, resource_name};
use crate::context::RequestContext;

/// The semantics of limit ranges.
#[derive(Debug, Clone, Copy)]
pub struct LimitRange;

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

impl Strategy for LimitRange {
    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let limits = At::root(new).field("spec").field("limits");
        for (index, item) in limits.items().enumerate() {
            let kind = item.field("type");
            errors
                .extend(names::is_qualified_name(kind.str()).into_iter().map(|complaint| kind.invalid_str(complaint)));
            let qualified = names::is_qualified_name(kind.str()).is_empty();
            if qualified && !kind.str().contains('/') && !TYPES.contains(&kind.str()) {
                errors.push(kind.invalid_str("must be a standard limit type or fully qualified"));
            }
            if limits.slice()[..index].iter().any(|earlier| earlier["type"] == *kind.value) {
                errors.push(Error::duplicate(&kind.path, kind.str()));
            }
            limits_of(&item, kind.str(), &mut errors);
        }
        errors
    }
}

fn limits_of(item: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let maps = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"].map(|name| item.field(name));
    let [max, min, default, request, ratio] = &maps;
    if kind == "Pod" {
        for map in [default, request] {
            if !map.is_empty() {
                errors.push(map.forbidden("may not be specified when `type` is 'Pod'"));
            }
        }
    }
    if kind == "PersistentVolumeClaim" && !max.has("storage") && !min.has("storage") {
        errors.push(
            item.field("limits")
                .required("either minimum or maximum storage value is required, but neither was provided"),
        );
    }
    let keys: BTreeSet<&str> = maps.iter().flat_map(|map| map.entries().map(|(key, _)| key)).collect();
    for key in keys {
        for map in &maps {
            if let Some(value) = amount(map, key) {
                resource_name(key, &value, errors);
                quantity_value(key, &value, errors);
            }
        }
        // Upstream shows what the default is held against, under the default's path.
        let mut check = |shown: &At<'_>, low: &At<'_>, high: &At<'_>, detail: &str| {
            if let (Some(low), Some(high)) = (amount(low, key), amount(high, key))
                && quantity(&low) > quantity(&high)
            {
                let (low_value, high_value) = (quantity(&low), quantity(&high));
                let detail = detail.replace("{low}", &low_value.to_string()).replace("{high}", &high_value.to_string());
                let value = if detail.starts_with("default value") { &high_value } else { &low_value };
                let value = if detail.contains("than default request value") { &high_value } else { value };
                errors.push(Error::invalid(&shown.path.key(key), value.to_string(), detail));
            }
        };
        check(min, min, max, "min value {low} is greater than max value {high}");
        check(request, min, request, "min value {low} is greater than default request value {high}");
        check(request, request, max, "default request value {low} is greater than max value {high}");
        check(request, request, default, "default request value {low} is greater than default limit value {high}");
        check(default, min, default, "min value {low} is greater than default value {high}");
        check(default, default, max, "default value {low} is greater than max value {high}");
        if let Some(own) = amount(ratio, key)
            && quantity(&own) < api::quantity::Quantity::new(1, api::quantity::Format::DecimalSI)
        {
            let value = quantity(&own).to_string();
            errors.push(Error::invalid(&own.path, value.clone(), format!("ratio {value} is less than 1")));
        }
    }
}

fn amount<'a>(map: &At<'a>, key: &str) -> Option<At<'a>> {
    map.entries().find(|(own, _)| *own == key).map(|(_, value)| value)
}
