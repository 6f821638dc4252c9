use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::graph::{Graph, Identity, Next, Uid, View};
use super::monitor::seen;
use super::plan::{Decision, Live, OwnerState, decide};
use crate::test_support::object;

fn observe(graph: &mut Graph, kind: &str, metadata: &str) -> Vec<String> {
    let metadata: ObjectMeta = object(metadata);
    let (api_version, kind) = (graph.intern("v1"), graph.intern(kind));
    let seen = seen(graph, &metadata, &api_version, &kind);
    names(graph.observe(seen))
}

fn names(next: Vec<Next>) -> Vec<String> {
    next.into_iter()
        .map(|step| match step {
            Next::Delete(uid) => format!("delete {uid}"),
            Next::DeleteLater(uid) => format!("later {uid}"),
            Next::Orphan(uid) => format!("orphan {uid}"),
            Next::InvalidNamespace { dependent, owner } => format!("invalid {} {}", dependent.name, owner),
        })
        .collect()
}

const OWNER: &str = "{name: owner, namespace: ns, uid: o}";
const DEPENDENT: &str = "{name: dep, namespace: ns, uid: d, ownerReferences: [{apiVersion: v1, kind: Owner, name: owner, uid: o, blockOwnerDeletion: true}]}";

fn owner_identity() -> Identity {
    let text = |text: &str| -> Arc<str> { text.into() };
    Identity {
        kind: text("Owner"),
        api_version: text("v1"),
        namespace: text("ns"),
        name: text("owner"),
        uid: text("o"),
    }
}

#[test]
fn an_unknown_owner_is_asked_for() {
    let mut graph = Graph::default();
    assert_eq!(observe(&mut graph, "Pod", DEPENDENT), ["delete o"]);
    assert!(graph.view("o").unwrap().is_virtual);
    // Its own watch shows it: nothing is wrong.
    assert!(observe(&mut graph, "Owner", OWNER).is_empty());
    assert!(!graph.view("o").unwrap().is_virtual);
}

#[test]
fn an_owner_the_server_does_not_know_takes_its_dependents_along() {
    let mut graph = Graph::default();
    observe(&mut graph, "Pod", DEPENDENT);
    assert_eq!(names(graph.virtually_deleted(&owner_identity())), ["delete d"]);
    assert!(graph.is_known_absent(&owner_identity()));
    assert!(graph.view("o").is_none());
}

#[test]
fn a_deleted_owner_takes_its_dependents_along() {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    assert!(observe(&mut graph, "Pod", DEPENDENT).is_empty());
    assert_eq!(names(graph.deleted("o")), ["delete d"]);
}

#[test]
fn foreground_deletion_starts_with_the_dependents_and_ends_with_the_last_of_them() {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    observe(&mut graph, "Pod", DEPENDENT);
    let deleting = "{name: owner, namespace: ns, uid: o, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [foregroundDeletion]}";
    assert_eq!(observe(&mut graph, "Owner", deleting), ["delete d", "delete o"]);
    // Seen again in the same state: nothing new.
    assert!(observe(&mut graph, "Owner", deleting).is_empty());
    assert_eq!(names(graph.deleted("d")), ["delete o"]);
}

#[test]
fn orphaning_starts_once() {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    let deleting =
        "{name: owner, namespace: ns, uid: o, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [orphan]}";
    assert_eq!(observe(&mut graph, "Owner", deleting), ["orphan o"]);
    assert!(observe(&mut graph, "Owner", deleting).is_empty());
}

#[test]
fn an_owner_in_another_namespace_is_reported() {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    let elsewhere = DEPENDENT.replace("namespace: ns", "namespace: other");
    assert_eq!(
        observe(&mut graph, "Pod", &elsewhere),
        ["invalid dep [v1/Owner, namespace: other, name: owner, uid: o]", "delete d"]
    );
}

#[test]
fn a_reference_that_no_longer_blocks_lets_the_owner_go_on() {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    observe(&mut graph, "Pod", DEPENDENT);
    assert_eq!(
        observe(&mut graph, "Pod", &DEPENDENT.replace("blockOwnerDeletion: true", "blockOwnerDeletion: false")),
        ["delete o"]
    );
    assert_eq!(graph.view("o").unwrap().dependents.len(), 1);
    observe(&mut graph, "Pod", "{name: dep, namespace: ns, uid: d}");
    assert!(graph.view("o").unwrap().dependents.is_empty());
}

#[test]
fn wrong_coordinates_of_a_virtual_owner_are_tried_in_turn() {
    let mut graph = Graph::default();
    observe(&mut graph, "Pod", DEPENDENT);
    let other = DEPENDENT.replace("uid: d", "uid: e").replace("kind: Owner", "kind: Other");
    observe(&mut graph, "Pod", &other);
    assert_eq!(names(graph.virtually_deleted(&owner_identity())), ["delete d", "later o"]);
    assert_eq!(&*graph.view("o").unwrap().identity.kind, "Other");
}

fn view(dependents: usize) -> View {
    let mut graph = Graph::default();
    observe(&mut graph, "Owner", OWNER);
    for at in 0..dependents {
        observe(&mut graph, "Pod", &DEPENDENT.replace("uid: d", &format!("uid: d{at}")));
    }
    graph.view("o").unwrap()
}

#[test]
fn decisions_follow_the_state_of_the_owners() {
    let uid = |text: &str| -> Uid { text.into() };
    let (solid, dangling, waiting) =
        ((uid("s"), OwnerState::Solid), (uid("x"), OwnerState::Dangling), (uid("w"), OwnerState::Waiting));
    let none = Live::default();
    assert_eq!(decide(&view(0), &[], none), Decision::Keep);
    assert_eq!(decide(&view(0), std::slice::from_ref(&solid), none), Decision::Keep);
    assert_eq!(
        decide(&view(0), &[solid, dangling.clone(), waiting.clone()], none),
        Decision::RemoveOwners(vec![uid("x"), uid("w")])
    );
    let delete = |propagation| Decision::Delete { propagation, unblock: false };
    assert_eq!(decide(&view(1), std::slice::from_ref(&waiting), none), delete("Foreground"));
    assert_eq!(decide(&view(0), &[waiting], none), delete("Background"));
    assert_eq!(decide(&view(1), std::slice::from_ref(&dangling), none), delete("Background"));
    assert_eq!(decide(&view(1), &[dangling], Live { has_orphan_finalizer: true, ..none }), delete("Orphan"));
}
