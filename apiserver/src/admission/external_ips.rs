//! DenyServiceExternalIPs: a Service takes no address that is not the cluster's to give, but may keep one it has.
//! Upstream: plugin/pkg/admission/network/denyserviceexternalips.

use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::items;

#[derive(Debug)]
pub(super) struct DenyServiceExternalIps;

impl Validating for DenyServiceExternalIps {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, service: &Value) -> Result<(), Status> {
        let before = attributes.old.map(addresses).unwrap_or_default();
        let is_kept = addresses(service).iter().all(|address| before.contains(address));
        if !attributes.is_resource("", "services") || is_kept {
            Ok(())
        } else {
            Err(forbidden(attributes, service, "Use of external IPs is denied by admission control"))
        }
    }
}

fn addresses(service: &Value) -> &[Value] {
    items(&service["spec"], "externalIPs")
}
