//! `--admission-control-config-file`: what each plugin is told besides being on or off.
//!
//! The file names plugins, and for each either holds its configuration or the path of a file that does. Two plugins are older than the
//! format: a file that is the configuration of one of them is taken for both.
//! Upstream: k8s.io/apiserver/pkg/admission.ReadAdmissionConfiguration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use json::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const VERSIONS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
const KIND: &str = "AdmissionConfiguration";
/// The plugins that are older, and the field their configuration is known by.
const LEGACY: [(&str, &str); 2] =
    [("ImagePolicyWebhook", "imagePolicy"), ("PodNodeSelector", "podNodeSelectorPluginConfig")];

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("unable to read admission control configuration from {file:?} [{source}]")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("admission control configuration {file:?}: {why}")]
    Malformed {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The configurations by the names of their plugins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configurations(BTreeMap<String, Value>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[allow(dead_code, reason = "checked before; here it is only known")]
    api_version: String,
    #[allow(dead_code, reason = "checked before; here it is only known")]
    kind: String,
    #[serde(default)]
    plugins: Vec<Plugin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugin {
    name: String,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    configuration: Option<Value>,
}

impl Configurations {
    /// Reads the file, and those it names, which are looked for beside it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(file: &Path) -> Result<Configurations, Error> {
        let document = yaml(file)?;
        let malformed = |why: String| Error::Malformed { file: file.to_owned(), why };
        if document["kind"].is_null() && LEGACY.iter().any(|(_, field)| !document[*field].is_null()) {
            let of_both = LEGACY.iter().map(|(name, _)| ((*name).to_owned(), document.clone()));
            return Ok(Configurations(of_both.collect()));
        }
        if !is_of(&document, &VERSIONS, KIND) {
            return Err(malformed(format!("no kind {KIND:?} of apiVersion {}", VERSIONS[0])));
        }
        let document: Document = json::from_value(document).map_err(|error| malformed(error.to_string()))?;
        let mut all = BTreeMap::new();
        for Plugin { name, path, configuration } in document.plugins {
            let own = match (configuration, path.filter(|path| !path.as_os_str().is_empty())) {
                (Some(own), _) => own,
                (None, Some(path)) => yaml(&file.parent().unwrap_or(Path::new("")).join(path))?,
                (None, None) => continue,
            };
            // The first of a name counts.
            all.entry(name).or_insert(own);
        }
        Ok(Configurations(all))
    }

    /// That of a plugin, if it has one.
    pub(super) fn of(&self, plugin: &str) -> Option<&Value> {
        self.0.get(plugin)
    }

    /// That of a plugin, which must be a `kind` in one of these versions.
    pub(super) fn versioned<T: DeserializeOwned>(
        &self,
        plugin: &str,
        versions: &[&str],
        kind: &str,
    ) -> Result<Option<T>, String> {
        let Some(own) = self.of(plugin) else { return Ok(None) };
        if !is_of(own, versions, kind) {
            return Err(format!(
                "no kind {:?} is registered for version {:?}",
                own["kind"].as_str().unwrap_or_default(),
                own["apiVersion"].as_str().unwrap_or_default()
            ));
        }
        let mut fields = own.clone();
        if let Some(fields) = fields.as_object_mut() {
            fields.shift_remove("kind");
            fields.shift_remove("apiVersion");
        }
        json::from_value(fields).map(Some).map_err(|error| error.to_string())
    }

    #[cfg(test)]
    pub(super) fn only(plugin: &str, configuration: Value) -> Configurations {
        Configurations(BTreeMap::from([(plugin.to_owned(), configuration)]))
    }
}

fn is_of(document: &Value, versions: &[&str], kind: &str) -> bool {
    document["kind"] == kind && versions.iter().any(|version| document["apiVersion"] == *version)
}

fn yaml(file: &Path) -> Result<Value, Error> {
    let text = std::fs::read_to_string(file).map_err(|source| Error::Unreadable { file: file.to_owned(), source })?;
    serde_saphyr::from_str(&text).map_err(|error| Error::Malformed { file: file.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Configurations, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("a file for the test");
        }
        let read = Configurations::read(&folder.path().join(files[0].0));
        read.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""))
    }

    #[test]
    fn configurations_are_embedded_or_in_files_beside_it() {
        let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n";
        let plugins = "- {name: A, configuration: {a: 1}}\n- {name: B, path: b.yaml}\n- {name: C}\n- {name: A, configuration: {a: 2}}";
        let all = read(&[("c.yaml", &format!("{head}{plugins}")), ("b.yaml", "b: 2")]).unwrap();
        assert_eq!((all.of("A"), all.of("B"), all.of("C")), (Some(&json!({"a": 1})), Some(&json!({"b": 2})), None));
    }

    #[test]
    fn a_file_of_before_the_format_is_that_of_the_plugins_of_before_it() {
        let all = read(&[("c.yaml", "podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: a=b}")]).unwrap();
        assert_eq!(all.of("PodNodeSelector"), all.of("ImagePolicyWebhook"));
        assert!(all.of("PodNodeSelector").is_some());
    }

    #[test]
    fn what_is_no_configuration_is_told() {
        let other = read(&[("c.yaml", "apiVersion: v1\nkind: Pod")]).unwrap_err();
        assert_eq!(
            other,
            "admission control configuration \"/c.yaml\": no kind \"AdmissionConfiguration\" of apiVersion apiserver.config.k8s.io/v1"
        );
        let odd = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugin: []";
        assert!(read(&[("c.yaml", odd)]).unwrap_err().contains("unknown field"));
        let missing =
            "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: [{name: A, path: no.yaml}]";
        assert!(
            read(&[("c.yaml", missing)])
                .unwrap_err()
                .starts_with("unable to read admission control configuration from \"/no.yaml\"")
        );
    }
}
