//! Who owns which field of an object: `metadata.managedFields`, and server-side apply, which rests on it.
//!
//! [`after_update`] says who owns what after any write, [`apply()`] merges an applied configuration into the live object,
//! or names the owners it is in [`Conflict`](apply::Error::Conflicts) with. Both are pure: objects in, objects and entries
//! out; time, the manager's name, other versions of the kind ([`Versions`]) and what the endpoint resets ([`Reset`]) are
//! given. What is owned is a [`Set`] of paths; the schema says at each place what one owner owns ([`Place`]), and where
//! there is none the value does. Objects need defaults set and Go's zero values written, as [`crate::decode`] gives them.
//!
//! Never here: storing, names of resources, HTTP. Upstream: apimachinery/pkg/util/managedfields and structured-merge-diff.

pub mod apply;
mod compare;
mod conflict;
mod element;
mod encoding;
mod extract;
mod last_applied;
mod merge;
mod merge_patch;
mod owners;
mod prune;
mod reconcile;
mod remove;
mod reset;
mod set;
mod shape;
#[cfg(test)]
mod tests;
mod update;
mod validate;

use std::borrow::Cow;
use std::sync::LazyLock;

use json::Value;

pub use apply::{apply, set_managed_fields};
pub use conflict::{Conflict, Conflicts};
pub use element::{BadElement, Element};
pub use merge_patch::merge_patch;
pub use owners::{Error, Operation, Owner, Owners};
pub use reset::Reset;
pub use set::{Path, Set};
pub use shape::Place;
pub use update::after_update;

use compare::{Difference, Malformed};
use validate::{Repeats, validate};

use crate::meta;

/// The other versions of a kind: owners of fields may have named them in any.
pub trait Versions {
    /// The schema of a version; None when there is no such version.
    fn place(&self, api_version: &str) -> Option<Place<'_>>;
    /// What a write does not change of what owners in a version have.
    fn reset(&self, api_version: &str) -> Reset;
    /// An object of any version in another one.
    ///
    /// # Errors
    /// There is no such version, or what upstream says of the failure.
    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, Unconverted>;
}

/// Why an object is not to be had in a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconverted {
    /// The kind has no such version: what owners named in it is forgotten.
    #[error("there is no such version")]
    NoVersion,
    /// It cannot be converted, or is then not what the schema says.
    #[error("{0}")]
    Failed(String),
}

impl Unconverted {
    /// The failure, told after what failed; None where there is no such version.
    fn failure(self, what: &str) -> Option<String> {
        match self {
            Unconverted::NoVersion => None,
            Unconverted::Failed(why) => Some(format!("{what}: {why}")),
        }
    }
}

/// What holds for all writes through one endpoint.
#[derive(Clone, Copy)]
pub struct Rules<'s> {
    /// The version of the objects given, and of new entries.
    pub api_version: &'s str,
    /// Its schema.
    pub place: Place<'s>,
    /// The subresource written through; "" is the object itself.
    pub subresource: &'s str,
    /// What such a write does not change.
    pub reset: Reset,
    /// The other versions.
    pub versions: &'s dyn Versions,
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rules({} {:?})", self.api_version, self.subresource)
    }
}

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// `fieldManager`, or what stands for it.
    pub manager: &'a str,
    /// metav1.Time's form.
    pub now: &'a str,
}

impl<'a> Writer<'a> {
    fn owner(self, rules: &Rules<'_>, operation: Operation, fields: Set<'a>) -> Owner<'a> {
        Owner {
            manager: if self.manager.is_empty() { "unknown".into() } else { self.manager.into() },
            operation,
            api_version: rules.api_version.to_owned().into(),
            time: None,
            subresource: rules.subresource.to_owned().into(),
            fields,
        }
    }
}

/// An object as upstream names it in errors: namespace, name and kind.
fn described(object: &Value) -> String {
    let (version, kind) = (meta::api_version(object), meta::kind(object));
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{}/{}; {slash}{version}, Kind={kind}", meta::namespace(object), meta::name(object))
}

/// Fields the server or the object's identity sets. Upstream: stripMetaManager.
fn never_owned() -> &'static Set<'static> {
    static SET: LazyLock<Set<'static>> = LazyLock::new(|| {
        const IN_METADATA: [&str; 9] = [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ];
        let top = Set::of(&[&["apiVersion"], &["kind"], &["metadata"]]);
        IN_METADATA.iter().fold(top, |set, field| set.plus(Set::of(&[&["metadata", *field]])))
    });
    &SET
}

impl<'s> Rules<'s> {
    fn difference<'a>(&self, old: &'a Value, new: &'a Value) -> Result<Difference<'a>, Malformed>
    where
        's: 'a,
    {
        Ok(compare::difference(old, new, self.place)?.filtered(self.reset))
    }

    /// The schema of a version an owner uses, and an object of any version in it.
    fn in_version<'v>(&self, object: &'v Value, api_version: &str) -> Result<(Place<'_>, Cow<'v, Value>), Unconverted> {
        let own = api_version == self.api_version;
        let place = if own { Some(self.place) } else { self.versions.place(api_version) };
        if meta::api_version(object) == api_version {
            return Ok((place.ok_or(Unconverted::NoVersion)?, Cow::Borrowed(object)));
        }
        let converted = self.versions.convert(object, api_version)?;
        let place = place.ok_or(Unconverted::NoVersion)?;
        validate(&converted, place, Repeats::Refused).map_err(Unconverted::Failed)?;
        Ok((place, Cow::Owned(converted)))
    }

    /// Whether a stored object is what the schema says; a built-in kind's is, since it was decoded.
    fn check(&self, object: &Value) -> Result<(), Malformed> {
        match self.place {
            Place::Root(_) => Ok(()),
            place => validate(object, place, Repeats::Allowed),
        }
    }
}
