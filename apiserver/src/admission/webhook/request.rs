//! What is asked of the API server, as webhooks see it, and which of them are to be asked about it.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/generic.Webhook.ShouldCallHook, predicates/{namespace,object}.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use api::meta::{self, GroupResource, GroupVersionKind};
use api::selector::label::Selector;
use api::status::Status;
use json::Value;

use super::hook::Hook;
use super::rules::{Matching, Subject};
use crate::admission::metrics::{Conditions, Metrics, Step};
use crate::admission::plugins::forbidden;
use crate::admission::policy::{RequestAuthorizer, Verdict};
use crate::admission::{Attributes, Operation};
use crate::apiextensions::stored;
use crate::registry::resource::{Resource, Set};
use crate::registry::store::Engine;

/// A request under admission.
pub(in crate::admission) struct Asked<'a> {
    pub(in crate::admission) attributes: Attributes<'a>,
    /// The resource in the version of the request.
    pub(in crate::admission) resource: Arc<Resource>,
    /// What the object is; options, for a connect.
    pub(in crate::admission) kind: GroupVersionKind,
    /// Who tells what the user may, for those who ask in expressions.
    pub(in crate::admission) authorizer: RequestAuthorizer<'a>,
    served: Arc<Set>,
    /// The same objects in other groups and versions.
    equivalents: OnceLock<Vec<Arc<Resource>>>,
}

/// One webhook to be asked, and in which version.
pub(super) struct Invocation<'h> {
    pub(super) hook: &'h Hook,
    pub(super) resource: Arc<Resource>,
    pub(super) kind: GroupVersionKind,
}

impl<'a> Asked<'a> {
    /// None for what is not served.
    pub(super) fn new(attributes: Attributes<'a>, served: Arc<Set>) -> Option<Asked<'a>> {
        let target = &attributes.ctx.target;
        let resource = Arc::clone(served.get(&target.group, &target.version, &target.resource)?);
        let kind = kind_of(&resource, &target.subresource, attributes.kind);
        let authorizer = RequestAuthorizer::new(attributes.ctx);
        Some(Asked { attributes, resource, kind, authorizer, served, equivalents: OnceLock::new() })
    }

    /// Everything that is served.
    pub(in crate::admission) fn set(&self) -> &Set {
        &self.served
    }

    /// The namespace as rules and webhooks see it: that of a namespace is itself.
    pub(in crate::admission) fn namespace(&self) -> &'a str {
        let target = &self.attributes.ctx.target;
        if target.group.is_empty() && target.resource == "namespaces" { &target.name } else { &target.namespace }
    }

    /// Is the object what the resource stores, and not a body of a subresource's own kind?
    pub(in crate::admission) fn is_own_kind(&self) -> bool {
        self.kind.kind == *self.resource.info.kind && self.kind.group == *self.resource.info.group
    }

    /// An object under admission as `resource` serves it. Custom resources are worked on in the version of the request, built-in
    /// ones in the one they are stored in.
    ///
    /// # Errors
    /// A custom resource cannot be converted.
    pub(in crate::admission) async fn served<'v>(
        &self,
        object: &'v Value,
        resource: &Resource,
    ) -> Result<Cow<'v, Value>, Status> {
        let is_as_it_is = match resource.as_custom() {
            Some(_) => resource.api_version == self.resource.api_version,
            None => resource.is_storage_version(),
        };
        if object.is_null() || !self.is_own_kind() || is_as_it_is {
            return Ok(Cow::Borrowed(object));
        }
        let mut object = object.clone();
        match resource.as_custom() {
            Some(custom) => object = stored::read_one(custom, object, self.attributes.ctx.objects.as_ref()).await?,
            None => Engine::from_storage(resource, &mut object),
        }
        Ok(Cow::Owned(object))
    }

    /// Is this webhook to be asked about `object`? Errors are those of a webhook that would be.
    pub(super) async fn invocation<'h>(
        &self,
        hook: &'h Hook,
        object: &Value,
        (metrics, step): (&Metrics, Step),
    ) -> Result<Option<Invocation<'h>>, Status> {
        let Some((resource, kind)) = self.selected(&hook.matching, object)? else { return Ok(None) };
        let invocation = Invocation { hook, resource, kind };
        if hook.match_conditions.is_empty() {
            return Ok(Some(invocation));
        }
        let began = Instant::now();
        let verdict = self.verdict(&invocation, object).await?;
        let is_error = matches!(verdict, Verdict::Errs(_));
        let fails_closed = is_error && !hook.ignores_failures;
        let operation = self.attributes.operation;
        let conditions = Conditions { name: &hook.name, kind: "webhook", step, operation };
        metrics.matched(&conditions, began.elapsed(), is_error, verdict != Verdict::Holds && !fails_closed);
        match verdict {
            Verdict::Holds => Ok(Some(invocation)),
            Verdict::Errs(why) if fails_closed => Err(forbidden(self.attributes, object, why)),
            Verdict::Fails(_) | Verdict::Errs(_) => Ok(None),
        }
    }

    /// Do the webhook's conditions hold?
    async fn verdict(&self, invocation: &Invocation<'_>, object: &Value) -> Result<Verdict, Status> {
        let Invocation { hook, resource, kind } = invocation;
        let shown = self.served(object, resource).await?;
        let old = self.served(self.attributes.old.unwrap_or(&Value::Null), resource).await?;
        let (of, objects) = ((resource.as_ref(), kind), (shown.as_ref(), old.as_ref()));
        Ok(self.attributes.ctx.settled(|| hook.match_conditions.verdict_on(self, of, objects)).await)
    }

    /// Is `object` what this is for, and in which version? Errors are those of what would match.
    pub(in crate::admission) fn selected(
        &self,
        matching: &Matching,
        object: &Value,
    ) -> Result<Option<(Arc<Resource>, GroupVersionKind)>, Status> {
        let namespace = self.matches_namespace(matching, object);
        if matches!(namespace, Ok(false)) {
            return Ok(None);
        }
        let chosen = self.matches_object(matching, object);
        if matches!(chosen, Ok(false)) {
            return Ok(None);
        }
        let excluded = self.matches_any(&self.resource, &matching.excluded)
            || (matching.matches_equivalents
                && self.equivalents().iter().any(|other| self.matches_any(other, &matching.excluded)));
        if excluded {
            return Ok(None);
        }
        let Some(selected) = self.by_rules(matching) else { return Ok(None) };
        namespace?;
        chosen?;
        Ok(Some(selected))
    }

    fn equivalents(&self) -> &[Arc<Resource>] {
        self.equivalents.get_or_init(|| self.served.equivalents(&self.resource))
    }

    fn matches_any(&self, resource: &Resource, rules: &[super::rules::Rule]) -> bool {
        rules.iter().any(|rule| self.matches(resource, rule))
    }

    fn matches(&self, resource: &Resource, rule: &super::rules::Rule) -> bool {
        rule.matches(Subject {
            operation: self.attributes.operation.as_str(),
            group: &resource.info.group,
            version: &resource.info.version,
            resource: &resource.info.plural,
            subresource: self.attributes.ctx.target.subresource.as_str(),
            namespace: self.namespace(),
            name: &self.attributes.ctx.target.name,
        })
    }

    fn by_rules(&self, matching: &Matching) -> Option<(Arc<Resource>, GroupVersionKind)> {
        let is_open = matching.is_open && matching.rules.is_empty();
        if is_open || self.matches_any(&self.resource, &matching.rules) {
            return Some((Arc::clone(&self.resource), self.kind.clone()));
        }
        if !matching.matches_equivalents {
            return None;
        }
        // Rules first: an earlier one counts more than an earlier version.
        matching.rules.iter().find_map(|rule| {
            let resource = self.equivalents().iter().find(|other| self.matches(other, rule))?;
            let kind = kind_of(resource, self.attributes.ctx.target.subresource.as_str(), self.attributes.kind);
            Some((Arc::clone(resource), kind))
        })
    }

    fn matches_namespace(&self, matching: &Matching, object: &Value) -> Result<bool, Status> {
        let target = &self.attributes.ctx.target;
        let name = self.namespace();
        // What is in no namespace is never exempt by one.
        if name.is_empty() && target.resource != "namespaces" {
            return Ok(true);
        }
        let selector = usable(&matching.namespace_selector)?;
        if selector.is_everything() {
            return Ok(true);
        }
        let is_written = target.resource == "namespaces"
            && target.subresource.is_empty()
            && matches!(self.attributes.operation, Operation::Create | Operation::Update);
        if is_written {
            return Ok(selector.matches_object(object));
        }
        let namespace = self.attributes.ctx.objects.get("", "namespaces", "", name);
        let namespace = namespace.ok_or_else(|| Status::not_found(&GroupResource::new("", "namespaces"), name))?;
        Ok(selector.matches_object(&namespace))
    }

    fn matches_object(&self, matching: &Matching, object: &Value) -> Result<bool, Status> {
        let selector = usable(&matching.object_selector)?;
        if selector.is_everything() {
            return Ok(true);
        }
        // What has no metadata (options of a connect) has no labels to match, not even by absence.
        let matches = |object: &Value| meta::metadata(object).is_some() && selector.matches_object(object);
        Ok(matches(object) || self.attributes.old.is_some_and(matches))
    }
}

fn usable(selector: &Result<Selector, String>) -> Result<&Selector, Status> {
    selector.as_ref().map_err(|error| Status::internal_error(error))
}

/// The kind a resource or one of its subresources takes.
fn kind_of(resource: &Resource, subresource: &str, kind: &str) -> GroupVersionKind {
    let (group, version) = match resource.subresource(subresource) {
        Some(own) if *own.kind == *kind => (own.group.as_ref(), own.version.as_ref()),
        _ => (resource.info.group.as_ref(), resource.info.version.as_ref()),
    };
    GroupVersionKind::new(group, version, kind)
}
