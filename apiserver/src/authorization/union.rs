//! The authorizers in their order: system:masters may everything, then each is asked until one says yes or no.
//!
//! The chain is swapped as a whole when its configuration changes; who is asking keeps the one it began with.
//! Upstream: k8s.io/apiserver/pkg/authorization/union, pkg/kubeapiserver/authorizer.reloadableAuthorizerResolver.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::abac::Abac;
use super::configuration::{Configuration, Mode};
use super::metrics::{Decisions, Metrics};
use super::node::{NodeAuthorizer, node_of};
use super::rbac::{Rbac, Rule, aggregate};
use super::webhook::WebhookAuthorizer;
use super::{Answer, Attributes, Authorizer, Decision, Error, Reasons, Verdict};
use crate::authentication::{SYSTEM_PRIVILEGED_GROUP, UserInfo};
use crate::context::Objects;

/// What authorizers look at.
#[derive(Clone)]
pub struct Surroundings {
    /// The objects nodes are related to; webhooks may be Services.
    pub objects: Arc<dyn Objects>,
    pub node: Arc<NodeAuthorizer>,
    pub rbac: Rbac,
}

/// See the module header.
pub struct Authorization {
    chain: ArcSwap<Vec<Member>>,
    surroundings: Surroundings,
    /// Read once: a file that changes later changes nothing.
    abac: Option<Arc<Abac>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.chain.load().iter().map(|member| member.name.clone()).collect();
        f.debug_struct("Authorization").field("chain", &names).finish_non_exhaustive()
    }
}

/// One of the chain.
struct Member {
    name: String,
    authorizer: Kind,
    counted: Decisions,
}

enum Kind {
    AlwaysAllow,
    AlwaysDeny,
    Node(Arc<NodeAuthorizer>),
    Rbac(Rbac),
    Abac(Arc<Abac>),
    Webhook(Box<WebhookAuthorizer>),
}

/// What somebody may do, as far as the authorizers can tell. Upstream: authorizer.RuleResolver.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    /// There may be more that cannot be told.
    pub(super) incomplete: bool,
    pub(super) errors: Vec<String>,
}

impl Authorization {
    /// The chain a configuration asks for.
    ///
    /// # Errors
    /// A file it names cannot be read or makes no sense.
    pub fn new(configuration: &Configuration, surroundings: Surroundings) -> Result<Authorization, Error> {
        let has_abac = configuration.authorizers.iter().any(|own| matches!(own.mode, Mode::Abac));
        let policy_file = configuration.policy_file.as_ref().filter(|_| has_abac);
        let abac = policy_file.map(|file| Abac::read(file)).transpose()?.map(Arc::new);
        let metrics = Arc::new(Metrics::default());
        let authorization = Authorization { chain: ArcSwap::default(), surroundings, abac, metrics };
        authorization.reconfigure(configuration)?;
        Ok(authorization)
    }

    /// Another chain from now on.
    ///
    /// # Errors
    /// As [`Authorization::new`]; the chain stays as it was then.
    pub(super) fn reconfigure(&self, configuration: &Configuration) -> Result<(), Error> {
        let member = |own: &super::configuration::Configured| {
            let authorizer = match &own.mode {
                Mode::AlwaysAllow => Kind::AlwaysAllow,
                Mode::AlwaysDeny => Kind::AlwaysDeny,
                Mode::Node => Kind::Node(Arc::clone(&self.surroundings.node)),
                Mode::Rbac => Kind::Rbac(self.surroundings.rbac.clone()),
                Mode::Abac => Kind::Abac(self.abac.clone().ok_or(Error::NoPolicyFile)?),
                Mode::Webhook(settings) => {
                    let objects = Arc::clone(&self.surroundings.objects);
                    Kind::Webhook(Box::new(WebhookAuthorizer::new(
                        &own.name,
                        settings,
                        objects,
                        Arc::clone(&self.metrics),
                    )?))
                }
            };
            let counted = self.metrics.decisions(own.mode.as_str(), &own.name);
            Ok(Member { name: own.name.clone(), authorizer, counted })
        };
        let chain = configuration.authorizers.iter().map(member).collect::<Result<Vec<_>, Error>>()?;
        self.chain.store(Arc::new(chain));
        Ok(())
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// RBAC, where it is one of them.
    pub(crate) fn rbac(&self) -> Option<Rbac> {
        let has_rbac = self.chain.load().iter().any(|member| matches!(member.authorizer, Kind::Rbac(_)));
        has_rbac.then(|| self.surroundings.rbac.clone())
    }

    /// Everything somebody may do in a namespace. Upstream: union.NewRuleResolvers.
    pub(super) fn rules_for(&self, user: &UserInfo, namespace: &str) -> Rules {
        let mut all = Rules::default();
        for member in self.chain.load().iter() {
            member.authorizer.rules_for(user, namespace, &mut all);
        }
        all
    }
}

impl Authorizer for Authorization {
    fn authorize<'a>(&'a self, request: &'a Attributes, reasons: Reasons) -> Answer<'a> {
        if request.user.in_group(SYSTEM_PRIVILEGED_GROUP) {
            return Answer::Now(Decision::allow());
        }
        let chain = self.chain.load();
        let mut undecided = Undecided::default();
        for (place, member) in chain.iter().enumerate() {
            let Some(decision) = member.authorizer.decide_now(request, reasons) else {
                let chain = Arc::clone(&chain);
                return Answer::Later(Box::pin(async move {
                    let mut undecided = undecided;
                    for member in &chain[place..] {
                        let decision = member.authorizer.decide(request, reasons).await;
                        if let Some(decision) = undecided.after(member, decision) {
                            return decision;
                        }
                    }
                    undecided.into()
                }));
            };
            if let Some(decision) = undecided.after(member, decision) {
                return Answer::Now(decision);
            }
        }
        Answer::Now(undecided.into())
    }

    fn may_wait(&self) -> bool {
        self.chain.load().iter().any(|member| matches!(member.authorizer, Kind::Webhook(_)))
    }
}

impl Kind {
    /// The decision, of those who need not wait for it.
    fn decide_now(&self, request: &Attributes, reasons: Reasons) -> Option<Decision> {
        Some(match self {
            Kind::AlwaysAllow => Decision::allow(),
            Kind::AlwaysDeny => Decision::no_opinion("Everything is forbidden."),
            Kind::Node(node) => node.decide(request),
            Kind::Rbac(rbac) => rbac.decide(request, reasons),
            Kind::Abac(abac) => abac.decide(request),
            Kind::Webhook(_) => return None,
        })
    }

    async fn decide(&self, request: &Attributes, reasons: Reasons) -> Decision {
        match (self, self.decide_now(request, reasons)) {
            (_, Some(decision)) => decision,
            (Kind::Webhook(webhook), None) => webhook.decide(request).await,
            (_, None) => Decision::default(),
        }
    }

    fn rules_for(&self, user: &UserInfo, namespace: &str, all: &mut Rules) {
        match self {
            Kind::AlwaysAllow => all.rules.extend(Rule::everything()),
            Kind::AlwaysDeny => {}
            Kind::Node(_) if node_of(user).is_some() => {
                all.incomplete = true;
                all.errors.push("node authorizer does not support user rule resolution".to_owned());
            }
            Kind::Node(_) => {}
            Kind::Rbac(rbac) => {
                let (rules, errors) = rbac.rules_for(user, namespace);
                all.rules.extend(rules);
                all.incomplete |= !errors.is_empty();
                all.errors.extend(aggregate(&errors));
            }
            Kind::Abac(abac) => all.rules.extend(abac.rules_for(user, namespace)),
            Kind::Webhook(_) => {
                all.incomplete = true;
                all.errors.push("webhook authorizer does not support user rule resolution".to_owned());
            }
        }
    }
}

/// What those have said who left it to others.
#[derive(Default)]
struct Undecided {
    reasons: Vec<String>,
    errors: Vec<String>,
}

impl Undecided {
    /// The decision, where this one has made it.
    fn after(&mut self, member: &Member, decision: Decision) -> Option<Decision> {
        member.counted.count(decision.verdict);
        if decision.verdict != Verdict::NoOpinion {
            return Some(decision);
        }
        if !decision.reason.is_empty() {
            self.reasons.push(format!("{}: {}", member.name, decision.reason));
        }
        self.errors.extend(decision.error);
        None
    }
}

impl From<Undecided> for Decision {
    fn from(undecided: Undecided) -> Decision {
        let reason = undecided.reasons.join("\n");
        Decision { verdict: Verdict::NoOpinion, reason, error: aggregate(&undecided.errors) }
    }
}
