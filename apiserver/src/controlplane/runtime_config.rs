//! `--runtime-config`: which of the versions and resources that are served by default are not, and the other way round.
//!
//! Here is what upstream serves by default and nothing else, so that only switching off has an effect; switching on what is
//! not here is refused when it is asked for by name.
//! Upstream: k8s.io/apiserver/pkg/server/resourceconfig.MergeAPIResourceConfigs.

use std::collections::BTreeMap;

use api::scheme::{ResourceInfo, Scheme};

/// Why a setting is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// No `=`, or neither true nor false behind it.
    #[error("invalid value {0}; key=true or key=false is expected")]
    Value(String),
    /// Not a group-version, a resource of one, or `api/all` and its like.
    #[error("invalid key {0}; api/all, api/beta, GROUP/VERSION or GROUP/VERSION/RESOURCE is expected")]
    Key(String),
    /// Upstream may know it; krab does not serve it.
    #[error("{0} is not part of krab and cannot be switched on")]
    Missing(String),
}

/// See the module header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// `all`, `ga`, `beta`, `alpha`.
    stages: BTreeMap<String, bool>,
    /// `GROUP/VERSION`
    versions: BTreeMap<String, bool>,
    /// `GROUP/VERSION/RESOURCE`
    resources: BTreeMap<String, bool>,
}

const STAGES: [&str; 4] = ["all", "ga", "beta", "alpha"];

impl RuntimeConfig {
    /// Reads `key=value` items.
    pub fn parse(items: &[&str]) -> Result<RuntimeConfig, Error> {
        let mut config = RuntimeConfig::default();
        for item in items {
            let (key, value) = item.split_once('=').unwrap_or((item, "true"));
            let on = match value {
                "true" | "" => true,
                "false" => false,
                _ => return Err(Error::Value((*item).to_owned())),
            };
            let parts: Vec<&str> = key.split('/').collect();
            let (map, key) = match parts.as_slice() {
                ["api", stage] if STAGES.contains(stage) => (&mut config.stages, (*stage).to_owned()),
                ["api", "legacy"] | [_] => continue,
                [_, _] => (&mut config.versions, key.to_owned()),
                [_, _, _] => (&mut config.resources, key.to_owned()),
                _ => return Err(Error::Key(key.to_owned())),
            };
            map.insert(key, on);
        }
        config.check()
    }

    fn check(self) -> Result<RuntimeConfig, Error> {
        let has = |key: &str| {
            Scheme::builtin().all_resources().any(|info| version_of(info) == key || resource_of(info) == key)
        };
        let wanted = self.versions.iter().chain(&self.resources).filter(|(_, on)| **on);
        match wanted.map(|(key, _)| key).find(|key| !has(key)) {
            Some(missing) => Err(Error::Missing(missing.clone())),
            None => Ok(self),
        }
    }

    /// Is more wanted than there is by default?
    pub fn asks_for_more(&self) -> bool {
        ["all", "beta", "alpha"].iter().any(|stage| self.stages.get(*stage) == Some(&true))
    }

    /// What is served: the table of everything, or one of this process's own that lives as long as it does.
    pub(super) fn scheme(&self) -> &'static Scheme {
        let is_off = |map: &BTreeMap<String, bool>| map.values().any(|on| !on);
        if !is_off(&self.stages) && !is_off(&self.versions) && !is_off(&self.resources) {
            return Scheme::builtin();
        }
        Box::leak(Box::new(Scheme::serving(|info| self.serves(info))))
    }

    /// The most exact setting decides.
    fn serves(&self, info: &ResourceInfo) -> bool {
        let by_name = self.resources.get(&resource_of(info)).or_else(|| self.versions.get(&version_of(info)));
        let stage = match info.version.as_ref() {
            version if version.contains("alpha") => "alpha",
            version if version.contains("beta") => "beta",
            _ => "ga",
        };
        *by_name.or_else(|| self.stages.get(stage)).or_else(|| self.stages.get("all")).unwrap_or(&true)
    }
}

/// As the flag writes it: the core group has no name, and its version stands behind a slash.
fn version_of(info: &ResourceInfo) -> String {
    format!("{}/{}", info.group, info.version)
}

fn resource_of(info: &ResourceInfo) -> String {
    format!("{}/{}", version_of(info), info.plural)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(items: &[&str], group: &str, version: &str, plural: &str) -> bool {
        RuntimeConfig::parse(items).unwrap().scheme().resource(group, version, plural).is_some()
    }

    #[test]
    fn versions_and_resources_are_switched_off() {
        let hpa = |items: &[&str], version: &str| served(items, "autoscaling", version, "horizontalpodautoscalers");
        assert!(hpa(&[], "v1") && hpa(&[], "v2"));
        assert!(!hpa(&["autoscaling/v1=false"], "v1") && hpa(&["autoscaling/v1=false"], "v2"));
        assert!(!served(&["apps/v1/daemonsets=false"], "apps", "v1", "daemonsets"));
        assert!(served(&["apps/v1/daemonsets=false"], "apps", "v1", "deployments"));
        let only_core = ["api/all=false", "/v1=true"];
        assert!(served(&only_core, "", "v1", "pods") && !served(&only_core, "apps", "v1", "deployments"));
    }

    #[test]
    fn what_is_not_here_is_not_switched_on() {
        let refusal = |items: &[&str]| RuntimeConfig::parse(items).unwrap_err();
        assert_eq!(refusal(&["apps/v9=true"]), Error::Missing("apps/v9".to_owned()));
        assert_eq!(refusal(&["apps/v1=maybe"]), Error::Value("apps/v1=maybe".to_owned()));
        assert_eq!(refusal(&["a/b/c/d=true"]), Error::Key("a/b/c/d".to_owned()));
        assert!(RuntimeConfig::parse(&["apps/v9=false", "api/all=true"]).unwrap().asks_for_more());
    }
}
