//! Cluster IPs and node ports: planned from the newest snapshot, committed in one transaction with the Service.
//!
//! A cluster IP is an IPAddress object, a node port is a key of its own; both are written with the condition that they are not
//! there yet. Two Services that choose the same one cannot both commit: the second plans again and sees the first. There is no
//! bitmap to keep, to repair, or to lose.
//! Upstream: pkg/registry/core/service/{ipallocator,portallocator}.

mod ip;
mod port;

use std::net::IpAddr;
use std::sync::Arc;

use api::meta;
use ipnet::IpNet;
use json::{Value, json};
use store::{Compare, Draft, Operation, Revision};

pub(crate) use ip::{Family, Ranges};
pub(crate) use port::{Ports, of_service as ports_of};

use super::strategy::Extra;
use crate::context::RequestContext;

/// Why nothing can be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("range is full")]
    Full,
    #[error("provided IP is already allocated")]
    AddressTaken,
    #[error("the provided network does not match the current range")]
    AddressOutside,
    #[error("provided port is already allocated")]
    PortTaken,
    #[error("provided port is not in the valid range. The range of valid ports is {0}")]
    PortOutside(String),
    #[error("allocator not ready")]
    NotReady,
}

/// Changes of allocations that go with one write of a Service.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    extra: Extra,
}

impl Plan {
    /// Takes an address for the Service: its IPAddress object, which must not be there yet.
    pub(crate) fn take_address(&mut self, ctx: &RequestContext, address: IpAddr, namespace: &str, name: &str) {
        let now = meta::time::format(ctx.now);
        let object = json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {
                "name": address.to_string(),
                "uid": uuid::Uuid::new_v4().to_string(),
                "creationTimestamp": now,
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": Family::of(address).as_str(),
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
                "managedFields": [{
                    "manager": "kube-apiserver", "operation": "Update", "apiVersion": "networking.k8s.io/v1", "time": now,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {
                            ".": {},
                            "f:ipaddress.kubernetes.io/ip-family": {},
                            "f:ipaddress.kubernetes.io/managed-by": {},
                        }},
                        "f:spec": {"f:parentRef": {".": {}, "f:name": {}, "f:namespace": {}, "f:resource": {}}},
                    },
                }],
            },
            "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
        });
        self.create(address_key(address), ctx.objects.draft(&object));
    }

    /// Gives an address back, if it is this Service's.
    pub(crate) fn give_address(&mut self, ctx: &RequestContext, address: IpAddr, namespace: &str, name: &str) {
        let Some(object) = ctx.objects.get("networking.k8s.io", "ipaddresses", "", &address.to_string()) else {
            return;
        };
        let parent = &object["spec"]["parentRef"];
        if parent["namespace"] == namespace && parent["name"] == name {
            self.extra.operations.push(Operation::Delete { key: address_key(address) });
        }
    }

    fn create(&mut self, key: Arc<str>, value: Draft) {
        self.extra.compare.push(Compare::ModRevision { key: key.clone(), revision: Revision::ZERO });
        self.extra.operations.push(Operation::Put { key, value, expires: None });
    }

    pub(crate) fn into_extra(self) -> Extra {
        self.extra
    }
}

fn address_key(address: IpAddr) -> Arc<str> {
    format!("/registry/ipaddresses/{address}").into()
}

/// The service ranges of the cluster: every ServiceCIDR that is not going away, the one named `kubernetes` first.
pub(crate) fn service_ranges(ctx: &RequestContext) -> Ranges {
    let mut cidrs = ctx.objects.list("networking.k8s.io", "servicecidrs", "");
    cidrs.sort_by_key(|cidr| (meta::name(cidr) != "kubernetes", meta::name(cidr).to_owned()));
    let of = |cidr: &Value| -> Vec<IpNet> {
        let texts = cidr["spec"]["cidrs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.filter_map(|text| text.parse().ok()).collect()
    };
    Ranges(cidrs.iter().filter(|cidr| !meta::is_being_deleted(cidr)).flat_map(|cidr| of(cidr)).collect())
}
