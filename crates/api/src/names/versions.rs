//! The order of API versions. Upstream: apimachinery/pkg/version.CompareKubeAwareVersionStrings.

use std::cmp::Ordering;

/// Orders versions by how far they have come: `v1` is greater than `v1beta2`, that than `v1alpha1`, and all of them than
/// names that are no versions, which are in reverse alphabetical order.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

/// Maturity, major, minor.
fn parse(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let number = |text: &str| -> Option<u64> {
        let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse().ok() } else { None }
    };
    match (rest.split_once("alpha"), rest.split_once("beta")) {
        (Some((major, minor)), _) => Some((0, number(major)?, number(minor)?)),
        (_, Some((major, minor))) => Some((1, number(major)?, number(minor)?)),
        _ => Some((2, number(rest)?, 0)),
    }
}
