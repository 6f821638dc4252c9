//! Policies by themselves: what they say of an object, and what is wrong with them. Whole requests: server::tests.

use api::field::ErrorList;
use json::{Value, json};

use super::Known;
use super::compiled::Compiled;
use super::conditions::{Evaluator, Inputs};
use super::definition::Validations;
use super::match_conditions::{MatchConditions, Verdict};
use crate::registry::fields::At;

/// The first validation's value and that of its message, or why there is none.
fn evaluate(spec: &Value, object: &Value, budget: u64) -> Result<(String, String), String> {
    let policy = Validations::compile(spec, &Known::All);
    let null = Value::Null;
    let request = json!({"operation": "CREATE", "userInfo": {"username": "jane"}});
    let params = json!({"max": 3});
    let inputs =
        Inputs { object, old: &null, namespace: &null, request: &request, authorizer: None, params: Some(&params) };
    let mut result = Err("not evaluated".to_owned());
    Evaluator::run(&policy.variables, &inputs, budget, &mut |evaluator| {
        let shown = |value: Result<expressions::Value<'_>, String>| {
            value.map(|value| value.to_json().unwrap_or_default().to_string())
        };
        let holds = evaluator.evaluate(&policy.validations[0].expression);
        result = match holds {
            Err(_) => Err("out of budget".to_owned()),
            Ok(holds) => shown(holds).and_then(|holds| {
                let message = policy.validations[0].message_expression.as_ref();
                let message = message.and_then(|message| evaluator.evaluate(message).ok());
                Ok((holds, message.map_or(Ok(String::new()), shown)?))
            }),
        };
    });
    result
}

#[test]
fn variables_see_those_before_them_and_params() {
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "variables": [
            {"name": "count", "expression": "object.spec.replicas"},
            {"name": "excess", "expression": "variables.count - params.max"},
        ],
        "validations": [{"expression": "variables.excess <= 0", "messageExpression": "'too many: ' + string(variables.excess)"}],
    });
    let object = |count: u64| json!({"spec": {"replicas": count}});
    assert_eq!(evaluate(&spec, &object(2), 1_000_000).unwrap().0, "true");
    assert_eq!(evaluate(&spec, &object(5), 1_000_000).unwrap(), ("false".to_owned(), "\"too many: 2\"".to_owned()));
    let why = evaluate(&spec, &json!({}), 1_000_000).unwrap_err();
    assert_eq!(
        why,
        "expression 'variables.excess <= 0' resulted in error: composited variable \"excess\" fails to evaluate: \
         composited variable \"count\" fails to evaluate: no such key: spec"
    );
    assert_eq!(evaluate(&spec, &object(2), 2).unwrap_err(), "out of budget");
}

#[test]
fn a_false_condition_counts_more_than_one_without_a_value() {
    let environment = expressions::admission::environment(&expressions::admission::Declared::default(), true);
    let verdict = |expressions: &[&str]| {
        let conditions: Vec<Value> =
            expressions.iter().map(|expression| json!({"name": expression, "expression": expression})).collect();
        let conditions = MatchConditions::compile(&environment, &Value::Array(conditions), &Known::All);
        let (null, object) = (Value::Null, json!({"a": 1}));
        let inputs =
            Inputs { object: &object, old: &null, namespace: &null, request: &null, authorizer: None, params: None };
        let mut verdict = Verdict::Holds;
        Evaluator::run(&[], &inputs, 1_000_000, &mut |evaluator| verdict = conditions.verdict(evaluator));
        verdict
    };
    assert_eq!(verdict(&["object.a == 1", "true"]), Verdict::Holds);
    assert_eq!(verdict(&["object.b == 1", "object.a == 2"]), Verdict::Fails("object.a == 2".to_owned()));
    let why = "expression 'object.b == 1' resulted in error: no such key: b";
    assert_eq!(verdict(&["object.b == 1", "true"]), Verdict::Errs(why.to_owned()));
}

#[test]
fn what_does_not_compile_is_told_at_its_field() {
    let policy = json!({"spec": {
        "variables": [{"name": "a", "expression": "object.x"}, {"name": "b", "expression": "variables.c"}],
        "validations": [
            {"expression": "variables.a > 1", "messageExpression": "authorizer.path('/x')"},
            {"expression": "object.spec"},
        ],
    }});
    let compiled = Compiled::new(false, &policy["spec"], None);
    let mut errors = ErrorList::new();
    let root = At::root(&policy);
    let spec = root.field("spec");
    for (index, at) in spec.field("variables").items().enumerate() {
        compiled.variable(index, &at, &mut errors);
    }
    for (index, at) in spec.field("validations").items().enumerate() {
        compiled.validation(index, &at, &mut errors);
    }
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        ["spec.variables[1].expression", "spec.validations[0].messageExpression", "spec.validations[1].expression"]
    );
    let texts: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
    assert!(
        texts[0].starts_with("compilation failed: ERROR: <input>:1:10: undefined field 'c'\n | variables.c"),
        "{}",
        texts[0]
    );
    assert!(texts[1].contains("undeclared reference to 'authorizer'"), "{}", texts[1]);
    assert_eq!(texts[2], "must evaluate to bool but got dyn");
}
