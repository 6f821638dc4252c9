//! What a manager applied last time and no longer applies goes, unless it is owned by somebody else or never was the
//! manager's. Upstream: merge.Updater.prune and its add-backs.

use std::borrow::Cow;

use serde_json::Value;

use super::Rules;
use super::extract::field_set;
use super::owners::{Owner, Owners};
use super::remove::remove;
use super::set::Set;
use crate::meta;

impl Rules<'_> {
    /// `merged` without what only the `last` entry of its manager holds there.
    pub(super) fn pruned(&self, merged: Value, owners: &Owners<'_>, last: &Owner<'_>) -> Value {
        self.without_dropped(&merged, owners, last).unwrap_or(merged)
    }

    /// None when the version of the last entry is no more: then nobody knows what it meant.
    fn without_dropped(&self, merged: &Value, owners: &Owners<'_>, last: &Owner<'_>) -> Option<Value> {
        let version = last.api_version.as_ref();
        let place = self.place_of(version)?;
        let merged_then = self.in_version(merged, version)?;
        let gone = last.fields.clone().with_named_fields(place);
        let mut without = merged_then.clone().into_owned();
        remove(&mut without, &gone, place);
        let without = self.with_owned(merged_then.as_ref(), without, version, owners);
        // What the manager never owned is not its to remove.
        let without = self.in_version(&without, version)?;
        let lost = field_set(&merged_then, place).with_named_fields(place);
        let lost = lost.minus(&field_set(&without, place).with_named_fields(place)).common(&gone);
        let mut result = merged_then.clone().into_owned();
        remove(&mut result, &lost, place);
        self.in_version(&result, self.api_version).map(Cow::into_owned)
    }

    /// `without` with everything back that owners have in `merged`, version by version, `first` first: conversions may need
    /// what was taken.
    fn with_owned(&self, merged: &Value, without: Value, first: &str, owners: &Owners<'_>) -> Value {
        let mut versions = vec![first];
        for owner in owners.iter() {
            if !versions.contains(&owner.api_version.as_ref()) {
                versions.push(&owner.api_version);
            }
        }
        let (mut merged, mut without) = (Cow::Borrowed(merged), without);
        for version in versions {
            let of_version = owners.iter().filter(|owner| owner.api_version == version);
            let managed = of_version.fold(Set::default(), |all, owner| all.plus(owner.fields.clone()));
            let found =
                self.place_of(version).zip(self.in_version(&merged, version)).zip(self.in_version(&without, version));
            let Some(((place, whole), part)) = found else { continue };
            let kept = field_set(&part, place).with_named_fields(place).plus(managed.with_named_fields(place));
            let gone = field_set(&whole, place).with_named_fields(place).minus(&kept);
            let mut back = whole.clone().into_owned();
            remove(&mut back, &gone, place);
            let whole = whole.into_owned();
            without = back;
            merged = Cow::Owned(whole);
        }
        without
    }

    /// An object in a version; None when there is no such version.
    fn in_version<'v>(&self, object: &'v Value, api_version: &str) -> Option<Cow<'v, Value>> {
        if meta::api_version(object) == api_version {
            return Some(Cow::Borrowed(object));
        }
        self.versions.convert(object, api_version).map(Cow::Owned)
    }
}
