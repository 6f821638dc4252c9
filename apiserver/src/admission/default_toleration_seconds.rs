//! DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or not reachable.
//! Upstream: plugin/pkg/admission/defaulttolerationseconds.

use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::{Value, json};

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{items, object_mut, set, text};

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// `--default-not-ready-toleration-seconds` and its sibling.
const SECONDS: i64 = 300;

#[derive(Debug)]
pub(super) struct DefaultTolerationSeconds;

impl Mutating for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, pod: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
        if attributes.is_resource("", "pods") {
            let spec = object_mut(pod, "spec");
            let own = items(spec, "tolerations").to_vec();
            let tolerates = |taint: &str| {
                own.iter().any(|toleration| {
                    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
                    (key == taint || key.is_empty()) && matches!(effect, "NoExecute" | "")
                })
            };
            let missing = TAINTS.iter().filter(|taint| !tolerates(taint));
            let added: Vec<Value> = missing
                .map(|taint| json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}))
                .collect();
            if !added.is_empty() {
                set(spec, "tolerations", own.iter().cloned().chain(added).collect::<Vec<_>>());
            }
        }
        Box::pin(ready(Ok(())))
    }
}
