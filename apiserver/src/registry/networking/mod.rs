//! The group networking.k8s.io: policies, ingresses and their classes, addresses. Upstream: pkg/apis/networking/validation.

pub mod addresses;
mod ingress;
mod ingress_class;
mod network_policy;

pub use ingress::Ingress;
pub use ingress_class::IngressClass;
pub use network_policy::NetworkPolicy;

use api::field::ErrorList;

use super::fields::At;
use super::validation::{dns_subdomain, path_segment, required_text};

/// Group, kind and name of some object. Upstream: validateIngressTypedLocalObjectReference.
fn typed_reference(at: &At<'_>, errors: &mut ErrorList) {
    let group = at.field("apiGroup");
    if group.is_set() {
        dns_subdomain(&group, errors);
    }
    for field in ["kind", "name"].map(|field| at.field(field)) {
        if required_text(&field, errors) {
            path_segment(&field, errors);
        }
    }
}
