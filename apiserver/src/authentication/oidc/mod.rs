//! Tokens of other issuers: OpenID Connect ID tokens, as `--authentication-config` or the `--oidc-*` flags say.
//!
//! A token is looked at only by the issuer it names. [`provider`] finds the issuer's keys, [`keys`] verifies signatures, [`token`]
//! audience and times, [`claims`] makes a user of the claims; [`distributed`] fetches groups that are kept elsewhere, and
//! [`reload`] follows the file.
//! Upstream: apiserver/plugin/pkg/authenticator/token/oidc.

mod claims;
mod configuration;
mod distributed;
mod keys;
mod metrics;
mod provider;
mod reload;
#[cfg(test)]
mod tests;
mod token;
mod validation;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::field::ErrorList;
use arc_swap::ArcSwap;
use component::Shutdown;
use component::metrics::Registry;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::Instant;

use self::claims::Mapper;
pub use self::configuration::{
    ClaimRule, Configuration, ConfigurationError, Extra, Issuer, Mappings, Settings, Source, UserRule,
};
use self::distributed::Resolver;
use self::metrics::Metrics;
use self::provider::{PATIENCE, Provider};
use self::token::{IdToken, quoted};
use super::tokens::{RemoteTokens, TokenUser};
use super::{Anonymous, Error, UserInfo};

/// How long a token that was good is taken to be. Upstream: BuiltInAuthenticationOptions.TokenSuccessCacheTTL.
pub const BELIEVED_FOR: Duration = Duration::from_secs(10);

/// What an issuer may sign with. `--oidc-signing-algs` narrows it.
const ALGORITHMS: [&str; 9] = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];

/// Which issuers are believed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub issuers: Vec<Settings>,
    /// What they may sign with.
    pub algorithms: Vec<String>,
    /// The file that says so, if it is one; it is followed.
    pub file: Option<File>,
}

/// `--authentication-config`
#[derive(Debug, Clone)]
pub struct File {
    path: PathBuf,
    /// What it said when it was read last.
    text: String,
    anonymous: Option<Anonymous>,
}

impl Options {
    /// Those of a file, who may sign with anything that is safe.
    ///
    /// # Errors
    /// The file cannot be read, or is no configuration. What it says is checked by [`Issuers::new`].
    pub fn of_file(path: &Path) -> Result<Options, ConfigurationError> {
        let (Configuration { issuers, anonymous }, text) = Configuration::read(path)?;
        let file = File { path: path.to_owned(), text, anonymous };
        Ok(Options { issuers, algorithms: ALGORITHMS.map(str::to_owned).to_vec(), file: Some(file) })
    }

    /// Who may come without a name, where a file says so.
    pub fn anonymous(&self) -> Option<&Anonymous> {
        self.file.as_ref()?.anonymous.as_ref()
    }
}

/// All issuers; which they are may change.
#[derive(Debug)]
pub struct Issuers {
    algorithms: Vec<String>,
    /// Those this server is itself.
    own: Vec<String>,
    current: ArcSwap<Vec<Arc<Authenticator>>>,
    metrics: Arc<Metrics>,
    patience: Duration,
    shutdown: Shutdown,
}

/// One issuer.
#[derive(Debug)]
struct Authenticator {
    settings: Settings,
    mapper: Mapper,
    provider: Provider,
    resolver: Option<Resolver>,
}

impl Issuers {
    /// Those of the options; `own` are this server's, which is known as `server`.
    ///
    /// # Errors
    /// What is wrong with what is configured.
    pub fn new(
        options: &Options,
        own: &[String],
        server: &str,
        shutdown: &Shutdown,
    ) -> Result<Arc<Issuers>, ConfigurationError> {
        Issuers::patient(options, own, server, shutdown, PATIENCE).map(Arc::new)
    }

    /// As [`Issuers::new`], with another time after which an issuer that does not answer is asked again.
    fn patient(
        options: &Options,
        own: &[String],
        server: &str,
        shutdown: &Shutdown,
        patience: Duration,
    ) -> Result<Issuers, ConfigurationError> {
        if let Some(unknown) = options.algorithms.iter().find(|own| !ALGORITHMS.contains(&own.as_str())) {
            return Err(ConfigurationError::Algorithm(unknown.clone()));
        }
        let metrics = Metrics::new(server).map_err(|error| ConfigurationError::Invalid(error.to_string()))?;
        let issuers = Issuers {
            algorithms: options.algorithms.clone(),
            own: own.to_vec(),
            current: ArcSwap::default(),
            metrics: Arc::new(metrics),
            patience,
            shutdown: shutdown.clone(),
        };
        let anonymous = options.anonymous().cloned();
        let configuration = Configuration { issuers: options.issuers.clone(), anonymous };
        issuers.current.store(Arc::new(issuers.authenticators(&configuration, ErrorList::new())?));
        if let Some(file) = &options.file {
            issuers.metrics.uses(&file.text);
        }
        Ok(issuers)
    }

    /// How they are doing, for `/metrics`.
    pub fn registry(&self) -> Registry {
        self.metrics.registry.clone()
    }

    /// One for each issuer that is configured, where nothing is wrong; `more` is wrong besides. Those whose settings are as
    /// before stay who they are, with their keys.
    fn authenticators(
        &self,
        configuration: &Configuration,
        more: ErrorList,
    ) -> Result<Vec<Arc<Authenticator>>, ConfigurationError> {
        let compiled = validation::compile(configuration, &self.own);
        let (mappers, mut errors) = compiled.map_or_else(|errors| (Vec::new(), errors), |own| (own, ErrorList::new()));
        errors.extend(more);
        if let Some(message) = errors.message() {
            return Err(ConfigurationError::Invalid(message));
        }
        let known = self.current.load();
        let authenticator = |(settings, mapper): (&Settings, Mapper)| {
            if let Some(own) = known.iter().find(|own| own.settings == *settings) {
                return Ok(Arc::clone(own));
            }
            let egress = &settings.issuer.egress_selector_type;
            if !egress.is_empty() {
                return Err(ConfigurationError::Egress(egress.clone()));
            }
            let provider = self.provider(&settings.issuer)?;
            let resolver = mapper.groups_claim().map(Resolver::new);
            Ok(Arc::new(Authenticator { settings: settings.clone(), mapper, provider, resolver }))
        };
        configuration.issuers.iter().zip(mappers).map(authenticator).collect()
    }

    fn provider(&self, issuer: &Issuer) -> Result<Provider, ConfigurationError> {
        let started = Provider::start(issuer, &self.metrics, self.patience, &self.shutdown);
        started.map_err(|error| ConfigurationError::Tls(error.to_string()))
    }

    /// Whose token it is; the error is upstream's words.
    async fn user(&self, own: &Authenticator, mut token: IdToken<'_>, now: Timestamp) -> Result<UserInfo, String> {
        let verified = self.verify(&token, &own.provider, &own.settings.issuer.audiences, now).await;
        verified.map_err(|why| match own.provider.keys() {
            Some(_) => format!("oidc: verify token: {why}"),
            None => "oidc: authenticator not initialized".to_owned(),
        })?;
        if let Some(resolver) = &own.resolver {
            let expanded = resolver.expand(self, own, &mut token.claims, now).await;
            expanded.map_err(|why| format!("oidc: could not expand distributed claims: {why}"))?;
        }
        own.mapper.user(&token.claims)
    }

    /// Is the token its issuer's, for one of these audiences, and in its time?
    async fn verify(
        &self,
        token: &IdToken<'_>,
        provider: &Provider,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<(), String> {
        let keys =
            provider.keys().ok_or_else(|| format!("verifier not initialized for issuer: {:?}", token.issuer()))?;
        if !self.algorithms.contains(&token.algorithm) {
            let (expected, got) = (quoted(&self.algorithms), &token.algorithm);
            return Err(format!("oidc: id token signed with unsupported algorithm, expected {expected} got {got:?}"));
        }
        keys.verify(token, now).await.map_err(|why| format!("failed to verify signature: {why}"))?;
        token.check_types()?;
        token.check_audience(audiences)?;
        token.check_time(now)
    }
}

impl RemoteTokens for Issuers {
    fn authenticate_token<'a>(
        &'a self,
        token: &'a str,
        _audiences: &'a [String],
        now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<TokenUser>, Error>> {
        Box::pin(async move {
            let Some(token) = IdToken::parse(token) else { return Ok(None) };
            let known = self.current.load_full();
            let Some(own) = known.iter().find(|own| own.settings.issuer.url == token.issuer()) else { return Ok(None) };
            let began = Instant::now();
            let user = self.user(own, token, now).await;
            self.metrics.authenticated(&own.settings.issuer.url, user.is_ok(), began.elapsed());
            let user = user.map_err(Error::Token)?;
            Ok(Some(TokenUser { user, audiences: Vec::new() }))
        })
    }
}
