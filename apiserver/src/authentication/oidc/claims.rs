//! From the claims of a verified token to a user: claim by claim, or by expressions over all claims.
//!
//! Pure: what an issuer's settings say is compiled once ([`super::validation`]), and evaluated for each token at bounded cost.
//! Upstream: apiserver/pkg/authentication/cel, plugin/pkg/authenticator/token/oidc.jwtAuthenticator.AuthenticateToken.

use std::collections::BTreeMap;

use expressions::{Program, Value};
use json::{Value as Json, json};

use crate::authentication::{CREDENTIAL_ID, UserInfo};
use crate::webhook::review::json_kind;

/// What one issuer's claims mean.
#[derive(Debug, Default)]
pub(super) struct Mapper {
    pub(super) username: Origin,
    pub(super) groups: Origin,
    pub(super) uid: Origin,
    /// By key.
    pub(super) extra: Vec<(String, Expression)>,
    /// Claims and their values.
    pub(super) required: Vec<(String, String)>,
    pub(super) claim_rules: Vec<Rule>,
    pub(super) user_rules: Vec<Rule>,
}

/// Where a value comes from.
#[derive(Debug, Default)]
pub(super) enum Origin {
    #[default]
    Nowhere,
    Claim {
        name: String,
        prefix: String,
    },
    Expression(Expression),
}

/// A compiled expression and its text.
#[derive(Debug)]
pub(super) struct Expression {
    text: String,
    program: Program,
}

/// An expression that must be true.
#[derive(Debug)]
pub(super) struct Rule {
    expression: Expression,
    message: String,
}

impl Expression {
    pub(super) fn new(text: &str, program: Program) -> Expression {
        Expression { text: text.to_owned(), program }
    }

    fn evaluate<'a>(&'a self, over: &'a Json) -> Result<Value<'a>, String> {
        let outcome = self.program.evaluate(&[Value::claims(over)]).result;
        outcome.map_err(|why| format!("expression '{}' resulted in error: {why}", self.text))
    }

    fn text(&self, over: &Json, what: &str) -> Result<String, String> {
        match self.evaluate(over)? {
            Value::String(text) => Ok(text.to_string()),
            _ => Err(format!("{what} claim expression must return a string")),
        }
    }

    /// A text or a list of them; empty ones are none. Upstream: convertCELValueToStringList.
    fn texts(&self, over: &Json) -> Result<Vec<String>, String> {
        let wrong = || "expression must return a string or a list of strings".to_owned();
        let items = match self.evaluate(over)? {
            Value::Null => Vec::new(),
            Value::List(items) => items.values().map_err(|_| wrong())?,
            text @ Value::String(_) => vec![text],
            _ => return Err(wrong()),
        };
        let text = |item: Value<'_>| match item {
            Value::String(text) => Ok(text.to_string()),
            _ => Err(wrong()),
        };
        let mut texts = items.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
        texts.retain(|text| !text.is_empty());
        Ok(texts)
    }
}

impl Rule {
    pub(super) fn new(expression: Expression, message: &str) -> Rule {
        Rule { expression, message: message.to_owned() }
    }

    fn check(&self, over: &Json) -> Result<(), String> {
        match self.expression.evaluate(over)? {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => {
                Err(format!("validation expression '{}' failed: {}", self.expression.text, self.message))
            }
            _ => Err("validation expression must return a boolean".to_owned()),
        }
    }
}

impl Mapper {
    /// The user of a token with these claims; the error is upstream's words.
    pub(super) fn user(&self, claims: &Json) -> Result<UserInfo, String> {
        let user = UserInfo {
            name: self.username(claims)?,
            groups: self.groups(claims)?,
            uid: self.uid(claims)?,
            extra: self.extra(claims)?,
        };
        for (claim, wanted) in &self.required {
            if claims.get(claim).is_none() {
                return Err(format!("oidc: required claim {claim} not present in ID token"));
            }
            let value = text_of(claims, claim).map_err(|why| format!("oidc: parse claim {claim}: {why}"))?;
            if value != wanted {
                return Err(format!(
                    "oidc: required claim {claim} value does not match. Got = {value}, want = {wanted}"
                ));
            }
        }
        for rule in &self.claim_rules {
            let failed = |why| format!("oidc: error evaluating claim validation expression: {why}");
            rule.check(claims).map_err(failed)?;
        }
        if !self.user_rules.is_empty() {
            let shown = json!({
                "username": user.name.as_str(), "uid": user.uid.as_str(), "groups": user.groups.clone(), "extra": user.extra,
            });
            for rule in &self.user_rules {
                let failed = |why| format!("oidc: error evaluating user info validation rule: {why}");
                rule.check(&shown).map_err(failed)?;
            }
        }
        Ok(user)
    }

    /// The claim that groups are taken from as it is.
    pub(super) fn groups_claim(&self) -> Option<&str> {
        match &self.groups {
            Origin::Claim { name, .. } => Some(name),
            _ => None,
        }
    }

    fn username(&self, claims: &Json) -> Result<String, String> {
        match &self.username {
            Origin::Nowhere => Err("oidc: no username mapping".to_owned()),
            Origin::Expression(expression) => {
                let name = expression.text(claims, "username");
                let name = name.map_err(|why| format!("oidc: error evaluating username claim expression: {why}"))?;
                match name.is_empty() {
                    true => Err("oidc: empty username via CEL expression is not allowed".to_owned()),
                    false => Ok(name),
                }
            }
            Origin::Claim { name, prefix } => {
                let value = text_of(claims, name);
                let value = value.map_err(|why| format!("oidc: parse username claims {name:?}: {why}"))?;
                if name == "email" {
                    check_email(claims)?;
                }
                Ok(format!("{prefix}{value}"))
            }
        }
    }

    fn groups(&self, claims: &Json) -> Result<Vec<String>, String> {
        match &self.groups {
            Origin::Nowhere => Ok(Vec::new()),
            Origin::Claim { name, prefix } => {
                let Some(value) = claims.get(name) else { return Ok(Vec::new()) };
                let groups = group_names(value).map_err(|why| format!("oidc: parse groups claim {name:?}: {why}"))?;
                Ok(groups.into_iter().map(|group| format!("{prefix}{group}")).collect())
            }
            Origin::Expression(expression) => {
                let groups = expression.texts(claims);
                groups.map_err(|why| format!("oidc: error evaluating group claim expression: {why}"))
            }
        }
    }

    fn uid(&self, claims: &Json) -> Result<String, String> {
        match &self.uid {
            Origin::Nowhere => Ok(String::new()),
            Origin::Claim { name, .. } => {
                let uid = text_of(claims, name).map(str::to_owned);
                uid.map_err(|why| format!("oidc: parse uid claim {name:?}: {why}"))
            }
            Origin::Expression(expression) => {
                let uid = expression.text(claims, "uid");
                uid.map_err(|why| format!("oidc: error evaluating uid claim expression: {why}"))
            }
        }
    }

    fn extra(&self, claims: &Json) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut extra = BTreeMap::new();
        if let Some(id) = claims.get("jti").and_then(Json::as_str).filter(|id| !id.is_empty()) {
            extra.insert(CREDENTIAL_ID.to_owned(), vec![format!("JTI={id}")]);
        }
        for (key, expression) in &self.extra {
            let values = expression.texts(claims);
            let failed = |why| format!("oidc: error evaluating extra claim expression: {}: {why}", expression.text);
            let values = values.map_err(failed)?;
            if !values.is_empty() {
                extra.insert(key.clone(), values);
            }
        }
        Ok(extra)
    }
}

/// A claim's text; null is an empty one.
fn text_of<'a>(claims: &'a Json, name: &str) -> Result<&'a str, String> {
    match claims.get(name) {
        None => Err("claim not present".to_owned()),
        Some(Json::String(text)) => Ok(text),
        Some(Json::Null) => Ok(""),
        Some(other) => Err(mismatch(other, "string")),
    }
}

/// A list of names, or the one there is. Upstream: stringOrArray.
fn group_names(value: &Json) -> Result<Vec<&str>, String> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(name) => Ok(vec![name]),
        Json::Array(names) => {
            let names = names.iter().map(|name| if name.is_null() { Some("") } else { name.as_str() });
            names.collect::<Option<_>>().ok_or_else(|| mismatch(value, "string"))
        }
        other => Err(mismatch(other, "string")),
    }
}

/// An address somebody says is not verified is nobody's name.
fn check_email(claims: &Json) -> Result<(), String> {
    match claims.get("email_verified") {
        None | Some(Json::Bool(true)) => Ok(()),
        Some(Json::Bool(false) | Json::Null) => Err("oidc: email not verified".to_owned()),
        Some(other) => Err(format!("oidc: parse 'email_verified' claim: {}", mismatch(other, "bool"))),
    }
}

fn mismatch(value: &Json, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {wanted}", json_kind(value))
}
