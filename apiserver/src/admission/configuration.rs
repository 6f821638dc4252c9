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

use crate::configuration_file::shape::{Struct, Type};
use crate::configuration_file::{self, Document};
use crate::registry::fields::items;
use crate::webhook::review::{self, Malformed};

const VERSIONS: [&str; 2] = ["apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1"];
const KIND: &str = "AdmissionConfiguration";
/// The plugins that are older, and the field their configuration is known by.
const LEGACY: [(&str, &str); 2] =
    [("ImagePolicyWebhook", "imagePolicy"), ("PodNodeSelector", "podNodeSelectorPluginConfig")];

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to apply admission: failed to read plugin config: unable to read admission control configuration from {file:?} [open {}: {}]", file.display(), in_go(source))]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("failed to apply admission: failed to read plugin config: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
}

/// A file's error in Go's words.
fn in_go(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// The configurations by the names of their plugins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configurations(BTreeMap<String, Value>);

const FILE: Struct = Struct {
    name: KIND,
    fields: &[("apiVersion", Type::Text), ("kind", Type::Text), ("plugins", Type::List(&Type::One(&PLUGIN)))],
};
const PLUGIN: Struct = Struct {
    name: "AdmissionPluginConfiguration",
    fields: &[("name", Type::Text), ("path", Type::Text), ("configuration", Type::Any)],
};

/// One of the file's; nothing of it need be there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Plugin {
    name: Option<String>,
    path: Option<PathBuf>,
    configuration: Option<Value>,
}

impl Configurations {
    /// Reads the file, and those it names, which are looked for beside it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(file: &Path) -> Result<Configurations, Error> {
        let text = text(file)?;
        let malformed = |why: Malformed| Error::Malformed { why: why.to_string() };
        let document = Document::parse(&text).map_err(malformed)?;
        let object = &document.object;
        if object["kind"].is_null() && LEGACY.iter().any(|(_, field)| !object[*field].is_null()) {
            let of_both = LEGACY.iter().map(|(name, _)| ((*name).to_owned(), object.clone()));
            return Ok(Configurations(of_both.collect()));
        }
        document.must_be(KIND, |version| VERSIONS.contains(&version)).map_err(malformed)?;
        FILE.check(object).map_err(malformed)?;
        document.check_strictly(&FILE).map_err(malformed)?;
        let mut all = BTreeMap::new();
        for plugin in items(object, "plugins") {
            let plugin = json::from_value::<Option<Plugin>>(plugin.clone());
            let plugin = plugin.map_err(|error| malformed(Malformed(error.to_string())))?.unwrap_or_default();
            let Plugin { name, path, configuration } = plugin;
            let own = match (configuration, path.filter(|path| !path.as_os_str().is_empty())) {
                (Some(own), _) => own,
                (None, Some(path)) => yaml(&file.parent().unwrap_or(Path::new("")).join(path))?,
                (None, None) => continue,
            };
            // The first of a name counts.
            all.entry(name.unwrap_or_default()).or_insert(own);
        }
        Ok(Configurations(all))
    }

    /// That of a plugin, if it has one.
    pub(super) fn of(&self, plugin: &str) -> Option<&Value> {
        self.0.get(plugin)
    }

    /// That of a plugin, which must be a `kind` of this shape in one of these versions.
    pub(super) fn versioned<T: DeserializeOwned>(
        &self,
        plugin: &str,
        versions: &[&str],
        kind: &str,
        shape: &Struct,
    ) -> Result<Option<T>, String> {
        let Some(own) = self.of(plugin) else { return Ok(None) };
        let checked = || -> Result<(), Malformed> {
            let text = own.to_string();
            let object = review::parse(text.as_bytes())?;
            configuration_file::must_be(&object, &text, kind, |version| versions.contains(&version))?;
            shape.check(own)?;
            configuration_file::no_strangers(own, shape)
        };
        checked().map_err(|why| why.to_string())?;
        let mut fields = own.clone();
        configuration_file::drop_nulls(&mut fields);
        json::from_value(fields).map(Some).map_err(|error| error.to_string())
    }

    #[cfg(test)]
    pub(super) fn only(plugin: &str, configuration: Value) -> Configurations {
        Configurations(BTreeMap::from([(plugin.to_owned(), configuration)]))
    }
}

fn text(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|source| Error::Unreadable { file: file.to_owned(), source })
}

fn yaml(file: &Path) -> Result<Value, Error> {
    let text = text(file)?;
    serde_saphyr::from_str(&text).map_err(|error| Error::Malformed { why: error.to_string() })
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
        let head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n";
        let refused = |text: &str| {
            let why = read(&[("c.yaml", text)]).unwrap_err();
            why.strip_prefix("failed to apply admission: failed to read plugin config: ").unwrap().to_owned()
        };
        // Recorded from kube-apiserver v1.37.
        for (rest, why) in [
            ("plugin: []", "strict decoding error: unknown field \"plugin\""),
            (
                "plugins: x",
                "json: cannot unmarshal string into Go struct field AdmissionConfiguration.plugins of type []v1.AdmissionPluginConfiguration",
            ),
            (
                "plugins: [5]",
                "json: cannot unmarshal number into Go struct field AdmissionConfiguration.plugins of type v1.AdmissionPluginConfiguration",
            ),
            (
                "plugins: [{name: 5}]",
                "json: cannot unmarshal number into Go struct field AdmissionPluginConfiguration.plugins.name of type string",
            ),
            (
                "plugins: [{name: A, path: no.yaml}]",
                "unable to read admission control configuration from \"/no.yaml\" [open /no.yaml: no such file or directory]",
            ),
        ] {
            assert_eq!(refused(&format!("{head}{rest}")), why);
        }
        let unregistered = "no kind \"Pod\" is registered for version \"v1\" in scheme \"pkg/runtime/scheme.go:111\"";
        assert_eq!(refused("apiVersion: v1\nkind: Pod"), unregistered);
        assert_eq!(refused("plugins: []\n"), "Object 'Kind' is missing in 'plugins: []\n'");
    }
}
