//! `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*`: the request goes on as somebody else, if its user may.
//!
//! There are several ways to be allowed, asked for in turn, the narrow ones first. A constrained mode asks for
//! `impersonate-on:MODE:VERB` on what is requested and then for `impersonate:MODE` on each part of the other user; the last
//! mode asks for `impersonate` alone. Who may in no way is told what the first refused.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters/impersonation.WithConstrainedImpersonation.

use std::time::Instant;

use api::field::Path;
use api::names;
use api::status::Status;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::authorization;
use crate::authentication::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS, UserInfo};
use crate::authorization::{Attributes, Authorizer};
use crate::server::metrics::ImpersonationMetrics;

#[cfg(test)]
mod tests;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const NODE: &str = "system:node:";
const AUTHENTICATION: &str = "authentication.k8s.io";
/// In the extra of a service account's user: the node its pod is on.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// In place of that user's extra where the mode is only for its own node.
const NODE_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";
/// From so many values on a constrained mode asks for all at once first.
const MANY: usize = 4;

/// The user to go on as: None when the request impersonates nobody. The headers are taken out.
/// `request` is what the requestor asks for.
pub(crate) async fn apply(
    headers: &mut HeaderMap,
    request: &Attributes,
    checks: Checks<'_>,
) -> Result<Option<UserInfo>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    // Few do; all others do not carry what this needs.
    Box::pin(impersonated(headers, request, checks)).await
}

async fn impersonated(
    headers: &mut HeaderMap,
    request: &Attributes,
    checks: Checks<'_>,
) -> Result<Option<UserInfo>, Status> {
    let wanted = Wanted::from(headers);
    if wanted.name.is_empty() {
        if wanted.groups.is_empty() && wanted.uid.is_empty() && wanted.extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::bad_request(format!(
            "requested {} without impersonating a user name",
            wanted.as_go_prints_it()
        )));
    }
    let (began, metrics) = (Instant::now(), checks.metrics);
    let mut refused = None;
    for mode in Mode::ALL.into_iter().filter(|mode| mode.fits(&wanted, &request.user)) {
        match mode.check(&wanted, request, checks).await {
            Ok(user) => {
                metrics.attempted(Some(mode.label()), began.elapsed());
                let ours = headers.keys().filter(|name| name.as_str().starts_with("impersonate-"));
                for name in ours.cloned().collect::<Vec<_>>() {
                    headers.remove(name);
                }
                return Ok(Some(user));
            }
            Err(status) => refused = refused.or(Some(status)),
        }
    }
    metrics.attempted(None, began.elapsed());
    // The last mode fits everybody.
    Err(refused.unwrap_or_else(|| Status::internal_error(&"all impersonation modes failed")))
}

/// Who is asked whether that is allowed, and what counts the questions.
#[derive(Clone, Copy)]
pub(crate) struct Checks<'a> {
    pub(crate) authorizer: &'a dyn Authorizer,
    pub(crate) metrics: &'a ImpersonationMetrics,
}

impl Checks<'_> {
    async fn ask(self, mode: Mode, attributes: &Attributes) -> Result<(), Status> {
        let began = Instant::now();
        let answer = authorization::check(self.authorizer, attributes).await;
        self.metrics.checked(mode.label(), answer.is_ok(), began.elapsed());
        answer
    }
}

/// A way to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A service account as the node its pod is on.
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    /// Users that are neither.
    UserInfo,
    Legacy,
}

impl Mode {
    const ALL: [Mode; 5] =
        [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

    /// The name in verbs; None for the mode without constraints.
    fn name(self) -> Option<&'static str> {
        match self {
            Mode::AssociatedNode => Some("associated-node"),
            Mode::ArbitraryNode => Some("arbitrary-node"),
            Mode::ServiceAccount => Some("serviceaccount"),
            Mode::UserInfo => Some("user-info"),
            Mode::Legacy => None,
        }
    }

    /// Its name in metrics.
    fn label(self) -> &'static str {
        self.name().unwrap_or("legacy")
    }

    /// Is the mode meant for this user?
    fn fits(self, wanted: &Wanted, requestor: &UserInfo) -> bool {
        match self {
            Mode::AssociatedNode => wanted.is_only_a_name() && wanted.node().is_some_and(|node| is_on(requestor, node)),
            Mode::ArbitraryNode => wanted.is_only_a_name() && wanted.node().is_some(),
            Mode::ServiceAccount => wanted.is_only_a_name() && wanted.service_account().is_some(),
            Mode::UserInfo => wanted.node().is_none() && wanted.service_account().is_none(),
            Mode::Legacy => true,
        }
    }

    async fn check(self, wanted: &Wanted, request: &Attributes, checks: Checks<'_>) -> Result<UserInfo, Status> {
        let mut requestor = request.user.clone();
        if self == Mode::AssociatedNode {
            let keys = requestor.extra.keys().cloned().collect();
            requestor.extra = [(NODE_KEYS.to_string(), keys)].into();
        }
        let Some(name) = self.name() else {
            let asks = Asks { requestor, verb: "impersonate".to_string(), group: "", mode: self, checks };
            return asks.all(wanted).await;
        };
        let verb = format!("impersonate-on:{name}:{}", request.verb);
        checks.ask(self, &Attributes { user: requestor.clone(), verb, ..request.clone() }).await?;
        let verb = format!("impersonate:{name}");
        let asks = Asks { requestor, verb, group: AUTHENTICATION, mode: self, checks };
        asks.all(wanted).await
    }
}

/// Is this a service account whose pod is on the node?
fn is_on(requestor: &UserInfo, node: &str) -> bool {
    service_account(&requestor.name).is_some()
        && requestor.extra.get(NODE_NAME).is_some_and(|values| matches!(values.as_slice(), [only] if only == node))
}

/// The questions of one mode about each part of the other user.
struct Asks<'a> {
    requestor: UserInfo,
    verb: String,
    /// API group of users and groups.
    group: &'static str,
    mode: Mode,
    checks: Checks<'a>,
}

impl Asks<'_> {
    fn attributes(&self, group: &str, resource: &str, name: &str) -> Attributes {
        Attributes {
            user: self.requestor.clone(),
            verb: self.verb.clone(),
            api_group: group.to_string(),
            api_version: "v1".to_string(),
            resource: resource.to_string(),
            name: name.to_string(),
            is_resource_request: true,
            ..Attributes::default()
        }
    }

    async fn ask(&self, attributes: &Attributes) -> Result<(), Status> {
        self.checks.ask(self.mode, attributes).await
    }

    fn is_constrained(&self) -> bool {
        self.mode != Mode::Legacy
    }

    async fn all(&self, wanted: &Wanted) -> Result<UserInfo, Status> {
        let mut user = UserInfo { name: wanted.name.clone(), uid: wanted.uid.clone(), ..UserInfo::default() };
        user.groups.clone_from(&wanted.groups);
        self.name(wanted, &mut user).await?;
        if !wanted.uid.is_empty() {
            self.ask(&self.attributes(AUTHENTICATION, "uids", &wanted.uid)).await?;
        }
        self.groups(wanted).await?;
        self.extra(wanted).await?;
        for (key, value) in &wanted.extra {
            user.extra.entry(key.clone()).or_default().push(value.clone());
        }
        add_implied_group(&mut user);
        Ok(user)
    }

    async fn name(&self, wanted: &Wanted, user: &mut UserInfo) -> Result<(), Status> {
        let mut about = self.attributes(self.group, "users", &wanted.name);
        if let Some(node) = wanted.node().filter(|_| self.is_constrained()) {
            about.resource = "nodes".to_string();
            // Allowed for one of a service account's nodes is allowed for all.
            about.name = if self.mode == Mode::AssociatedNode { "*".to_string() } else { node.to_string() };
            user.groups = vec!["system:nodes".to_string()];
        }
        if let Some((namespace, name)) = wanted.service_account() {
            about.resource = "serviceaccounts".to_string();
            about.namespace = namespace.to_string();
            about.name = name.to_string();
            if wanted.groups.is_empty() {
                user.groups = vec!["system:serviceaccounts".to_string(), format!("system:serviceaccounts:{namespace}")];
            }
        }
        self.ask(&about).await
    }

    async fn groups(&self, wanted: &Wanted) -> Result<(), Status> {
        let about = |group: &str| self.attributes(self.group, "groups", group);
        if self.is_constrained() {
            if wanted.groups.iter().any(String::is_empty) {
                let why = "impersonating the empty string group is not allowed";
                return Err(authorization::forbidden(&about(""), why));
            }
            const MASTERS: &str = "system:masters";
            if wanted.groups.iter().any(|group| group == MASTERS) {
                let why = "impersonating the system:masters group is not allowed";
                return Err(authorization::forbidden(&about(MASTERS), why));
            }
            if wanted.groups.len() >= MANY && self.ask(&about("*")).await.is_ok() {
                return Ok(());
            }
        }
        for group in &wanted.groups {
            self.ask(&about(group)).await?;
        }
        Ok(())
    }

    async fn extra(&self, wanted: &Wanted) -> Result<(), Status> {
        let about = |key: &str, value: &str| Attributes {
            subresource: key.to_string(),
            ..self.attributes(AUTHENTICATION, "userextras", value)
        };
        if self.is_constrained() {
            for (key, value) in &wanted.extra {
                if let Some(why) = unfit_extra(key, value) {
                    return Err(authorization::forbidden(&about("", ""), &why));
                }
            }
            if wanted.extra.len() >= MANY && self.ask(&about("*", "*")).await.is_ok() {
                return Ok(());
            }
        }
        for (key, value) in &wanted.extra {
            self.ask(&about(key, value)).await?;
        }
        Ok(())
    }
}

/// Why a constrained mode takes no such extra.
fn unfit_extra(key: &str, value: &str) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".to_string());
    }
    let path = Path::new("extra").child("key");
    if let Some(why) = names::is_domain_prefixed_path(&path, key).message() {
        return Some(format!("impersonating an invalid key in extra is not allowed: {why}"));
    }
    value.is_empty().then(|| "impersonating the empty string value in extra is not allowed".to_string())
}

/// system:authenticated for everybody but the anonymous user, unless a group says which it is.
fn add_implied_group(user: &mut UserInfo) {
    if user.name == ANONYMOUS {
        if !user.in_group(ALL_UNAUTHENTICATED) {
            user.groups.push(ALL_UNAUTHENTICATED.to_string());
        }
    } else if !user.in_group(ALL_AUTHENTICATED) && !user.in_group(ALL_UNAUTHENTICATED) {
        user.groups.push(ALL_AUTHENTICATED.to_string());
    }
}

fn service_account(name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = name.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

struct Wanted {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: Vec<(String, String)>,
}

impl Wanted {
    fn from(headers: &HeaderMap) -> Wanted {
        let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let extra = headers.iter().filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix(EXTRA)?;
            Some((percent_decode_str(key).decode_utf8_lossy().into_owned(), text(value)))
        });
        Wanted {
            name: first(USER),
            uid: first(UID),
            groups: headers.get_all(GROUP).iter().map(text).collect(),
            extra: extra.collect(),
        }
    }

    fn is_only_a_name(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    fn node(&self) -> Option<&str> {
        let node = self.name.strip_prefix(NODE)?;
        names::name_is_dns_subdomain(node, false).is_empty().then_some(node)
    }

    fn service_account(&self) -> Option<(&str, &str)> {
        service_account(&self.name)
    }

    /// `%#v` of user.DefaultInfo, which upstream's message holds.
    fn as_go_prints_it(&self) -> String {
        let quote = api::go_text::quote;
        let groups: Vec<String> = self.groups.iter().map(|group| quote(group)).collect();
        let groups =
            if groups.is_empty() { "[]string(nil)".to_string() } else { format!("[]string{{{}}}", groups.join(", ")) };
        let extra: Vec<String> =
            self.extra.iter().map(|(key, value)| format!("{}:[]string{{{}}}", quote(key), quote(value))).collect();
        let extra = if extra.is_empty() { "(nil)".to_string() } else { format!("{{{}}}", extra.join(", ")) };
        format!(
            "&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:map[string][]string{extra}}}",
            quote(&self.uid)
        )
    }
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
