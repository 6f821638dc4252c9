//! A definition as it is served. Made of the stored object by the controller, immutable from then on.

use std::sync::{Arc, OnceLock};

use api::meta;
use api::schema::Name;
use api::scheme::{ResourceInfo, SubresourceInfo};
use api::structural::Node;
use api::table::Columns;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::Value;
use sha2::{Digest, Sha256};
use store::Entry;

use super::rules::Rules;
use crate::webhook::conversion::ConversionWebhook;

/// What custom resources can be asked for.
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// A definition with accepted names.
#[derive(Debug)]
pub struct Definition {
    /// `widgets.example.com`
    pub name: String,
    /// Which object it is, and which state of its spec: what was compiled is good for both.
    pub identity: (String, i64),
    /// API group.
    pub group: String,
    /// Kind of its objects.
    pub kind: String,
    /// Kind of their lists.
    pub list_kind: String,
    /// Are clients told of it?
    pub established: bool,
    /// Is it on its way out? Then nothing is created any more.
    pub terminating: bool,
    /// How objects get from one version to another.
    pub conversion: Conversion,
    /// All versions, served or not.
    pub versions: Vec<Version>,
    /// Which of them objects are stored in.
    storage: usize,
    facts: ResourceInfo,
    /// The object it was made of: schemas are read from it when they are needed.
    source: Arc<Entry>,
    compiled: Arc<OnceLock<Vec<Compiled>>>,
}

/// `spec.conversion`
#[derive(Debug)]
pub enum Conversion {
    /// Only `apiVersion` differs.
    None,
    /// A webhook is asked.
    Webhook(Arc<ConversionWebhook>),
}

impl Conversion {
    /// Of a spec; a webhook that was known before keeps its connections.
    fn of(spec: &Value, before: Option<&Conversion>) -> Conversion {
        match (spec["conversion"]["strategy"].as_str(), before) {
            (Some("Webhook"), Some(Conversion::Webhook(known))) => Conversion::Webhook(Arc::clone(known)),
            (Some("Webhook"), _) => {
                Conversion::Webhook(Arc::new(ConversionWebhook::new(&spec["conversion"]["webhook"])))
            }
            _ => Conversion::None,
        }
    }
}

/// One version of a custom resource.
#[derive(Debug)]
pub struct Version {
    /// `v1`
    pub name: String,
    /// Is it served?
    pub served: bool,
    /// What each request for it is told.
    pub deprecation: Option<String>,
    /// Has it a status subresource?
    pub has_status: bool,
    /// The scale subresource.
    pub scale: Option<Scale>,
    /// Fields that selectors may name, without the leading dot.
    pub selectable: Vec<String>,
}

/// Where the fields of a Scale are in a custom resource.
#[derive(Debug)]
pub struct Scale {
    /// Path of the wanted number.
    pub spec: Vec<String>,
    /// Path of the present number.
    pub status: Vec<String>,
    /// Path of the selector, a text.
    pub selector: Option<Vec<String>>,
}

/// What is compiled from the schema of a version.
#[derive(Debug)]
pub struct Compiled {
    /// The schema; None if there is none that is structural.
    pub node: Option<Node>,
    /// The columns of tables.
    pub columns: Columns,
    /// `x-kubernetes-validations`
    pub rules: Option<Rules>,
}

impl Definition {
    /// Of a stored definition; None while its names are not accepted. `before` is the one it replaces: what was compiled
    /// stays if the spec did.
    pub fn of(source: &Arc<Entry>, object: &Value, before: Option<&Definition>) -> Option<Definition> {
        let spec = object.get("spec")?;
        let accepted = object.get("status")?.get("acceptedNames")?;
        let name_of = |field: &str| accepted[field].as_str().filter(|name| !name.is_empty());
        if !(is_condition_true(object, "Established") || is_condition_true(object, "NamesAccepted")) {
            return None;
        }
        let (plural, kind) = (name_of("plural")?, name_of("kind")?);
        let (singular, list_kind) = (name_of("singular")?, name_of("listKind")?);
        let group = spec["group"].as_str()?;
        let listed = spec["versions"].as_array()?;
        let storage = listed.iter().position(|version| version["storage"] == true)?;
        let identity = (meta::uid(object).to_owned(), meta::generation(object));
        let same = before.filter(|before| before.identity == identity);
        let kept = same.map(|before| Arc::clone(&before.compiled));
        let storage_version = listed[storage]["name"].as_str().unwrap_or_default();
        let names = |field: &str| -> Vec<Name> {
            let names = accepted[field].as_array().into_iter().flatten();
            names.filter_map(Value::as_str).map(|name| Name::Owned(name.to_owned())).collect()
        };
        let facts = ResourceInfo {
            group: Name::Owned(group.to_owned()),
            plural: Name::Owned(plural.to_owned()),
            singular: Name::Owned(singular.to_owned()),
            kind: Name::Owned(kind.to_owned()),
            namespaced: spec["scope"] == "Namespaced",
            short_names: names("shortNames"),
            categories: names("categories"),
            storage_group: Name::Owned(group.to_owned()),
            storage_version: Name::Owned(storage_version.to_owned()),
            storage_version_hash: Name::Owned(storage_version_hash(group, storage_version, kind)),
            key_prefix: Name::Owned(format!("/registry/{group}/{plural}")),
            ..ResourceInfo::default()
        };
        Some(Definition {
            name: meta::name(object).to_owned(),
            identity,
            group: group.to_owned(),
            kind: kind.to_owned(),
            list_kind: list_kind.to_owned(),
            established: is_condition_true(object, "Established"),
            terminating: meta::is_being_deleted(object) || is_condition_true(object, "Terminating"),
            conversion: Conversion::of(spec, same.map(|before| &before.conversion)),
            versions: listed.iter().map(|version| Version::of(version, group, kind, listed)).collect(),
            storage,
            facts,
            source: Arc::clone(source),
            compiled: kept.unwrap_or_default(),
        })
    }

    /// The version objects are stored in.
    pub fn storage(&self) -> &Version {
        &self.versions[self.storage]
    }

    /// The position of that version.
    pub fn storage_position(&self) -> usize {
        self.storage
    }

    /// The position of a version.
    pub fn position(&self, version: &str) -> Option<usize> {
        self.versions.iter().position(|own| own.name == version)
    }

    /// `apiVersion` of a version's objects.
    pub fn api_version(&self, version: usize) -> String {
        format!("{}/{}", self.group, self.versions[version].name)
    }

    /// What is compiled from the schema of a version; done for all versions when the first is asked for.
    pub fn compiled(&self, version: usize) -> &Compiled {
        &self.compiled.get_or_init(|| self.compile())[version]
    }

    fn compile(&self) -> Vec<Compiled> {
        let object: Value = json::from_slice(&self.source.value).unwrap_or_default();
        let spec = &object["spec"];
        let keeps_unknown = spec["preserveUnknownFields"] == true;
        let of = |index| Compiled::of(&spec["versions"][index], &self.name, keeps_unknown);
        (0..self.versions.len()).map(of).collect()
    }

    /// The schema of a version as it was written: read from the definition each time, not kept.
    pub fn schema(&self, version: usize) -> Option<Value> {
        let mut object: Value = json::from_slice(&self.source.value).ok()?;
        let schema = object["spec"]["versions"][version]["schema"]["openAPIV3Schema"].take();
        schema.is_object().then_some(schema)
    }

    /// The facts of a version as those of built-in resources.
    pub fn facts(&self, version: usize) -> ResourceInfo {
        let own = &self.versions[version];
        let of_subresource = |name: &'static str, group: &str, version: &str, kind: &str| SubresourceInfo {
            name: name.into(),
            group: Name::Owned(group.to_owned()),
            version: Name::Owned(version.to_owned()),
            kind: Name::Owned(kind.to_owned()),
            verbs: ["get", "patch", "update"].map(Name::Borrowed).into(),
        };
        let status = own.has_status.then(|| of_subresource("status", &self.group, &own.name, &self.kind));
        let scale = own.scale.is_some().then(|| of_subresource("scale", "autoscaling", "v1", "Scale"));
        ResourceInfo {
            version: Name::Owned(own.name.clone()),
            verbs: VERBS.map(Name::Borrowed).into(),
            subresources: status.into_iter().chain(scale).collect(),
            ..self.facts.clone()
        }
    }
}

impl Version {
    fn of(version: &Value, group: &str, kind: &str, all: &[Value]) -> Version {
        let subresources = &version["subresources"];
        let path = |value: &Value| -> Option<Vec<String>> {
            let path = value.as_str()?.trim_start_matches('.');
            Some(path.split('.').map(str::to_owned).collect())
        };
        let scale = &subresources["scale"];
        let fields = version["selectableFields"].as_array().into_iter().flatten();
        Version {
            name: version["name"].as_str().unwrap_or_default().to_owned(),
            served: version["served"] == true,
            deprecation: (version["deprecated"] == true).then(|| {
                let own = version["deprecationWarning"].as_str().map(str::to_owned);
                own.unwrap_or_else(|| deprecation(version, group, kind, all))
            }),
            has_status: subresources["status"].is_object(),
            scale: path(&scale["specReplicasPath"]).map(|spec| Scale {
                spec,
                status: path(&scale["statusReplicasPath"]).unwrap_or_default(),
                selector: path(&scale["labelSelectorPath"]),
            }),
            selectable: fields
                .filter_map(|field| field["jsonPath"].as_str())
                .map(|path| path.trim_start_matches('.').to_owned())
                .collect(),
        }
    }
}

impl Compiled {
    fn of(version: &Value, name: &str, keeps_unknown: bool) -> Compiled {
        let schema = &version["schema"]["openAPIV3Schema"];
        let node = match Node::compile(schema) {
            Ok(mut node) if schema.is_object() => {
                if keeps_unknown {
                    node.keep_unknown();
                }
                Some(node)
            }
            Ok(_) => None,
            Err(error) => {
                // Validation lets none through: it was written past this server.
                tracing::error!(definition = name, %error, "a stored schema is not structural; nothing is pruned by it");
                None
            }
        };
        let columns = Columns::custom(version.get("additionalPrinterColumns")).unwrap_or_else(|error| {
            tracing::debug!(definition = name, %error, "its printer columns cannot be read; the default ones are shown");
            Columns::of("", "")
        });
        Compiled { rules: Rules::compile(schema, node.as_ref()), node, columns }
    }
}

/// Upstream: defaultDeprecationWarning.
fn deprecation(version: &Value, group: &str, kind: &str, all: &[Value]) -> String {
    let name = |version: &Value| version["name"].as_str().unwrap_or_default().to_owned();
    let own = name(version);
    let newer = all.iter().filter(|other| other["served"] == true && other["deprecated"] != true).map(name);
    let newest = newer
        .filter(|other| api::names::compare_versions(&own, other).is_lt())
        .max_by(|a, b| api::names::compare_versions(a, b));
    let text = format!("{group}/{own} {kind} is deprecated");
    newest.map_or(text.clone(), |newest| format!("{text}; use {group}/{newest} {kind}"))
}

/// Upstream: discovery.StorageVersionHash.
fn storage_version_hash(group: &str, version: &str, kind: &str) -> String {
    STANDARD.encode(&Sha256::digest(format!("{group}/{version}/{kind}"))[..8])
}

/// Is a condition of an object "True"?
pub(super) fn is_condition_true(object: &Value, r#type: &str) -> bool {
    condition(object, r#type).is_some_and(|condition| condition["status"] == "True")
}

/// A condition of an object.
pub(super) fn condition<'a>(object: &'a Value, r#type: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == r#type)
}
