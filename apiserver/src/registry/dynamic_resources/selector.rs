//! Selectors of devices: CEL over one variable, `device`. Upstream: k8s.io/dynamic-resource-allocation/cel.

use std::sync::{Arc, LazyLock};

use api::field::{Error, ErrorList};
use expressions::{Environment, SizeEstimate, Sizes, Type};

use super::super::fields::At;
use super::list;

const MAX_SELECTORS: usize = 32;
const MAX_LENGTH: usize = 10 * 1024;
const MAX_COST: u64 = 1_000_000;
const MAX_DRIVER: u64 = 63;
const MAX_DOMAIN: u64 = 63;
const MAX_ID: u64 = 32;
const MAX_ENTRIES: u64 = 32;
const MAX_ATTRIBUTE: u64 = 64;
const DEVICE: &str = "kubernetes.DRADevice";

static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    let by_domain = |of: Type| Type::map(Type::String, Type::map(Type::String, of));
    let fields = [
        ("driver", Type::String),
        ("allowMultipleAllocations", Type::Bool),
        ("attributes", by_domain(Type::Dyn)),
        ("capacity", by_domain(Type::opaque("kubernetes.Quantity"))),
    ];
    Environment::for_new().variable("device", Type::Object(DEVICE.into())).object(DEVICE, fields)
});

/// How large the parts of a device can be.
#[derive(Debug)]
struct DeviceSizes;

impl Sizes for DeviceSizes {
    fn size(&self, path: &[Arc<str>]) -> Option<SizeEstimate> {
        let steps: Vec<&str> = path.iter().skip(1).map(AsRef::as_ref).collect();
        let max = match steps[..] {
            ["driver"] => MAX_DRIVER,
            ["allowMultipleAllocations"] => 1,
            ["attributes" | "capacity"] => MAX_ENTRIES,
            ["attributes" | "capacity", "@keys"] => MAX_DOMAIN,
            ["attributes" | "capacity", "@values" | "@items"] => MAX_ENTRIES,
            ["attributes" | "capacity", "@values" | "@items", "@keys"] => MAX_ID,
            ["attributes", "@values" | "@items", _] => MAX_ATTRIBUTE,
            _ => return None,
        };
        Some(SizeEstimate { min: 0, max })
    }
}

/// The selectors of a request or a class; `stored` ones have been looked at before.
pub(super) fn selectors(at: &At<'_>, stored: bool, errors: &mut ErrorList) {
    list(at, MAX_SELECTORS, errors, |selector, errors| {
        let cel = selector.field("cel");
        if !cel.is_set() {
            errors.push(cel.required(""));
        } else if !stored {
            expression(&cel.field("expression"), errors);
        }
    });
}

/// Upstream: validateCELExpression.
fn expression(at: &At<'_>, errors: &mut ErrorList) {
    if at.str().len() > MAX_LENGTH {
        errors.push(Error::too_long(&at.path, MAX_LENGTH));
        return;
    }
    let checked = match ENVIRONMENT.check(at.str()) {
        Ok(checked) => checked,
        Err(why) => {
            errors.push(at.invalid_str(format!("compilation failed: {why}")));
            return;
        }
    };
    if !matches!(checked.output(), Type::Bool | Type::Dyn) {
        let detail = format!("must evaluate to bool or the unknown type, not {}", checked.output());
        errors.push(at.invalid_str(detail));
    } else if checked.estimate(&DeviceSizes).max > MAX_COST {
        errors.push(at.forbidden("too complex, exceeds cost limit"));
    }
}
