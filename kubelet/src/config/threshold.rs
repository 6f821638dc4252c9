//! Hard eviction thresholds: an amount, or a share of what there is. Upstream: `eviction/api.ThresholdValue`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::resources::value;

/// Less than this must not be left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// Bytes.
    Amount(i64),
    /// A share of the capacity, 0 to 1. Single precision, as upstream has it: the node's allocatable storage shows the rounding.
    Share(f32),
}

impl Threshold {
    /// Nothing may be too little.
    pub const NONE: Self = Self::Amount(0);

    /// Bytes of `capacity`.
    pub fn of(self, capacity: i64) -> i64 {
        match self {
            Self::Amount(bytes) => bytes,
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as upstream computes it")]
            Self::Share(share) => (capacity as f64 * f64::from(share)) as i64,
        }
    }

    /// `10%` or `100Mi`; none for anything else. Upstream: `eviction.parseThresholdStatement`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => {
                let percent: f32 = percent.parse().ok()?;
                // All of it can never be left: upstream takes that for a threshold that is turned off.
                match percent {
                    100.0 => Some(Self::NONE),
                    0.0..100.0 => Some(Self::Share(percent / 100.0)),
                    _ => None,
                }
            }
            None => {
                let bytes = value(&Quantity(text.to_owned()));
                (bytes > 0 || text.starts_with('0')).then_some(Self::Amount(bytes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_shares_are_read() {
        assert_eq!(Threshold::parse("100Mi"), Some(Threshold::Amount(100 << 20)));
        assert_eq!(Threshold::parse("10%").map(|threshold| threshold.of(1000)), Some(100));
        assert_eq!(Threshold::parse("0%").map(|threshold| threshold.of(1000)), Some(0));
        assert_eq!(Threshold::parse("100%"), Some(Threshold::NONE));
        for nonsense in ["", "x", "-1%", "101%", "%", "NaN%", "-5Mi"] {
            assert_eq!(Threshold::parse(nonsense), None, "{nonsense}");
        }
    }
}
