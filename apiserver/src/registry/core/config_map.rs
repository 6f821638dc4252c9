//! ConfigMaps. Upstream: ValidateConfigMap, ValidateConfigMapUpdate.

use api::field::{Error, ErrorList, Path};
use api::names;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::same;
use crate::context::RequestContext;

/// Upstream: core.MaxSecretSize.
pub(super) const MAX_SIZE: usize = 1024 * 1024;

/// The semantics of config maps.
#[derive(Debug, Clone, Copy)]
pub struct ConfigMap;

impl Strategy for ConfigMap {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        let binary = root.field("binaryData");
        let mut size = 0;
        for (key, value) in root.field("data").entries() {
            key_rule(key, &value, &mut errors);
            if binary.has(key) {
                errors.push(Error::invalid(&value.path, key, "duplicate of key present in binaryData"));
            }
            size += value.str().len();
        }
        for (key, value) in binary.entries() {
            key_rule(key, &value, &mut errors);
            size += decoded_length(value.str());
        }
        if size > MAX_SIZE {
            errors.push(Error::too_long(&Path::new(""), MAX_SIZE));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        frozen(new, old, &["data", "binaryData"], &mut errors);
        errors.extend(self.validate(ctx, new));
        errors
    }
}

pub(super) fn key_rule(key: &str, value: &At<'_>, errors: &mut ErrorList) {
    errors
        .extend(names::is_config_map_key(key).into_iter().map(|complaint| Error::invalid(&value.path, key, complaint)));
}

/// Bytes behind base64 text; decoding has refused what is none.
pub(super) fn decoded_length(text: &str) -> usize {
    STANDARD.decode(text).map_or(0, |bytes| bytes.len())
}

/// What is `immutable: true` stays so, with its data.
pub(super) fn frozen(new: &Value, old: &Value, data: &[&'static str], errors: &mut ErrorList) {
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if old["immutable"] != true {
        return;
    }
    let root = At::root(new);
    if !root.field("immutable").bool() {
        errors.push(root.field("immutable").forbidden(DETAIL));
    }
    for field in data {
        if !same(root.get(field), old.get(field).unwrap_or(&Value::Null)) {
            errors.push(root.field(field).forbidden(DETAIL));
        }
    }
}
