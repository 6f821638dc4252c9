//! What to do about one object, once its owners have been looked up.
//!
//! Upstream: garbagecollector.attemptToDeleteItem.

use super::graph::{Uid, View};

/// An owner as the server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerState {
    /// There, and not waiting for its dependents.
    Solid,
    /// Not there.
    Dangling,
    /// In foreground deletion.
    Waiting,
}

/// The object's own state, read from the server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Live {
    pub has_orphan_finalizer: bool,
    pub has_foreground_finalizer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Keep,
    /// Some owners are left: take the others out.
    RemoveOwners(Vec<Uid>),
    /// Delete with this propagation; `unblock` first makes our own references non-blocking, so that a cycle of
    /// foreground deletions cannot wait for itself.
    Delete {
        propagation: &'static str,
        unblock: bool,
    },
}

pub(super) fn decide(view: &View, owners: &[(Uid, OwnerState)], live: Live) -> Decision {
    if owners.is_empty() {
        return Decision::Keep;
    }
    let has = |wanted: OwnerState| owners.iter().any(|(_, state)| *state == wanted);
    if has(OwnerState::Solid) {
        let gone: Vec<Uid> =
            owners.iter().filter(|(_, state)| *state == OwnerState::Dangling).map(|(uid, _)| uid.clone()).collect();
        let waiting = owners.iter().filter(|(_, state)| *state == OwnerState::Waiting).map(|(uid, _)| uid.clone());
        let all: Vec<Uid> = gone.into_iter().chain(waiting).collect();
        return if all.is_empty() { Decision::Keep } else { Decision::RemoveOwners(all) };
    }
    if has(OwnerState::Waiting) && !view.dependents.is_empty() {
        let unblock = view.dependents.iter().any(|dependent| dependent.deleting_dependents);
        return Decision::Delete { propagation: "Foreground", unblock };
    }
    let propagation = match live {
        Live { has_orphan_finalizer: true, .. } => "Orphan",
        Live { has_foreground_finalizer: true, .. } => "Foreground",
        Live { .. } => "Background",
    };
    Decision::Delete { propagation, unblock: false }
}
