//! What workloads have in common, once: each kind is a row ([`Workload`]) with what it has of its own.
//!
//! A row says which counts its status has, what of its spec never changes, and its own rules; the strategy here does the rest.
//! Upstream: the strategies of pkg/registry/apps/* and core/replicationcontroller.

use api::field::ErrorList;
use api::meta;
use api::names::NameRule;
use json::{Map, Value};

use super::super::core::pod_warnings;
use super::super::fields::{At, at, set};
use super::super::strategy::Strategy;
use super::super::validation::immutable;
use super::template;
use crate::context::RequestContext;

/// One kind of workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name_rule: NameRule,
    /// The counts a new object's status begins with, as 0; with none there is no status.
    pub(crate) first_counts: &'static [&'static str],
    /// The rules of `spec`.
    pub(crate) spec: fn(&At<'_>, &mut ErrorList),
    /// Fields of `spec` that an update leaves as they are.
    pub(crate) immutable: &'static [&'static str],
    /// Are changes of those told before what is wrong with the new object?
    pub(crate) immutable_first: bool,
    /// The counts in `status`; see [`template::replica_counts`].
    pub(crate) counts: &'static [&'static str],
    /// Do its pods stay when a delete does not say? A rule of the first versions.
    pub(crate) orphans: bool,
    /// Are pods named after it? Then its name should be good for them.
    pub(crate) names_pods: bool,
    /// What counts changes of the template: an update is warned of a template when this moves.
    pub(crate) counter: fn(&Value) -> i64,
    /// Is an update warned of the template it replaces? Upstream has mixed the two up in one place.
    pub(crate) warns_of_old: bool,
    /// Warnings besides those of the template; with the old object on an update.
    pub(crate) warnings: fn(&Value, Option<&Value>) -> Vec<String>,
    /// Defaults that depend on other fields.
    pub(crate) default: fn(&mut Value),
    /// What the server itself sets on a create (no old object) and an update.
    pub(crate) prepare: fn(&mut Value, Option<&Value>),
}

impl Workload {
    /// A row begins with this, and names its spec's rules and its counts.
    pub(crate) const fn new(spec: fn(&At<'_>, &mut ErrorList), counts: &'static [&'static str]) -> Workload {
        Workload {
            name_rule: api::names::name_is_dns_subdomain,
            first_counts: &[],
            spec,
            immutable: &["selector"],
            immutable_first: false,
            counts,
            orphans: false,
            names_pods: false,
            counter: meta::generation,
            warns_of_old: false,
            warnings: |_, _| Vec::new(),
            default: |_| {},
            prepare: |_, _| {},
        }
    }

    fn unchanged(&self, new: &Value, old: &Value, errors: &mut ErrorList) {
        let spec = At::root(new).field("spec");
        for field in self.immutable {
            immutable(&spec.field(field), at(old, &["spec", field]), errors);
        }
    }
}

impl Strategy for Workload {
    fn name_rule(&self) -> NameRule {
        self.name_rule
    }

    fn default_propagation_orphans(&self) -> bool {
        self.orphans
    }

    fn default(&self, new: &mut Value) {
        (self.default)(new);
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        if !self.first_counts.is_empty() {
            let counts: Map = self.first_counts.iter().map(|count| ((*count).to_owned(), 0.into())).collect();
            set(new, "status", counts);
        }
        (self.prepare)(new, None);
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        (self.prepare)(new, Some(old));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        (self.spec)(&At::root(new).field("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if self.immutable_first {
            self.unchanged(new, old, &mut errors);
        }
        errors.extend(self.validate(ctx, new));
        if !self.immutable_first {
            self.unchanged(new, old, &mut errors);
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let mut warnings =
            if self.names_pods { pod_warnings::of_name(new, "Pod names and hostnames") } else { Vec::new() };
        warnings.extend(template_warnings(new));
        warnings.extend((self.warnings)(new, None));
        warnings
    }

    /// Only somebody who changes something is told about the template.
    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        let mut warnings = Vec::new();
        if (self.counter)(new) != (self.counter)(old) {
            warnings = template_warnings(if self.warns_of_old { old } else { new });
        }
        warnings.extend((self.warnings)(new, Some(old)));
        warnings
    }

    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        template::replica_counts(new, self.counts, &mut errors);
        if self.counts.contains(&"collisionCount") {
            template::collision_count(new, old, &mut errors);
        }
        errors
    }
}

fn template_warnings(new: &Value) -> Vec<String> {
    pod_warnings::of_template(new, &["spec", "template"])
}
