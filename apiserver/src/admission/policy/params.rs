//! The objects a binding hands to its policy as `params`. Upstream: generic.CollectParams.

use std::sync::Arc;

use api::meta;
use api::selector::label::Selector;
use json::Value;

use crate::admission::webhook::Asked;
use crate::apiextensions::stored;
use crate::registry::resource::Resource;
use crate::registry::store::Engine;

/// `paramKind` of a policy.
#[derive(Debug)]
pub(super) struct ParamKind {
    pub(super) api_version: String,
    pub(super) kind: String,
}

/// `paramRef` of a binding.
#[derive(Debug)]
pub(super) struct ParamRef {
    name: String,
    namespace: String,
    selector: Option<Result<Selector, String>>,
    /// parameterNotFoundAction Deny.
    denies_missing: bool,
}

impl ParamRef {
    pub(super) fn read(reference: &Value) -> ParamRef {
        let text = |key: &str| reference[key].as_str().unwrap_or_default().to_owned();
        let selector = reference.get("selector").filter(|selector| !selector.is_null());
        ParamRef {
            name: text("name"),
            namespace: text("namespace"),
            selector: selector.map(|selector| Selector::from_object(Some(selector)).map_err(|error| error.to_string())),
            denies_missing: reference["parameterNotFoundAction"] == "Deny",
        }
    }
}

/// Where the params of a policy are found; none where it takes none.
pub(super) struct Params(Option<Arc<Resource>>);

impl Params {
    /// Of a kind that must be served.
    pub(super) fn of(kind: Option<&ParamKind>, asked: &Asked<'_>) -> Result<Params, String> {
        let Some(kind) = kind else { return Ok(Params(None)) };
        let mut resources = asked.set().of_kind(&kind.api_version, &kind.kind);
        match resources.find(|resource| resource.is_stored()) {
            Some(resource) => Ok(Params(Some(Arc::clone(resource)))),
            None => Err(format!(
                "failed to find resource referenced by paramKind: '{}, Kind={}'",
                if kind.api_version.contains('/') {
                    kind.api_version.clone()
                } else {
                    format!("/{}", kind.api_version)
                },
                kind.kind
            )),
        }
    }

    /// One evaluation each: with nothing where the policy takes nothing or the binding says nothing.
    pub(super) async fn collect(
        &self,
        reference: Option<&ParamRef>,
        asked: &Asked<'_>,
    ) -> Result<Vec<Option<Arc<Value>>>, String> {
        let (Some(resource), Some(reference)) = (&self.0, reference) else { return Ok(vec![None]) };
        let namespaced = resource.info.namespaced;
        if !namespaced && !reference.namespace.is_empty() {
            return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
        }
        let own = asked.attributes.ctx.target.namespace.as_str();
        let namespace = match (namespaced, reference.namespace.as_str()) {
            (false, _) => "",
            (true, "") if own.is_empty() => {
                return Err(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned()
                );
            }
            (true, "") => own,
            (true, given) => given,
        };
        let objects = &asked.attributes.ctx.objects;
        let (group, plural) = (&*resource.info.group, &*resource.info.plural);
        let found: Vec<Arc<Value>> = match &reference.selector {
            _ if !reference.name.is_empty() => {
                objects.get(group, plural, namespace, &reference.name).into_iter().collect()
            }
            Some(selector) => {
                let selector = selector.as_ref().map_err(Clone::clone)?;
                let mut found = objects.list(group, plural, namespace);
                found.retain(|object| selector.matches_object(object));
                found.sort_by(|left, right| meta::name(left).cmp(meta::name(right)));
                found
            }
            None => return Err("one of name or selector must be provided".to_owned()),
        };
        if found.is_empty() && reference.denies_missing {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        let mut params = Vec::with_capacity(found.len());
        for object in found {
            params.push(Some(in_version(resource, object, asked).await?));
        }
        Ok(params)
    }
}

/// An object, which is as it is stored, as the policy wants it.
async fn in_version(resource: &Resource, object: Arc<Value>, asked: &Asked<'_>) -> Result<Arc<Value>, String> {
    if meta::api_version(&object) == resource.api_version {
        return Ok(object);
    }
    let mut object = Arc::unwrap_or_clone(object);
    match resource.as_custom() {
        None => Engine::from_storage(resource, &mut object),
        Some(custom) => {
            let converted = stored::read_one(custom, object, asked.attributes.ctx.objects.as_ref()).await;
            object = converted.map_err(|status| status.message)?;
        }
    }
    Ok(Arc::new(object))
}
