//! `--enable-admission-plugins` and `--disable-admission-plugins`: which of upstream's plugins are to run.
//! Upstream: pkg/kubeapiserver/options/plugins.go, k8s.io/apiserver/pkg/server/options.AdmissionOptions.

use std::collections::BTreeSet;

use super::Chain;

/// Upstream's plugins, and whether each runs unless told otherwise.
const PLUGINS: &[(&str, bool)] = &[
    ("AlwaysAdmit", false),
    ("AlwaysDeny", false),
    ("AlwaysPullImages", false),
    ("CertificateApproval", true),
    ("CertificateSigning", true),
    ("CertificateSubjectRestriction", true),
    ("ClusterTrustBundleAttest", true),
    ("DefaultIngressClass", true),
    ("DefaultStorageClass", true),
    ("DefaultTolerationSeconds", true),
    ("DenyServiceExternalIPs", false),
    ("EventRateLimit", false),
    ("ExtendedResourceToleration", false),
    ("ImagePolicyWebhook", false),
    ("LimitPodHardAntiAffinityTopology", false),
    ("LimitRanger", true),
    ("MutatingAdmissionPolicy", true),
    ("MutatingAdmissionWebhook", true),
    ("NamespaceAutoProvision", false),
    ("NamespaceExists", false),
    ("NamespaceLifecycle", true),
    ("NodeDeclaredFeatureValidator", true),
    ("NodeRestriction", false),
    ("OwnerReferencesPermissionEnforcement", false),
    ("PersistentVolumeClaimResize", true),
    ("PodGroupProtection", true),
    ("PodNodeSelector", false),
    ("PodResizeValidator", true),
    ("PodSecurity", true),
    ("PodTolerationRestriction", false),
    ("PodTopologyLabels", true),
    ("Priority", true),
    ("ResourceQuota", true),
    ("RuntimeClass", true),
    ("ServiceAccount", true),
    ("StorageObjectInUseProtection", true),
    ("TaintNodesByCondition", true),
    ("ValidatingAdmissionPolicy", true),
    ("ValidatingAdmissionWebhook", true),
];

/// Why a selection is refused; upstream's words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No plugin has this name.
    #[error("{flag} plugin {name:?} is unknown")]
    Unknown { flag: &'static str, name: String },
    /// On and off at once.
    #[error("[{0}] in enable-admission-plugins and disable-admission-plugins overlapped")]
    Overlapping(String),
    /// A plugin of upstream's that was asked for by name and is not here.
    #[error("admission plugin {0:?} is not part of krab; leave it out of --enable-admission-plugins")]
    Missing(String),
}

/// The plugins that are to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    on: BTreeSet<&'static str>,
    /// Those of them that do not run by default.
    asked_for: Vec<&'static str>,
}

impl Selection {
    /// The default ones, with these and without those.
    pub fn new(enabled: &[&str], disabled: &[&str]) -> Result<Selection, Error> {
        for (flag, names) in [("enable-admission-plugins", enabled), ("disable-admission-plugins", disabled)] {
            if let Some(name) = names.iter().find(|name| !PLUGINS.iter().any(|(known, _)| known == *name)) {
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
        let on =
            |(name, default): &&(&'static str, bool)| enabled.contains(name) || (*default && !disabled.contains(name));
        let asked_for = PLUGINS.iter().filter(|(name, default)| !default && enabled.contains(name));
        Selection {
            on: PLUGINS.iter().filter(on).map(|(name, _)| *name).collect(),
            asked_for: asked_for.map(|(name, _)| *name).collect(),
        }
    }

    /// Does this plugin run? What is no plugin of upstream's is a part of the server, and always does.
    pub fn runs(&self, name: &str) -> bool {
        self.on.contains(name) || !PLUGINS.iter().any(|(known, _)| *known == name)
    }

    /// Takes what is not to run out of a chain; refuses when a plugin that somebody counts on is not in it.
    pub(crate) fn applied_to(&self, mut chain: Chain) -> Result<Chain, Error> {
        chain.mutating.retain(|plugin| self.runs(plugin.name()));
        chain.validating.retain(|plugin| self.runs(plugin.name()));
        let there = |name: &str| {
            chain.mutating.iter().any(|plugin| plugin.name() == name)
                || chain.validating.iter().any(|plugin| plugin.name() == name)
        };
        match self.asked_for.iter().find(|name| **name != "AlwaysAdmit" && !there(name)) {
            Some(missing) => Err(Error::Missing((*missing).to_owned())),
            None => Ok(chain),
        }
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
        assert!(selection.runs("RBACEscalationCheck"), "a part of the server is no plugin");
    }

    #[test]
    fn nonsense_is_refused_in_upstreams_words() {
        let refusal = |on: &[&str], off: &[&str]| Selection::new(on, off).unwrap_err().to_string();
        assert_eq!(refusal(&["Nope"], &[]), "enable-admission-plugins plugin \"Nope\" is unknown");
        assert_eq!(refusal(&[], &["Nope"]), "disable-admission-plugins plugin \"Nope\" is unknown");
        let overlapping = refusal(&["Priority"], &["Priority"]);
        assert_eq!(overlapping, "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped");
    }

    #[test]
    fn a_plugin_that_is_counted_on_and_missing_is_an_error() {
        let chain = |on: &[&str]| Selection::of(on, &[]).applied_to(Chain::default()).map(|_| ());
        assert_eq!(chain(&["AlwaysPullImages"]), Err(Error::Missing("AlwaysPullImages".to_owned())));
        // What runs by default changes nothing when it is named.
        assert_eq!(chain(&["Priority"]), Ok(()));
    }
}
