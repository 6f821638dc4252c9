use std::collections::BTreeMap;

use expect_test::expect;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::plan::{Outcome, Remaining, conditions, is_finalized, mark_terminating};
use crate::engine::{Resource, to_value};
use crate::test_support::{at, object};

fn namespace() -> Namespace {
    object(
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}",
    )
}

fn lines(namespace: &Namespace, outcome: &Outcome) -> String {
    let conditions = conditions(namespace, outcome, at("10:00:00")).unwrap_or_default();
    let line = |condition: &k8s_openapi::api::core::v1::NamespaceCondition| {
        format!(
            "{}={} {}: {}",
            condition.type_,
            condition.status,
            condition.reason.clone().unwrap(),
            condition.message.clone().unwrap()
        )
    };
    conditions.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_namespace_says_all_is_well() {
    let outcome = Outcome { looked_at_everything: true, ..Outcome::default() };
    expect![[r#"
        NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered
        NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: All legacy kube types successfully parsed
        NamespaceDeletionContentFailure=False ContentDeleted: All content successfully deleted, may be waiting on finalization
        NamespaceContentRemaining=False ContentRemoved: All content successfully removed
        NamespaceFinalizersRemaining=False ContentHasNoFinalizers: All content-preserving finalizers finished"#]].assert_eq(&lines(&namespace(), &outcome));
}

#[test]
fn remaining_content_and_its_finalizers_are_listed() {
    let mut outcome = Outcome { looked_at_everything: true, ..Outcome::default() };
    let finalizers = BTreeMap::from([("example.com/hold".to_owned(), 2)]);
    outcome.add(&Resource::of::<ConfigMap>(), Remaining { count: 3, finalizers, estimate: 0 });
    assert_eq!(outcome.estimate, 15);
    expect![[r#"
        NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered
        NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: All legacy kube types successfully parsed
        NamespaceDeletionContentFailure=False ContentDeleted: All content successfully deleted, may be waiting on finalization
        NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: configmaps. has 3 resource instances
        NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 2 resource instances"#]].assert_eq(&lines(&namespace(), &outcome));
}

#[test]
fn the_grace_period_of_pods_is_waited_for() {
    let mut outcome = Outcome::default();
    outcome.add(&Resource::of::<Pod>(), Remaining { count: 1, finalizers: BTreeMap::new(), estimate: 30 });
    assert_eq!(outcome.estimate, 30);
    assert!(outcome.content_failures.is_empty());
}

#[test]
fn conditions_that_are_right_are_not_written() {
    let mut namespace = namespace();
    let outcome = Outcome { looked_at_everything: true, ..Outcome::default() };
    namespace.status.get_or_insert_default().conditions = conditions(&namespace, &outcome, at("10:00:00"));
    assert_eq!(conditions(&namespace, &outcome, at("11:00:00")), None);
    let failed = Outcome { discovery_failures: vec!["metrics.k8s.io/v1beta1: stale".to_owned()], ..Outcome::default() };
    let changed = conditions(&namespace, &failed, at("11:00:00")).unwrap();
    expect![[r#"{"lastTransitionTime":"2026-01-01T11:00:00Z","message":"Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale","reason":"DiscoveryFailed","status":"True","type":"NamespaceDeletionDiscoveryFailure"}"#]].assert_eq(&to_value(&changed[0]).to_string());
}

#[test]
fn the_phase_is_set_once() {
    let mut namespace = namespace();
    assert!(!is_finalized(&namespace));
    assert!(mark_terminating(&mut namespace));
    assert!(!mark_terminating(&mut namespace));
}
