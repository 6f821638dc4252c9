//! Tokens against an issuer on loopback.

use std::sync::{Mutex, OnceLock, PoisonError};

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;
use crate::webhook::testing::{Reply, Server};

/// An issuer: what it serves can be changed while it runs.
pub(super) struct Fake {
    pub(super) url: String,
    authority: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By their names; the last one signs.
    keys: Vec<(String, rcgen::KeyPair)>,
    is_down: bool,
    key_fetches: usize,
    /// Another document, by its path.
    more: Option<(String, String)>,
}

impl Fake {
    pub(super) async fn start() -> Fake {
        let url: Arc<OnceLock<String>> = Arc::default();
        let state: Arc<Mutex<State>> = Arc::default();
        let (own_url, own_state) = (Arc::clone(&url), Arc::clone(&state));
        let server = Server::start(move |path, _| {
            let url = own_url.get().cloned().unwrap_or_default();
            let mut state = own_state.lock().unwrap_or_else(PoisonError::into_inner);
            match path {
                _ if state.is_down => Reply::Raw(503, b"down".to_vec()),
                "/.well-known/openid-configuration" | "/elsewhere" => {
                    Reply::Json(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}))
                }
                "/keys" => {
                    state.key_fetches += 1;
                    Reply::Json(json!({"keys": state.keys.iter().map(|(id, key)| jwk(id, key)).collect::<Vec<_>>()}))
                }
                _ => match &state.more {
                    Some((at, document)) if at == path => Reply::Raw(200, document.clone().into_bytes()),
                    _ => Reply::Raw(404, b"nothing here".to_vec()),
                },
            }
        })
        .await;
        let url = url.get_or_init(|| format!("https://{}", server.address)).clone();
        let fake = Fake { url, authority: server.bundle, state };
        fake.rotate("first");
        fake
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with a key of this name from now on, and shows no other.
    pub(super) fn rotate(&self, id: &str) {
        let key = rcgen::KeyPair::generate().expect("a key");
        self.with(|state| state.keys = vec![(id.to_owned(), key)]);
    }

    pub(super) fn is_down(&self, is_down: bool) {
        self.with(|state| state.is_down = is_down);
    }

    fn key_fetches(&self) -> usize {
        self.with(|state| state.key_fetches)
    }

    /// A token of this issuer for an hour and for the audience `us`, with these claims besides.
    pub(super) fn token(&self, claims: &Value) -> String {
        let mut all = json!({"iss": self.url.as_str(), "aud": "us", "exp": Timestamp::now().as_second() + 3600});
        for (name, value) in claims.as_object().expect("claims") {
            all[name.as_str()] = value.clone();
        }
        self.with(|state| {
            let (id, key) = state.keys.last().expect("a key");
            let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::ES256) };
            let key = EncodingKey::from_ec_der(&key.serialize_der());
            jsonwebtoken::encode(&header, &all, &key).expect("a token")
        })
    }

    /// Its entry in a configuration, with these mappings and rules.
    pub(super) fn jwt(&self, rest: &Value) -> Value {
        let mut jwt = rest.clone();
        jwt["issuer"] = json!({
            "url": self.url.as_str(), "audiences": ["us"], "certificateAuthority": self.authority.as_str(),
        });
        jwt
    }
}

fn jwk(id: &str, key: &rcgen::KeyPair) -> Value {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    // An uncompressed point: 4, then both coordinates.
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": encode(x), "y": encode(y)})
}

/// The simplest mapping.
pub(super) fn by_sub() -> Value {
    json!({"claimMappings": {"username": {"claim": "sub", "prefix": "test:"}}})
}

/// Those of a configuration with these entries, who are asked again soon where they do not answer.
pub(super) fn issuers(jwt: Value, algorithms: &[&str]) -> Issuers {
    let Configuration { issuers, .. } = Configuration::parse(&configuration(jwt)).expect("a configuration");
    let algorithms = algorithms.iter().map(|own| (*own).to_owned()).collect();
    let options = Options { issuers, algorithms, file: None };
    let patience = Duration::from_millis(5);
    Issuers::patient(&options, &[], "server", &Shutdown::new(), patience).expect("a valid configuration")
}

/// All of a configuration, once they have answered.
async fn present(jwt: Value) -> Issuers {
    let issuers = issuers(jwt, &ALGORITHMS);
    for own in issuers.current.load().iter() {
        own.provider.present().await;
    }
    issuers
}

pub(super) async fn ask(issuers: &Issuers, token: &str) -> Result<Option<String>, String> {
    let found = issuers.authenticate_token(token, &[], Timestamp::now()).await;
    found.map(|found| found.map(|found| found.user.name)).map_err(|error| error.to_string())
}

async fn refusal(issuers: &Issuers, token: &str) -> String {
    ask(issuers, token).await.expect_err("this is refused")
}

#[tokio::test]
async fn a_token_must_be_signed_for_us_and_in_its_time() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let issuers = present(json!([fake.jwt(&by_sub())])).await;
    assert_eq!(ask(&issuers, &fake.token(&json!({"sub": "jane"}))).await, Ok(Some("test:jane".to_owned())));
    assert_eq!(
        ask(&issuers, &fake.token(&json!({"sub": "a", "aud": ["x", "us"]}))).await,
        Ok(Some("test:a".to_owned()))
    );
    let audience = refusal(&issuers, &fake.token(&json!({"sub": "a", "aud": ["them"]}))).await;
    assert_eq!(audience, "oidc: verify token: oidc: expected audience \"us\" got [\"them\"]");
    let expired = refusal(&issuers, &fake.token(&json!({"sub": "a", "exp": 1.5}))).await;
    assert!(expired.ends_with("oidc: token is expired (Token Expiry: 1970-01-01 00:00:01 +0000 UTC)"), "{expired}");
    let now = Timestamp::now().as_second();
    let early = refusal(&issuers, &fake.token(&json!({"sub": "a", "nbf": now + 300}))).await;
    assert!(early.contains("before the nbf (not before) time"), "{early}");
    assert!(ask(&issuers, &fake.token(&json!({"sub": "a", "nbf": now + 30}))).await.is_ok(), "clocks differ");
    for never in [
        json!({"sub": "a", "nbf": 1e300}),
        json!({"sub": "a", "nbf": "soon"}),
        json!({"sub": "a", "exp": null}),
        json!({"sub": "a", "iat": {}}),
        json!({"sub": "a", "nonce": 1}),
        json!({"sub": "a", "aud": ["us", 1]}),
    ] {
        assert!(ask(&issuers, &fake.token(&never)).await.is_err(), "{never}");
    }
    let forged = other.token(&json!({"sub": "a", "iss": fake.url.as_str()}));
    let forged = refusal(&issuers, &forged).await;
    assert_eq!(forged, "oidc: verify token: failed to verify signature: failed to verify id token signature");
}

#[tokio::test]
async fn a_token_of_somebody_else_is_somebody_elses_business() {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let both = present(json!([fake.jwt(&by_sub()), other.jwt(&by_sub())])).await;
    assert_eq!(ask(&both, &other.token(&json!({"sub": "a"}))).await, Ok(Some("test:a".to_owned())));
    let one = present(json!([fake.jwt(&by_sub())])).await;
    for foreign in [other.token(&json!({"sub": "a"})), "abc.def".to_owned(), "a.b.c".to_owned(), String::new()] {
        assert_eq!(ask(&one, &foreign).await, Ok(None), "{foreign}");
    }
}

#[tokio::test]
async fn only_algorithms_that_are_allowed_are_looked_at() {
    let fake = Fake::start().await;
    let narrow = issuers(json!([fake.jwt(&by_sub())]), &["RS256"]);
    narrow.current.load()[0].provider.present().await;
    let refused = refusal(&narrow, &fake.token(&json!({"sub": "a"}))).await;
    let wanted = "oidc: id token signed with unsupported algorithm, expected [\"RS256\"] got \"ES256\"";
    assert_eq!(refused, format!("oidc: verify token: {wanted}"));
    let options = Options { algorithms: vec!["HS256".to_owned()], ..Options::default() };
    let refused = Issuers::new(&options, &[], "server", &Shutdown::new()).unwrap_err();
    assert_eq!(refused.to_string(), "oidc: unsupported signing alg: \"HS256\"");
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for() {
    let fake = Fake::start().await;
    let issuers = present(json!([fake.jwt(&by_sub())])).await;
    let old = fake.token(&json!({"sub": "old"}));
    assert!(ask(&issuers, &old).await.is_ok() && ask(&issuers, &old).await.is_ok());
    assert_eq!(fake.key_fetches(), 1, "keys that are known are not fetched again");
    fake.rotate("second");
    assert!(ask(&issuers, &old).await.is_ok(), "nobody asked for other keys yet");
    assert_eq!(ask(&issuers, &fake.token(&json!({"sub": "new"}))).await, Ok(Some("test:new".to_owned())));
    assert_eq!(fake.key_fetches(), 2);
    assert!(ask(&issuers, &old).await.is_err(), "its key is not shown any more");
    fake.is_down(true);
    assert!(ask(&issuers, &fake.token(&json!({"sub": "new"}))).await.is_ok(), "its key is known");
    fake.rotate("third");
    let refused = refusal(&issuers, &fake.token(&json!({"sub": "newer"}))).await;
    assert!(refused.contains("failed to verify signature: fetching keys oidc: get keys failed: 503"), "{refused}");
}

#[tokio::test]
async fn an_issuer_that_is_down_at_first_is_believed_once_it_answers() {
    let fake = Fake::start().await;
    fake.is_down(true);
    let issuers = issuers(json!([fake.jwt(&by_sub())]), &ALGORITHMS);
    let token = fake.token(&json!({"sub": "jane"}));
    assert_eq!(refusal(&issuers, &token).await, "oidc: authenticator not initialized");
    let trouble = issuers.current.load()[0].provider.trouble().unwrap();
    assert!(trouble.contains("is not healthy"), "{trouble}");
    fake.is_down(false);
    issuers.current.load()[0].provider.present().await;
    assert_eq!(ask(&issuers, &token).await, Ok(Some("test:jane".to_owned())));
    assert_eq!(issuers.current.load()[0].provider.trouble(), None);
}

#[tokio::test]
async fn an_issuer_is_found_where_its_configuration_is() {
    let fake = Fake::start().await;
    let mut jwt = fake.jwt(&by_sub());
    jwt["issuer"]["discoveryURL"] = format!("{}/elsewhere", fake.url).into();
    let issuers = present(json!([jwt])).await;
    assert!(ask(&issuers, &fake.token(&json!({"sub": "jane"}))).await.is_ok());
    // One that says it is somebody else is not believed.
    let mut jwt = fake.jwt(&by_sub());
    jwt["issuer"]["discoveryURL"] = format!("{}/elsewhere", fake.url).into();
    jwt["issuer"]["url"] = "https://other.test".into();
    let issuers = super::issuers::issuers(json!([jwt]), &ALGORITHMS);
    let other = fake.token(&json!({"sub": "jane", "iss": "https://other.test"}));
    assert_eq!(refusal(&issuers, &other).await, "oidc: authenticator not initialized");
    let provider = &issuers.current.load()[0].provider;
    let mut trouble = provider.trouble().unwrap();
    while !trouble.contains("did not match") {
        tokio::time::sleep(Duration::from_millis(1)).await;
        trouble = provider.trouble().unwrap();
    }
    assert!(trouble.contains("oidc: issuer did not match the issuer returned by provider"), "{trouble}");
}

#[tokio::test]
async fn groups_that_are_kept_elsewhere_are_fetched() {
    let fake = Fake::start().await;
    let mut rest = by_sub();
    rest["claimMappings"]["groups"] = json!({"claim": "groups", "prefix": ""});
    let issuers = present(json!([fake.jwt(&rest)])).await;
    let groups = fake.token(&json!({"groups": ["far", "away"]}));
    fake.with(|state| state.more = Some(("/groups".to_owned(), groups)));
    let elsewhere = |path: &str| {
        json!({
            "sub": "jane",
            "_claim_names": {"groups": "there"},
            "_claim_sources": {"there": {"endpoint": format!("{}{path}", fake.url)}},
        })
    };
    let found = issuers.authenticate_token(&fake.token(&elsewhere("/groups")), &[], Timestamp::now()).await;
    assert_eq!(found.unwrap().unwrap().user.groups, ["far", "away"]);
    let refused = refusal(&issuers, &fake.token(&elsewhere("/nothing"))).await;
    assert_eq!(
        refused,
        "oidc: could not expand distributed claims: while getting distributed claim \"groups\": error while getting distributed claim JWT: 404 Not Found"
    );
}

#[tokio::test]
async fn issuers_are_counted() {
    let fake = Fake::start().await;
    let issuers = present(json!([fake.jwt(&by_sub())])).await;
    let _ = ask(&issuers, &fake.token(&json!({"sub": "a"}))).await;
    let _ = ask(&issuers, &fake.token(&json!({}))).await;
    let text = component::metrics::encode(&[issuers.registry()]).unwrap();
    for line in [
        "apiserver_authentication_jwt_authenticator_latency_seconds_count{jwt_issuer_hash=\"sha256:",
        "apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info{apiserver_id_hash=\"sha256:",
        "apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds{apiserver_id_hash=\"sha256:",
        "result=\"failure\"} 1\n",
        "result=\"success\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}
