//! How large values can be, for the estimate of what an expression costs.
//!
//! Upstream: cel-go checker.SizeEstimate, schema/cel.sizeEstimator.

use std::sync::Arc;

use crate::schema::Schema;

/// From least to most: of a size or of a cost. Arithmetic stops at the largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeEstimate {
    pub min: u64,
    pub max: u64,
}

impl SizeEstimate {
    pub(crate) const UNKNOWN: SizeEstimate = SizeEstimate { min: 0, max: u64::MAX };

    pub(crate) const fn fixed(size: u64) -> SizeEstimate {
        SizeEstimate { min: size, max: size }
    }

    pub(crate) fn plus(self, other: SizeEstimate) -> SizeEstimate {
        SizeEstimate { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(crate) fn times(self, other: SizeEstimate) -> SizeEstimate {
        SizeEstimate { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Times a factor, rounded up.
    pub(crate) fn scaled(self, factor: f64) -> SizeEstimate {
        // A float turns into the nearest number there is, so what is too large becomes the largest.
        let scale = |size: u64| (size as f64 * factor).ceil() as u64;
        SizeEstimate { min: scale(self.min), max: scale(self.max) }
    }

    pub(crate) fn union(self, other: SizeEstimate) -> SizeEstimate {
        SizeEstimate { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// Tells the size of what a path leads to. A path begins with a variable; `@items`, `@keys`, `@values` and fields follow.
pub trait Sizes {
    /// None where nothing is known.
    fn size(&self, path: &[Arc<str>]) -> Option<SizeEstimate>;
}

/// Nothing is known.
#[derive(Debug, Clone, Copy)]
pub struct UnknownSizes;

impl Sizes for UnknownSizes {
    fn size(&self, _path: &[Arc<str>]) -> Option<SizeEstimate> {
        None
    }
}

/// All variables hold values of one schema: `self` and `oldSelf`.
#[derive(Debug, Clone, Copy)]
pub struct SchemaSizes<'s>(pub &'s Schema);

impl Sizes for SchemaSizes<'_> {
    fn size(&self, path: &[Arc<str>]) -> Option<SizeEstimate> {
        let (_, path) = path.split_first()?;
        if let Some((last, above)) = path.split_last()
            && &**last == "@keys"
        {
            // Keys of maps are strings of which nothing is known but that they are there.
            return matches!(self.0.at(above)?.shape, crate::schema::Shape::Map(_))
                .then_some(SizeEstimate { min: 0, max: 0 });
        }
        self.0.at(path).map(|schema| SizeEstimate { min: 0, max: schema.max_elements })
    }
}
