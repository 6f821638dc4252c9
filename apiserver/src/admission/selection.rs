//! `--enable-admission-plugins` and `--disable-admission-plugins`: which of upstream's plugins are to run.
//! Upstream: k8s.io/apiserver/pkg/server/options.AdmissionOptions.

use std::collections::BTreeSet;

use super::configuration::Configurations;
use super::default_toleration_seconds::SECONDS;
use super::plugins::PLUGINS;

/// Why a selection is refused; upstream's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No plugin has this name.
    #[error("{flag} plugin {name:?} is unknown")]
    Unknown { flag: &'static str, name: String },
    /// On and off at once.
    #[error("[{0}] in enable-admission-plugins and disable-admission-plugins overlapped")]
    Overlapping(String),
    /// A plugin cannot be what its configuration says, or has none and needs one.
    #[error("failed to apply admission: couldn't init admission plugin {name:?}: {why}")]
    Plugin { name: &'static str, why: String },
}

/// The plugins that are to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    on: BTreeSet<&'static str>,
    configurations: Configurations,
    toleration_seconds: [i64; 2],
}

impl Selection {
    /// The default ones, with these and without those.
    ///
    /// # Errors
    /// A name is none, or in both lists.
    pub fn new(enabled: &[&str], disabled: &[&str]) -> Result<Selection, Error> {
        for (flag, names) in [("enable-admission-plugins", enabled), ("disable-admission-plugins", disabled)] {
            if let Some(name) = names.iter().find(|name| !PLUGINS.iter().any(|known| known.name == **name)) {
                return Err(Error::Unknown { flag, name: (*name).to_owned() });
            }
        }
        let both: Vec<&str> = enabled.iter().filter(|name| disabled.contains(name)).copied().collect();
        if !both.is_empty() {
            return Err(Error::Overlapping(both.join(" ")));
        }
        Ok(Selection::of(enabled, disabled))
    }

    /// As [`Selection::new`], of names that are known to be good.
    pub(crate) fn of(enabled: &[&str], disabled: &[&str]) -> Selection {
        let on = PLUGINS
            .iter()
            .filter(|plugin| enabled.contains(&plugin.name) || (plugin.by_default && !disabled.contains(&plugin.name)));
        Selection {
            on: on.map(|plugin| plugin.name).collect(),
            configurations: Configurations::default(),
            toleration_seconds: [SECONDS; 2],
        }
    }

    /// These plugins, told this.
    #[must_use]
    pub fn configured(self, configurations: Configurations) -> Selection {
        Selection { configurations, ..self }
    }

    /// These plugins, with pods that stay this long on nodes that are not ready, and on those that are unreachable.
    #[must_use]
    pub fn tolerating(self, not_ready: i64, unreachable: i64) -> Selection {
        Selection { toleration_seconds: [not_ready, unreachable], ..self }
    }

    /// Does this plugin run?
    pub fn runs(&self, name: &str) -> bool {
        self.on.contains(name)
    }

    pub(super) fn toleration_seconds(&self) -> [i64; 2] {
        self.toleration_seconds
    }

    pub(super) fn configurations(&self) -> &Configurations {
        &self.configurations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_changed_by_both_flags() {
        let selection = Selection::new(&["NodeRestriction"], &["ServiceAccount"]).unwrap();
        assert!(selection.runs("NodeRestriction") && selection.runs("NamespaceLifecycle"));
        assert!(!selection.runs("ServiceAccount") && !selection.runs("AlwaysDeny"));
    }

    #[test]
    fn nonsense_is_refused_in_upstreams_words() {
        let refusal = |on: &[&str], off: &[&str]| Selection::new(on, off).unwrap_err().to_string();
        assert_eq!(refusal(&["Nope"], &[]), "enable-admission-plugins plugin \"Nope\" is unknown");
        assert_eq!(refusal(&[], &["Nope"]), "disable-admission-plugins plugin \"Nope\" is unknown");
        let overlapping = refusal(&["Priority"], &["Priority"]);
        assert_eq!(overlapping, "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped");
    }

    /// As `kube-apiserver --help` of v1.37 lists them.
    #[test]
    fn what_runs_by_default_is_what_upstream_says() {
        let said = "NamespaceLifecycle, LimitRanger, ServiceAccount, TaintNodesByCondition, PodSecurity, Priority, \
            DefaultTolerationSeconds, DefaultStorageClass, StorageObjectInUseProtection, PodGroupProtection, \
            PersistentVolumeClaimResize, RuntimeClass, CertificateApproval, CertificateSigning, ClusterTrustBundleAttest, \
            CertificateSubjectRestriction, DefaultIngressClass, PodTopologyLabels, NodeDeclaredFeatureValidator, \
            PodResizeValidator, MutatingAdmissionPolicy, MutatingAdmissionWebhook, ValidatingAdmissionPolicy, \
            ValidatingAdmissionWebhook, ResourceQuota";
        let own: Vec<&str> = PLUGINS.iter().filter(|plugin| plugin.by_default).map(|plugin| plugin.name).collect();
        assert_eq!(own.join(", "), said);
    }
}
