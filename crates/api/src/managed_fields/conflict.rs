//! What an apply answers when others own what it would change. Upstream: managedfields/internal.NewConflictError.

use std::fmt;

use super::owners::Owner;

/// A field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The manager, as messages name it.
    pub manager: String,
    /// The field.
    pub path: String,
}

/// All of them, by manager; never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl Conflicts {
    /// The fields that owners would lose.
    pub(super) fn of(lost: &[Owner<'_>]) -> Self {
        let mut lost: Vec<&Owner<'_>> = lost.iter().collect();
        lost.sort_by_cached_key(|owner| owner.identifier());
        let conflicts = lost.into_iter().flat_map(|owner| {
            let of_owner = move |path: super::Path<'_>| Conflict { manager: owner.to_string(), path: path.to_string() };
            owner.fields.paths().into_iter().map(of_owner)
        });
        Conflicts(conflicts.collect())
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.path);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        for (position, of_manager) in self.0.chunk_by(|a, b| a.manager == b.manager).enumerate() {
            let line = if position > 0 { "\n" } else { "" };
            write!(f, "{line}conflicts with {}:", of_manager[0].manager)?;
            of_manager.iter().try_for_each(|conflict| write!(f, "\n- {}", conflict.path))?;
        }
        Ok(())
    }
}
