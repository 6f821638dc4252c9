//! DenyServiceExternalIPs: a Service takes no address that is not the cluster's to give, but may keep one it has.
//! Upstream: plugin/pkg/admission/network/denyserviceexternalips.

use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::items;

#[derive(Debug)]
pub(super) struct DenyServiceExternalIps;

impl Validating for DenyServiceExternalIps {
    fn name(&self) -> &'static str {
        "DenyServiceExternalIPs"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, service: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let addresses = |service: &'a Value| items(&service["spec"], "externalIPs");
        let before = attributes.old.map(addresses).unwrap_or_default();
        let is_kept = addresses(service).iter().all(|address| before.contains(address));
        let answer = if !attributes.is_resource("", "services") || is_kept {
            Ok(())
        } else {
            Err(forbidden(attributes, service, "Use of external IPs is denied by admission control"))
        };
        Box::pin(ready(answer))
    }
}
