//! Files that configure a server in kinds of `apiserver.config.k8s.io`: read strictly, and counted while they are followed.
//!
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver/load, pkg/server/options/{authenticationconfig,authorizationconfig}/metrics.

pub(crate) mod shape;

use api::decode::{FieldValidation, Syntax, decode_untyped};
use api::meta;
use component::metrics::{Error as MetricsError, GaugeVec, IntCounterVec, Registrar, Registry};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use json::Value;
use sha2::{Digest, Sha256};

use self::shape::Struct;
use crate::webhook::review::{self, Malformed};

const GROUP: &str = "apiserver.config.k8s.io/";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// What else is configured by kinds of this group.
const OTHERS: [&str; 5] = [
    "AdmissionConfiguration",
    "AuthenticationConfiguration",
    "AuthorizationConfiguration",
    "EncryptionConfiguration",
    "TracingConfiguration",
];

/// Reads a document of this kind of `apiserver.config.k8s.io`, which `typed` makes something of.
///
/// # Errors
/// Upstream's words for what is wrong.
pub(crate) fn read<T>(
    text: &str,
    kind: &str,
    shape: &Struct,
    typed: impl FnOnce(&Value) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let document = Document::parse(text)?;
    let known = |version: &str| version.strip_prefix(GROUP).is_some_and(|version| VERSIONS.contains(&version));
    let named = meta::kind(&document.object);
    if named != kind && OTHERS.contains(&named) && known(meta::api_version(&document.object)) {
        return Err(Malformed(format!("expected {kind}, got *apiserver.{named}")));
    }
    document.must_be(kind, known)?;
    // Before strangers are named, what is known must be of its type.
    shape.check(&document.object)?;
    let read = typed(&document.object)?;
    document.check_strictly(shape)?;
    Ok(read)
}

/// A document that is an object.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    syntax: Syntax,
    /// Of a field that is there twice it has one.
    pub(crate) object: Value,
}

impl<'t> Document<'t> {
    /// Reads YAML or JSON.
    ///
    /// # Errors
    /// It is no object.
    pub(crate) fn parse(text: &'t str) -> Result<Document<'t>, Malformed> {
        let syntax = if text.trim_start().starts_with('{') { Syntax::Json } else { Syntax::Yaml };
        let unreadable = |why: String| match syntax {
            Syntax::Yaml => Malformed(why),
            _ => Malformed(format!("couldn't get version/kind; json parse error: {why}")),
        };
        let lax = decode_untyped(text.as_bytes(), syntax, FieldValidation::Ignore).map_err(unreadable)?;
        // What is no object is refused in the words for one.
        let object = review::parse(lax.object.to_string().as_bytes())?;
        Ok(Document { text, syntax, object })
    }

    /// Is it of this kind, in a version that is known?
    ///
    /// # Errors
    /// It is not, or does not say what it is.
    pub(crate) fn must_be(&self, kind: &str, known: impl FnOnce(&str) -> bool) -> Result<(), Malformed> {
        must_be(&self.object, self.text, kind, known)
    }

    /// Has it a field that is not of this shape, or one twice?
    ///
    /// # Errors
    /// It has.
    pub(crate) fn check_strictly(&self, shape: &Struct) -> Result<(), Malformed> {
        decode_untyped(self.text.as_bytes(), self.syntax, FieldValidation::Strict).map_err(Malformed)?;
        no_strangers(&self.object, shape)
    }
}

/// Is the object, which is shown as `text`, of this kind, in a version that is known?
///
/// # Errors
/// It is not, or does not say what it is.
pub(crate) fn must_be(
    object: &Value,
    text: &str,
    kind: &str,
    known: impl FnOnce(&str) -> bool,
) -> Result<(), Malformed> {
    let (version, named) = (meta::api_version(object), meta::kind(object));
    for (field, value) in [("Kind", named), ("apiVersion", version)] {
        if value.is_empty() {
            return Err(Malformed(format!("Object '{field}' is missing in '{text}'")));
        }
    }
    if named != kind || !known(version) {
        return Err(review::unregistered(version, named));
    }
    Ok(())
}

/// # Errors
/// The object has fields that are not of this shape.
pub(crate) fn no_strangers(object: &Value, shape: &Struct) -> Result<(), Malformed> {
    let strangers = shape.strangers(object);
    if strangers.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = strangers.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    Err(Malformed(format!("strict decoding error: {}", named.join(", "))))
}

/// Null is nothing, as Go reads it.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|_, value| {
            drop_nulls(value);
            !value.is_null()
        }),
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// What is counted of a file.
#[derive(Debug)]
pub(crate) struct Reloads {
    total: IntCounterVec,
    last: GaugeVec,
    applied: GaugeVec,
}

impl Reloads {
    /// Of a file that configures this, `authentication` or `authorization`.
    pub(crate) fn of(registry: &Registry, what: &str) -> Result<Reloads, MetricsError> {
        let prefix = format!("apiserver_{what}_config_controller_");
        let make = Registrar::of(registry).under(&prefix);
        let by_status = ["status", "apiserver_id_hash"];
        let split = "configuration split by status and apiserver identity.";
        Ok(Reloads {
            total: make.counters(
                "automatic_reloads_total",
                &format!("[BETA] Total number of automatic reloads of {what} {split}"),
                &by_status,
            )?,
            last: make.times(
                "automatic_reload_last_timestamp_seconds",
                &format!("[BETA] Timestamp of the last automatic reload of {what} {split}"),
                &by_status,
            )?,
            applied: make.times(
                "last_config_info",
                &format!(
                    "[ALPHA] Information about the last applied {what} configuration with hash as label, split by apiserver identity."
                ),
                &["apiserver_id_hash", "hash"],
            )?,
        })
    }

    /// The file has changed, and that has come of it.
    pub(crate) fn count(&self, succeeded: bool, server_hash: &str) {
        let labels = [if succeeded { "success" } else { "failure" }, server_hash];
        self.total.with_label_values(&labels).inc();
        self.last.with_label_values(&labels).set(Timestamp::now().as_duration().as_secs_f64());
    }

    /// There is one configuration at a time.
    pub(crate) fn applied(&self, server_hash: &str, text: &str) {
        self.applied.reset();
        self.applied.with_label_values(&[server_hash, &hash(text)]).set(1.0);
    }
}

/// `sha256:` and hexadecimal; nothing of nothing. What names and documents are known by in metrics.
pub(crate) fn hash(data: impl AsRef<[u8]>) -> String {
    let data = data.as_ref();
    if data.is_empty() {
        return String::new();
    }
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(data)))
}
