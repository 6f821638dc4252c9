//! What a custom resource means to the generic engine: its definition, read. One strategy for all of them.
//! Upstream: apiextensions-apiserver/pkg/registry/customresource.

use std::sync::Arc;

use api::field::{Error, ErrorList, ErrorType, Path};
use api::managed_fields::Reset;
use api::meta;
use api::status::Status;
use api::structural::{self, Node};
use json::Value;

use super::definition::{Compiled, Definition, Scale, Version};
use super::embedded;
use crate::context::RequestContext;
use crate::registry::metadata;
use crate::registry::strategy::{Strategy, take_only_status};

/// One version of a custom resource.
#[derive(Clone, Debug)]
pub struct CustomResource {
    definition: Arc<Definition>,
    version: usize,
}

impl CustomResource {
    /// The version at a position of a definition.
    pub fn new(definition: Arc<Definition>, version: usize) -> CustomResource {
        CustomResource { definition, version }
    }

    /// The definition it is a version of.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The version.
    pub fn version(&self) -> &Version {
        &self.definition.versions[self.version]
    }

    /// Its position among the versions.
    pub fn position(&self) -> usize {
        self.version
    }

    /// What is compiled from its schema.
    pub fn compiled(&self) -> &Compiled {
        self.definition.compiled(self.version)
    }

    /// Its schema.
    pub fn node(&self) -> Option<&Node> {
        self.compiled().node.as_ref()
    }

    /// What a write through a subresource ("" is the object itself) resets. Upstream: GetResetFields.
    pub fn reset(&self, subresource: &str) -> Reset {
        match subresource {
            "" if self.version().has_status => Reset::Fields(&[&["status"]]),
            "status" => Reset::Fields(&[&["metadata"], &["spec"]]),
            _ => Reset::Nothing,
        }
    }

    /// The faults of kind and apiVersion; with one of those nothing else is looked at.
    fn validate_type(&self, new: &Value) -> ErrorList {
        let api_version = self.definition.api_version(self.version);
        let mut errors = ErrorList::new();
        for (field, found, wanted) in
            [("kind", meta::kind(new), &self.definition.kind), ("apiVersion", meta::api_version(new), &api_version)]
        {
            if found != wanted {
                errors.push(Error::invalid(&Path::new(field), found, format!("must be {wanted}")));
            }
        }
        errors
    }

    fn validate_scale(&self, new: &Value, with_spec: bool) -> ErrorList {
        let Some(scale) = &self.version().scale else { return ErrorList::new() };
        let mut errors = ErrorList::new();
        for path in [&scale.spec, &scale.status].into_iter().skip(usize::from(!with_spec)) {
            let shown = Path::new(format!(".{}", path.join(".")));
            match Scale::number(new, path) {
                Err(why) => errors.push(Error::invalid(&shown, 0, why)),
                Ok(Some(number)) if number < 0 => {
                    errors.push(Error::invalid(&shown, number, "should be a non-negative integer"));
                }
                Ok(Some(number)) if number > i64::from(i32::MAX) => {
                    let detail = format!("should be less than or equal to {}", i32::MAX);
                    errors.push(Error::invalid(&shown, number, detail));
                }
                Ok(_) => {}
            }
        }
        if let Some(path) = &scale.selector
            && let Err(why) = Scale::text(new, path)
        {
            errors.push(Error::invalid(&Path::new(format!(".{}", path.join("."))), "", why));
        }
        errors
    }

    /// Rules in CEL, which need an object of the right shape.
    fn validate_rules(&self, new: &Value, old: Option<&Value>, errors: &mut ErrorList) {
        let Compiled { node: Some(node), rules: Some(rules), .. } = self.compiled() else { return };
        let blocks = |error: &Error| {
            use ErrorType::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
            matches!(error.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)
        };
        if errors.iter().any(blocks) {
            let detail = "some validation rules were not checked because the object was invalid; correct the existing errors \
                          to complete validation";
            errors.push(Error::invalid(&Path::nil(), Value::Null, detail));
        } else {
            errors.extend(rules.validate(node, new, old));
        }
    }
}

impl Scale {
    /// The whole number at a path; None if there is none.
    ///
    /// # Errors
    /// Something else is there, or on the way there.
    pub fn number(object: &Value, path: &[String]) -> Result<Option<i64>, String> {
        match find(object, path)? {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| accessor(path, value, "int64")),
        }
    }

    /// The text at a path; None if there is none.
    ///
    /// # Errors
    /// As [`Scale::number`].
    pub fn text<'a>(object: &'a Value, path: &[String]) -> Result<Option<&'a str>, String> {
        match find(object, path)? {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| accessor(path, value, "string")),
        }
    }
}

/// Upstream: unstructured.NestedFieldNoCopy.
fn find<'a>(object: &'a Value, path: &[String]) -> Result<Option<&'a Value>, String> {
    let mut value = object;
    for (depth, name) in path.iter().enumerate() {
        let Some(fields) = value.as_object() else {
            return Err(accessor(&path[..=depth], value, "map[string]interface{}"));
        };
        match fields.get(name) {
            None => return Ok(None),
            Some(inner) => value = inner,
        }
    }
    Ok(Some(value))
}

fn accessor(path: &[String], value: &Value, wanted: &str) -> String {
    let (shown, found) = (api::go_text::percent_v(value), api::go_text::type_name(value));
    format!(".{} accessor error: {shown} is of the type {found}, expected {wanted}", path.join("."))
}

impl Strategy for CustomResource {
    fn default(&self, new: &mut Value) {
        // What is of another kind is refused by validation.
        if meta::kind(new) == self.definition.kind {
            structural::default(new, self.node());
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = self.validate_type(new);
        if !errors.is_empty() {
            return errors;
        }
        if let Some(node) = self.node() {
            errors.extend(structural::validate(new, node, &Path::nil()));
        }
        errors.extend(self.validate_scale(new, true));
        errors.extend(embedded::validate(new, self.node()));
        errors.extend(structural::validate_lists(new, self.node()));
        self.validate_rules(new, None, &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        metadata::finalizer_warnings(new, &Value::Null)
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate_type(new);
        if !errors.is_empty() {
            return errors;
        }
        if let Some(node) = self.node() {
            errors.extend(structural::validate_update(new, old, node, &Path::nil()));
        }
        errors.extend(self.validate_scale(new, true));
        errors.extend(embedded::validate(new, self.node()));
        if structural::validate_lists(old, self.node()).is_empty() {
            errors.extend(structural::validate_lists(new, self.node()));
        }
        self.validate_rules(new, Some(old), &mut errors);
        errors
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        metadata::finalizer_warnings(new, old)
    }

    fn prepare_for_subresource_update(&self, _ctx: &RequestContext, _subresource: &str, new: &mut Value, old: &Value) {
        let managed_fields = meta::metadata(new).and_then(|metadata| metadata.get("managedFields")).cloned();
        take_only_status(new, old);
        // Of metadata only what tells who owns the status is taken.
        if let (Some(fields), Some(metadata)) = (new.as_object_mut(), meta::metadata(old)) {
            fields.insert("metadata", Value::Object(metadata.clone()));
        }
        api::managed_fields::set_managed_fields(new, managed_fields);
    }

    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate_type(new);
        if !errors.is_empty() {
            return errors;
        }
        let of_status = self.node().and_then(|node| node.property("status"));
        if let (Some(node), Some(status)) = (of_status, new.get("status")) {
            let place = Path::new("status");
            let before = old.get("status").unwrap_or(&Value::Null);
            errors.extend(structural::validate_update(status, before, node, &place));
        }
        errors.extend(self.validate_scale(new, false));
        if structural::validate_lists(old, self.node()).is_empty() {
            errors.extend(structural::validate_lists(new, self.node()));
        }
        self.validate_rules(new, Some(old), &mut errors);
        errors
    }

    /// Nothing new comes while the definition goes.
    fn may_create(&self, ctx: &RequestContext) -> Result<(), Status> {
        if !self.definition.terminating {
            return Ok(());
        }
        let why = "create not allowed while custom resource definition is terminating";
        let resource = meta::GroupResource::new(ctx.target.group.as_str(), ctx.target.resource.as_str());
        Err(Status::forbidden(&resource, &ctx.target.name, &why))
    }
}
