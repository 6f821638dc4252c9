//! Issuers that serve their documents on loopback, and what becomes of their tokens; and the texts of upstream.

mod claims;
mod issuers;
mod reload;

use json::{Value, json};

use super::claims::Mapper;
use super::configuration::{Configuration, ConfigurationError};
use super::*;

/// How kube-apiserver v1.37.0 refused each of these files, when it was started with `--authentication-config=c.yaml`; "" is
/// where it did not.
const RECORDED: &str = include_str!("../../../testdata/authentication/configurations.jsonl");

/// Why a configuration is refused.
fn refusal(text: &str) -> String {
    let file = || PathBuf::from("c.yaml");
    let refused =
        Configuration::parse(text).map_err(|why| ConfigurationError::File { file: file(), why }).and_then(|own| {
            let compiled = validation::compile(&own, &["https://own.test".to_owned()]);
            compiled.map_err(|errors| ConfigurationError::Invalid(errors.message().unwrap_or_default()))?;
            let egress = own.issuers.iter().map(|own| &own.issuer.egress_selector_type).find(|own| !own.is_empty());
            egress.map_or(Ok(()), |egress| Err(ConfigurationError::Egress(egress.clone())))
        });
    refused.err().map(|error| error.to_string()).unwrap_or_default()
}

/// A configuration with these issuers.
fn configuration(jwt: Value) -> String {
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt}).to_string()
}

/// What maps the claims of an issuer with these mappings and rules.
fn mapper(rest: &Value) -> Mapper {
    let mut jwt = rest.clone();
    jwt["issuer"] = json!({"url": "https://i.test", "audiences": ["us"]});
    let configuration = Configuration::parse(&configuration(json!([jwt]))).expect("a configuration");
    validation::compile(&configuration, &[]).expect("a valid one").remove(0)
}

#[test]
fn configurations_are_refused_in_upstreams_words() {
    let mut differing = Vec::new();
    for line in RECORDED.lines() {
        let case: Value = json::from_str(line).unwrap();
        let text = |field: &str| case[field].as_str().unwrap().to_owned();
        let (own, upstream) = (refusal(&text("config")), text("error"));
        if own != upstream {
            differing.push(format!("{}\n  upstream: {upstream}\n  krab:     {own}", text("name")));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn issuers_are_others_and_not_too_many() {
    let jwt = |url: String| {
        let username = json!({"claim": "sub", "prefix": ""});
        json!({"issuer": {"url": url, "audiences": ["a"]}, "claimMappings": {"username": username}})
    };
    let own = refusal(&configuration(json!([jwt("https://own.test".to_owned())])));
    assert!(own.ends_with("URL must not overlap with disallowed issuers: [https://own.test]"), "{own}");
    let many: Vec<Value> = (0..65).map(|number| jwt(format!("https://{number}.test"))).collect();
    let many = refusal(&configuration(Value::Array(many)));
    assert_eq!(many, "invalid authentication configuration: jwt: Too many: 65: must have at most 64 items");
}
