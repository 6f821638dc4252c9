//! PodNodeSelector: a namespace says on which nodes its pods run, and the configuration what a namespace's pods may ask for.
//! Upstream: plugin/pkg/admission/podnodeselector.

use std::collections::BTreeMap;

use api::field::{Error, Path};
use api::meta::{self, GroupResource};
use api::names;
use api::status::Status;
use json::{Text, Value};

use super::configuration::Configurations;
use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{at, object_mut, set};

const NAME: &str = "PodNodeSelector";
const ANNOTATION: &str = "scheduler.alpha.kubernetes.io/node-selector";
/// What the configuration calls the selector of namespaces that have none.
const DEFAULT: &str = "clusterDefaultNodeSelector";
const CONFLICT: &str = "pod node label selector conflicts with its namespace node label selector";

type Labels = BTreeMap<String, String>;

/// Selectors by namespace: those of pods there must be among them. And the default one.
#[derive(Debug, Default)]
pub(super) struct PodNodeSelector(BTreeMap<String, String>);

impl PodNodeSelector {
    /// As upstream, what cannot be read counts as nothing.
    pub(super) fn new(configurations: &Configurations) -> PodNodeSelector {
        let own = configurations.of(NAME).and_then(|own| own["podNodeSelectorPluginConfig"].as_object());
        let text =
            |(namespace, selector): (&Text, &Value)| Some((namespace.to_string(), selector.as_str()?.to_owned()));
        PodNodeSelector(own.into_iter().flatten().filter_map(text).collect())
    }

    fn configured(&self, namespace: &str) -> Result<Labels, Status> {
        labels(self.0.get(namespace).map_or("", String::as_str))
    }

    /// The labels all pods of the request's namespace ask for.
    fn of_namespace(&self, attributes: Attributes<'_>) -> Result<Labels, Status> {
        let name = &attributes.ctx.target.namespace;
        let Some(namespace) = attributes.ctx.objects.get("", "namespaces", "", name) else {
            return Err(Status::not_found(&GroupResource::new("", "namespaces"), name));
        };
        meta::annotation(&namespace, ANNOTATION).map_or_else(|| self.configured(DEFAULT), labels)
    }

    fn merge(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        let mut wanted = self.of_namespace(attributes)?;
        let own = selector(pod);
        if conflicts(&wanted, &own) {
            return Err(forbidden(attributes, pod, CONFLICT));
        }
        wanted.extend(own);
        if !wanted.is_empty() {
            let wanted = wanted.into_iter().map(|(key, value)| (key, value.into())).collect();
            set(object_mut(pod, "spec"), "nodeSelector", Value::Object(wanted));
        }
        self.check(attributes, pod)
    }

    fn check(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        let own = selector(pod);
        if conflicts(&self.of_namespace(attributes)?, &own) {
            return Err(forbidden(attributes, pod, CONFLICT));
        }
        let allowed = self.configured(&attributes.ctx.target.namespace)?;
        if allowed.is_empty() || own.iter().all(|(key, value)| allowed.get(key) == Some(value)) {
            return Ok(());
        }
        Err(forbidden(attributes, pod, "pod node label selector labels conflict with its namespace whitelist"))
    }
}

impl Mutating for PodNodeSelector {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { self.merge(attributes, pod) } else { Ok(()) }
    }
}

impl Validating for PodNodeSelector {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { self.check(attributes, pod) } else { Ok(()) }
    }
}

fn selector(pod: &Value) -> Labels {
    let own = at(pod, &["spec", "nodeSelector"]).as_object().into_iter().flatten();
    own.map(|(key, value)| (key.to_string(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn conflicts(one: &Labels, other: &Labels) -> bool {
    one.iter().any(|(key, value)| other.get(key).is_some_and(|own| own != value))
}

/// `a=b,c=d`. Upstream: labels.ConvertSelectorToLabelsMap.
fn labels(selector: &str) -> Result<Labels, Status> {
    let mut labels = Labels::new();
    for label in selector.split(',').filter(|_| !selector.is_empty()) {
        let parts: Vec<&str> = label.split('=').collect();
        let [key, value] = parts.as_slice() else {
            return Err(Status::unknown(500, format!("invalid selector: [{}]", parts.join(" "))));
        };
        let (key, value) = (key.trim(), value.trim());
        let refuse = |path: Path, bad: &str, why: Vec<String>| {
            Err(Status::unknown(500, Error::invalid(&path, bad, why.join("; ")).to_string()))
        };
        let faults = names::is_qualified_name(key);
        if !faults.is_empty() {
            return refuse(Path::nil(), key, faults);
        }
        let faults = names::is_valid_label_value(value);
        if !faults.is_empty() {
            return refuse(Path::nil().key(key), value, faults);
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}
