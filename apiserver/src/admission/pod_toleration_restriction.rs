//! PodTolerationRestriction: a namespace says what its pods tolerate without asking, and what they may ask to tolerate.
//! Upstream: plugin/pkg/admission/podtolerationrestriction.

use api::meta::{self, GroupResource};
use api::status::Status;
use json::{Value, json};
use serde::Deserialize;

use super::configuration::Configurations;
use super::tolerations::{are_allowed, merged};
use super::{Attributes, Mutating, Operation, Validating};
use crate::configuration_file::shape::{Struct, Type};
use crate::registry::core::qos;
use crate::registry::fields::{At, items, object_mut, set};
use crate::registry::validation::affinity;

const NAME: &str = "PodTolerationRestriction";
const VERSIONS: [&str; 1] = ["podtolerationrestriction.admission.k8s.io/v1alpha1"];
const DEFAULTS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";

const FILE: Struct = Struct {
    name: "Configuration",
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("default", Type::List(&Type::One(&TOLERATION))),
        ("whitelist", Type::List(&Type::One(&TOLERATION))),
    ],
};
const TOLERATION: Struct = Struct {
    name: "v1.Toleration",
    fields: &[
        ("key", Type::Text),
        ("operator", Type::Text),
        ("value", Type::Text),
        ("effect", Type::Text),
        ("tolerationSeconds", Type::Any),
    ],
};

/// What holds for namespaces that say nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PodTolerationRestriction {
    #[serde(default)]
    default: Vec<Value>,
    #[serde(default)]
    whitelist: Vec<Value>,
}

impl PodTolerationRestriction {
    pub(super) fn new(configurations: &Configurations) -> Result<PodTolerationRestriction, String> {
        let own: PodTolerationRestriction =
            configurations.versioned(NAME, &VERSIONS, FILE.name, &FILE)?.unwrap_or_default();
        let lists = json!({"podtolerationrestriction": {"default": own.default, "whitelist": own.whitelist}});
        let mut errors = api::field::ErrorList::new();
        for list in ["default", "whitelist"] {
            affinity::tolerations(&At::root(&lists).field("podtolerationrestriction").field(list), &mut errors);
        }
        errors.message().map_or(Ok(own), |why| Err(format!("invalid config: {why}")))
    }

    fn merge(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        let mut more = Vec::new();
        if attributes.operation == Operation::Create {
            more = of_namespace(attributes, DEFAULTS)?.unwrap_or_else(|| self.default.clone());
        }
        if qos::class(&pod["spec"]) != "BestEffort" {
            more.push(
                json!({"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}),
            );
        }
        if !more.is_empty() {
            let spec = object_mut(pod, "spec");
            let all = merged(items(spec, "tolerations"), &more);
            set(spec, "tolerations", all);
        }
        self.check(attributes, pod)
    }

    fn check(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        let own = items(&pod["spec"], "tolerations");
        if own.is_empty() {
            return Ok(());
        }
        let of_namespace = of_namespace(attributes, ALLOWED)?;
        let (allowed, scope) = match &of_namespace {
            Some(allowed) => (allowed, "namespace"),
            None => (&self.whitelist, "cluster"),
        };
        if are_allowed(own, allowed) {
            return Ok(());
        }
        let why = format!(
            "pod tolerations (possibly merged with namespace default tolerations) conflict with its {scope} whitelist"
        );
        Err(Status::unknown(500, why))
    }
}

/// The tolerations an annotation of the request's namespace holds.
fn of_namespace(attributes: Attributes<'_>, annotation: &str) -> Result<Option<Vec<Value>>, Status> {
    let name = &attributes.ctx.target.namespace;
    let Some(namespace) = attributes.ctx.objects.get("", "namespaces", "", name) else {
        return Err(Status::not_found(&GroupResource::new("", "namespaces"), name));
    };
    match meta::annotation(&namespace, annotation) {
        None => Ok(None),
        Some("") => Ok(Some(Vec::new())),
        Some(text) => json::from_str(text).map(Some).map_err(|error| Status::unknown(500, error.to_string())),
    }
}

impl Mutating for PodTolerationRestriction {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { self.merge(attributes, pod) } else { Ok(()) }
    }
}

impl Validating for PodTolerationRestriction {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { self.check(attributes, pod) } else { Ok(()) }
    }
}
