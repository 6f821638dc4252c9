//! Secrets. Upstream: pkg/registry/core/secret/strategy.go, ValidateSecret.

use api::field::{Error, ErrorList, Path};
use api::meta;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;

use super::super::fields::{At, object_mut, remove, set, text};
use super::super::strategy::Strategy;
use super::super::validation::immutable;
use super::config_map::{MAX_SIZE, decoded_length, frozen, key_rule};
use crate::context::RequestContext;

/// The semantics of secrets.
#[derive(Debug, Clone, Copy)]
pub struct Secret;

impl Strategy for Secret {
    /// `stringData` is for writing only: it goes into `data`, over what is there.
    fn default(&self, new: &mut Value) {
        let Some(Value::Object(texts)) = remove(new, "stringData") else { return };
        for (key, value) in texts {
            let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
            set(object_mut(new, "data"), &key, encoded);
        }
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        if text(new, "type").is_empty() {
            set(new, "type", old["type"].clone());
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let data = At::root(new).field("data");
        let mut size = 0;
        for (key, value) in data.entries() {
            key_rule(key, &value, &mut errors);
            size += decoded_length(value.str());
        }
        if size > MAX_SIZE {
            errors.push(Error::too_long(&data.path, MAX_SIZE));
        }
        by_type(new, &data, &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let has_pem =
            |key| super::super::fields::base64_field(&new["data"], key).is_some_and(|pem| pem.contains("-----BEGIN "));
        let missing = match text(new, "type") {
            "kubernetes.io/tls" if !has_pem("tls.crt") => "certificate",
            "kubernetes.io/tls" if !has_pem("tls.key") => "key",
            _ => return Vec::new(),
        };
        vec![format!("tls: failed to find any PEM data in {missing} input")]
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(new).field("type"), &old["type"], &mut errors);
        frozen(new, old, &["data"], &mut errors);
        errors.extend(self.validate(ctx, new));
        errors
    }
}

fn by_type(secret: &Value, data: &At<'_>, errors: &mut ErrorList) {
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let required = |key: &str| Error::required(&data.path.key(key), "");
    let mut needs = |keys: &[&str]| errors.extend(keys.iter().filter(|key| !data.has(key)).map(|key| required(key)));
    match text(secret, "type") {
        "kubernetes.io/service-account-token" if meta::annotation(secret, ACCOUNT).is_none_or(str::is_empty) => {
            errors.push(Error::required(&Path::new("metadata").child("annotations").key(ACCOUNT), ""));
        }
        "kubernetes.io/dockercfg" => docker_config(".dockercfg", data, errors),
        "kubernetes.io/dockerconfigjson" => docker_config(".dockerconfigjson", data, errors),
        "kubernetes.io/basic-auth" if !data.has("username") && !data.has("password") => {
            needs(&["username", "password"])
        }
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => errors.push(required("ssh-privatekey")),
        "kubernetes.io/tls" => needs(&["tls.crt", "tls.key"]),
        _ => {}
    }
}

fn docker_config(key: &'static str, data: &At<'_>, errors: &mut ErrorList) {
    let path = data.path.key(key);
    if !data.has(key) {
        errors.push(Error::required(&path, ""));
        return;
    }
    let content = STANDARD.decode(data.text(key)).unwrap_or_default();
    let parsed: Result<json::Map, _> = json::from_slice(&content);
    if let Err(error) = parsed {
        // Go's words for the two common cases; the content is never shown.
        let detail = if content.is_empty() || error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            let offender = char::from(*content.get(error.column().saturating_sub(1)).unwrap_or(&b'?'));
            format!("invalid character '{offender}' looking for beginning of value")
        };
        errors.push(Error::invalid(&path, "<secret contents redacted>", detail));
    }
}
