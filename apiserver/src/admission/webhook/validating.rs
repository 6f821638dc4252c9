//! ValidatingAdmissionWebhook: all webhooks are asked at once, and the first refusal counts.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/validating.

use std::time::Instant;

use api::status::Status;
use futures::future::{BoxFuture, join_all};
use json::Value;

use super::call::{Calling, Stop, ask};
use super::review::Answer;
use super::{Configuration, Hooks};
use crate::admission::metrics::Step;
use crate::admission::{AsyncValidating, Attributes, Operation};

const PREFIX: &str = "/registry/validatingwebhookconfigurations/";

/// See the module header.
#[derive(Debug)]
pub(crate) struct ValidatingAdmissionWebhook(pub(crate) Hooks);

impl AsyncValidating for ValidatingAdmissionWebhook {
    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let configurations = self.0.configurations(PREFIX, attributes);
        if configurations.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            let Some(asked) = self.0.source.asked(attributes) else { return Ok(()) };
            let hooks =
                configurations.iter().flat_map(|configuration: &std::sync::Arc<Configuration>| &configuration.hooks);
            let mut invocations = Vec::new();
            for hook in hooks {
                invocations.extend(asked.invocation(hook, object, (&self.0.source.metrics, Step::Validate)).await?);
            }
            let places: Vec<String> = (0..invocations.len()).map(|index| format!("round_0_index_{index}")).collect();
            let calls = invocations.iter().zip(&places).map(|(invocation, place)| {
                let began = Instant::now();
                Calling { asked: &asked, invocation, step: Step::Validate, place, began }
            });
            let answers = join_all(calls.map(|calling| async move {
                let answer = one(&calling, object).await;
                calling.ended(&self.0.source.metrics, answer)
            }));
            answers.await.into_iter().collect()
        })
    }
}

async fn one(calling: &Calling<'_>, object: &Value) -> Result<Answer, Stop> {
    let Calling { asked, invocation, .. } = calling;
    let served = asked.served(object, &invocation.resource).await?;
    let old = asked.attributes.old.unwrap_or(&Value::Null);
    let old = asked.served(old, &invocation.resource).await?;
    ask(asked, invocation, &served, &old, false).await
}
