//! clusterrole-aggregation-controller: fills the rules of cluster roles that are the sum of others.
//!
//! Upstream: pkg/controller/clusterroleaggregation.

use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::engine::{Context, Controller, Plan, Requeue, Write};
use crate::meta;

const WORKERS: usize = 5;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let roles: Informer<ClusterRole> = context.informers.of();
    let applier = context.applier(name);
    let (read, list) = (roles.clone(), roles.clone());
    Controller::new(name, &context)
        .watch(&roles, move |_: &Change<ClusterRole>, queue| {
            // Any role may be part of any sum.
            let sums = list.list().into_iter().filter(|role| role.aggregation_rule.is_some());
            sums.for_each(|role| queue.add(meta::name(&role.metadata).to_owned()));
        })
        .run(WORKERS, move |name: String| {
            let plan = read.get("", &name).map(|role| plan(&role, read.list())).unwrap_or_default();
            let applier = applier.clone();
            async move {
                match applier.apply_plan(plan).await {
                    Err(error) if error.is_not_found() => Ok(Requeue::Done),
                    other => other,
                }
            }
        })
        .await;
}

fn plan(role: &ClusterRole, mut all: Vec<Arc<ClusterRole>>) -> Plan {
    let mut plan = Plan::default();
    let Some(aggregation) = &role.aggregation_rule else { return plan };
    all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in aggregation.cluster_role_selectors.iter().flatten().filter_map(meta::selector) {
        let parts = all
            .iter()
            .filter(|part| part.metadata.name != role.metadata.name && meta::selects(&selector, &part.metadata));
        for rule in parts.flat_map(|part| part.rules.iter().flatten()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    if role.rules.clone().unwrap_or_default() != rules {
        plan.push(Write::update(&ClusterRole { rules: Some(rules), ..role.clone() }));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{objects, show};
    use expect_test::expect;

    const ROLES: &str = "
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: sum}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: sum}}]}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: b, labels: {to: sum}}, rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a, labels: {to: sum}}, rules: [{verbs: [get], apiGroups: [''], resources: [pods]}, {verbs: [list], apiGroups: [apps], resources: ['*']}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: c}, rules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*']}]}
";

    #[test]
    fn rules_of_selected_roles_are_added_up_once() {
        let all = objects::<ClusterRole>(ROLES);
        let planned = plan(&all[0], all.clone());
        expect![[r#"
            update rbac.authorization.k8s.io/v1 clusterroles /sum
              {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":"sum"}}]},"metadata":{"name":"sum"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]},{"apiGroups":["apps"],"resources":["*"],"verbs":["list"]}]}
        "#]].assert_eq(&show(&planned));
        let mut right = (*all[0]).clone();
        right.rules = all.iter().find(|role| role.metadata.name.as_deref() == Some("a")).unwrap().rules.clone();
        assert!(plan(&right, all).operations.is_empty());
    }
}
