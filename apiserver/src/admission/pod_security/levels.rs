//! How much a namespace's pods may do: levels, the versions of their rules, and what labels say of both.
//! Upstream: k8s.io/pod-security-admission/api.

use api::field::{Error, ErrorList, Path};
use json::Value;
use serde::Deserialize;

use crate::registry::fields::at;

const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much is forbidden; the greater, the more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }

    fn parse(text: &str) -> Result<Level, &'static str> {
        let levels = [Level::Privileged, Level::Baseline, Level::Restricted];
        let found = levels.into_iter().find(|level| level.as_str() == text);
        found.ok_or("must be one of privileged, baseline, restricted")
    }
}

/// `latest` or `v1.N`.
fn version(text: &str) -> Result<String, &'static str> {
    let number = text.strip_prefix("v1.").filter(|number| !number.is_empty());
    let is_number =
        |number: &str| number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    if text == "latest" || number.is_some_and(is_number) {
        return Ok(text.to_owned());
    }
    Err("must be \"latest\" or \"v1.x\"")
}

/// A level and the version of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LevelVersion {
    pub(super) level: Level,
    pub(super) version: String,
}

impl Default for LevelVersion {
    fn default() -> LevelVersion {
        LevelVersion { level: Level::default(), version: "latest".to_owned() }
    }
}

impl std::fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.level.as_str(), self.version)
    }
}

impl LevelVersion {
    /// N of `v1.N`; that of the newest version is greater than any.
    pub(super) fn minor(&self) -> u32 {
        let number = self.version.strip_prefix("v1.").and_then(|number| number.parse().ok());
        number.unwrap_or(u32::MAX - 1)
    }

    fn is_equivalent(&self, other: &LevelVersion) -> bool {
        self.level == other.level && (self.level == Level::Privileged || self.version == other.version)
    }

    /// Changed by the two labels of a mode; what they should not be is reported, and `fallback` is the level then.
    fn relabelled(&mut self, labels: &Value, mode: &str, fallback: Level, errors: &mut ErrorList) -> Given {
        let keys = [format!("{PREFIX}{mode}"), format!("{PREFIX}{mode}-version")];
        let [level, version] = keys.each_ref().map(|key| labels[key].as_str());
        let mut complain = |key: &str, value: &str, why: &str| {
            errors.push(Error::invalid(&Path::new("metadata").child("labels").key(key), value, why));
        };
        let mut is_good = true;
        if let Some(text) = level {
            self.level = Level::parse(text).unwrap_or_else(|why| {
                complain(&keys[0], text, why);
                is_good = false;
                fallback
            });
        }
        if let Some(text) = version {
            self.version = self::version(text).unwrap_or_else(|why| {
                complain(&keys[1], text, why);
                "latest".to_owned()
            });
        }
        Given { level: level.is_some(), good_level: level.is_some() && is_good, version: version.is_some() }
    }
}

/// Which labels of a mode there are.
struct Given {
    level: bool,
    good_level: bool,
    version: bool,
}

/// What holds in a namespace, by mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) enforce: LevelVersion,
    pub(super) audit: LevelVersion,
    pub(super) warn: LevelVersion,
}

impl Policy {
    /// What a namespace's labels make of the defaults. Without a level to warn at, it is the one enforced where that is stricter.
    /// Upstream: PolicyToEvaluate.
    pub(super) fn of(namespace: &Value, defaults: &Policy) -> (Policy, ErrorList) {
        let labels = at(namespace, &["metadata", "labels"]);
        let mut errors = ErrorList::default();
        let mut policy = defaults.clone();
        let enforce = policy.enforce.relabelled(labels, "enforce", Level::Restricted, &mut errors);
        policy.audit.relabelled(labels, "audit", Level::Privileged, &mut errors);
        let warn = policy.warn.relabelled(labels, "warn", Level::Privileged, &mut errors);
        if !warn.level && enforce.good_level && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if !warn.version {
                policy.warn.version.clone_from(&policy.enforce.version);
            }
        }
        (policy, errors)
    }

    pub(super) fn is_privileged(&self) -> bool {
        self.modes().iter().all(|(_, own)| own.level == Level::Privileged)
    }

    pub(super) fn is_equivalent(&self, other: &Policy) -> bool {
        self.modes().iter().zip(other.modes()).all(|((_, own), (_, other))| own.is_equivalent(other))
    }

    /// The modes that labels name and that forbid something, as `enforce=baseline:latest`.
    pub(super) fn labelled(&self, namespace: &Value) -> String {
        let labels = at(namespace, &["metadata", "labels"]);
        let is_labelled = |mode: &str| {
            [format!("{PREFIX}{mode}"), format!("{PREFIX}{mode}-version")].iter().any(|key| labels.get(key).is_some())
        };
        let modes = self.modes();
        let said = modes.iter().filter(|(mode, own)| own.level != Level::Privileged && is_labelled(mode));
        said.map(|(mode, own)| format!("{mode}={own}")).collect::<Vec<_>>().join(", ")
    }

    fn modes(&self) -> [(&'static str, &LevelVersion); 3] {
        [("enforce", &self.enforce), ("audit", &self.audit), ("warn", &self.warn)]
    }
}

/// `defaults` of a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Defaults {
    enforce: String,
    enforce_version: String,
    audit: String,
    audit_version: String,
    warn: String,
    warn_version: String,
}

impl Defaults {
    /// The policy; what is wrong goes to `faults`.
    pub(super) fn read(&self, faults: &mut Vec<String>) -> Policy {
        let mut one = |mode: &str, level: &str, text: &str| {
            let mut own = LevelVersion::default();
            let mut complain = |field: String, value: &str, why: &str| {
                faults.push(format!("defaults.{field}: Invalid value: {value:?}: {why}"));
            };
            if !level.is_empty() {
                match Level::parse(level) {
                    Ok(level) => own.level = level,
                    Err(why) => complain(mode.to_owned(), level, why),
                }
            }
            if !text.is_empty() {
                match version(text) {
                    Ok(version) => own.version = version,
                    Err(why) => complain(format!("{mode}-version"), text, why),
                }
            }
            own
        };
        let enforce = one("enforce", &self.enforce, &self.enforce_version);
        let warn = one("warn", &self.warn, &self.warn_version);
        let audit = one("audit", &self.audit, &self.audit_version);
        Policy { enforce, audit, warn }
    }
}
