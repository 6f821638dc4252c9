//! ValidatingAdmissionWebhook: all webhooks are asked at once, and the first refusal counts.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/validating.

use api::status::Status;
use futures::future::{BoxFuture, join_all};
use json::Value;

use super::call::ask;
use super::request::{Asked, Invocation};
use super::{Configuration, Source};
use crate::admission::{Attributes, Operation, Validating};

const PREFIX: &str = "/registry/validatingwebhookconfigurations/";

/// See the module header.
#[derive(Debug)]
pub(crate) struct ValidatingAdmissionWebhook(pub(crate) Source);

impl Validating for ValidatingAdmissionWebhook {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionWebhook"
    }

    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let configurations = self.0.configurations(PREFIX, attributes);
        if configurations.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            let Some(asked) = self.0.asked(attributes) else { return Ok(()) };
            let hooks =
                configurations.iter().flat_map(|configuration: &std::sync::Arc<Configuration>| &configuration.hooks);
            let mut invocations = Vec::new();
            for hook in hooks {
                invocations.extend(asked.invocation(hook, object).await?);
            }
            let answers = join_all(invocations.iter().map(|invocation| one(&asked, invocation, object))).await;
            answers.into_iter().collect()
        })
    }
}

async fn one(asked: &Asked<'_>, invocation: &Invocation<'_>, object: &Value) -> Result<(), Status> {
    let served = asked.served(object, &invocation.resource).await?;
    let old = asked.attributes.old.unwrap_or(&Value::Null);
    let old = asked.served(old, &invocation.resource).await?;
    match ask(asked, invocation, &served, &old, false).await {
        Ok(_) => Ok(()),
        Err(stop) => stop.decided(invocation),
    }
}
