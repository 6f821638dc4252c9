//! Which toleration makes which other superfluous. Upstream: pkg/util/tolerations.

use json::Value;

use crate::registry::fields::text;
use crate::registry::validation::same;

/// Does `wide` tolerate all that `narrow` does? Upstream: isSuperset.
fn covers(wide: &Value, narrow: &Value) -> bool {
    if same(wide, narrow) {
        return true;
    }
    let of = |field: &str| (text(wide, field), text(narrow, field));
    let ((wide_key, narrow_key), (wide_effect, narrow_effect)) = (of("key"), of("effect"));
    let any_key = wide_key.is_empty() && text(wide, "operator") == "Exists";
    if (wide_key != narrow_key && !any_key) || !(wide_effect.is_empty() || wide_effect == narrow_effect) {
        return false;
    }
    let seconds = |toleration: &Value| toleration["tolerationSeconds"].as_i64();
    let is_longer = |limit: i64| seconds(narrow).is_none_or(|own| own > limit);
    if wide_effect == "NoExecute" && seconds(wide).is_some_and(is_longer) {
        return false;
    }
    match text(wide, "operator") {
        "Exists" => true,
        "Equal" | "" => text(narrow, "operator") == "Equal" && text(narrow, "value") == text(wide, "value"),
        _ => false,
    }
}

/// All of both, without what others make superfluous. Of equal ones the first stays.
pub(super) fn merged(first: &[Value], second: &[Value]) -> Vec<Value> {
    let all: Vec<&Value> = first.iter().chain(second).collect();
    let mut merged: Vec<Value> = Vec::new();
    for (index, own) in all.iter().enumerate() {
        let is_superfluous = merged.iter().any(|kept| covers(kept, own))
            || all[index + 1..].iter().any(|later| !same(own, later) && covers(later, own));
        if !is_superfluous {
            merged.push((*own).clone());
        }
    }
    merged
}

/// Is each covered by one that is allowed? Nothing allowed is everything.
pub(super) fn are_allowed(tolerations: &[Value], allowed: &[Value]) -> bool {
    allowed.is_empty() || tolerations.iter().all(|own| allowed.iter().any(|wide| covers(wide, own)))
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    #[test]
    fn what_another_toleration_covers_is_left_out() {
        let exists = |key: &str, effect: &str| json!({"key": key, "operator": "Exists", "effect": effect});
        let equal = |value: &str| json!({"key": "a", "operator": "Equal", "value": value, "effect": "NoSchedule"});
        assert_eq!(merged(&[equal("1")], &[exists("a", "")]), [exists("a", "")]);
        assert_eq!(merged(&[exists("a", "")], &[equal("1")]), [exists("a", "")]);
        assert_eq!(merged(&[equal("1")], &[equal("1"), equal("2")]), [equal("1"), equal("2")]);
        assert_eq!(merged(&[exists("a", "NoExecute")], &[exists("", "")]), [exists("", "")]);
        assert_eq!(merged(&[exists("a", "NoExecute")], &[exists("a", "NoSchedule")]).len(), 2);
    }

    #[test]
    fn longer_is_not_covered_by_shorter() {
        let lasting = |seconds: Value| json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds});
        assert!(are_allowed(&[lasting(json!(5))], &[lasting(json!(5))]));
        assert!(are_allowed(&[lasting(json!(5))], &[lasting(Value::Null)]));
        assert!(!are_allowed(&[lasting(json!(6))], &[lasting(json!(5))]));
        assert!(!are_allowed(&[lasting(Value::Null)], &[lasting(json!(5))]));
        assert!(are_allowed(&[lasting(json!(6))], &[]));
    }
}
