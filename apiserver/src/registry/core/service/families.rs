//! `ipFamilies` and `ipFamilyPolicy`: what the client left out, from what the cluster has. Upstream: initIPFamilyFields.

use api::field::{Error, ErrorList, Path};
use json::{Value, json};

use super::super::super::allocator::{Family, Ranges};
use super::super::super::fields::{at, items, object_mut, set, text};
use super::super::super::validation::same;
use super::{NONE, cluster_ips, has_selector, is_external_name, kind, validate};

fn policy(service: &Value) -> &str {
    text(&service["spec"], "ipFamilyPolicy")
}

fn families(service: &Value) -> Vec<Family> {
    items(&service["spec"], "ipFamilies").iter().filter_map(Value::as_str).filter_map(Family::parse).collect()
}

fn set_families(service: &mut Value, families: &[Family]) {
    let texts: Vec<&str> = families.iter().map(|family| family.as_str()).collect();
    set(object_mut(service, "spec"), "ipFamilies", json!(texts));
}

/// An update of a PreferDualStack Service that touches none of this: it keeps what it has, whatever the cluster has now.
fn untouched(new: &Value, old: &Value) -> bool {
    let prefer = |service: &Value| policy(service) == "PreferDualStack";
    kind(new) == kind(old)
        && !is_external_name(new)
        && prefer(new)
        && (prefer(old) || policy(old).is_empty())
        && ["clusterIP", "clusterIPs", "ipFamilies"]
            .iter()
            .all(|key| same(at(new, &["spec", key]), at(old, &["spec", key])))
}

/// Fills in and checks the family fields. Idempotent.
pub(super) fn init(service: &mut Value, old: Option<&Value>, ranges: &Ranges) -> Result<(), ErrorList> {
    if is_external_name(service) || old.is_some_and(|old| untouched(service, old)) {
        return Ok(());
    }
    let headless_without_selector = text(&service["spec"], "clusterIP") == NONE && !has_selector(service);
    if policy(service).is_empty() {
        let inherited = old.map(policy).filter(|policy| !policy.is_empty());
        let inferred = inherited.unwrap_or(if headless_without_selector { "RequireDualStack" } else { "SingleStack" });
        set(object_mut(service, "spec"), "ipFamilyPolicy", inferred);
    }
    let mut errors = ErrorList::new();
    validate::address_fields(service, old, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    check_policy(service, old, &mut errors);
    infer_from_addresses(service, ranges, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let dual = policy(service) != "SingleStack";
    if headless_without_selector {
        // Its endpoints are whatever somebody writes: any family goes.
        let mut own = families(service);
        if own.is_empty() {
            own.push(ranges.default_family());
        }
        if own.len() < 2 && dual {
            own.push(own[0].other());
        }
        set_families(service, &own);
        return Ok(());
    }
    let spec = Path::new("spec");
    if policy(service) == "RequireDualStack" && !(ranges.has(Family::V4) && ranges.has(Family::V6)) {
        let detail = "this cluster is not configured for dual-stack services";
        errors.push(Error::invalid(&spec.child("ipFamilyPolicy"), policy(service), detail));
    }
    for (index, family) in families(service).into_iter().enumerate() {
        if !ranges.has(family) {
            let path = spec.child("ipFamilies").index(index);
            errors.push(Error::invalid(&path, family.as_str(), "not configured on this cluster"));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut own = families(service);
    if own.is_empty() {
        own.push(ranges.default_family());
    }
    if dual && own.len() == 1 && ranges.has(own[0].other()) {
        own.push(own[0].other());
    }
    set_families(service, &own);
    Ok(())
}

fn check_policy(service: &mut Value, old: Option<&Value>, errors: &mut ErrorList) {
    let path = Path::new("spec").child("ipFamilyPolicy");
    if let Some(old) = old {
        let count = |service: &Value, key: &str| items(&service["spec"], key).len();
        for (key, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
            if policy(service) == "SingleStack" {
                // Asking for one stack and leaving the lists alone is asking to let the second go.
                if same(at(service, &["spec", key]), at(old, &["spec", key])) && count(service, key) > 1 {
                    let first = items(&service["spec"], key)[..1].to_vec();
                    set(object_mut(service, "spec"), key, first);
                }
            } else if count(old, key) == 2 && count(service, key) == 1 {
                let detail = format!("must be 'SingleStack' to release the secondary {what}");
                errors.push(Error::invalid(&path, policy(service), detail));
            }
        }
    }
    if policy(service) == "SingleStack" {
        for (key, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if items(&service["spec"], key).len() == 2 {
                let detail =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                errors.push(Error::invalid(&path, policy(service), detail));
            }
        }
    }
}

fn infer_from_addresses(service: &mut Value, ranges: &Ranges, errors: &mut ErrorList) {
    let mut own = families(service);
    let addresses: Vec<String> = cluster_ips(service).into_iter().map(str::to_owned).collect();
    for (index, address) in addresses.iter().enumerate() {
        let Some(address) = super::super::super::validation::parse_ip_sloppy(address) else { break };
        if index < own.len() {
            continue;
        }
        let family = Family::of(address);
        if ranges.has(family) {
            own.push(family);
        } else {
            let path = Path::new("spec").child("clusterIPs").index(index);
            let detail = format!("{} is not configured on this cluster", family.as_str());
            errors.push(Error::invalid(&path, service["spec"]["clusterIPs"].clone(), detail));
        }
    }
    if !own.is_empty() {
        set_families(service, &own);
    }
}
