//! Placeholder header, replaced by the owner.
