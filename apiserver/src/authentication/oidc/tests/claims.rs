//! From claims to users, without any token.

use super::*;

/// The user as JSON, or the refusal.
fn mapped(mapper: &Mapper, claims: &Value) -> Result<Value, String> {
    let user = mapper.user(claims)?;
    Ok(json!({"name": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra}))
}

/// Each of `(claims, user or refusal)`.
fn check(rest: Value, cases: &[(Value, Result<Value, &str>)]) {
    let mapper = mapper(&rest);
    for (claims, wanted) in cases {
        assert_eq!(mapped(&mapper, claims), wanted.clone().map_err(str::to_owned), "{claims}");
    }
}

fn user(name: &str, uid: &str, groups: &[&str], extra: Value) -> Value {
    json!({"name": name, "uid": uid, "groups": groups.to_vec(), "extra": extra})
}

#[test]
fn claims_are_taken_by_name_behind_their_prefixes() {
    let rest = json!({"claimMappings": {
        "username": {"claim": "sub", "prefix": "test:"},
        "groups": {"claim": "roles", "prefix": "oidc:"},
        "uid": {"claim": "id"},
    }});
    let jti = json!({"authentication.kubernetes.io/credential-id": ["JTI=7"]});
    let all = json!({"sub": "jane", "roles": ["a", "", null], "id": "u", "jti": "7"});
    check(
        rest,
        &[
            (all, Ok(user("test:jane", "u", &["oidc:a", "oidc:", "oidc:"], jti))),
            (json!({"sub": "j", "roles": "a", "id": "u"}), Ok(user("test:j", "u", &["oidc:a"], json!({})))),
            (json!({"sub": "j", "id": null, "jti": 7}), Ok(user("test:j", "", &[], json!({})))),
            (
                json!({"sub": 7}),
                Err("oidc: parse username claims \"sub\": json: cannot unmarshal number into Go value of type string"),
            ),
            (json!({"id": "u"}), Err("oidc: parse username claims \"sub\": claim not present")),
            (json!({"sub": "j"}), Err("oidc: parse uid claim \"id\": claim not present")),
            (
                json!({"sub": "j", "id": "u", "roles": {"a": 1}}),
                Err("oidc: parse groups claim \"roles\": json: cannot unmarshal object into Go value of type string"),
            ),
            (
                json!({"sub": "j", "id": "u", "roles": [1]}),
                Err("oidc: parse groups claim \"roles\": json: cannot unmarshal array into Go value of type string"),
            ),
        ],
    );
}

#[test]
fn an_address_that_is_not_verified_names_nobody() {
    let rest = json!({"claimMappings": {"username": {"claim": "email", "prefix": ""}}});
    check(
        rest,
        &[
            (json!({"email": "a@b.test"}), Ok(user("a@b.test", "", &[], json!({})))),
            (json!({"email": "a@b.test", "email_verified": true}), Ok(user("a@b.test", "", &[], json!({})))),
            (json!({"email": "a@b.test", "email_verified": false}), Err("oidc: email not verified")),
            (
                json!({"email": "a@b.test", "email_verified": "true"}),
                Err("oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool"),
            ),
        ],
    );
}

#[test]
fn expressions_make_users() {
    let rest = json!({"claimMappings": {
        "username": {"expression": "claims.sub + '@' + claims.org__dot__name"},
        "groups": {"expression": "claims.?roles.orValue(null)"},
        "uid": {"expression": "string(claims.exp)"},
        "extra": [
            {"key": "example.org/tenant", "valueExpression": "claims.tenant"},
            {"key": "example.org/teams", "valueExpression": "claims.teams.map(team, team.name)"},
        ],
    }});
    let claims = json!({
        "sub": "jane", "org.name": "acme", "roles": ["a", "", "b"], "exp": 12, "tenant": "", "teams": [{"name": "x"}],
    });
    let changed = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        claims
    };
    check(
        rest,
        &[
            (claims.clone(), Ok(user("jane@acme", "12", &["a", "b"], json!({"example.org/teams": ["x"]})))),
            (
                changed("roles", json!("one")),
                Ok(user("jane@acme", "12", &["one"], json!({"example.org/teams": ["x"]}))),
            ),
            (
                changed("roles", json!([1])),
                Err(
                    "oidc: error evaluating group claim expression: expression must return a string or a list of strings",
                ),
            ),
            (
                changed("tenant", json!({})),
                Err(
                    "oidc: error evaluating extra claim expression: claims.tenant: expression must return a string or a list of strings",
                ),
            ),
            (
                json!({"sub": "jane"}),
                Err(
                    "oidc: error evaluating username claim expression: expression 'claims.sub + '@' + claims.org__dot__name' resulted in error: no such key: org__dot__name",
                ),
            ),
        ],
    );
    let nameless = json!({"claimMappings": {"username": {"expression": "claims.sub"}}});
    check(
        nameless,
        &[
            (json!({"sub": ""}), Err("oidc: empty username via CEL expression is not allowed")),
            (
                json!({"sub": 1}),
                Err("oidc: error evaluating username claim expression: username claim expression must return a string"),
            ),
        ],
    );
}

#[test]
fn rules_must_hold_of_claims_and_of_the_user() {
    let rest = json!({
        "claimMappings": {"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "groups", "prefix": ""}},
        "claimValidationRules": [
            {"claim": "hd", "requiredValue": "example.com"},
            {"expression": "claims.exp - claims.nbf <= 86400.0", "message": "a day at most"},
        ],
        "userValidationRules": [
            {"expression": "!user.username.startsWith('system:')", "message": "reserved"},
            {"expression": "user.groups.all(group, !group.startsWith('system:'))"},
        ],
    });
    let claims = |field: &str, value: Value| {
        let mut claims = json!({"sub": "jane", "groups": ["a"], "hd": "example.com", "nbf": 0, "exp": 86400});
        claims[field] = value;
        claims
    };
    check(
        rest,
        &[
            (claims("x", Value::Null), Ok(user("jane", "", &["a"], json!({})))),
            (
                claims("hd", json!("evil.test")),
                Err("oidc: required claim hd value does not match. Got = evil.test, want = example.com"),
            ),
            (
                claims("hd", json!(1)),
                Err("oidc: parse claim hd: json: cannot unmarshal number into Go value of type string"),
            ),
            (json!({"sub": "jane"}), Err("oidc: required claim hd not present in ID token")),
            (
                claims("exp", json!(86401)),
                Err(
                    "oidc: error evaluating claim validation expression: validation expression 'claims.exp - claims.nbf <= 86400.0' failed: a day at most",
                ),
            ),
            (
                claims("sub", json!("system:admin")),
                Err(
                    "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('system:')' failed: reserved",
                ),
            ),
            (
                claims("groups", json!(["system:masters"])),
                Err(
                    "oidc: error evaluating user info validation rule: validation expression 'user.groups.all(group, !group.startsWith('system:'))' failed: ",
                ),
            ),
        ],
    );
}
