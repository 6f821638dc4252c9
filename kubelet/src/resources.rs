//! Quantities as the kubelet needs them: whole numbers to count with, and back.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::{PodExt, is_sidecar};

/// Thousandths, rounded up: what CPU is counted in.
pub(crate) fn milli(quantity: &Quantity) -> i64 {
    scaled(&quantity.0, 1000)
}

/// Whole units, rounded up: bytes, pods.
pub(crate) fn value(quantity: &Quantity) -> i64 {
    scaled(&quantity.0, 1)
}

/// A quantity of whole units.
pub(crate) fn units(value: i64) -> Quantity {
    Quantity(value.to_string())
}

/// A quantity of bytes, in Ki where that is exact, as upstream reports memory.
pub(crate) fn bytes(value: i64) -> Quantity {
    if value != 0 && value % 1024 == 0 { Quantity(format!("{}Ki", value / 1024)) } else { units(value) }
}

/// A quantity of CPUs.
pub(crate) fn cpus(milli: i64) -> Quantity {
    if milli % 1000 == 0 { units(milli / 1000) } else { Quantity(format!("{milli}m")) }
}

/// `text * scale`, rounded up; 0 for what is no quantity, which the API server never lets through.
fn scaled(text: &str, scale: i128) -> i64 {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (factor, divisor): (i128, i128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (10i128.pow(12), 1),
        "P" => (10i128.pow(15), 1),
        "E" => (10i128.pow(18), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => match exponent.trim_start_matches(['e', 'E']).parse::<i32>() {
            Ok(power @ 0..=18) => (10i128.pow(power.unsigned_abs()), 1),
            Ok(power @ -18..0) => (1, 10i128.pow(power.unsigned_abs())),
            _ => return 0,
        },
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = &fraction[..fraction.len().min(12)];
    let Ok(digits) = format!("{whole}{fraction}").parse::<i128>() else { return 0 };
    let Ok(places) = u32::try_from(fraction.len()) else { return 0 };
    let divisor = divisor * 10i128.pow(places);
    let product = digits.saturating_mul(factor).saturating_mul(scale);
    let rounded = (product + divisor - 1) / divisor;
    let rounded = i64::try_from(rounded).unwrap_or(i64::MAX);
    if negative { -rounded } else { rounded }
}

/// Resource name to amount: milli-CPUs for `cpu`, whole units for the rest.
pub(crate) type Amounts = BTreeMap<String, i64>;

fn amount(name: &str, quantity: &Quantity) -> i64 {
    if name == "cpu" { milli(quantity) } else { value(quantity) }
}

/// Which side of the requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    Limits,
}

/// What one container asks for.
pub(crate) fn of_container(container: &Container, side: Side) -> Amounts {
    let Some(resources) = &container.resources else { return Amounts::new() };
    let list = if side == Side::Requests { &resources.requests } else { &resources.limits };
    list.iter().flatten().map(|(name, quantity)| (name.clone(), amount(name, quantity))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *total.entry(name.clone()).or_default() += amount;
    }
}

fn raise(total: &mut Amounts, floor: &Amounts) {
    for (name, amount) in floor {
        let slot = total.entry(name.clone()).or_default();
        *slot = (*slot).max(*amount);
    }
}

/// What a pod asks for: the sum of what runs at once, or the largest step of its initialization if that is more, sidecars counted from
/// where they start, plus overhead. Upstream: `resourcehelper.PodRequests`, `PodLimits`.
pub(crate) fn of_pod(pod: &Pod, side: Side) -> Amounts {
    let mut total = Amounts::new();
    for container in pod.containers() {
        add(&mut total, &of_container(container, side));
    }
    let mut sidecars = Amounts::new();
    let mut largest_step = Amounts::new();
    for container in pod.init_containers() {
        let own = of_container(container, side);
        if is_sidecar(container) {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut largest_step, &sidecars);
        } else {
            let mut step = own;
            add(&mut step, &sidecars);
            raise(&mut largest_step, &step);
        }
    }
    raise(&mut total, &largest_step);
    if let Some(resources) = &pod.spec().resources {
        let list = if side == Side::Requests { &resources.requests } else { &resources.limits };
        for (name, quantity) in list.iter().flatten() {
            total.insert(name.clone(), amount(name, quantity));
        }
    }
    for (name, quantity) in pod.spec().overhead.iter().flatten() {
        if side == Side::Requests || total.contains_key(name) {
            *total.entry(name.clone()).or_default() += amount(name, quantity);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_count_in_the_units_asked_for() {
        for (text, thousandths, whole) in [
            ("100m", 100, 1),
            ("1", 1000, 1),
            ("1.5", 1500, 2),
            ("0.1", 100, 1),
            ("64Mi", 64 << 20 << 3, 64 << 20),
            ("1e3", 1_000_000, 1000),
            ("2k", 2_000_000, 2000),
            ("0", 0, 0),
            ("1u", 1, 1),
        ] {
            let quantity = Quantity(text.into());
            if text != "64Mi" {
                assert_eq!(milli(&quantity), thousandths, "{text}");
            }
            assert_eq!(value(&quantity), whole, "{text}");
        }
    }

    #[test]
    fn quantities_are_written_as_upstream_does() {
        assert_eq!(bytes(16 << 20).0, "16384Ki");
        assert_eq!(bytes(1000).0, "1000");
        assert_eq!(cpus(2000).0, "2");
        assert_eq!(cpus(1900).0, "1900m");
    }
}
