//! Who owns what after a create, an update or a patch: the writer owns what it changed, and nobody owns what is gone.
//! Upstream: merge.Updater.Update and the managers around it in managedfields/internal.

use std::borrow::Cow;

use json::Value;

use super::compare::{self, Difference, Malformed};
use super::owners::{Operation, Owner, Owners};
use super::{Place, Rules, Unconverted, Writer, described, never_owned};
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
    for (object, which) in [(new, "new"), (live, "live")] {
        let named = |why| format!("failed to convert {which} object ({}) to smd typed: {why}", described(object));
        rules.check(object).map_err(named)?;
    }
    let named = |why| format!("failed to update ManagedFields ({}): {why}", described(new));
    let mut owners = rules.reconciled(owners, live).map_err(named)?;
    let difference = rules.difference(live, new).map_err(|why| named(format!("failed to compare objects: {why}")))?;
    rules.divide(live, new, &difference, &mut owners, None).map_err(named)?;
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
    /// Owners under today's schema, `live` being the object; those of versions that are no more go.
    pub(super) fn reconciled<'a>(&self, owners: Owners<'a>, live: &Value) -> Result<Owners<'a>, Malformed> {
        let mut kept = Vec::with_capacity(owners.0.len() + 1);
        for mut owner in owners.0 {
            match self.in_version(live, &owner.api_version) {
                Ok((place, _)) => {
                    owner.fields = owner.fields.reconciled(place);
                    kept.push(owner);
                }
                Err(Unconverted::NoVersion) => {}
                Err(Unconverted::Failed(why)) => return Err(why),
            }
        }
        Ok(Owners(kept))
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
        let mut others: Vec<OtherVersion<'_>> = Vec::new();
        for owner in owners.0.iter().filter(|owner| owner.api_version != self.api_version && !is_applier(owner)) {
            if !others.iter().any(|other| other.api_version == owner.api_version) {
                let api_version = owner.api_version.to_string();
                let both = self.both_in_version(live, new, &api_version)?;
                others.push(OtherVersion { api_version, both });
            }
        }
        let mut in_others: Vec<(&str, Option<Difference<'_>>)> = Vec::new();
        for OtherVersion { api_version, both } in &others {
            let found = both.as_ref().map(|(place, live, new)| {
                let difference = compare::difference(live, new, *place)?;
                Ok(difference.filtered(self.versions.reset(api_version)))
            });
            let found = found.transpose().map_err(|why: Malformed| format!("failed to compare objects: {why}"))?;
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

    /// Both objects in another version and its schema; None when there is no such version.
    fn both_in_version<'v>(
        &self,
        live: &'v Value,
        new: &'v Value,
        api_version: &str,
    ) -> Result<Option<Both<'_, 'v>>, Malformed> {
        let of = |object: &'v Value, what: &str| match self.in_version(object, api_version) {
            Ok(found) => Ok(Some(found)),
            Err(why) => why.failure(what).map_or(Ok(None), Err),
        };
        let Some((place, live)) = of(live, "failed to convert old object")? else { return Ok(None) };
        let Some((_, new)) = of(new, "failed to convert new object")? else { return Ok(None) };
        Ok(Some((place, live, new)))
    }
}

/// A schema, and the objects before and after in its version.
type Both<'s, 'v> = (Place<'s>, Cow<'v, Value>, Cow<'v, Value>);

/// The two objects in a version that owners use, if there is such a version.
struct OtherVersion<'s> {
    api_version: String,
    both: Option<Both<'s, 's>>,
}
