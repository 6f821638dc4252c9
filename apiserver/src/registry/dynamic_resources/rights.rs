//! Who may change which part of a claim's status: the allocation is the scheduler's, the status of a device its driver's.
//!
//! Both are asked for as subresources that nobody serves, `resourceclaims/binding` and `resourceclaims/driver`.
//! Upstream: resourceutils.AuthorizedForBinding, AuthorizedForDeviceStatus.

use std::collections::{BTreeMap, BTreeSet};

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::super::fields::{At, at, items, text};
use super::super::validation::same;
use super::allocation::identity;
use crate::authentication::UserInfo;
use crate::authorization::Attributes;
use crate::context::RequestContext;

const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// Reports what the user may not change.
pub(super) fn status(ctx: &RequestContext, new: &Value, old: &Value, errors: &mut ErrorList) {
    let status = At::root(new).field("status");
    let is_kept = |field: &str| same(at(new, &["status", field]), at(old, &["status", field]));
    if !(is_kept("allocation") && is_kept("reservedFor")) {
        binding(ctx, &status.field("allocation"), errors);
    }
    // What is not allocated keeps no status of devices anyway.
    if status.field("allocation").is_set() {
        devices(ctx, &status, &old["status"], errors);
    }
}

fn question(ctx: &RequestContext, verb: &str, part: &str) -> Attributes {
    let api_version = ctx.target.version.clone();
    Attributes { api_version, subresource: part.to_owned(), ..ctx.question(verb, &ctx.target.group, "resourceclaims") }
}

fn binding(ctx: &RequestContext, allocation: &At<'_>, errors: &mut ErrorList) {
    let verb = ctx.verb();
    if let Err(refusal) = ctx.require(&question(ctx, verb, "binding")) {
        let detail = format!(
            "changing status.allocation or status.reservedFor requires resource=\"resourceclaims/binding\", \
             verb=\"{verb}\" permission: {}",
            refusal.message
        );
        errors.push(Error::forbidden(&allocation.path, detail));
    }
}

/// A driver that runs on the node of the claim needs less than one that does not.
fn devices(ctx: &RequestContext, status: &At<'_>, before: &Value, errors: &mut ErrorList) {
    let anywhere = format!("arbitrary-node:{}", ctx.verb());
    let here = format!("associated-node:{}", ctx.verb());
    let is_here = node_of(status.get("allocation")).is_some_and(|node| runs_on(&ctx.user, node));
    let verbs = if is_here { vec![here, anywhere] } else { vec![anywhere] };
    for driver in changed_drivers(status.get("devices"), &before["devices"]) {
        let mut refusals = Vec::new();
        for verb in &verbs {
            let mut question = question(ctx, verb, "driver");
            question.namespace.clone_from(&ctx.target.namespace);
            driver.clone_into(&mut question.name);
            refusals.extend(ctx.require(&question).err());
        }
        // One of the verbs is enough; the first is told.
        let Some(refusal) = refusals.first().filter(|_| refusals.len() == verbs.len()) else { continue };
        let detail = format!(
            "changing status.devices requires resource=\"resourceclaims/driver\", verb=\"[{}]\" permission: {}",
            verbs.join(" "),
            refusal.message
        );
        errors.push(Error::forbidden(&status.field("devices").path, detail));
    }
}

/// The drivers of devices whose status is new, gone or another.
fn changed_drivers<'v>(new: &'v Value, old: &'v Value) -> BTreeSet<&'v str> {
    let all = |list: &'v Value| list.as_array().into_iter().flatten();
    let mut before: BTreeMap<String, &Value> = all(old).map(|device| (identity(device).to_string(), device)).collect();
    let mut changed = BTreeSet::new();
    for device in all(new) {
        if before.remove(&identity(device).to_string()).is_none_or(|own| !same(own, device)) {
            changed.insert(text(device, "driver"));
        }
    }
    changed.extend(before.into_values().map(|device| text(device, "driver")));
    changed
}

/// The one node an allocation is for.
fn node_of(allocation: &Value) -> Option<&str> {
    let [term] = items(&allocation["nodeSelector"], "nodeSelectorTerms") else { return None };
    let ([], [field]) = (items(term, "matchExpressions"), items(term, "matchFields")) else { return None };
    let [node] = items(field, "values") else { return None };
    let is_name = text(field, "key") == "metadata.name" && text(field, "operator") == "In";
    node.as_str().filter(|node| is_name && !node.is_empty())
}

/// Is this a ServiceAccount whose token is of a pod on the node?
fn runs_on(user: &UserInfo, node: &str) -> bool {
    let is_account = user.name.strip_prefix("system:serviceaccount:").is_some_and(|rest| {
        rest.split_once(':').is_some_and(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
    });
    let names = user.extra.get(NODE_NAME).map(Vec::as_slice).unwrap_or_default();
    is_account && names == [node] && names::name_is_dns_subdomain(node, false).is_empty()
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    #[test]
    fn only_an_allocation_for_one_node_by_name_has_a_node() {
        let by = |term: Value| json!({"nodeSelector": {"nodeSelectorTerms": [term]}});
        let name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]});
        assert_eq!(node_of(&by(name.clone())), Some("n"));
        let two = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n", "m"]}]});
        let label =
            json!({"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchFields": name["matchFields"]});
        for other in [json!({}), by(two), by(label), json!({"nodeSelector": {"nodeSelectorTerms": [name, name]}})] {
            assert_eq!(node_of(&other), None, "{other}");
        }
    }

    #[test]
    fn a_driver_runs_where_the_token_of_its_account_says() {
        let user = |name: &str, nodes: &[&str]| {
            let mut user = UserInfo::new(name, &[]);
            user.extra.insert(NODE_NAME.to_owned(), nodes.iter().map(|node| (*node).to_owned()).collect());
            user
        };
        assert!(runs_on(&user("system:serviceaccount:a:b", &["n"]), "n"));
        assert!(!runs_on(&user("system:serviceaccount:a:b", &["m"]), "n"));
        assert!(!runs_on(&user("system:serviceaccount:a:b", &["n", "n"]), "n"));
        assert!(!runs_on(&user("somebody", &["n"]), "n"));
        assert!(!runs_on(&UserInfo::new("system:serviceaccount:a:b", &[]), "n"));
    }

    #[test]
    fn drivers_answer_for_what_came_went_or_changed() {
        let device = |driver: &str, data: u8| json!({"driver": driver, "pool": "p", "device": "d", "data": data});
        let (old, new) = (
            json!([device("a", 1), device("b", 1), device("c", 1)]),
            json!([device("a", 1), device("b", 2), device("d", 1)]),
        );
        assert_eq!(changed_drivers(&new, &old).into_iter().collect::<Vec<_>>(), ["b", "c", "d"]);
    }
}
