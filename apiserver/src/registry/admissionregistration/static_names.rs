//! Names of configurations that the API server reads from files at its start, and that nobody makes through the API.
//! Upstream: ValidateStaticSuffix, WarningsForStaticSuffix.

use api::field::Error;
use api::meta;
use json::Value;

use super::super::fields::At;

/// What such names end with.
const SUFFIX: &str = ".static.k8s.io";

fn reserved() -> String {
    format!(
        "names ending with \"{SUFFIX}\" are reserved for static manifest-based configurations and cannot be managed via \
         the API"
    )
}

/// Refuses a new object of such a name.
pub(super) fn refused(new: &Value) -> Option<Error> {
    let name = At::root(new).field("metadata").field("name");
    name.str().ends_with(SUFFIX).then(|| name.invalid_str(reserved()))
}

/// What who updates one of before is told.
pub(super) fn warning(new: &Value) -> Option<String> {
    meta::name(new).ends_with(SUFFIX).then(|| format!("metadata.name: {}", reserved()))
}
