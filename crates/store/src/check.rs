//! What a comparison of the view with the log found.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Revision};

/// One comparison. Upstream: cacher/consistency.Checker.
#[derive(Debug)]
pub struct Check {
    /// The revision at which both were compared.
    pub revision: Revision,
    /// What they do not agree on; or why that could not be found out.
    pub found: Result<Vec<Difference>, Error>,
}

/// A key of which view and log say different things. A revision is that of the last write, none where the key is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Arc<str>,
    /// What the view says.
    pub shown: Option<Revision>,
    /// What the log says.
    pub stored: Option<Revision>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shown, self.stored) {
            (Some(shown), Some(stored)) => write!(f, "{} (shown {shown}, stored {stored})", self.key),
            (Some(shown), None) => write!(f, "{} (shown {shown}, not stored)", self.key),
            (None, Some(stored)) => write!(f, "{} (not shown, stored {stored})", self.key),
            (None, None) => write!(f, "{}", self.key),
        }
    }
}
