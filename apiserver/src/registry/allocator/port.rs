//! Choosing node ports.
//!
//! Which are taken is what the Services in the snapshot say, and nothing else. The key `/registry/krab/nodeports/PORT`, written with
//! the Service and gone with it, only makes two commits of the same port collide: a stale one blocks nothing.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use json::Value;
use rand::RngExt;
use store::{Compare, Operation, Revision};

use super::{Error, Plan};
use crate::context::RequestContext;

/// `--service-node-port-range`'s default.
const NODE_PORTS: RangeInclusive<i64> = 30000..=32767;
/// Ports people choose: the lower part. Upstream: KEP-3668.
const STATIC_BAND: i64 = 86;

/// Node ports while one Service is being written.
#[derive(Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<i64>,
    /// Of all Services but the one being written, and what this one got so far.
    taken: HashSet<i64>,
}

/// Every node port of a Service, its health check's included.
pub(crate) fn of_service(service: &Value) -> impl Iterator<Item = i64> + '_ {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    ports.chain(std::iter::once(&spec["healthCheckNodePort"])).filter_map(Value::as_i64).filter(|port| *port != 0)
}

impl Ports {
    pub(crate) fn new(ctx: &RequestContext, namespace: &str, name: &str) -> Ports {
        let mut taken = HashSet::new();
        for service in ctx.objects.list("", "services", "") {
            if api::meta::namespace(&service) != namespace || api::meta::name(&service) != name {
                taken.extend(of_service(&service));
            }
        }
        Ports { range: NODE_PORTS, taken }
    }

    /// Takes a requested port.
    pub(crate) fn take(&mut self, port: i64) -> Result<i64, Error> {
        if !self.range.contains(&port) {
            return Err(Error::PortOutside(format!("{}-{}", self.range.start(), self.range.end())));
        }
        if self.taken.insert(port) { Ok(port) } else { Err(Error::PortTaken) }
    }

    /// Takes any free port, from the upper part first.
    pub(crate) fn next(&mut self) -> Result<i64, Error> {
        let (low, high) = (*self.range.start(), *self.range.end());
        let band = if high - low < 16 { low } else { low + STATIC_BAND.min((high - low + 1) / 2) };
        let start = rand::rng().random_range(band..=high);
        let found = (start..=high).chain(band..start).chain(low..band).find(|port| !self.taken.contains(port));
        let port = found.ok_or(Error::Full)?;
        self.taken.insert(port);
        Ok(port)
    }
}

impl Plan {
    /// Writes what a Service's ports change: keys of new ports, away with keys of old ones.
    pub(crate) fn change_ports(&mut self, ctx: &RequestContext, old: &[i64], new: &[i64]) {
        for port in new.iter().filter(|port| !old.contains(port)) {
            self.collide_on(ctx, key(*port), Some(port.to_string()));
        }
        for port in old.iter().filter(|port| !new.contains(port)) {
            self.collide_on(ctx, key(*port), None);
        }
    }

    /// Writes or removes a key as it is now: whoever wrote it in between makes this commit begin anew.
    fn collide_on(&mut self, ctx: &RequestContext, key: Arc<str>, value: Option<String>) {
        let revision = ctx.objects.key_revision(&key);
        let written = self.extra.operations.iter().any(|operation| *operation.key() == key);
        let operation = match value {
            _ if written => return,
            Some(value) => Operation::Put { key: key.clone(), value: value.into_bytes().into(), expires: None },
            // A Service written by an upstream server has no keys.
            None if revision == Revision::ZERO => return,
            None => Operation::Delete { key: key.clone() },
        };
        self.extra.compare.push(Compare::ModRevision { key, revision });
        self.extra.operations.push(operation);
    }
}

fn key(port: i64) -> Arc<str> {
    format!("/registry/krab/nodeports/{port}").into()
}
