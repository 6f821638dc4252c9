//! NetworkPolicies: who may speak with some pods. Upstream: ValidateNetworkPolicySpec.

use api::field::ErrorList;
use api::names;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::{address_warnings, cidr, one_of, selector};
use crate::context::RequestContext;

/// The semantics of network policies.
#[derive(Debug, Clone, Copy)]
pub struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        selector::label_selector(&spec.field("podSelector"), &mut errors);
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in spec.field(rules).items() {
                rule.field("ports").items().for_each(|port| policy_port(&port, &mut errors));
                rule.field(peers).items().for_each(|own| peer(&own, &mut errors));
            }
        }
        let types = spec.field("policyTypes");
        if types.slice().len() > 2 {
            errors.push(types.invalid("may not specify more than two policyTypes"));
        } else {
            for kind in types.items() {
                one_of(&kind, &["Ingress", "Egress"], &mut errors);
            }
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let spec = At::root(new).field("spec");
        let peers = [("ingress", "from"), ("egress", "to")]
            .map(|(rules, peers)| spec.field(rules).items().flat_map(move |rule| rule.field(peers).items()));
        let blocks = peers.into_iter().flatten().map(|peer| peer.field("ipBlock")).filter(At::is_set);
        let ranges = blocks.flat_map(|block| std::iter::once(block.field("cidr")).chain(block.field("except").items()));
        ranges.flat_map(|range| address_warnings::of_cidr(&range)).collect()
    }
}

fn policy_port(at: &At<'_>, errors: &mut ErrorList) {
    one_of(&at.field("protocol"), &["TCP", "UDP", "SCTP"], errors);
    let (port, end) = (at.field("port"), at.field("endPort"));
    match port.value {
        Value::String(name) => {
            errors.extend(names::is_valid_port_name(name).into_iter().map(|complaint| port.invalid_str(complaint)))
        }
        Value::Number(_) => {
            errors
                .extend(names::is_valid_port_num(port.int()).into_iter().map(|complaint| port.invalid_int(complaint)));
            if end.is_set() {
                if end.int() < port.int() {
                    errors.push(end.invalid_int("must be greater than or equal to `port`"));
                }
                errors.extend(
                    names::is_valid_port_num(end.int()).into_iter().map(|complaint| end.invalid_int(complaint)),
                );
            }
        }
        _ if end.is_set() => errors.push(end.invalid_int("may not be specified when `port` is not specified")),
        _ => {}
    }
    if port.value.is_string() && end.is_set() {
        errors.push(end.invalid_int("may not be specified when `port` is non-numeric"));
    }
}

fn peer(at: &At<'_>, errors: &mut ErrorList) {
    let mut kinds = 0;
    for field in ["podSelector", "namespaceSelector"] {
        kinds += usize::from(at.has(field));
        selector::label_selector(&at.field(field), errors);
    }
    let block = at.field("ipBlock");
    if block.is_set() {
        let own = block.field("cidr");
        let range = if own.str().is_empty() {
            errors.push(own.required(""));
            None
        } else {
            cidr(&own, errors)
        };
        for except in block.field("except").items() {
            let inner = cidr(&except, errors);
            if let (Some(range), Some(inner)) = (range, inner)
                && (!range.contains(&inner) || range == inner)
            {
                errors.push(except.invalid_str("must be a strict subset of `cidr`"));
            }
        }
    }
    if block.is_set() && kinds > 0 {
        errors.push(at.forbidden("may not specify both ipBlock and another peer"));
    } else if !block.is_set() && kinds == 0 {
        errors.push(at.required("must specify a peer"));
    }
}
