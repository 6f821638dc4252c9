//! The file of `--audit-policy-file` as it stands there, and what may not stand there.
//!
//! Fields nobody knows, and fields given twice, are warned of and pass: a policy is worth more than its last rule.
//! Upstream: k8s.io/apiserver/pkg/audit/policy.LoadPolicyFromBytes, apis/audit/validation.ValidatePolicy.

use api::field::{Error, ErrorList, Path};
use api::meta;
use api::names;
use json::json;
use serde::Deserialize;

use super::{Level, Stage};
use crate::configuration_file::shape::{Struct, Type};
use crate::configuration_file::{Document, drop_nulls};
use crate::webhook::review::{Malformed, unregistered};

const VERSION: &str = "audit.k8s.io/v1";
const KIND: &str = "Policy";

const FILE: Struct = Struct {
    name: KIND,
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("metadata", Type::Any),
        ("rules", Type::List(&Type::One(&RULE))),
        ("omitStages", Type::List(&Type::Named("Stage"))),
        ("omitManagedFields", Type::Bool),
    ],
};
const RULE: Struct = Struct {
    name: "PolicyRule",
    fields: &[
        ("level", Type::Named("Level")),
        ("users", Type::List(&Type::Text)),
        ("userGroups", Type::List(&Type::Text)),
        ("verbs", Type::List(&Type::Text)),
        ("resources", Type::List(&Type::One(&RESOURCES))),
        ("namespaces", Type::List(&Type::Text)),
        ("nonResourceURLs", Type::List(&Type::Text)),
        ("omitStages", Type::List(&Type::Named("Stage"))),
        ("omitManagedFields", Type::Bool),
    ],
};
const RESOURCES: Struct = Struct {
    name: "GroupResources",
    fields: &[
        ("group", Type::Text),
        ("resources", Type::List(&Type::Text)),
        ("resourceNames", Type::List(&Type::Text)),
    ],
};

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct File {
    pub(super) rules: Vec<Rule>,
    pub(super) omit_stages: Vec<String>,
    pub(super) omit_managed_fields: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rule {
    pub(super) level: String,
    pub(super) users: Vec<String>,
    pub(super) user_groups: Vec<String>,
    pub(super) verbs: Vec<String>,
    pub(super) resources: Vec<Resources>,
    pub(super) namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    pub(super) paths: Vec<String>,
    pub(super) omit_stages: Vec<String>,
    pub(super) omit_managed_fields: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Resources {
    pub(super) group: String,
    pub(super) resources: Vec<String>,
    pub(super) resource_names: Vec<String>,
}

impl File {
    /// Reads the text of a policy that makes sense.
    ///
    /// # Errors
    /// Upstream's words for what is wrong.
    pub(super) fn read(text: &str) -> Result<File, String> {
        let nameless = || format!("unknown group version field audit.k8s.io/__internal, Kind={KIND} in policy");
        if text.trim().is_empty() {
            return Err(nameless());
        }
        let decoding = |why: Malformed| format!("failed decoding: {why}");
        let mut document = Document::parse(text).map_err(decoding)?;
        let (version, kind) = (meta::api_version(&document.object), meta::kind(&document.object));
        if version.is_empty() && matches!(kind, "" | KIND) {
            return Err(nameless());
        }
        // A kind that is not named is the only one there is.
        if version != VERSION || !matches!(kind, "" | KIND) {
            return Err(decoding(unregistered(version, if kind.is_empty() { KIND } else { kind })));
        }
        FILE.check(&document.object).map_err(decoding)?;
        if let Err(why) = document.check_strictly(&FILE) {
            tracing::warn!("Audit policy contains errors, falling back to lenient decoding: {why}");
        }
        drop_nulls(&mut document.object);
        let file: File = json::from_value(document.object).map_err(|error| decoding(Malformed(error.to_string())))?;
        let mut errors = ErrorList::new();
        stages(&file.omit_stages, &Path::new("omitStages"), &mut errors);
        for (at, rule) in file.rules.iter().enumerate() {
            rule.validate(&Path::new("rules").index(at), &mut errors);
        }
        match errors.message() {
            Some(why) => Err(why),
            None if file.rules.is_empty() => Err("loaded illegal policy with 0 rules".to_owned()),
            None => Ok(file),
        }
    }
}

impl Rule {
    fn validate(&self, path: &Path, errors: &mut ErrorList) {
        let at_level = path.child("level");
        if self.level.is_empty() {
            errors.push(Error::required(&at_level, ""));
        } else if Level::named(&self.level).is_none() {
            errors.push(Error::not_supported(&at_level, self.level.as_str(), Level::ALL.map(Level::as_str)));
        }
        let at_paths = path.child("nonResourceURLs");
        for (at, own) in self.paths.iter().enumerate().filter(|(_, own)| *own != "*") {
            let mut invalid = |why: &str| errors.push(Error::invalid(&at_paths.index(at), own.as_str(), why));
            if !own.starts_with('/') {
                invalid("non-resource URL rules must begin with a '/' character");
            }
            if own.char_indices().any(|(place, sign)| sign == '*' && place + 1 < own.len()) {
                invalid("non-resource URL wildcards '*' must be the final character of the rule");
            }
        }
        let at_resources = path.child("resources");
        for Resources { group, resources, resource_names } in &self.resources {
            let faults = names::name_is_dns_subdomain(group, false);
            if !matches!(group.as_str(), "" | "*") && !faults.is_empty() {
                errors.push(Error::invalid(&at_resources.child("group"), group.as_str(), faults.join(",")));
            }
            if !resource_names.is_empty() && resources.is_empty() {
                let why = "using resourceNames requires at least one resource";
                errors.push(Error::invalid(&at_resources.child("resourceNames"), json!(resource_names), why));
            }
        }
        stages(&self.omit_stages, &path.child("omitStages"), errors);
        let is_about_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if !self.paths.is_empty() && is_about_resources {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(Error::invalid(&at_paths, json!(self.paths), why));
        }
    }
}

fn stages(names: &[String], path: &Path, errors: &mut ErrorList) {
    for (at, name) in names.iter().enumerate().filter(|(_, name)| Stage::named(name).is_none()) {
        let why = format!("allowed stages are {}", Stage::ALL.map(Stage::as_str).join(","));
        errors.push(Error::invalid(&path.index(at), name.as_str(), why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from kube-apiserver v1.37, which says besides which file that is.
    #[test]
    fn what_is_wrong_is_told_in_upstreams_words() {
        let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
        let refused = |text: &str| File::read(text).unwrap_err();
        for (rest, why) in [
            (
                "rules: {level: None}",
                "failed decoding: json: cannot unmarshal object into Go struct field Policy.rules of type []v1.PolicyRule",
            ),
            (
                "rules: [5]",
                "failed decoding: json: cannot unmarshal number into Go struct field Policy.rules of type v1.PolicyRule",
            ),
            (
                "rules: [{level: None, verbs: get}]",
                "failed decoding: json: cannot unmarshal string into Go struct field PolicyRule.rules.verbs of type []string",
            ),
            (
                "rules: [{level: None, resources: [{resources: [5]}]}]",
                "failed decoding: json: cannot unmarshal number into Go struct field GroupResources.rules.resources.resources of type string",
            ),
            (
                "rules: [{level: 5}]",
                "failed decoding: json: cannot unmarshal number into Go struct field PolicyRule.rules.level of type v1.Level",
            ),
            (
                "omitStages: [5]\nrules: [{level: None}]",
                "failed decoding: json: cannot unmarshal number into Go struct field Policy.omitStages of type v1.Stage",
            ),
            (
                "omitManagedFields: 5\nrules: [{level: None}]",
                "failed decoding: json: cannot unmarshal number into Go struct field Policy.omitManagedFields of type bool",
            ),
            (
                "rules: [{level: All}]",
                "rules[0].level: Unsupported value: \"All\": supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\"",
            ),
            ("rules: [{verbs: [get]}]", "rules[0].level: Required value"),
            (
                "omitStages: [Foo]\nrules: [{level: None, omitStages: [Bar]}]",
                "[omitStages[0]: Invalid value: \"Foo\": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic, rules[0].omitStages[0]: Invalid value: \"Bar\": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic]",
            ),
            ("", "loaded illegal policy with 0 rules"),
        ] {
            assert_eq!(refused(&format!("{head}{rest}\n")), why);
        }
        let nameless = "unknown group version field audit.k8s.io/__internal, Kind=Policy in policy";
        assert_eq!([refused(""), refused("rules: [{level: None}]")], [nameless, nameless]);
        let other = "failed decoding: no kind \"Policy\" is registered for version \"audit.k8s.io/v1beta1\" in scheme \"pkg/runtime/scheme.go:111\"";
        assert_eq!(refused("apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]\n"), other);
    }

    #[test]
    fn what_is_unknown_or_there_twice_passes() {
        let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verb: [get]}]\n";
        assert_eq!(File::read(text).unwrap().rules.len(), 1);
        let twice = format!("{text}rules: [{{level: None}}, {{level: None}}]\n");
        assert_eq!(File::read(&twice).unwrap().rules.len(), 2, "the last counts");
    }
}
