//! Networking and discovery.

use super::super::cell::Cell::*;
use super::*;

pub(super) const KINDS: &[Kind] = &[
    kind(
        "networking.k8s.io",
        "Ingress",
        &[
            NAME,
            string("Class", TextOr("spec.ingressClassName", "<none>")),
            string("Hosts", Call(cells::ingress_hosts)),
            string("Address", Call(cells::ingress_address)),
            string("Ports", Call(cells::ingress_ports)),
            AGE,
        ],
    ),
    kind(
        "networking.k8s.io",
        "IngressClass",
        &[
            named(string("Name", Call(cells::ingress_class_name))),
            string("Controller", Text("spec.controller")),
            string("Parameters", Call(cells::ingress_class_parameters)),
            AGE,
        ],
    ),
    kind("networking.k8s.io", "NetworkPolicy", &[NAME, string("Pod-Selector", LabelSelector("spec.podSelector")), AGE]),
    kind("networking.k8s.io", "ServiceCIDR", &[NAME, string("CIDRs", Join("spec.cidrs", "")), AGE]),
    Kind {
        surplus: &[Since("metadata.creationTimestamp", "<unknown>")],
        ..kind("networking.k8s.io", "IPAddress", &[NAME, string("ParentRef", Call(cells::ip_address_parent))])
    },
    kind(
        "discovery.k8s.io",
        "EndpointSlice",
        &[
            NAME,
            string("AddressType", Text("addressType")),
            string("Ports", Call(cells::slice_ports)),
            string("Endpoints", Call(cells::slice_endpoints)),
            AGE,
        ],
    ),
];
