//! Access, certificates, devices, flow control, storage migration.

use super::*;
use crate::meta::{self, GroupResource};
use std::cmp::Ordering;

pub(in super::super) fn role_ref(binding: &Value, _: &Context<'_>) -> Value {
    format!("{}/{}", str_at(binding, "roleRef.kind"), str_at(binding, "roleRef.name")).into()
}

pub(in super::super) fn subject_users(binding: &Value, _: &Context<'_>) -> Value {
    subjects(binding, "User")
}

pub(in super::super) fn subject_groups(binding: &Value, _: &Context<'_>) -> Value {
    subjects(binding, "Group")
}

pub(in super::super) fn subject_service_accounts(binding: &Value, _: &Context<'_>) -> Value {
    subjects(binding, "ServiceAccount")
}

pub(in super::super) fn csr_duration(request: &Value, _: &Context<'_>) -> Value {
    match at(request, "spec.expirationSeconds").and_then(Value::as_i64) {
        None => "<none>".into(),
        Some(seconds) => crate::duration::human(seconds.saturating_mul(1_000_000_000)).into(),
    }
}

pub(in super::super) fn csr_condition(request: &Value, _: &Context<'_>) -> Value {
    let has = |r#type: &str| condition(request, "status.conditions", r#type).is_some();
    let mut status = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        status.push_str(",Failed");
    }
    if !str_at(request, "status.certificate").is_empty() {
        status.push_str(",Issued");
    }
    status.into()
}

pub(in super::super) fn pod_certificate_state(request: &Value, _: &Context<'_>) -> Value {
    let mut types = items_at(request, "status.conditions").iter().map(|condition| str_at(condition, "type"));
    types.rfind(|t| matches!(*t, "Issued" | "Denied" | "Failed")).unwrap_or("Pending").into()
}

pub(in super::super) fn resource_claim_state(claim: &Value, _: &Context<'_>) -> Value {
    let deleted = meta::is_being_deleted(claim);
    let allocated = at(claim, "status.allocation").is_some_and(|allocation| !allocation.is_null());
    let states = [
        ("deleted", deleted),
        ("pending", !allocated && !deleted),
        ("allocated", allocated),
        ("reserved", allocated && !items_at(claim, "status.reservedFor").is_empty()),
    ];
    states.iter().filter(|(_, is)| *is).map(|(state, _)| *state).collect::<Vec<_>>().join(",").into()
}

/// The order in which schemas are tried.
pub(in super::super) fn flow_schema_order(a: &Value, b: &Value) -> Ordering {
    let precedence = |schema: &Value| integer_at(schema, "spec.matchingPrecedence");
    precedence(a).cmp(&precedence(b)).then_with(|| meta::name(a).cmp(meta::name(b)))
}

pub(in super::super) fn flow_schema_missing(schema: &Value, _: &Context<'_>) -> Value {
    condition(schema, "status.conditions", "Dangling").map_or("?", |condition| str_at(condition, "status")).into()
}

pub(in super::super) fn priority_level_shares(level: &Value, _: &Context<'_>) -> Value {
    number_or_none(level, "spec.limited.nominalConcurrencyShares")
}

pub(in super::super) fn priority_level_queues(level: &Value, _: &Context<'_>) -> Value {
    number_or_none(level, "spec.limited.limitResponse.queuing.queues")
}

pub(in super::super) fn priority_level_hand_size(level: &Value, _: &Context<'_>) -> Value {
    number_or_none(level, "spec.limited.limitResponse.queuing.handSize")
}

pub(in super::super) fn priority_level_queue_length(level: &Value, _: &Context<'_>) -> Value {
    number_or_none(level, "spec.limited.limitResponse.queuing.queueLengthLimit")
}

pub(in super::super) fn migration_resource(migration: &Value, _: &Context<'_>) -> Value {
    let part = |field: &str| str_at(migration, field).to_owned();
    GroupResource::new(part("spec.resource.group"), part("spec.resource.resource")).to_string().into()
}

pub(in super::super) fn migration_status(migration: &Value, _: &Context<'_>) -> Value {
    let of_note =
        |c: &&Value| matches!(str_at(c, "type"), "Running" | "Failed" | "Succeeded") && str_at(c, "status") == "True";
    let last = items_at(migration, "status.conditions").iter().rfind(of_note);
    last.map_or("Unknown", |condition| str_at(condition, "type")).into()
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let subjects = items_at(binding, "subjects").iter().filter(|subject| str_at(subject, "kind") == kind);
    let name = |subject: &Value| match kind {
        "ServiceAccount" => format!("{}/{}", str_at(subject, "namespace"), str_at(subject, "name")),
        _ => str_at(subject, "name").to_owned(),
    };
    subjects.map(name).collect::<Vec<_>>().join(", ").into()
}

fn number_or_none(object: &Value, path: &str) -> Value {
    // A level that is limited prints the number, set or not; what is not configured has no such object.
    let parent = path.rsplit_once('.').and_then(|(parent, _)| at(object, parent)).filter(|parent| !parent.is_null());
    if parent.is_some() { integer_at(object, path).into() } else { "<none>".into() }
}
