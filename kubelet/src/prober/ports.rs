//! A port by number or by name.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The port's number.
pub(crate) fn resolve(port: &IntOrString, container: Option<&Container>) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => match name.parse() {
            Ok(number) => number,
            Err(_) => {
                let ports = container?.ports.as_ref()?;
                ports.iter().find(|port| port.name.as_deref() == Some(name))?.container_port
            }
        },
    };
    u16::try_from(number).ok().filter(|number| *number > 0)
}
