//! What a manager applied last time and no longer applies goes, unless it is owned by somebody else or never was the
//! manager's. Upstream: merge.Updater.prune and its add-backs.

use std::borrow::Cow;

use json::Value;

use super::compare::Malformed;
use super::extract::field_set;
use super::owners::{Owner, Owners};
use super::remove::remove;
use super::set::Set;
use super::{Rules, Unconverted};

impl Rules<'_> {
    /// `merged` without what only the `last` entry of its manager holds there. When the version of that entry is no more,
    /// nobody knows what it meant, and everything stays.
    pub(super) fn pruned(&self, merged: Value, owners: &Owners<'_>, last: &Owner<'_>) -> Result<Value, Malformed> {
        if last.fields.is_empty() {
            return Ok(merged);
        }
        let version = last.api_version.as_ref();
        let (place, merged_then) = match self.in_version(&merged, version) {
            Ok(found) => found,
            Err(why) => {
                let failure = why.failure("failed to convert merged object to last applied version");
                return failure.map_or(Ok(merged.clone()), Err);
            }
        };
        let gone = last.fields.clone().with_named_fields(place);
        let mut without = merged_then.clone().into_owned();
        remove(&mut without, &gone, place);
        let without = self
            .with_owned(merged_then.as_ref(), without, version, owners)
            .map_err(|why| format!("failed add back owned items: {why}"))?;
        // What the manager never owned is not its to remove.
        let without = self.in_version(&without, version).map_err(|why| {
            format!("failed add back dangling items: failed to convert pruned object to last applied version: {why}")
        })?;
        let lost = field_set(&merged_then, place).with_named_fields(place);
        let lost = lost.minus(&field_set(&without.1, place).with_named_fields(place)).common(&gone);
        let mut result = merged_then.clone().into_owned();
        remove(&mut result, &lost, place);
        let (_, result) = self.in_version(&result, self.api_version).map_err(|why| why.to_string())?;
        Ok(result.into_owned())
    }

    /// `without` with everything back that owners have in `merged`, version by version, `first` first: conversions may need
    /// what was taken.
    fn with_owned(&self, merged: &Value, without: Value, first: &str, owners: &Owners<'_>) -> Result<Value, Malformed> {
        let mut versions = vec![first];
        for owner in owners.iter() {
            if !versions.contains(&owner.api_version.as_ref()) {
                versions.push(&owner.api_version);
            }
        }
        let (mut merged, mut without) = (Cow::Borrowed(merged), without);
        for version in versions {
            let of = |object, which| match self.in_version(object, version) {
                Ok(found) => Ok(Some(found)),
                Err(Unconverted::NoVersion) => Ok(None),
                Err(why) => Err(format!("failed to convert {which} object at version {version}: {why}")),
            };
            let Some((place, whole)) = of(&merged, "merged")? else { continue };
            let Some((_, part)) = of(&without, "pruned")? else { continue };
            let of_version = owners.iter().filter(|owner| owner.api_version == version);
            let managed = of_version.fold(Set::default(), |all, owner| all.plus(owner.fields.clone()));
            let kept = field_set(&part, place).with_named_fields(place).plus(managed.with_named_fields(place));
            let gone = field_set(&whole, place).with_named_fields(place).minus(&kept);
            let mut back = whole.clone().into_owned();
            remove(&mut back, &gone, place);
            merged = Cow::Owned(whole.into_owned());
            without = back;
        }
        Ok(without)
    }
}
