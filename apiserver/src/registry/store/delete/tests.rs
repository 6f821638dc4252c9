use std::sync::Arc;

use api::scheme::Scheme;
use jiff::Timestamp;
use json::{Value, json};

use super::{Plan, plan};
use crate::authentication::UserInfo;
use crate::context::{Objects, RequestContext, Target};
use crate::endpoints::options::{DeleteOptions, Propagation};
use crate::registry::resource::Resources;

struct Nothing;

impl Objects for Nothing {
    fn get(&self, _: &str, _: &str, _: &str, _: &str) -> Option<Arc<Value>> {
        None
    }

    fn list(&self, _: &str, _: &str, _: &str) -> Vec<Arc<Value>> {
        Vec::new()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + second).unwrap()
}

fn text(second: i64) -> String {
    crate::context::format_time(at(second))
}

/// The plan for an object of a core resource at second `now`.
fn plan_for(resource: &str, now: i64, object: &Value, options: &DeleteOptions) -> Plan {
    let resources = Resources::builtin(Scheme::builtin());
    let resource = &resources.get("", "v1", resource).unwrap();
    let mut ctx = RequestContext::new(UserInfo::default(), Target::default(), Arc::new(Nothing));
    ctx.now = at(now);
    plan(resource, &ctx, object, options)
}

fn grace(seconds: i64) -> DeleteOptions {
    DeleteOptions { grace_period_seconds: Some(seconds), ..DeleteOptions::default() }
}

fn marked(plan: Plan) -> Value {
    match plan {
        Plan::Mark(object) => object["metadata"].clone(),
        other => panic!("{other:?}"),
    }
}

/// Deletion time and grace of an object that is marked once more before it goes.
fn last_mark(plan: Plan) -> (Value, Value) {
    match plan {
        Plan::MarkAndRemove(object) => {
            let metadata = &object["metadata"];
            (metadata["deletionTimestamp"].clone(), metadata["deletionGracePeriodSeconds"].clone())
        }
        other => panic!("{other:?}"),
    }
}

fn map(metadata: Value) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata})
}

/// A running pod.
fn pod(metadata: Value) -> Value {
    let spec = json!({"nodeName": "n", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c"}]});
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}})
}

#[test]
fn what_nothing_holds_goes_at_once() {
    assert_eq!(plan_for("configmaps", 0, &map(json!({"name": "a"})), &DeleteOptions::default()), Plan::Remove);
}

#[test]
fn finalizers_hold_and_the_mark_counts_as_a_generation() {
    let object = map(json!({"name": "a", "generation": 4, "finalizers": ["x.io/y"]}));
    let new = marked(plan_for("configmaps", 5, &object, &DeleteOptions::default()));
    let expect = json!({"name": "a", "generation": 5, "finalizers": ["x.io/y"],
        "deletionTimestamp": text(5), "deletionGracePeriodSeconds": 0});
    assert_eq!(new, expect);
}

#[test]
fn propagation_sets_and_clears_the_collectors_finalizers() {
    let with = |propagation| DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
    let object = map(json!({"name": "a", "finalizers": ["orphan", "x.io/y"]}));
    let finalizers = |options| marked(plan_for("configmaps", 0, &object, &options))["finalizers"].clone();
    assert_eq!(finalizers(with(Propagation::Foreground)), json!(["x.io/y", "foregroundDeletion"]));
    assert_eq!(finalizers(with(Propagation::Background)), json!(["x.io/y"]));
    assert_eq!(finalizers(DeleteOptions::default()), json!(["orphan", "x.io/y"]));
    let events = DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    assert_eq!(plan_for("events", 0, &map(json!({"name": "e"})), &events), Plan::Remove);
}

#[test]
fn a_running_pod_is_marked_with_its_grace() {
    let new = marked(plan_for("pods", 10, &pod(json!({"name": "p"})), &DeleteOptions::default()));
    assert_eq!((&new["deletionTimestamp"], &new["deletionGracePeriodSeconds"]), (&json!(text(40)), &json!(30)));
    assert_eq!(last_mark(plan_for("pods", 10, &pod(json!({"name": "p"})), &grace(0))), (json!(text(10)), json!(0)));
}

#[test]
fn a_pod_on_no_node_goes_at_once() {
    let mut object = pod(json!({"name": "p"}));
    object["spec"].as_object_mut().unwrap().remove("nodeName");
    assert_eq!(last_mark(plan_for("pods", 10, &object, &DeleteOptions::default())), (json!(text(10)), json!(0)));
}

#[test]
fn grace_can_only_be_shortened() {
    let object = pod(json!({"name": "p", "deletionTimestamp": text(30), "deletionGracePeriodSeconds": 30}));
    assert_eq!(plan_for("pods", 1, &object, &DeleteOptions::default()), Plan::Pending);
    assert_eq!(plan_for("pods", 1, &object, &grace(60)), Plan::Pending);
    let shorter = marked(plan_for("pods", 1, &object, &grace(5)));
    assert_eq!((&shorter["deletionTimestamp"], &shorter["deletionGracePeriodSeconds"]), (&json!(text(5)), &json!(5)));
    let late = marked(plan_for("pods", 20, &object, &grace(5)));
    assert_eq!((&late["deletionTimestamp"], &late["deletionGracePeriodSeconds"]), (&json!(text(20)), &json!(1)));
    assert_eq!(last_mark(plan_for("pods", 1, &object, &grace(0))), (json!(text(1)), json!(0)), "the kubelet's word");
    let over = pod(json!({"name": "p", "deletionTimestamp": text(1), "deletionGracePeriodSeconds": 0}));
    assert_eq!(plan_for("pods", 2, &over, &grace(0)), Plan::Remove);
}

#[test]
fn a_namespace_is_marked_until_its_own_finalizers_are_gone() {
    let spec = json!({"finalizers": ["kubernetes"]});
    let object = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n"}, "spec": spec, "status": {"phase": "Active"}});
    let Plan::Mark(new) = plan_for("namespaces", 3, &object, &DeleteOptions::default()) else { panic!("not marked") };
    assert_eq!(new["metadata"]["deletionTimestamp"], text(3));
    assert_eq!(new["status"]["phase"], "Terminating");
}
