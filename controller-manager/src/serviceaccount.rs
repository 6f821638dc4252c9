//! serviceaccount-controller: every active namespace has the service account `default`.
//!
//! Upstream: pkg/controller/serviceaccount.ServiceAccountsController.

use client::Change;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::engine::{Context, Controller, Plan, Requeue, Write};
use crate::meta;

const NAME: &str = "default";

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let namespaces = context.informers.of::<Namespace>();
    let accounts = context.informers.of::<ServiceAccount>();
    let applier = context.applier(name);
    let (namespaces_read, accounts_read) = (namespaces.clone(), accounts.clone());
    Controller::new(name, &context)
        .watch(&namespaces, |change: &Change<Namespace>, queue| {
            queue.add(meta::name(&change.object().metadata).to_owned())
        })
        .watch(&accounts, |change: &Change<ServiceAccount>, queue| {
            if let Change::Deleted(account) = change {
                queue.add(meta::namespace(&account.metadata).to_owned());
            }
        })
        .run(1, move |key: String| {
            let namespace = namespaces_read.get("", &key);
            let present = accounts_read.get(&key, NAME).is_some();
            let applier = applier.clone();
            async move {
                match applier.apply_plan(plan(namespace.as_deref(), present)).await {
                    // Somebody was faster, or the namespace is on its way out.
                    Err(error)
                        if error.is_already_exists() || error.is_namespace_terminating() || error.is_not_found() =>
                    {
                        Ok(Requeue::Done)
                    }
                    other => other,
                }
            }
        })
        .await;
}

fn plan(namespace: Option<&Namespace>, present: bool) -> Plan {
    let mut plan = Plan::default();
    let active = namespace.filter(|found| {
        let phase = found.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Active") && !meta::is_deleting(&found.metadata)
    });
    if let Some(namespace) = active.filter(|_| !present) {
        plan.push(Write::create(&ServiceAccount {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: namespace.metadata.name.clone(),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        }));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{object, show};
    use expect_test::expect;

    #[test]
    fn an_active_namespace_without_the_account_gets_it() {
        let active: Namespace =
            object("{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}");
        expect![[r#"
            create v1 serviceaccounts a/default
              {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"a"}}
        "#]]
        .assert_eq(&show(&plan(Some(&active), false)));
        assert!(plan(Some(&active), true).operations.is_empty());
    }

    #[test]
    fn a_terminating_namespace_gets_nothing() {
        let ending: Namespace =
            object("{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Terminating}}");
        assert!(plan(Some(&ending), false).operations.is_empty());
        assert!(plan(None, false).operations.is_empty());
    }
}
