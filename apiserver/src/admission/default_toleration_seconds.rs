//! DefaultTolerationSeconds: pods stay for a while on a node that is not ready or not reachable.
//! Upstream: plugin/pkg/admission/defaulttolerationseconds.

use api::status::Status;
use json::{Value, json};

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{items, object_mut, set, text};

const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
/// How long they stay unless told otherwise.
pub(super) const SECONDS: i64 = 300;

/// How long pods stay, a taint.
#[derive(Debug)]
pub(super) struct DefaultTolerationSeconds(pub(super) [i64; 2]);

impl Mutating for DefaultTolerationSeconds {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") {
            let spec = object_mut(pod, "spec");
            let own = items(spec, "tolerations").to_vec();
            let tolerates = |taint: &str| {
                own.iter().any(|toleration| {
                    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
                    (key == taint || key.is_empty()) && matches!(effect, "NoExecute" | "")
                })
            };
            let missing = TAINTS.iter().zip(self.0).filter(|(taint, _)| !tolerates(taint));
            let added: Vec<Value> = missing
                .map(|(taint, seconds)| {
                    json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds})
                })
                .collect();
            if !added.is_empty() {
                set(spec, "tolerations", own.iter().cloned().chain(added).collect::<Vec<_>>());
            }
        }
        Ok(())
    }
}
