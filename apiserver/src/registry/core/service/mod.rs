//! Services. Upstream: pkg/registry/core/service/{strategy.go,storage}, validateService.

mod families;
mod normalize;
mod validate;

pub(crate) use validate::endpoint_ip;

use api::field::{Error, ErrorList, Path};
use api::meta::{self, GroupKind};
use api::names::NameRule;
use api::status::Status;
use json::{Value, json};

use super::super::allocator::{self, Family, Plan, Ports};
use super::super::fields::{At, at, items, items_mut, object_mut, set, text};
use super::super::strategy::{Extra, Strategy};
use super::super::validation::address_warnings;
use crate::context::RequestContext;

/// The semantics of services.
#[derive(Debug, Clone, Copy)]
pub struct Service;

/// Upstream: ClusterIPNone.
const NONE: &str = "None";

fn kind(service: &Value) -> &str {
    text(&service["spec"], "type")
}

fn is_external_name(service: &Value) -> bool {
    kind(service) == "ExternalName"
}

fn cluster_ips(service: &Value) -> Vec<&str> {
    items(&service["spec"], "clusterIPs").iter().filter_map(Value::as_str).collect()
}

fn is_headless(service: &Value) -> bool {
    cluster_ips(service) == [NONE]
}

fn has_selector(service: &Value) -> bool {
    service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty())
}

fn needs_node_ports(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
}

fn needs_health_check(service: &Value) -> bool {
    kind(service) == "LoadBalancer" && text(&service["spec"], "externalTrafficPolicy") == "Local"
}

fn invalid(service: &Value, errors: impl Into<ErrorList>) -> Status {
    Status::invalid(&GroupKind::new("", "Service"), meta::name(service), &errors.into())
}

impl Strategy for Service {
    fn name_rule(&self) -> NameRule {
        api::names::name_is_dns_label
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        normalize::cluster_ips(new, None);
        set(new, "status", json!({"loadBalancer": {}}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        validate::service(new, None)
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        validate::warnings(new)
    }

    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, old: &Value) {
        normalize::keep_allocated(new, old);
        normalize::cluster_ips(new, Some(old));
        normalize::drop_by_type(new, old);
        // So that validation sees what will be written; a failure is reported when it is tried again for the commit.
        let _ = families::init(new, Some(old), &allocator::service_ranges(ctx));
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        // Upstream chooses families and addresses before it validates.
        if let Err(errors) = families::init(&mut new.clone(), Some(old), &allocator::service_ranges(ctx)) {
            return errors;
        }
        let mut errors = ErrorList::new();
        validate::changes(new, old, &mut errors);
        errors.extend(validate::service(new, Some(old)));
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        validate::status(new, &mut errors);
        errors
    }

    fn warnings_on_status_update(&self, new: &Value) -> Vec<String> {
        address_warnings::of_balancer(new)
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn allocates(&self) -> bool {
        true
    }

    fn allocate_on_create(&self, ctx: &RequestContext, new: &mut Value) -> Result<Extra, Status> {
        let ranges = allocator::service_ranges(ctx);
        families::init(new, None, &ranges).map_err(|errors| invalid(new, errors))?;
        let mut plan = Plan::default();
        addresses(ctx, new, &[], &mut plan)?;
        ports(ctx, new, None, &mut plan)?;
        Ok(plan.into_extra())
    }

    fn allocate_on_update(&self, ctx: &RequestContext, new: &mut Value, old: &Value) -> Result<Extra, Status> {
        let ranges = allocator::service_ranges(ctx);
        families::init(new, Some(old), &ranges).map_err(|errors| invalid(new, errors))?;
        let mut plan = Plan::default();
        let before: Vec<String> =
            if is_headless(old) { Vec::new() } else { cluster_ips(old).into_iter().map(str::to_owned).collect() };
        addresses(ctx, new, &before, &mut plan)?;
        ports(ctx, new, Some(old), &mut plan)?;
        Ok(plan.into_extra())
    }

    fn release_on_delete(&self, ctx: &RequestContext, old: &Value) -> Extra {
        let mut plan = Plan::default();
        for address in cluster_ips(old).into_iter().filter_map(|ip| ip.parse().ok()) {
            plan.give_address(ctx, address, meta::namespace(old), meta::name(old));
        }
        plan.change_ports(ctx, &node_ports(old), &[]);
        plan.into_extra()
    }
}

fn node_ports(service: &Value) -> Vec<i64> {
    allocator::ports_of(service).collect()
}

/// Gives the Service an address per family, and back what it no longer has. `before` are the addresses it has in the store.
fn addresses(ctx: &RequestContext, service: &mut Value, before: &[String], plan: &mut Plan) -> Result<(), Status> {
    let (namespace, name) = (meta::namespace(service).to_owned(), meta::name(service).to_owned());
    let ranges = allocator::service_ranges(ctx);
    let mut ips: Vec<String> = cluster_ips(service).into_iter().map(str::to_owned).collect();
    let wants = !is_external_name(service) && !is_headless(service);
    if wants {
        let families: Vec<Family> =
            items(&service["spec"], "ipFamilies").iter().filter_map(Value::as_str).filter_map(Family::parse).collect();
        for (index, family) in families.into_iter().enumerate() {
            let asked = ips.get(index).cloned().unwrap_or_default();
            let shown = service["spec"]["clusterIPs"].clone();
            let path = Path::new("spec").child("clusterIPs");
            let fail = |detail: String| invalid(service, Error::invalid(&path, shown, detail));
            let address = if asked.is_empty() && ctx.dry_run {
                // Nothing is looked for: upstream shows the range's own address.
                ranges
                    .first(family)
                    .ok_or_else(|| fail(format!("failed to allocate IP: {}", allocator::Error::NotReady)))?
            } else if asked.is_empty() {
                ranges.next(family, &*ctx.objects).map_err(|error| match error {
                    allocator::Error::Full => Status::internal_error(&format_args!(
                        "failed to allocate a serviceIP for Service {name:?}: {error}"
                    )),
                    error => fail(format!("failed to allocate IP: {error}")),
                })?
            } else if before.contains(&asked) {
                continue;
            } else {
                let address = super::super::validation::parse_ip_sloppy(&asked);
                let address = address
                    .ok_or_else(|| Status::internal_error(&format_args!("failed to parse service IP {asked:?}")))?;
                ranges
                    .check(address, &*ctx.objects)
                    .map_err(|error| fail(format!("failed to allocate IP {asked}: {error}")))?;
                address
            };
            plan.take_address(ctx, address, &namespace, &name);
            match ips.get_mut(index) {
                Some(slot) if asked.is_empty() => *slot = address.to_string(),
                Some(_) => {}
                None => ips.push(address.to_string()),
            }
        }
        let spec = object_mut(service, "spec");
        set(spec, "clusterIP", ips.first().cloned().unwrap_or_default());
        set(spec, "clusterIPs", json!(ips));
    }
    for gone in before.iter().filter(|ip| !ips.contains(ip)) {
        if let Ok(address) = gone.parse() {
            plan.give_address(ctx, address, &namespace, &name);
        }
    }
    Ok(())
}

/// Gives ports their node ports, and the Service its health check's.
fn ports(ctx: &RequestContext, service: &mut Value, old: Option<&Value>, plan: &mut Plan) -> Result<(), Status> {
    let mut free = Ports::new(ctx, meta::namespace(service), meta::name(service));
    let before: Vec<i64> = old.map(node_ports).unwrap_or_default();
    let shown = service.clone();
    if needs_node_ports(service) {
        // Requested ones first, or a random one could take what a later port of the same Service asks for.
        let mut own: Vec<(i64, String, i64)> = Vec::new();
        for port in At::root(&shown).field("spec").field("ports").items() {
            let wanted = port.field("nodePort");
            let number = wanted.int();
            let (service_port, protocol) = (port.field("port").int(), port.text("protocol").to_owned());
            let shared = own.iter().any(|(other, other_protocol, taken)| {
                *taken == number && (old.is_some() || *other == service_port && *other_protocol != protocol)
            });
            if number == 0 || shared {
                continue;
            }
            let taken = free.take(number);
            if !before.contains(&number) {
                taken.map_err(|error| invalid(&shown, wanted.invalid_int(error.to_string())))?;
            }
            own.push((service_port, protocol, number));
        }
        let automatic = kind(&shown) == "NodePort"
            || at(&shown, &["spec", "allocateLoadBalancerNodePorts"]).as_bool() != Some(false);
        // The same port under two protocols shares a node port. Upstream: findRequestedNodePort.
        let mut given: Vec<(i64, String, i64)> = items(&shown["spec"], "ports")
            .iter()
            .map(|port| {
                (
                    port["port"].as_i64().unwrap_or(0),
                    text(port, "protocol").to_owned(),
                    port["nodePort"].as_i64().unwrap_or(0),
                )
            })
            .filter(|(.., node_port)| *node_port != 0)
            .collect();
        if automatic {
            for port in items_mut(object_mut(service, "spec"), "ports") {
                if port["nodePort"].as_i64().unwrap_or(0) != 0 {
                    continue;
                }
                let (number, protocol) = (port["port"].as_i64().unwrap_or(0), text(port, "protocol").to_owned());
                let shared = old.is_none().then(|| {
                    let fits = |given: &&(i64, String, i64)| given.0 == number && given.1 != protocol;
                    given.iter().find(fits).map(|given| given.2)
                });
                let node_port = match shared.flatten() {
                    Some(node_port) => node_port,
                    None => free.next().map_err(|error| {
                        Status::internal_error(&format_args!("failed to allocate a nodePort: {error}"))
                    })?,
                };
                given.push((number, protocol, node_port));
                set(port, "nodePort", node_port);
            }
        }
    }
    if needs_health_check(service) {
        let wanted = at(&shown, &["spec", "healthCheckNodePort"]).as_i64().unwrap_or(0);
        if wanted == 0 {
            let port = free.next().map_err(|error| {
                Status::internal_error(&format_args!("failed to allocate a HealthCheck NodePort {wanted}: {error}"))
            })?;
            set(object_mut(service, "spec"), "healthCheckNodePort", port);
        } else if !before.contains(&wanted) {
            free.take(wanted).map_err(|error| {
                Status::internal_error(&format_args!(
                    "failed to allocate requested HealthCheck NodePort {wanted}: {error}"
                ))
            })?;
        }
    }
    plan.change_ports(ctx, &before, &node_ports(service));
    Ok(())
}
