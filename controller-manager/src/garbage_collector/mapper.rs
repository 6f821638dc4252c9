//! From the apiVersion and kind of a reference to the resource to ask, as discovery last said.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::discovery::Discovered;

#[derive(Debug, Default)]
pub(super) struct Mapper {
    kinds: RwLock<HashMap<(String, String), Discovered>>,
}

impl Mapper {
    /// Takes over what discovery found; kinds of groups that failed to answer are kept.
    pub(super) fn update(&self, found: &[Discovered], complete: bool) {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        if complete {
            kinds.clear();
        }
        for one in found {
            kinds.insert((one.resource.group.to_string(), one.resource.kind.to_string()), one.clone());
        }
    }

    /// The resource of a kind, if that version of it is served.
    pub(super) fn resource(&self, api_version: &str, kind: &str) -> Option<Discovered> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let found = kinds.get(&(group.to_owned(), kind.to_owned()))?;
        if !found.served.iter().any(|served| served == version) {
            return None;
        }
        let mut found = found.clone();
        found.resource.version = version.to_owned().into();
        Some(found)
    }
}
