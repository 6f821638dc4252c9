//! What a claim got: the status of ResourceClaims. Upstream: ValidateResourceClaimStatusUpdate.

use api::field::{Error, ErrorList};
use json::{Value, json};

use super::super::fields::{At, at, items, items_mut, remove, text};
use super::super::validation::{affinity, dns_label, parse_ip_sloppy, required_one_of, required_text, same, volume};
use super::claim::request_names;
use super::class::MAX_CONFIGURATIONS;
use super::configuration::{configuration, raw_object};
use super::selection::binding_conditions;
use super::taint::{limited_conditions, tolerations};
use super::{itself, list, names, set};

const MAX_RESULTS: usize = 32;
const MAX_CONSUMERS: usize = 256;
const MAX_ADDRESSES: usize = 16;
const MAX_INTERFACE: usize = 256;
const MAX_HARDWARE: usize = 128;

/// The devices of an allocation.
fn results(claim: &Value) -> &[Value] {
    items(at(claim, &["status", "allocation", "devices"]), "results")
}

/// What tells a device from others.
pub(super) fn identity(device: &Value) -> Value {
    json!([text(device, "driver"), text(device, "pool"), text(device, "device"), text(device, "shareID")])
}

/// Devices that were taken from the claim have no status any more. Upstream: dropDeallocatedStatusDevices.
pub(super) fn prepare(new: &mut Value, old: &Value) {
    if let Some(devices) = new.pointer_mut("/status/allocation/devices") {
        items_mut(devices, "results").for_each(|result| {
            remove(result, "skipNodeOperations");
        });
    }
    let kept: Vec<Value> = results(new).iter().map(identity).collect();
    let gone: Vec<Value> = results(old).iter().map(identity).filter(|device| !kept.contains(device)).collect();
    let Some(status) = new.get_mut("status") else { return };
    if let Some(devices) = status.get_mut("devices").and_then(Value::as_array_mut) {
        devices.retain(|device| !gone.contains(&identity(device)));
        if devices.is_empty() {
            remove(status, "devices");
        }
    }
}

/// A status as it may become.
pub(super) fn status(new: &Value, old: &Value, errors: &mut ErrorList) {
    let own = At::root(new).field("status");
    let claim = At::root(new).field("spec").field("devices");
    consumers(&own, new, old, errors);
    let allocated: Vec<Value> = results(new).iter().map(identity).collect();
    let key = |device: &At<'_>| identity(device.value);
    set(&own.field("devices"), usize::MAX, errors, Some(key), |device, errors| {
        device_status(device, &allocated, errors);
    });
    let (allocation, before) = (own.field("allocation"), at(old, &["status", "allocation"]));
    if !allocation.is_set() {
        return;
    }
    if before.is_null() {
        self::allocation(&allocation, &claim, errors);
    } else if !same(allocation.value, before) {
        errors.push(Error::invalid(&allocation.path, Value::Null, "field cannot be modified once set"));
    }
}

/// Who uses the claim: only what is allocated, and nobody new once it is on its way out.
fn consumers(status: &At<'_>, new: &Value, old: &Value, errors: &mut ErrorList) {
    let reserved = status.field("reservedFor");
    let key = |consumer: &At<'_>| Value::from(consumer.text("uid"));
    set(&reserved, MAX_CONSUMERS, errors, Some(key), |consumer, errors| {
        for field in ["resource", "name", "uid"] {
            required_text(&consumer.field(field), errors);
        }
    });
    let before = items(&old["status"], "reservedFor");
    if reserved.is_empty() {
    } else if !status.has("allocation") {
        errors.push(reserved.forbidden("may not be specified when `allocated` is not set"));
    } else if api::meta::is_being_deleted(new) && reserved.slice().iter().any(|consumer| !before.contains(consumer)) {
        let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
        errors.push(reserved.forbidden(detail));
    }
}

fn allocation(at: &At<'_>, claim: &At<'_>, errors: &mut ErrorList) {
    let devices = at.field("devices");
    list(&devices.field("results"), MAX_RESULTS, errors, |own, errors| result(own, claim, errors));
    list(&devices.field("config"), 2 * MAX_CONFIGURATIONS, errors, |own, errors| {
        required_one_of(&own.field("source"), &["FromClaim", "FromClass"], errors);
        request_names(&own.field("requests"), claim, errors);
        configuration(own, errors);
    });
    let selector = at.field("nodeSelector");
    if selector.is_set() {
        affinity::node_selector(&selector, errors);
    }
}

fn result(at: &At<'_>, claim: &At<'_>, errors: &mut ErrorList) {
    names::request(&at.field("request"), claim, errors);
    volume::driver_name_declared(&at.field("driver"), errors);
    names::pool_declared(&at.field("pool"), errors);
    dns_label(&at.field("device"), errors);
    names::uuid(&at.field("shareID"), errors);
    binding_conditions(at, errors);
    tolerations(&at.field("tolerations"), errors);
}

/// What a driver says of a device. Upstream: validateDeviceStatus.
fn device_status(at: &At<'_>, allocated: &[Value], errors: &mut ErrorList) {
    volume::driver_name(&at.field("driver"), errors);
    names::pool(&at.field("pool"), errors);
    dns_label(&at.field("device"), errors);
    names::uuid(&at.field("shareID"), errors);
    if !allocated.contains(&identity(at.value)) {
        errors.push(at.invalid("must be an allocated device in the claim"));
    }
    limited_conditions(&at.field("conditions"), errors);
    let data = at.field("data");
    if data.is_set() {
        raw_object(&data, errors);
    }
    let network = at.field("networkData");
    for (field, max) in [("interfaceName", MAX_INTERFACE), ("hardwareAddress", MAX_HARDWARE)] {
        if network.text(field).len() > max {
            errors.push(Error::too_long(&network.field(field).path, max));
        }
    }
    set(&network.field("ips"), MAX_ADDRESSES, errors, Some(itself), interface_address);
}

/// An address with the length of its subnet, in canonical form. Upstream: IsValidInterfaceAddress.
fn interface_address(at: &At<'_>, errors: &mut ErrorList) {
    let parsed = at.str().split_once('/').and_then(|(address, length)| {
        let address = parse_ip_sloppy(address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        length.parse::<u8>().ok().filter(|length| *length <= longest).map(|length| format!("{address}/{length}"))
    });
    match parsed {
        None => {
            errors.push(at.invalid_str("must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"));
        }
        Some(canonical) if canonical != at.str() => {
            let canonical = api::go_text::quote(&canonical);
            errors.push(at.invalid_str(format!("must be in canonical form ({canonical})")));
        }
        Some(_) => {}
    }
}
