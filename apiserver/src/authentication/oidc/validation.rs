//! Does what is written of issuers make sense? If so, it is compiled into what maps their claims.
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver/validation.ValidateAuthenticationConfiguration.

use std::collections::HashSet;
use std::sync::LazyLock;

use api::field::{Error, ErrorList, Path};
use api::names::is_domain_prefixed_path;
use expressions::{Checked, Environment, Type};
use json::Value;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::claims::{Expression, Mapper, Origin, Rule};
use super::configuration::{Configuration, Extra, Issuer, Mappings, Settings, Source};
use crate::registry::validation::url::Url;

const MAX_ISSUERS: usize = 64;

static OVER_CLAIMS: LazyLock<Environment> =
    LazyLock::new(|| Environment::for_stored().variable("claims", Type::map(Type::String, Type::Dyn)));

static OVER_USER: LazyLock<Environment> = LazyLock::new(|| {
    let texts = || Type::list(Type::String);
    let fields = [
        ("username", Type::String),
        ("uid", Type::String),
        ("groups", texts()),
        ("extra", Type::map(Type::String, texts())),
    ];
    let user = "kubernetes.UserInfo";
    Environment::for_stored().object(user, fields).variable("user", Type::Object(user.into()))
});

/// What maps the claims of each issuer; `own` are the issuers this server is itself.
pub(super) fn compile(configuration: &Configuration, own: &[String]) -> Result<Vec<Mapper>, ErrorList> {
    let mut validation = Validation::default();
    let (root, issuers) = (Path::new("jwt"), &configuration.issuers);
    if issuers.len() > MAX_ISSUERS {
        return Err(Error::too_many(&root, Some(issuers.len()), MAX_ISSUERS).into());
    }
    let (mut urls, mut discovery_urls) = (HashSet::new(), HashSet::new());
    let mut mappers = Vec::new();
    for (index, settings) in issuers.iter().enumerate() {
        let at = root.index(index);
        mappers.push(validation.settings(settings, own, &at));
        let Issuer { url, discovery_url, .. } = &settings.issuer;
        let at = at.child("issuer");
        if !urls.insert(url) {
            validation.errors.push(Error::duplicate(&at.child("url"), url.as_str()));
        }
        if !discovery_url.is_empty() && !discovery_urls.insert(discovery_url) {
            validation.errors.push(Error::duplicate(&at.child("discoveryURL"), discovery_url.as_str()));
        }
    }
    if let Some(anonymous) = &configuration.anonymous
        && !anonymous.enabled
        && !anonymous.paths.is_empty()
    {
        let conditions = anonymous.paths.iter().map(|path| json::json!({"Path": path.as_str()})).collect();
        let detail = "enabled should be set to true when conditions are defined";
        let at = Path::new("anonymous").child("conditions");
        validation.errors.push(Error::invalid(&at, Value::Array(conditions), detail));
    }
    if validation.errors.is_empty() { Ok(mappers) } else { Err(validation.errors) }
}

/// The errors of a configuration, and what is noted of the issuer at hand.
#[derive(Default)]
struct Validation {
    errors: ErrorList,
    uses_email: bool,
    uses_email_verified: bool,
}

impl Validation {
    fn settings(&mut self, settings: &Settings, own: &[String], at: &Path) -> Mapper {
        (self.uses_email, self.uses_email_verified) = (false, false);
        let mut mapper = Mapper::default();
        self.issuer(&settings.issuer, own, &at.child("issuer"));
        self.claim_rules(settings, &mut mapper, &at.child("claimValidationRules"));
        self.mappings(&settings.claim_mappings, &mut mapper, &at.child("claimMappings"));
        self.user_rules(settings, &mut mapper, &at.child("userValidationRules"));
        mapper
    }

    fn invalid(&mut self, at: &Path, value: &str, detail: impl Into<String>) {
        self.errors.push(Error::invalid(at, value, detail));
    }

    fn required(&mut self, at: &Path, detail: &str) {
        self.errors.push(Error::required(at, detail));
    }

    fn issuer(&mut self, issuer: &Issuer, own: &[String], at: &Path) {
        let (url, discovery_url) = (issuer.url.as_str(), issuer.discovery_url.as_str());
        match url {
            "" => self.required(&at.child("url"), ""),
            _ => self.url(url, own, &at.child("url")),
        }
        if !discovery_url.is_empty() {
            let at = at.child("discoveryURL");
            if !url.is_empty() && url.trim_end_matches('/') == discovery_url.trim_end_matches('/') {
                self.invalid(&at, discovery_url, "discoveryURL must be different from URL");
            }
            self.url(discovery_url, &[], &at);
        }
        self.audiences(&issuer.audiences, &issuer.audience_match_policy, at);
        if !issuer.certificate_authority.is_empty()
            && let Err(why) = check_authorities(&issuer.certificate_authority)
        {
            self.invalid(&at.child("certificateAuthority"), "<omitted>", why);
        }
        if !matches!(issuer.egress_selector_type.as_str(), "" | "controlplane" | "cluster") {
            let detail = "egress selector must be either controlplane or cluster";
            self.invalid(&at.child("egressSelectorType"), &issuer.egress_selector_type, detail);
        }
    }

    fn url(&mut self, text: &str, own: &[String], at: &Path) {
        if own.iter().any(|own| own == text) {
            let mut own = own.to_vec();
            own.sort_unstable();
            self.invalid(at, text, format!("URL must not overlap with disallowed issuers: [{}]", own.join(" ")));
        }
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(why) => return self.invalid(at, text, why),
        };
        let rules = [
            (url.scheme == "https", "URL scheme must be https"),
            (url.user.is_none(), "URL must not contain a username or password"),
            (url.query.is_empty(), "URL must not contain a query"),
            (url.fragment.is_empty(), "URL must not contain a fragment"),
        ];
        for (_, detail) in rules.iter().filter(|(holds, _)| !holds) {
            self.invalid(at, text, *detail);
        }
    }

    fn audiences(&mut self, audiences: &[String], policy: &str, at: &Path) {
        let (at, policy_at) = (at.child("audiences"), at.child("audienceMatchPolicy"));
        if audiences.is_empty() {
            return self.required(&at, &format!("at least one {at} is required"));
        }
        for (index, audience) in audiences.iter().enumerate() {
            if audience.is_empty() {
                self.required(&at.index(index), "");
            }
            if audiences[..index].contains(audience) {
                self.errors.push(Error::duplicate(&at.index(index), audience.as_str()));
            }
        }
        match (audiences.len(), policy) {
            (_, "MatchAny") | (1, "") => {}
            (1, _) => {
                self.invalid(&policy_at, policy, "audienceMatchPolicy must be empty or MatchAny for single audience");
            }
            _ => self.invalid(&policy_at, policy, "audienceMatchPolicy must be MatchAny for multiple audiences"),
        }
    }

    fn claim_rules(&mut self, settings: &Settings, mapper: &mut Mapper, at: &Path) {
        let rules = &settings.claim_validation_rules;
        for (index, rule) in rules.iter().enumerate() {
            let (at, before) = (at.index(index), &rules[..index]);
            match (rule.claim.as_str(), rule.expression.as_str()) {
                ("", "") => self.required(&at, "claim or expression is required"),
                (claim, "") => {
                    if !rule.message.is_empty() {
                        self.invalid(&at.child("message"), &rule.message, "may not be specified when claim is set");
                    }
                    if before.iter().any(|other| other.claim == claim && other.expression.is_empty()) {
                        self.errors.push(Error::duplicate(&at.child("claim"), claim));
                    }
                    mapper.required.push((claim.to_owned(), rule.required_value.clone()));
                }
                ("", text) => {
                    if !rule.required_value.is_empty() {
                        let detail = "may not be specified when expression is set";
                        self.invalid(&at.child("requiredValue"), &rule.required_value, detail);
                    }
                    let at = at.child("expression");
                    if before.iter().any(|other| other.expression == text && other.claim.is_empty()) {
                        self.errors.push(Error::duplicate(&at, text));
                        continue;
                    }
                    let condition = self.condition(&OVER_CLAIMS, text, &at);
                    mapper.claim_rules.extend(condition.map(|own| Rule::new(own, &rule.message)));
                }
                (claim, _) => self.invalid(&at, claim, "claim and expression can't both be set"),
            }
        }
    }

    fn mappings(&mut self, mappings: &Mappings, mapper: &mut Mapper, at: &Path) {
        let username = &mappings.username;
        let at_username = at.child("username");
        let (mut uses, before) = ((false, false), self.errors.len());
        mapper.username = self.prefixed(username, &at_username, true, &mut |checked| {
            uses = (checked.selects("claims", "email"), checked.selects("claims", "email_verified"));
        });
        if self.errors.len() == before {
            self.uses_email |= uses.0;
            self.uses_email_verified |= uses.1;
        }
        mapper.groups = self.prefixed(&mappings.groups, &at.child("groups"), false, &mut |_| {});
        mapper.uid = self.uid(&mappings.uid, &at.child("uid"));
        self.extra(&mappings.extra, mapper, &at.child("extra"));
        if self.uses_email && !self.uses_email_verified {
            let detail = "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
            self.invalid(&at_username.child("expression"), &username.expression, detail);
        }
    }

    fn prefixed(&mut self, source: &Source, at: &Path, needed: bool, note: &mut dyn FnMut(&Checked)) -> Origin {
        match (source.claim.as_str(), source.expression.as_str()) {
            ("", "") => {
                if needed {
                    self.required(at, "claim or expression is required");
                }
                Origin::Nowhere
            }
            (claim, "") => {
                if source.prefix.is_none() {
                    let detail =
                        "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
                    self.required(&at.child("prefix"), detail);
                }
                Origin::Claim { name: claim.to_owned(), prefix: source.prefix.clone().unwrap_or_default() }
            }
            ("", text) => {
                if let Some(prefix) = &source.prefix {
                    self.invalid(&at.child("prefix"), prefix, "may not be specified when expression is set");
                }
                let expression = self.expression(&OVER_CLAIMS, text, &at.child("expression"), note);
                expression.map_or(Origin::Nowhere, Origin::Expression)
            }
            _ => {
                self.invalid(at, "", "claim and expression can't both be set");
                Origin::Nowhere
            }
        }
    }

    fn uid(&mut self, source: &Source, at: &Path) -> Origin {
        match (source.claim.as_str(), source.expression.as_str()) {
            ("", "") => Origin::Nowhere,
            (claim, "") => Origin::Claim { name: claim.to_owned(), prefix: String::new() },
            ("", text) => {
                let expression = self.expression(&OVER_CLAIMS, text, &at.child("expression"), &mut |_| {});
                expression.map_or(Origin::Nowhere, Origin::Expression)
            }
            _ => {
                self.invalid(at, "", "claim and expression can't both be set");
                Origin::Nowhere
            }
        }
    }

    fn extra(&mut self, all: &[Extra], mapper: &mut Mapper, at: &Path) {
        for (index, own) in all.iter().enumerate() {
            let (at, key) = (at.index(index), own.key.as_str());
            let at_key = at.child("key");
            self.errors.extend(is_domain_prefixed_path(&at_key, key));
            if key != key.to_lowercase() {
                self.invalid(&at_key, key, "must be lowercase");
            }
            if is_reserved(key) {
                let detail = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use";
                self.invalid(&at_key, key, detail);
            }
            if all[..index].iter().any(|other| other.key == key) {
                self.errors.push(Error::duplicate(&at_key, key));
                continue;
            }
            let at = at.child("valueExpression");
            if own.value_expression.is_empty() {
                self.required(&at, "");
                continue;
            }
            let mut verifies = false;
            let note = &mut |checked: &Checked| verifies = checked.selects("claims", "email_verified");
            let expression = self.expression(&OVER_CLAIMS, &own.value_expression, &at, note);
            self.uses_email_verified |= verifies;
            mapper.extra.extend(expression.map(|expression| (key.to_owned(), expression)));
        }
    }

    fn user_rules(&mut self, settings: &Settings, mapper: &mut Mapper, at: &Path) {
        let rules = &settings.user_validation_rules;
        for (index, rule) in rules.iter().enumerate() {
            let (at, text) = (at.index(index).child("expression"), rule.expression.as_str());
            if text.is_empty() {
                self.required(&at, "");
            } else if rules[..index].iter().any(|other| other.expression == text) {
                self.errors.push(Error::duplicate(&at, text));
            } else {
                let condition = self.condition(&OVER_USER, text, &at);
                mapper.user_rules.extend(condition.map(|own| Rule::new(own, &rule.message)));
            }
        }
    }

    /// An expression that is true or false.
    fn condition(&mut self, environment: &Environment, text: &str, at: &Path) -> Option<Expression> {
        let (mut is_condition, mut verifies) = (true, false);
        let note = &mut |checked: &Checked| {
            is_condition = *checked.output() == Type::Bool;
            verifies = checked.selects("claims", "email_verified");
        };
        let expression = self.expression(environment, text, at, note)?;
        if !is_condition {
            self.invalid(at, text, "must evaluate to bool");
            return None;
        }
        self.uses_email_verified |= verifies;
        Some(expression)
    }

    /// Compiles an expression and shows it once it is checked.
    fn expression(
        &mut self,
        environment: &Environment,
        text: &str,
        at: &Path,
        note: &mut dyn FnMut(&Checked),
    ) -> Option<Expression> {
        let checked = match environment.check(text) {
            Ok(checked) => checked,
            Err(error) => {
                self.invalid(at, text, format!("compilation failed: {error}"));
                return None;
            }
        };
        note(&checked);
        match checked.program() {
            Ok(program) => Some(Expression::new(text, program)),
            Err(error) => {
                let error = format!("program instantiation failed: {error}");
                self.errors.push(Error::internal(at, &error));
                None
            }
        }
    }
}

/// Does the key's domain belong to Kubernetes? Upstream: isKubernetesDomainPrefix.
fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    ["kubernetes.io", "k8s.io"]
        .iter()
        .any(|own| domain.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Upstream: client-go/util/cert.NewPoolFromBytes.
fn check_authorities(pem: &str) -> Result<(), &'static str> {
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).peekable();
    if certificates.peek().is_none() {
        return Err("data does not contain any valid RSA or ECDSA certificates");
    }
    match certificates.all(|certificate| X509Certificate::from_der(&certificate).is_ok()) {
        true => Ok(()),
        false => Err("x509: malformed certificate"),
    }
}
