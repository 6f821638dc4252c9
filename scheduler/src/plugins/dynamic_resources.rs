//! DynamicResources: holds pods with resource claims back.
//!
//! Claims are not allocated here; a pod that needs devices must not run as if it needed none.

use crate::framework::{Cycle, Plugin, PreFilter, Status};

/// Upstream: `plugins/dynamicresources`, of which only the refusal exists.
#[derive(Debug)]
pub(super) struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        if !cycle.pod.needs_devices {
            return PreFilter::Skip;
        }
        PreFilter::Reject(Status::unresolvable("resource claims are not supported by this scheduler"))
    }
}
