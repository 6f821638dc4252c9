//! root-ca-certificate-publisher-controller: every namespace has the config map `kube-root-ca.crt`.
//!
//! Upstream: pkg/controller/certificates/rootcacertpublisher.

use std::collections::BTreeMap;

use client::Change;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::engine::{Context, Controller, Plan, Requeue, Write};
use crate::meta;

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION_KEY: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// Runs the controller until shutdown; it has nothing to do without a certificate.
pub(crate) async fn run(context: Context, name: &'static str) {
    let pem = context.config.root_ca_pem.clone();
    if pem.is_empty() {
        tracing::warn!(controller = name, "no root CA is configured: kube-root-ca.crt is not published");
        return;
    }
    let namespaces = context.informers.of::<Namespace>();
    // Only our own config maps are watched, not everybody's data.
    let maps = context.informers.selected::<ConfigMap>(&format!("metadata.name={NAME}"));
    let applier = context.applier(name);
    let (namespaces_read, maps_read) = (namespaces.clone(), maps.clone());
    Controller::new(name, &context)
        .watch(&namespaces, |change: &Change<Namespace>, queue| {
            queue.add(meta::name(&change.object().metadata).to_owned())
        })
        .watch(&maps, |change: &Change<ConfigMap>, queue| {
            queue.add(meta::namespace(&change.object().metadata).to_owned())
        })
        .run(1, move |key: String| {
            let plan = plan(namespaces_read.get("", &key).as_deref(), maps_read.get(&key, NAME).as_deref(), &pem);
            let applier = applier.clone();
            async move {
                match applier.apply_plan(plan).await {
                    Err(error) if error.is_namespace_terminating() || error.is_not_found() => Ok(Requeue::Done),
                    other => other,
                }
            }
        })
        .await;
}

fn plan(namespace: Option<&Namespace>, present: Option<&ConfigMap>, pem: &str) -> Plan {
    let mut plan = Plan::default();
    let Some(namespace) = namespace.filter(|found| !meta::is_deleting(&found.metadata)) else { return plan };
    let data = BTreeMap::from([("ca.crt".to_owned(), pem.to_owned())]);
    let described = |metadata: &mut ObjectMeta| {
        metadata.annotations.get_or_insert_default().insert(DESCRIPTION_KEY.to_owned(), DESCRIPTION.to_owned());
    };
    match present {
        None => {
            let mut metadata = ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: namespace.metadata.name.clone(),
                ..ObjectMeta::default()
            };
            described(&mut metadata);
            plan.push(Write::create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }));
        }
        Some(map) => {
            let has_description = meta::annotation(&map.metadata, DESCRIPTION_KEY).is_some_and(|text| !text.is_empty());
            if map.data.as_ref() != Some(&data) || !has_description {
                let mut map = ConfigMap { data: Some(data), ..map.clone() };
                described(&mut map.metadata);
                plan.push(Write::update(&map));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{object, show};
    use expect_test::expect;

    fn namespace() -> Namespace {
        object("{apiVersion: v1, kind: Namespace, metadata: {name: a}}")
    }

    #[test]
    fn a_changed_certificate_is_put_back() {
        let map: ConfigMap = object(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: a, annotations: {kubernetes.io/description: x}}, data: {ca.crt: forged}}",
        );
        let plan = plan(Some(&namespace()), Some(&map), "PEM");
        assert!(show(&plan).contains(r#""data":{"ca.crt":"PEM"}"#), "{}", show(&plan));
    }

    #[test]
    fn a_right_config_map_is_left_alone_and_a_missing_one_is_made() {
        let map: ConfigMap = object(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: kube-root-ca.crt, namespace: a, annotations: {kubernetes.io/description: x}}, data: {ca.crt: PEM}}",
        );
        assert!(plan(Some(&namespace()), Some(&map), "PEM").operations.is_empty());
        let created = show(&plan(Some(&namespace()), None, "PEM"));
        expect!["create v1 configmaps a/kube-root-ca.crt"].assert_eq(created.lines().next().unwrap());
    }
}
