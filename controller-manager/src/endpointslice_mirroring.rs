//! endpointslice-mirroring-controller: slices for Endpoints that people write themselves, of services without selector.
//!
//! Upstream: pkg/controller/endpointslicemirroring.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{EndpointAddress, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::endpointslice::tracker::Tracker;
use crate::engine::{Applier, Context, Controller, Error, Event, Key, Requeue, Write};
use crate::{meta, services};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const BY_SERVICE: &str = "mirrored-service";
const WORKERS: usize = 5;
/// `--mirroring-max-endpoints-per-subset`
const MAX_PER_SUBSET: usize = 1000;

struct State {
    endpoints: Informer<Endpoints>,
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    tracker: Tracker,
    applier: Applier,
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let labels = meta::labels(&slice.metadata);
    let ours = labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    let service = labels.get(SERVICE_NAME).filter(|name| ours && !name.is_empty())?;
    Some(Key::new(meta::namespace(&slice.metadata), service.as_str()))
}

fn index(slice: &EndpointSlice) -> Vec<String> {
    service_of(slice).map(|key| vec![key.to_string()]).unwrap_or_default()
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        endpoints: context.informers.of(),
        services: context.informers.of(),
        slices: context.informers.of(),
        tracker: Tracker::default(),
        applier: context.applier("endpoint-slice-mirroring-controller"),
    });
    state.slices.add_index(BY_SERVICE, index);
    let on_slice = state.clone();
    Controller::new(name, &context)
        .watch(&state.endpoints, |change: &Change<Endpoints>, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.services, |change: &Change<Service>, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.slices, move |change: &Change<EndpointSlice>, queue| {
            let slice = change.object();
            let Some(key) = service_of(slice) else { return };
            if matches!(change, Change::Deleted(_)) {
                on_slice.tracker.deleted(&key, meta::uid(&slice.metadata));
            }
            queue.add(key);
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let service = self.services.get(&key.namespace, &key.name);
        let wanted = service.is_some_and(|service| service.spec.as_ref().is_none_or(|spec| spec.selector.is_none()));
        let endpoints =
            self.endpoints.get(&key.namespace, &key.name).filter(|endpoints| wanted && is_mirrored(endpoints));
        let slices = self.slices.by_index(BY_SERVICE, &key.to_string());
        let slices: Vec<_> = slices.into_iter().filter(|slice| !meta::is_deleting(&slice.metadata)).collect();
        let Some(endpoints) = endpoints else {
            self.tracker.forget(&key);
            for slice in slices {
                self.applier.apply(Write::delete::<EndpointSlice>(&slice.metadata).into()).await?;
            }
            return Ok(Requeue::Done);
        };
        if self.tracker.is_stale(&key, &slices) {
            return Err(Error::Stale {
                object: format!("Endpoints {key}"),
                message: "EndpointSlice informer cache is out of date".to_owned(),
            });
        }
        let changes = plan(&endpoints, slices);
        changes.events.iter().for_each(|event| self.applier.record(event));
        for slice in &changes.create {
            match self.applier.write(&Write::create(slice)).await {
                Err(error) if error.is_namespace_terminating() => return Ok(Requeue::Done),
                answer => self.tracker.written(&key, &answer?),
            }
        }
        for slice in &changes.update {
            self.tracker.written(&key, &self.applier.write(&Write::update(slice)).await?);
        }
        for slice in &changes.delete {
            self.applier.apply(Write::delete::<EndpointSlice>(&slice.metadata).into()).await?;
            self.tracker.expect_deletion(&key, meta::uid(&slice.metadata));
        }
        Ok(Requeue::Done)
    }
}

fn is_mirrored(endpoints: &Endpoints) -> bool {
    let skipped = meta::labels(&endpoints.metadata).get(SKIP).is_some_and(|skip| skip == "true");
    !skipped && meta::annotation(&endpoints.metadata, LEADER).is_none() && !meta::is_deleting(&endpoints.metadata)
}

#[derive(Debug, Default)]
struct Changes {
    create: Vec<EndpointSlice>,
    update: Vec<EndpointSlice>,
    delete: Vec<EndpointSlice>,
    events: Vec<Event>,
}

type Group = (&'static str, Vec<(String, i32, String, String)>);

fn plan(endpoints: &Endpoints, existing: Vec<Arc<EndpointSlice>>) -> Changes {
    let mut changes = Changes::default();
    let mut present: BTreeMap<String, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        let key = format!("{} {:?}", slice.address_type, ports_key(slice.ports.as_deref().unwrap_or_default()));
        present.entry(key).or_default().push(slice);
    }
    for ((family, key), (ports, addresses)) in desired(endpoints, &mut changes) {
        let slice = new_slice(endpoints, family, ports, addresses);
        let mut old = present.remove(&format!("{family} {key:?}")).unwrap_or_default().into_iter();
        match old.next() {
            None => changes.create.push(slice),
            Some(first) if same(&first, &slice) => {}
            Some(first) => {
                let metadata = ObjectMeta {
                    labels: slice.metadata.labels.clone(),
                    annotations: slice.metadata.annotations.clone(),
                    owner_references: slice.metadata.owner_references.clone(),
                    ..first.metadata.clone()
                };
                changes.update.push(EndpointSlice { metadata, ..slice });
            }
        }
        changes.delete.extend(old.map(|slice| (*slice).clone()));
    }
    changes.delete.extend(present.into_values().flatten().map(|slice| (*slice).clone()));
    changes
}

fn ports_key(ports: &[EndpointPort]) -> Vec<(String, i32, String, String)> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut keys: Vec<_> = ports
        .iter()
        .map(|port| {
            (
                text(&port.name),
                port.port.unwrap_or(0),
                port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                text(&port.app_protocol),
            )
        })
        .collect();
    keys.sort();
    keys
}

/// Wanted endpoints by family and ports.
fn desired(endpoints: &Endpoints, changes: &mut Changes) -> BTreeMap<Group, (Vec<EndpointPort>, Vec<Endpoint>)> {
    let (mut invalid, mut skipped) = (0, 0);
    let mut groups: BTreeMap<Group, (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset
            .ports
            .iter()
            .flatten()
            .map(|port| EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(port.port),
                protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                app_protocol: port.app_protocol.clone(),
            })
            .collect();
        let mut added = 0;
        let states = [(&subset.addresses, true), (&subset.not_ready_addresses, false)];
        for (address, ready) in
            states.into_iter().flat_map(|(list, ready)| list.iter().flatten().map(move |one| (one, ready)))
        {
            match endpoint(address, ready) {
                _ if added >= MAX_PER_SUBSET => skipped += 1,
                None => invalid += 1,
                Some((family, endpoint)) => {
                    let group =
                        groups.entry((family, ports_key(&ports))).or_insert_with(|| (ports.clone(), Vec::new()));
                    group.1.push(endpoint);
                    added += 1;
                }
            }
        }
    }
    let about = &endpoints.metadata;
    if invalid > 0 {
        let message = format!("Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices");
        changes.events.push(meta::warning::<Endpoints>(about, "InvalidIPAddress", message));
    }
    if skipped > 0 {
        let total = skipped + invalid;
        let message = format!(
            "A max of {MAX_PER_SUBSET} addresses can be mirrored to EndpointSlices per Endpoints subset. {total} addresses were skipped"
        );
        changes.events.push(meta::warning::<Endpoints>(about, "TooManyAddressesToMirror", message));
    }
    groups
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Option<(&'static str, Endpoint)> {
    let ip: IpAddr = address.ip.parse().ok()?;
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|name| !name.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    };
    Some((if ip.is_ipv6() { "IPv6" } else { "IPv4" }, endpoint))
}

fn new_slice(endpoints: &Endpoints, family: &str, ports: Vec<EndpointPort>, addresses: Vec<Endpoint>) -> EndpointSlice {
    let about = &endpoints.metadata;
    let mut labels = meta::labels(about).clone();
    labels.insert(SERVICE_NAME.to_owned(), meta::name(about).to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let mut annotations = about.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| key != services::LAST_CHANGE_TRIGGER_TIME && key != LAST_APPLIED);
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(addresses),
        metadata: ObjectMeta {
            namespace: about.namespace.clone(),
            generate_name: Some(meta::generate_name(meta::name(about))),
            labels: Some(labels),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            owner_references: Some(vec![meta::controller_ref::<Endpoints>(about)]),
            ..ObjectMeta::default()
        },
        ports: Some(ports),
    }
}

fn same(present: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    let sorted = |slice: &EndpointSlice| {
        let mut endpoints = slice.endpoints.clone().unwrap_or_default();
        endpoints.sort_by(|a, b| a.addresses.cmp(&b.addresses));
        endpoints
    };
    let annotations = |slice: &EndpointSlice| slice.metadata.annotations.clone().unwrap_or_default();
    meta::labels(&present.metadata) == meta::labels(&wanted.metadata)
        && annotations(present) == annotations(wanted)
        && sorted(present) == sorted(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::to_value;
    use crate::test_support::object;
    use expect_test::expect;

    fn endpoints() -> Endpoints {
        object(
            "{apiVersion: v1, kind: Endpoints, metadata: {name: ext, namespace: ns, uid: e1, labels: {a: b}, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}},
              subsets: [{addresses: [{ip: 192.0.2.1}, {ip: '2001:db8::1'}, {ip: bad}], notReadyAddresses: [{ip: 192.0.2.2}], ports: [{name: http, port: 80, protocol: TCP}]}]}",
        )
    }

    #[test]
    fn addresses_are_mirrored_by_family() {
        let changes = plan(&endpoints(), Vec::new());
        let lines: Vec<String> = changes
            .create
            .iter()
            .map(|slice| to_value(slice).to_string())
            .chain(changes.events.iter().map(|event| event.message.clone()))
            .collect();
        expect![[r#"
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","endpoints":[{"addresses":["192.0.2.1"],"conditions":{"ready":true}},{"addresses":["192.0.2.2"],"conditions":{"ready":false}}],"metadata":{"generateName":"ext-","labels":{"a":"b","endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io","kubernetes.io/service-name":"ext"},"namespace":"ns","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Endpoints","name":"ext","uid":"e1"}]},"ports":[{"name":"http","port":80,"protocol":"TCP"}]}
            {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv6","endpoints":[{"addresses":["2001:db8::1"],"conditions":{"ready":true}}],"metadata":{"generateName":"ext-","labels":{"a":"b","endpointslice.kubernetes.io/managed-by":"endpointslicemirroring-controller.k8s.io","kubernetes.io/service-name":"ext"},"namespace":"ns","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Endpoints","name":"ext","uid":"e1"}]},"ports":[{"name":"http","port":80,"protocol":"TCP"}]}
            Skipped 1 invalid IP addresses when mirroring to EndpointSlices"#]].assert_eq(&lines.join("\n"));
    }

    #[test]
    fn what_is_right_is_left_alone_and_the_rest_removed() {
        let mut made = plan(&endpoints(), Vec::new()).create.into_iter().map(Arc::new).collect::<Vec<_>>();
        made.push(Arc::new(EndpointSlice { ports: None, ..(*made[0]).clone() }));
        let changes = plan(&endpoints(), made);
        assert!(changes.create.is_empty() && changes.update.is_empty());
        assert_eq!(changes.delete.len(), 1);
        let skipped: Endpoints = object(
            "{apiVersion: v1, kind: Endpoints, metadata: {name: e, labels: {endpointslice.kubernetes.io/skip-mirror: 'true'}}}",
        );
        assert!(!is_mirrored(&skipped));
    }
}
