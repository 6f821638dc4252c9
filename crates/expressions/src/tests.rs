//! Expressions as upstream answers them: `testdata/expressions.jsonl` and `testdata/syntax.jsonl`, recorded by `conformance/celtool`.

use json::{Value as Json, json};

use crate::{
    Authorization, AuthorizationRequest, Authorize, AuthorizeDecision, Environment, Failure, List, Map, Type,
    UnknownSizes, Value,
};

/// Allows everybody to get pods; errs for the verb "err". As the recorder's.
#[derive(Debug)]
struct Permits;

impl Authorize for Permits {
    fn authorize(&self, request: &AuthorizationRequest) -> AuthorizeDecision {
        if request.verb == "err" {
            return AuthorizeDecision { error: Some("broken".to_owned()), ..AuthorizeDecision::default() };
        }
        if request.resource == "pods" && request.verb == "get" {
            return AuthorizeDecision { allowed: true, reason: "pods are open".to_owned(), error: None };
        }
        AuthorizeDecision { allowed: false, reason: format!("no {}", request.verb), error: None }
    }
}

/// The environment the answers were recorded in.
fn recorded_environment() -> Environment {
    Environment::for_stored()
        .variable("i", Type::Int)
        .variable("u", Type::Uint)
        .variable("x", Type::Double)
        .variable("b", Type::Bool)
        .variable("s", Type::String)
        .variable("by", Type::Bytes)
        .variable("l", Type::list(Type::Int))
        .variable("ls", Type::list(Type::String))
        .variable("m", Type::map(Type::String, Type::Int))
        .variable("t", Type::Timestamp)
        .variable("d", Type::Duration)
        .variable("object", Type::Dyn)
        .variable("authorizer", Type::opaque("kubernetes.authorization.Authorizer"))
}

fn object() -> Json {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web", "tier": "front"}},
        "spec": {
            "replicas": 3, "ratio": 0.5, "enabled": true, "nothing": null,
            "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
            "args": ["a", "b", "c"], "empty": [], "text": "héllo",
        },
    })
}

/// A value as the recorder writes it.
fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "NULL_VALUE".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) if value.is_infinite() => format!("{}Infd", if *value > 0.0 { "+" } else { "-" }),
        Value::Double(value) => format!("{}d", api::go_text::float(*value)),
        Value::String(text) => api::go_text::quote(text),
        Value::Bytes(bytes) => {
            bytes.iter().fold("b\"".to_owned(), |text, byte| match byte {
                b' '..=b'~' => format!("{text}{}", char::from(*byte)),
                0xc3 | 0xa9 => text + if *byte == 0xa9 { "é" } else { "" },
                other => format!("{text}\\x{other:02x}"),
            }) + "\""
        }
        Value::Timestamp(time) => format!("timestamp({time})"),
        Value::Duration(nanoseconds) => format!("duration({})", api::duration::format(*nanoseconds)),
        Value::Optional(None) => "none".to_owned(),
        Value::Optional(Some(value)) => format!("some({})", show(value)),
        Value::Type(name) => format!("type({name})"),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(|item| show(&item.expect("items are untyped"))).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) if map.len() == 1 => {
            let key = map.keys().remove(0);
            let value = map.get(&key).and_then(Result::ok).expect("the key is there");
            format!("{{{}: {}}}", show(&key), show(&value))
        }
        Value::Map(map) => format!("map of {}", map.len()),
        other => other.type_name().to_owned(),
    }
}

/// What we say of an expression, in the recorder's words.
fn answer(environment: &Environment, variables: &[Value<'_>], expression: &str) -> Json {
    let mut answer = json!({"expression": expression});
    let checked = match environment.check(expression) {
        Ok(checked) => checked,
        Err(error) => {
            answer["compile"] = Json::from(error.to_string());
            return answer;
        }
    };
    answer["type"] = Json::from(checked.output().declared_name());
    let cost = checked.estimate(&UnknownSizes);
    answer["static"] = json!([cost.min, cost.max]);
    let program = match checked.program() {
        Ok(program) => program,
        Err(error) => {
            answer["error"] = Json::from(format!("program: {error}"));
            return answer;
        }
    };
    let evaluation = program.evaluate(variables);
    answer["cost"] = Json::from(evaluation.cost);
    match evaluation.result {
        Ok(value) => answer["value"] = Json::from(show(&value)),
        Err(failure) => answer["error"] = Json::from(failure.to_string()),
    }
    answer
}

#[test]
fn expressions_are_worth_what_upstream_recorded() {
    check(include_str!("../testdata/expressions.jsonl"));
}

#[test]
fn texts_that_are_no_expressions_are_told_so_in_upstreams_words() {
    check(include_str!("../testdata/syntax.jsonl"));
}

/// Every line is answered as recorded.
fn check(recorded: &str) {
    let environment = recorded_environment();
    let object = object();
    let numbers = Value::list(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
    let texts = Value::list(vec![Value::text("a"), Value::text("b"), Value::text("a")]);
    let map = json!({"one": 1});
    let time = api::meta::time::parse("2024-02-29T13:14:15.16Z").expect("it is a time");
    let variables = [
        Value::Int(5),
        Value::Uint(7),
        Value::Double(2.5),
        Value::Bool(true),
        Value::text("hello"),
        Value::Bytes(b"abc".as_slice().into()),
        numbers,
        texts,
        Value::untyped(&map),
        Value::Timestamp(time.into()),
        Value::Duration(90 * 60 * 1_000_000_000),
        Value::untyped(&object),
        Value::Authorization(Authorization::new(&Permits)),
    ];
    let mut differing = Vec::new();
    for line in recorded.lines() {
        let mut expected: Json = json::from_str(line).expect("a line is JSON");
        let expression = expected["expression"].as_str().expect("each has a text").to_owned();
        let mut actual = answer(&environment, &variables, &expression);
        if expected.get("error").is_some() {
            // What was paid before something failed is nobody's business.
            for answer in [&mut expected, &mut actual] {
                answer.as_object_mut().expect("an answer is an object").remove("cost");
            }
        }
        if actual != expected {
            differing.push(format!("{expression}\n  upstream {expected}\n  ours     {actual}"));
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn deep_expressions_are_refused_before_they_cost_the_stack() {
    let environment = Environment::for_new();
    for text in [
        "(".repeat(5000) + "1" + &")".repeat(5000),
        "[".repeat(5000),
        "1".to_owned() + &" + 1".repeat(5000),
        "a".to_owned() + &".b".repeat(5000),
        "-(".repeat(5000),
    ] {
        let error = environment.check(&text).unwrap_err();
        assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
    }
    // The walk after an error is bounded as well, and ends.
    for text in ["1 ".repeat(40_000), "(".repeat(240), "[{1: f(".repeat(70), "-1 + (".repeat(120), "a.".repeat(240)] {
        let error = environment.check(&text).unwrap_err();
        assert!(error.to_string().contains("Syntax error: "), "{error}");
    }
}

#[test]
fn evaluation_ends_where_its_budget_does() {
    let program = Environment::for_new().compile("[1, 2, 3].map(x, [1, 2, 3].map(y, x * y)).size() == 3").unwrap();
    let evaluation = program.evaluate_within(&[], 50);
    assert_eq!(evaluation.result.unwrap_err(), Failure::CostLimit);
    assert!(evaluation.cost > 50);
}

#[test]
fn values_of_objects_are_borrowed() {
    let object = object();
    let program = Environment::for_new().variable("object", Type::Dyn).compile("object.metadata.labels").unwrap();
    let variables = [Value::untyped(&object)];
    match program.evaluate(&variables).result.unwrap() {
        Value::Map(Map::Json(map, _)) => assert!(std::ptr::eq(map, object["metadata"]["labels"].as_object().unwrap())),
        other => panic!("{other:?}"),
    }
    let program = Environment::for_new().variable("object", Type::Dyn).compile("object.spec.ports").unwrap();
    assert!(matches!(program.evaluate(&variables).result.unwrap(), Value::List(List::Json(..))));
}

#[test]
fn claims_are_named_by_escapes_and_count_in_doubles() {
    let claims = json!({"a.b": {"c/d": [{"e-f": 7}]}, "in": 1, "x__y": 2, "__odd__": 3});
    let environment = Environment::for_new().variable("claims", Type::map(Type::String, Type::Dyn));
    let holds = |text: &str| {
        let program = environment.compile(text).unwrap();
        matches!(program.evaluate(&[Value::claims(&claims)]).result.unwrap(), Value::Bool(true))
    };
    for text in [
        "claims.a__dot__b.c__slash__d[0].e__dash__f == 7",
        "type(claims.a__dot__b.c__slash__d[0].e__dash__f) == double",
        "claims['a.b']['c/d'].size() == 1",
        "claims.__in__ == 1 && claims.x__underscores__y == 2 && claims.__odd__ == 3",
        "has(claims.a__dot__b) && !has(claims.a__dash__b)",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn what_an_expression_selects_of_a_variable_is_known() {
    let environment = Environment::for_new().variable("claims", Type::map(Type::String, Type::Dyn));
    let selects = |text: &str| environment.check(text).unwrap().selects("claims", "email");
    for text in [
        "claims.email",
        "has(claims.email)",
        "claims.?email.orValue('')",
        "['a'].map(x, x + claims.email)",
        "{'a': [claims.email.startsWith('b')]}",
    ] {
        assert!(selects(text), "{text}");
    }
    assert!(!selects("claims['email']") && !selects("claims.user.email") && !selects("claims.emails"));
}
