//! DeviceClasses: what administrators offer as one kind of device. Upstream: ValidateDeviceClass.

use api::field::ErrorList;
use json::Value;

use super::super::fields::{At, at};
use super::super::strategy::Strategy;
use super::super::validation::same;
use super::configuration::configuration;
use super::list;
use super::names::extended_resource;
use super::selector::selectors;
use crate::context::RequestContext;

/// How many configurations a class or a claim may have.
pub(super) const MAX_CONFIGURATIONS: usize = 32;

/// The semantics of device classes.
#[derive(Debug, Clone, Copy)]
pub struct DeviceClass;

impl Strategy for DeviceClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        rules(new, false)
    }

    /// Selectors that stay as they are are not compiled again.
    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let selectors = |class: &Value| at(class, &["spec", "selectors"]).clone();
        rules(new, same(&selectors(new), &selectors(old)))
    }
}

fn rules(class: &Value, stored: bool) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = At::root(class).field("spec");
    selectors(&spec.field("selectors"), stored, &mut errors);
    list(&spec.field("config"), MAX_CONFIGURATIONS, &mut errors, configuration);
    let resource = spec.field("extendedResourceName");
    if resource.is_set() {
        extended_resource(&resource, &mut errors);
    }
    errors
}
