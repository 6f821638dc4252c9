//! Quantities as the integers the scheduler counts with, rounded up.

use api::quantity::Quantity;
use serde::{Deserialize, Deserializer};

/// What the scheduler needs of a quantity. It is copied and added for every node and pod, so it holds no decimal.
/// Upstream: `resource.Quantity`, of which only `Value` and `MilliValue` are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount {
    value: i64,
    milli_value: i64,
}

impl Amount {
    /// Whole units, rounded up. Upstream: `Quantity.Value`.
    pub(crate) fn value(self) -> i64 {
        self.value
    }

    /// Thousandths, rounded up. Upstream: `Quantity.MilliValue`.
    pub(crate) fn milli_value(self) -> i64 {
        self.milli_value
    }

    /// Reads a quantity; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let quantity = Quantity::parse(text).ok()?;
        Some(Self { value: quantity.value(), milli_value: quantity.milli_value() })
    }
}

impl<'de> Deserialize<'de> for Amount {
    /// Takes text or a number; what is no quantity counts as nothing, so that one bad object never stops a watch.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self::parse(&text).unwrap_or_default())
    }
}
