//! Who owns what after a create, an update or a patch: the writer owns what it changed, and nobody owns what is gone.
//! Upstream: merge.Updater.Update and the managers around it in managedfields/internal.

use serde_json::Value;

use super::compare::{self, Difference, Malformed};
use super::owners::{Operation, Owner, Owners};
use super::{Rules, Writer, never_owned};
use crate::meta;

/// The `metadata.managedFields` of `new`, which a request made of `live`; None is none.
///
/// `live` is the object before, or an empty object of the kind when `new` is being created. The entries begin as those of
/// the new object, for clients may edit them, or of the live one when the new object has none that can be read.
pub fn after_update(
    rules: &Rules<'_>,
    writer: Writer<'_>,
    live: &Value,
    new: &Value,
) -> Result<Option<Value>, Malformed> {
    let owners = beginning(rules, live, new);
    if owners.is_empty() && !meta::uid(live).is_empty() {
        return Ok(None);
    }
    let mut owners = change(rules, writer, live, new, owners)?;
    owners.cap();
    Ok(owners.encode())
}

/// The owners a request starts from.
fn beginning<'a>(rules: &Rules<'_>, live: &'a Value, new: &'a Value) -> Owners<'a> {
    let sent = meta::metadata(new).and_then(|metadata| metadata.get("managedFields")).and_then(Value::as_array);
    match sent.map(Vec::as_slice) {
        Some(entries @ [_, ..]) if rules.subresource.is_empty() => {
            // A list of one empty entry is how clients ask for a new start.
            if matches!(entries, [only] if only.as_object().is_some_and(|entry| entry.is_empty())) {
                return Owners::default();
            }
            Owners::decode(entries).or_else(|_| Owners::of(live)).unwrap_or_default()
        }
        _ => Owners::of(live).unwrap_or_default(),
    }
}

/// Gives the writer what differs between the objects and takes it from everybody else.
pub(super) fn change<'a>(
    rules: &Rules<'a>,
    writer: Writer<'a>,
    live: &'a Value,
    new: &'a Value,
    owners: Owners<'a>,
) -> Result<Owners<'a>, Malformed> {
    let difference = rules.difference(live, new)?;
    let mut owners = rules.reconciled(owners);
    rules.divide(live, new, &difference, &mut owners, None)?;
    let own = difference.changed.minus(never_owned());
    if own.is_empty() {
        return Ok(owners);
    }
    let mut owner = writer.owner(rules, Operation::Update, own);
    owner.time = Some(writer.now.into());
    if let Some(earlier) = owners.take(&owner) {
        owner.fields = owner.fields.plus(earlier.fields);
    }
    owners.put(owner);
    Ok(owners)
}

impl<'s> Rules<'s> {
    /// Owners under today's schema; those of versions that are no more go.
    pub(super) fn reconciled<'a>(&self, owners: Owners<'a>) -> Owners<'a> {
        let reconciled = owners.0.into_iter().filter_map(|mut owner| {
            let place = self.place_of(&owner.api_version)?;
            owner.fields = owner.fields.reconciled(place);
            Some(owner)
        });
        Owners(reconciled.collect())
    }

    /// Takes from all owners but `applier` what changed and what is gone. Returns what an applier takes from them that changed.
    pub(super) fn divide<'a>(
        &self,
        live: &Value,
        new: &Value,
        difference: &Difference<'_>,
        owners: &mut Owners<'a>,
        applier: Option<&Owner<'_>>,
    ) -> Result<Vec<Owner<'a>>, Malformed> {
        let is_applier = |owner: &Owner<'_>| applier.is_some_and(|applier| owner.is_same(applier));
        let mut others: Vec<OtherVersion> = Vec::new();
        for owner in owners.0.iter().filter(|owner| owner.api_version != self.api_version && !is_applier(owner)) {
            if !others.iter().any(|other| other.api_version == owner.api_version) {
                let api_version = owner.api_version.to_string();
                let both = self.versions.convert(live, &api_version).zip(self.versions.convert(new, &api_version));
                others.push(OtherVersion { api_version, both });
            }
        }
        let mut in_others: Vec<(&str, Option<Difference<'_>>)> = Vec::new();
        for OtherVersion { api_version, both } in &others {
            let found = match (self.place_of(api_version), both) {
                (Some(place), Some((live, new))) => Some(self.filtered(compare::difference(live, new, place)?)),
                _ => None,
            };
            in_others.push((api_version, found));
        }
        let mut lost = Vec::new();
        let mut kept = Vec::with_capacity(owners.0.len() + 1);
        for mut owner in owners.0.drain(..) {
            if !is_applier(&owner) {
                let other = in_others.iter().find(|(api_version, _)| *api_version == owner.api_version);
                let difference = match other {
                    Some((_, Some(difference))) => difference,
                    Some((_, None)) => continue,
                    None => difference,
                };
                if applier.is_some() {
                    let fields = owner.fields.common(&difference.changed);
                    if !fields.is_empty() {
                        lost.push(Owner { fields, ..owner.clone() });
                    }
                }
                owner.fields = owner.fields.minus(&difference.changed).minus(&difference.removed);
            }
            if !owner.fields.is_empty() {
                kept.push(owner);
            }
        }
        owners.0 = kept;
        Ok(lost)
    }
}

/// The two objects in a version that owners use, if there is such a version.
struct OtherVersion {
    api_version: String,
    both: Option<(Value, Value)>,
}
