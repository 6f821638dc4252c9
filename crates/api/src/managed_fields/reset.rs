//! Fields that a write through some endpoint never changes, because the server resets them: they are not owned for being
//! sent. Upstream: rest.ResetFieldsStrategy.

use super::set::Set;

/// What is left out of ownership. Paths are of field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// Everything sent counts.
    #[default]
    Nothing,
    /// These and all below them do not.
    Fields(&'static [&'static [&'static str]]),
}

impl Reset {
    /// A set without what is reset.
    pub(super) fn apply<'a>(self, set: Set<'a>) -> Set<'a> {
        match self {
            Reset::Nothing => set,
            Reset::Fields(paths) => set.minus_whole(&Set::of(paths)),
        }
    }
}
