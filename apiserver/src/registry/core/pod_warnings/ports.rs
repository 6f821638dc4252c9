//! Warnings about ports of containers that meet in the one network of a pod.

use super::super::super::fields::At;

/// All of them: addresses without a port of the host, numbers that meet, names that meet.
pub(super) fn warn(containers: &[At<'_>], warnings: &mut Vec<String>) {
    let ports: Vec<At<'_>> = containers.iter().flat_map(|container| container.field("ports").items()).collect();
    for (index, port) in ports.iter().enumerate() {
        if !port.text("hostIP").is_empty() && port.field("hostPort").int() == 0 {
            warnings.push(format!("{}: hostIP set without hostPort: {}", port.path, shown(port)));
        }
        for other in ports[..index].iter().filter(|other| number(other) == number(port)) {
            if let Some(how) = meeting(port, other) {
                warnings.push(format!("{}: {how} port definition with {}", port.path, other.path));
            }
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let name = port.text("name");
        let first = ports[..index].iter().find(|other| !name.is_empty() && other.text("name") == name);
        if let Some(at) = first.map(|first| &first.path) {
            let chosen = format!("services and probes that select ports by name will use {at}");
            warnings.push(format!("{}: duplicate port name {name:?} with {at}, {chosen}", port.path));
        }
    }
}

fn number<'a>(port: &At<'a>) -> (i64, &'a str) {
    (port.field("containerPort").int(), port.text("protocol"))
}

/// How two ports of the same number and protocol stand in each other's way.
fn meeting(port: &At<'_>, other: &At<'_>) -> Option<&'static str> {
    let (address, others) = (port.text("hostIP"), other.text("hostIP"));
    match (port.field("hostPort").int(), other.field("hostPort").int()) {
        (own, its) if own == its && address == others => Some("duplicate"),
        (0, _) | (_, 0) => Some("overlapping"),
        (own, its) if own == its && address.is_empty() != others.is_empty() => Some("dangerously ambiguous"),
        _ => None,
    }
}

/// As Go prints the struct.
fn shown(port: &At<'_>) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.text("name"),
        port.field("hostPort").int(),
        port.field("containerPort").int(),
        port.text("protocol"),
        port.text("hostIP")
    )
}
