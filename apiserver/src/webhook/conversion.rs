//! The webhook that converts custom resources between versions.
//!
//! [`ConversionWebhook`] is made of `spec.conversion.webhook` of a definition and asked for all objects of a list at once. What
//! comes back is held to what was sent: as many objects, of the version asked for, with the metadata they had but for labels
//! and annotations.
//! Upstream: k8s.io/apiextensions-apiserver/pkg/apiserver/conversion.webhookConverter.

use std::time::Duration;

use api::field::{ErrorList, Path};
use api::meta;
use api::selector::label;
use json::{Map, Value, json};

use super::review::{self, Fields, Malformed};
use super::{Caller, Error as CallError, Webhook};
use crate::context::Objects;
use crate::registry::metadata::validate_annotations;

/// How long a conversion may take. Upstream sets no limit of its own here: that of the request holds, a minute at most.
const LIMIT: Duration = Duration::from_secs(30);

/// Why objects were not converted. The text is what clients are told, after `conversion webhook for GVK `.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No version of ConversionReview in common.
    #[error("no supported conversion review versions")]
    Versions,
    /// The webhook could not be asked, or said something else than a ConversionReview.
    #[error("conversion webhook for {kind} failed: {why}")]
    Failed { kind: String, why: String },
    /// Not as many objects as were sent.
    #[error("conversion webhook for {kind} returned {got} objects, expected {expected}")]
    Count { kind: String, got: usize, expected: usize },
    /// One of the objects is not what was sent in another version.
    #[error("conversion webhook for {kind} returned invalid {what}: {why}")]
    Invalid { kind: String, what: String, why: String },
}

/// A conversion webhook that can be called.
#[derive(Debug)]
pub struct ConversionWebhook {
    webhook: Result<Webhook, CallError>,
    /// The first of `conversionReviewVersions` we know.
    version: Option<&'static str>,
}

impl ConversionWebhook {
    /// Of `spec.conversion.webhook`. What is wrong with it is told when it is called, as upstream does.
    pub fn new(webhook: &Value) -> ConversionWebhook {
        let mut versions = webhook["conversionReviewVersions"].as_array().into_iter().flatten();
        let version = versions.find_map(|version| match version.as_str() {
            Some("v1") => Some("v1"),
            Some("v1beta1") => Some("v1beta1"),
            _ => None,
        });
        ConversionWebhook { webhook: Webhook::new(&webhook["clientConfig"], Caller::Conversion), version }
    }

    /// The objects in `api_version` (`GROUP/VERSION`), in the same order; those that are in it already are not sent.
    ///
    /// `services` finds the webhook where it is a Service; `as_list` says whether the request is about a list, which only the
    /// words of errors show. The answer is bounded in time and size.
    ///
    /// # Errors
    /// See [`Error`]; its text is what the client is to be told (500, InternalError).
    pub async fn convert(
        &self,
        services: &dyn Objects,
        objects: Vec<Value>,
        api_version: &str,
        as_list: bool,
    ) -> Result<Vec<Value>, Error> {
        let sent: Vec<&Value> = objects.iter().filter(|object| meta::api_version(object) != api_version).collect();
        let Some(first) = sent.first() else { return Ok(objects) };
        let kind = described(first, as_list);
        let version = self.version.ok_or(Error::Versions)?;
        let failed = |why: String| Error::Failed { kind: kind.clone(), why };
        let uid = uuid::Uuid::new_v4().to_string();
        let request = json!({
            "kind": "ConversionReview",
            "apiVersion": format!("apiextensions.k8s.io/{version}"),
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": sent},
        });
        let webhook = self.webhook.as_ref().map_err(|error| failed(error.to_string()))?;
        let body = request.to_string().into();
        let answer = webhook.post(services, body, LIMIT).await.map_err(|error| failed(error.to_string()))?;
        let converted = answered(&answer, &uid, version).map_err(|Malformed(why)| failed(why))?;
        if converted.len() != sent.len() {
            return Err(Error::Count { kind, got: converted.len(), expected: sent.len() });
        }
        let mut converted = converted.into_iter().enumerate();
        let mut all = Vec::with_capacity(objects.len());
        for object in &objects {
            if meta::api_version(object) == api_version {
                all.push(object.clone());
                continue;
            }
            let Some((index, new)) = converted.next() else { break };
            let checked = checked(object, new, api_version).map_err(|fault| fault.at(&kind, index, as_list))?;
            all.push(checked);
        }
        Ok(all)
    }
}

fn described(object: &Value, as_list: bool) -> String {
    let (group, version) = meta::api_version(object).split_once('/').unwrap_or(("", meta::api_version(object)));
    let list = if as_list { "List" } else { "" };
    format!("{group}/{version}, Kind={}{list}", meta::kind(object))
}

/// The objects of an answer.
fn answered(bytes: &[u8], uid: &str, version: &str) -> Result<Vec<Value>, Malformed> {
    let review = review::read(bytes, "apiextensions.k8s.io", version, "ConversionReview")?;
    let response = Fields::of(&review, "response", "ConversionReview.response")?;
    if version == "v1" && meta::kind(&review).is_empty() {
        let got = "/, Kind=";
        let why = format!("expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got {got}");
        return Err(Malformed(why));
    }
    let response = response.ok_or_else(|| Malformed("no response provided".to_owned()))?;
    let answered = response.text("uid")?.unwrap_or_default();
    if version == "v1" && answered != uid {
        let quote = api::go_text::quote;
        return Err(Malformed(format!("expected response.uid={}, got {}", quote(uid), quote(answered))));
    }
    let result = response.get("result").unwrap_or(&Value::Null);
    let status = result["status"].as_str().unwrap_or_default();
    if status != "Success" {
        let message = result["message"].as_str().filter(|message| !message.is_empty());
        let unsaid = || format!("response.result.status was '{status}', not 'Success'");
        return Err(Malformed(message.map_or_else(unsaid, str::to_owned)));
    }
    Ok(response.list("convertedObjects", "[]runtime.RawExtension")?.to_vec())
}

/// What is wrong with one object.
enum Fault {
    /// With what it is.
    Object(String),
    /// With its identity.
    Identity(String),
    /// With its metadata.
    Metadata(String),
}

impl Fault {
    /// Upstream names the place differently for one object and for one of a list.
    fn at(self, kind: &str, index: usize, in_list: bool) -> Error {
        let (what, why) = match (self, in_list) {
            (Fault::Object(why) | Fault::Identity(why), true) => (format!("converted object at index {index}"), why),
            (Fault::Metadata(why), true) => (format!("metadata in object at index {index}"), why),
            (Fault::Object(why), false) => (format!("object at index {index}"), why),
            (Fault::Identity(why), false) => ("object".to_owned(), why),
            (Fault::Metadata(why), false) => ("metadata".to_owned(), why),
        };
        Error::Invalid { kind: kind.to_owned(), what, why }
    }
}

/// A text of an object's metadata.
type Part = fn(&Value) -> &str;

/// What a conversion may not touch, and upstream's word for it.
const IDENTITY: [(&str, Part); 3] = [("name", meta::name), ("namespace", meta::namespace), ("UID", meta::uid)];

/// The converted object with the metadata of the one that was sent; labels and annotations are the webhook's to change.
fn checked(original: &Value, mut converted: Value, api_version: &str) -> Result<Value, Fault> {
    if !converted.is_object() {
        return Err(Fault::Object("Object 'Kind' is missing".to_owned()));
    }
    let received = meta::api_version(&converted);
    if received != api_version {
        let why = format!("invalid groupVersion (expected {api_version}, received {received})");
        return Err(Fault::Object(why));
    }
    let (expected, received) = (meta::kind(original), meta::kind(&converted));
    if expected != received {
        return Err(Fault::Object(format!("invalid kind (expected {expected}, received {received})")));
    }
    for (what, of) in IDENTITY {
        let (expected, received) = (of(original), of(&converted));
        if expected != received {
            return Err(Fault::Identity(format!("must have the same {what}: {expected} != {received}")));
        }
    }
    let returned = match converted.get("metadata") {
        None => return Err(Fault::Metadata("missing metadata in converted object".to_owned())),
        Some(Value::Object(metadata)) => metadata.clone(),
        Some(other) => {
            let why = format!("invalid metadata of type {} in converted object", go_type(other));
            return Err(Fault::Metadata(why));
        }
    };
    let mut metadata = meta::metadata(original).cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        take(&mut metadata, &returned, field)?;
    }
    converted["metadata"] = Value::Object(metadata);
    Ok(converted)
}

fn take(metadata: &mut Map, returned: &Map, field: &str) -> Result<(), Fault> {
    let pairs = match returned.get(field) {
        None | Some(Value::Null) => {
            metadata.shift_remove(field);
            return Ok(());
        }
        Some(Value::Object(pairs)) => pairs,
        Some(other) => {
            let why = format!("invalid metadata.{field} of type {} in converted object", go_type(other));
            return Err(Fault::Metadata(why));
        }
    };
    if let Some((key, value)) = pairs.iter().find(|(_, value)| !value.is_string()) {
        let go_type = go_type(value);
        let why = format!("metadata.{field}[{key}] must be a string, but is {go_type} in converted object");
        return Err(Fault::Metadata(why));
    }
    if metadata.get(field).and_then(Value::as_object) != Some(pairs) {
        let mut errors = ErrorList::new();
        match field {
            "labels" => errors = label::validate_labels(pairs, &Path::new("metadata").child("labels")),
            _ => validate_annotations(pairs, &Path::new("metadata").child("annotation"), &mut errors),
        }
        if let Some(why) = errors.message() {
            return Err(Fault::Metadata(why));
        }
    }
    metadata.insert(field.to_owned(), Value::Object(pairs.clone()));
    Ok(())
}

/// The type Go gives a JSON value nobody declared.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests;
