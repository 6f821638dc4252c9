//! Server-side apply: a manager says all it wants of an object. What it says is set, what it said last time and no longer
//! says goes unless somebody else owns it, and a field that others own and it wants otherwise is a conflict.
//! Upstream: merge.Updater.Apply and managedfields/internal.FieldManager.Apply.

use json::Value;

use super::conflict::{Conflict, Conflicts};
use super::element::same;
use super::extract::field_set;
use super::owners::{self, Operation, Owner, Owners};
use super::validate::{Repeats, validate};
use super::{Place, Rules, Set, Writer, described, last_applied, merge, never_owned, update};
use crate::{decode, meta};

/// Manager of what an object had before anybody's fields were tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Why a configuration is not applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others own what it would change.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// It is not what the schema says.
    #[error("failed to create typed patch object ({object}): {why}")]
    Configuration {
        /// The object, as upstream names it.
        object: String,
        /// What is wrong.
        why: String,
    },
    /// The live object is not what the schema says.
    #[error("failed to create typed live object ({object}): {why}")]
    Live {
        /// The object, as upstream names it.
        object: String,
        /// What is wrong.
        why: String,
    },
    /// The owners of what was there before the first apply cannot be told.
    #[error("failed to create manager for existing fields: {0}")]
    Existing(String),
    /// The live object's managedFields cannot be read.
    #[error("failed to decode managed fields: {0}")]
    ManagedFields(#[from] owners::Error),
    /// The two cannot be put together.
    #[error("failed to merge config: {0}")]
    Merge(String),
    /// What is no longer applied cannot be told from what others have.
    #[error("failed to prune fields: {0}")]
    Prune(String),
    /// Owners in other versions cannot be told what changed for them.
    #[error("{0}")]
    Owners(String),
}

/// The object that `configuration` makes of `live`, with `metadata.managedFields`; defaults are the caller's to set.
///
/// `live` is an empty object of the kind when there is none. A configuration that changes nothing gives `live`, whose entries
/// may have changed all the same.
pub fn apply(
    rules: &Rules<'_>,
    writer: Writer<'_>,
    force: bool,
    live: &Value,
    configuration: &Value,
) -> Result<Value, Error> {
    let mut applied = attempt(rules, writer, force, live, configuration);
    if writer.manager == last_applied::MANAGER {
        if let Err(Error::Conflicts(conflicts)) = &applied
            && let Some(last) = last_applied::configuration(live)
            && let Some(allowed) = rules.still_as_applied(&last, live)
        {
            let left = refused(conflicts, &allowed);
            applied = if left.0.is_empty() {
                attempt(rules, writer, true, live, configuration)
            } else {
                Err(Error::Conflicts(left))
            };
        }
        if let Ok(object) = &mut applied {
            last_applied::keep_annotation(object, configuration);
        }
    }
    applied
}

/// The conflicts over fields that are not allowed.
fn refused(conflicts: &Conflicts, allowed: &Set<'_>) -> Conflicts {
    let allowed: Vec<String> = allowed.paths().iter().map(ToString::to_string).collect();
    let left = conflicts.0.iter().filter(|Conflict { path, .. }| !allowed.contains(path));
    Conflicts(left.cloned().collect())
}

fn attempt(
    rules: &Rules<'_>,
    writer: Writer<'_>,
    force: bool,
    live: &Value,
    configuration: &Value,
) -> Result<Value, Error> {
    let empty;
    let mut owners = Owners::of(live)?;
    if owners.is_empty() {
        empty = match rules.place {
            Place::Root(schema) => decode::empty(schema),
            _ => Value::Object(json::Map::new()),
        };
        let before = Writer { manager: BEFORE_FIRST_APPLY, ..writer };
        owners = update::change(rules, before, &empty, live, owners).map_err(Error::Existing)?;
        owners.cap();
    }
    validate(configuration, rules.place, Repeats::Refused)
        .map_err(|why| Error::Configuration { object: described(configuration), why })?;
    rules.check(live).map_err(|why| Error::Live { object: described(live), why })?;
    let mut owners = rules.reconciled(owners, live).map_err(Error::Owners)?;
    let merged = merge::merged(live, configuration, rules.place).map_err(Error::Merge)?;
    let fields = rules.reset.apply(field_set(configuration, rules.place));
    let mut applier = writer.owner(rules, Operation::Apply, fields);
    let last = owners.take(&applier);
    applier.time = last.as_ref().and_then(|last| last.time.clone());
    owners.put(applier.clone());
    let object = match last.filter(|last| !rules.covers(&owners, &applier, last)) {
        Some(last) => rules.pruned(merged, &owners, &last).map_err(Error::Prune)?,
        None => merged,
    };
    let difference = rules.difference(live, &object);
    let difference = difference.map_err(|why| Error::Owners(format!("failed to compare objects: {why}")))?;
    let lost = rules.divide(live, &object, &difference, &mut owners, Some(&applier)).map_err(Error::Owners)?;
    if !force && !lost.is_empty() {
        return Err(Error::Conflicts(Conflicts::of(&lost)));
    }
    let changed = !same(live, &object);
    if let Some(mut applier) = owners.take(&applier) {
        applier.fields = applier.fields.minus(never_owned());
        if changed {
            applier.time = Some(writer.now.into());
        }
        if !applier.fields.is_empty() {
            owners.put(applier);
        }
    }
    let managed_fields = owners.encode();
    let mut object = if changed { object } else { live.clone() };
    set_managed_fields(&mut object, managed_fields);
    Ok(object)
}

impl Rules<'_> {
    /// Whether everything applied last is applied again, so that nothing can go, and no owner has to be asked in another version.
    fn covers(&self, owners: &Owners<'_>, applier: &Owner<'_>, last: &Owner<'_>) -> bool {
        let here = |owner: &Owner<'_>| owner.api_version == self.api_version;
        here(last) && owners.iter().all(here) && last.fields.clone().minus(&applier.fields).is_empty()
    }
}

/// Sets `metadata.managedFields`; None takes it away.
pub fn set_managed_fields(object: &mut Value, entries: Option<Value>) {
    let Some(metadata) = meta::metadata_mut(object) else { return };
    match entries {
        Some(entries) => metadata.insert("managedFields", entries),
        None => metadata.shift_remove("managedFields"),
    };
}
