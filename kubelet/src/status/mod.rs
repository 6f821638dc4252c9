//! What the API is told about a pod. [`generate`] computes it (pure), [`patch`] says how it differs from what the API has (pure),
//! [`manager`] sends it. Upstream: `kubelet/status`, `Kubelet.generateAPIPodStatus`.

mod conditions;
mod containers;
pub(crate) mod generate;
pub(crate) mod manager;
mod patch;
mod phase;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Nanoseconds since the epoch as the API's time; none for 0, which the runtime uses for "has not happened".
fn time(nanos: i64) -> Option<Time> {
    if nanos == 0 {
        return None;
    }
    let seconds = jiff::Timestamp::from_second(nanos.div_euclid(1_000_000_000)).ok()?;
    Some(Time(seconds))
}
