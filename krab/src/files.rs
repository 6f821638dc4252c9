//! Files a user names: read whole, with the path in every complaint.

use std::path::Path;

use anyhow::{Context, Result};

/// The file's text.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Tells once which fields of a configuration file change nothing here.
pub(crate) fn warn_without_effect(path: &Path, fields: &[String]) {
    if !fields.is_empty() {
        tracing::warn!(file = %path.display(), fields = fields.join(", "), "these fields have no effect here");
    }
}
