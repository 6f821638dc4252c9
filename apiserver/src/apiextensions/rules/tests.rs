//! Rules as tables: a schema, an object before and after, and what is said of it.

use api::field::Path;
use json::{Value, json};

use super::check::check;
use super::compile::Place;
use super::evaluate::evaluate;
use expressions::RUNTIME_COST_BUDGET;

fn errors(schema: &Value, old: Option<&Value>, new: &Value) -> Vec<String> {
    let place = Place::compile(schema, true, true).expect("the schema has rules");
    evaluate(&place, new, old, RUNTIME_COST_BUDGET).iter().map(ToString::to_string).collect()
}

fn spec(spec: Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec}})
}

#[test]
fn a_rule_that_does_not_hold_is_an_error_at_its_place() {
    let schema = spec(json!({
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "self.min <= self.max", "message": "min must not exceed max"},
            {"rule": "self.max < 10", "fieldPath": ".max", "reason": "FieldValueForbidden",
             "messageExpression": "'max is ' + string(self.max)"},
        ],
        "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
    }));
    assert_eq!(errors(&schema, None, &json!({"spec": {"min": 1, "max": 2}})), Vec::<String>::new());
    assert_eq!(
        errors(&schema, None, &json!({"spec": {"min": 30, "max": 20}})),
        ["spec: Invalid value: min must not exceed max", "spec.max: Forbidden: max is 20"]
    );
}

#[test]
fn transition_rules_look_at_items_of_the_same_key() {
    let schema = spec(json!({
        "type": "object",
        "properties": {"ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"},
                "port": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]},
            }},
        }},
    }));
    let old = json!({"spec": {"ports": [{"name": "a", "port": 5}, {"name": "b", "port": 7}]}});
    let new =
        json!({"spec": {"ports": [{"name": "b", "port": 6}, {"name": "c", "port": 1}, {"name": "a", "port": 5}]}});
    assert_eq!(
        errors(&schema, Some(&old), &new),
        ["spec.ports[0].port: Invalid value: 6: failed rule: self >= oldSelf"]
    );
    assert_eq!(errors(&schema, None, &new), Vec::<String>::new());
}

#[test]
fn what_was_wrong_before_and_is_not_touched_is_forgiven() {
    let schema = spec(json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self.startsWith('x')"}]},
            "other": {"type": "integer"},
        },
    }));
    let old = json!({"spec": {"name": "a", "other": 1}});
    assert!(errors(&schema, Some(&old), &json!({"spec": {"name": "a", "other": 2}})).is_empty());
    let changed = json!({"spec": {"name": "b", "other": 1}});
    let expected = ["spec.name: Invalid value: \"b\": failed rule: self.startsWith('x')"];
    assert_eq!(errors(&schema, Some(&old), &changed), expected);
}

#[test]
fn optional_old_self_lets_a_rule_speak_on_creation() {
    let schema = spec(json!({
        "type": "integer",
        "x-kubernetes-validations": [
            {"rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 0", "optionalOldSelf": true},
        ],
    }));
    assert!(errors(&schema, None, &json!({"spec": 0})).is_empty());
    assert_eq!(errors(&schema, None, &json!({"spec": 1})).len(), 1);
    assert!(errors(&schema, Some(&json!({"spec": 1})), &json!({"spec": 2})).is_empty());
    assert_eq!(errors(&schema, Some(&json!({"spec": 3})), &json!({"spec": 2})).len(), 1);
}

#[test]
fn expressions_that_mean_nothing_or_cost_too_much_are_refused() {
    let path = Path::new("spec").child("validation").child("openAPIV3Schema");
    let check =
        |schema: &Value| -> Vec<String> { check(schema, &path, false).iter().map(ToString::to_string).collect() };
    let unknown = spec(json!({
        "type": "object", "properties": {"a": {"type": "string"}},
        "x-kubernetes-validations": [{"rule": "self.b == 'x'"}],
    }));
    assert_eq!(
        check(&unknown),
        ["spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: \
          {\"Rule\":\"self.b == 'x'\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\
          \"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b == 'x'\n | ....^"]
    );
    let expensive = |most: Option<u64>| {
        let mut items = json!({"type": "array", "items": {"type": "string"}});
        items["x-kubernetes-validations"] = json!([{"rule": "self.all(x, self.all(y, x == y))"}]);
        if let Some(most) = most {
            items["maxItems"] = json!(most);
            items["items"]["maxLength"] = json!(10);
        }
        spec(json!({"type": "object", "properties": {"items": items}}))
    };
    let errors = check(&expensive(None));
    assert!(errors[0].contains("estimated rule cost exceeds budget by factor of more than 100x"), "{errors:?}");
    assert_eq!(check(&expensive(Some(10))), Vec::<String>::new());
}
