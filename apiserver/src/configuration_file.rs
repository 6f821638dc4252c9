//! Files that configure a server in kinds of `apiserver.config.k8s.io`: read strictly, and counted while they are followed.
//!
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver/load, pkg/server/options/{authenticationconfig,authorizationconfig}/metrics.

use api::decode::{FieldValidation, Syntax, decode_untyped};
use api::meta;
use component::metrics::{Error as MetricsError, GaugeVec, IntCounterVec, Registrar, Registry};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use json::Value;
use sha2::{Digest, Sha256};

use crate::webhook::review::{self, Malformed};

const GROUP: &str = "apiserver.config.k8s.io/";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha1"];

/// The fields of each object, by where they are, indices left out. Others are mistakes.
pub(crate) type Fields = &'static [(&'static str, &'static [&'static str])];

/// Reads a document of this kind, which `typed` makes something of.
///
/// # Errors
/// Upstream's words for what is wrong.
pub(crate) fn read<T>(
    text: &str,
    kind: &str,
    fields: Fields,
    typed: impl FnOnce(&Value) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let syntax = if text.trim_start().starts_with('{') { Syntax::Json } else { Syntax::Yaml };
    let unreadable = |why| Malformed(format!("couldn't get version/kind; json parse error: {why}"));
    let lax = decode_untyped(text.as_bytes(), syntax, FieldValidation::Ignore).map_err(unreadable)?;
    // What is no object is refused in the words for one.
    let document = review::parse(lax.object.to_string().as_bytes())?;
    let (version, named) = (meta::api_version(&document), meta::kind(&document));
    for (field, value) in [("Kind", named), ("apiVersion", version)] {
        if value.is_empty() {
            return Err(Malformed(format!("Object '{field}' is missing in '{text}'")));
        }
    }
    if named != kind || !version.strip_prefix(GROUP).is_some_and(|version| VERSIONS.contains(&version)) {
        return Err(review::unregistered(version, named));
    }
    // Before strangers are named, what is known must be of its type.
    let read = typed(&document)?;
    decode_untyped(text.as_bytes(), syntax, FieldValidation::Strict).map_err(Malformed)?;
    let mut strangers = Vec::new();
    name_strangers(&document, fields, "", "", &mut strangers);
    match strangers.is_empty() {
        true => Ok(read),
        false => Err(Malformed(format!("strict decoding error: {}", strangers.join(", ")))),
    }
}

/// Names the fields that have no meaning. `place` is the path without indices.
fn name_strangers(value: &Value, all: Fields, place: &str, path: &str, strangers: &mut Vec<String>) {
    let below = |of: &str, name: &str| if of.is_empty() { name.to_owned() } else { format!("{of}.{name}") };
    match (value, all.iter().find(|(own, _)| *own == place)) {
        (Value::Object(fields), Some((_, known))) => {
            for (name, value) in fields {
                let path = below(path, name);
                match known.contains(&name.as_str()) {
                    true => name_strangers(value, all, &below(place, name), &path, strangers),
                    false => strangers.push(format!("unknown field \"{path}\"")),
                }
            }
        }
        (Value::Array(list), _) => {
            for (at, item) in list.iter().enumerate() {
                name_strangers(item, all, place, &format!("{path}[{at}]"), strangers);
            }
        }
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
