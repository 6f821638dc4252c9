//! namespace-controller: empties a namespace that is being deleted, then lets it go.
//!
//! Pods first, so that nothing writes what was just removed; then every other namespaced resource discovery knows. What
//! remains is told in the namespace's conditions. While content is on its way out the namespace is looked at again when
//! its last pod is gone, or after half the estimated time. Every pass starts from the server's state, so it can be
//! interrupted anywhere.
//!
//! Upstream: pkg/controller/namespace.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Change, Informer};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use serde_json::Value;

use crate::discovery::{self, Discovered};
use crate::engine::{
    self, Action, Applier, Context, Controller, DeleteOptions, Error, Requeue, Resource, Write, apply, to_value,
};
use crate::meta;
use plan::{Outcome, Remaining};

/// Requests under way for one namespace.
const PARALLEL: usize = 8;
const FINALIZER: &str = "kubernetes";

struct State {
    namespaces: Informer<Namespace>,
    applier: Applier,
}

/// Waits after failures: what keeps a namespace is soon gone, mostly. Upstream: nsControllerRateLimiter.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State { namespaces: context.informers.of(), applier: context.applier(name) });
    let pods: Informer<Pod> = context.informers.of();
    let grace = context.config.namespace_deletion_grace;
    let (on_pod, pods_left) = (state.clone(), pods.clone());
    let controller = Controller::new(name, &context);
    controller.queue().wait_after_failures(FIRST_WAIT, LONGEST_WAIT);
    controller
        .watch(&state.namespaces, move |change: &Change<Namespace>, queue| {
            if let Change::Applied { new, .. } = change
                && meta::is_deleting(&new.metadata)
            {
                // Other API servers may not know yet that nothing is to be created there any more.
                queue.add_after(meta::name(&new.metadata).to_owned(), grace);
            }
        })
        .watch(&pods, move |change, queue| {
            if let Change::Deleted(pod) = change {
                let namespace = meta::namespace(&pod.metadata);
                let ending =
                    on_pod.namespaces.get("", namespace).is_some_and(|found| meta::is_deleting(&found.metadata));
                if ending && pods_left.list_in(namespace).is_empty() {
                    queue.add(namespace.to_owned());
                }
            }
        })
        .run(context.config.concurrent_namespace_syncs, move |name| state.clone().reconcile(name))
        .await;
}

impl State {
    async fn reconcile(self: Arc<Self>, name: String) -> Result<Requeue, Error> {
        let cached = self.namespaces.get("", &name);
        if cached.is_none_or(|namespace| !meta::is_deleting(&namespace.metadata)) {
            return Ok(Requeue::Done);
        }
        let mut namespace = match self.read(&name).await {
            Ok(namespace) => namespace,
            Err(error) if error.is_not_found() => return Ok(Requeue::Done),
            Err(error) => return Err(error),
        };
        if !meta::is_deleting(&namespace.metadata) {
            return Ok(Requeue::Done);
        }
        if plan::mark_terminating(&mut namespace) {
            let answer = self.applier.write(&Write::update_status(&namespace)).await?;
            namespace = decode(answer, &name)?;
        }
        if plan::is_finalized(&namespace) {
            return Ok(Requeue::Done);
        }
        let outcome = self.delete_all_content(&namespace).await?;
        if let Some(conditions) = plan::conditions(&namespace, &outcome, engine::now()) {
            namespace.status.get_or_insert_default().conditions = Some(conditions);
            namespace = decode(self.applier.write(&Write::update_status(&namespace)).await?, &name)?;
        }
        if let Some(failure) = outcome.failures.into_iter().next() {
            return Err(failure);
        }
        if outcome.estimate > 0 {
            return Ok(Requeue::After(Duration::from_secs(outcome.estimate / 2 + 1)));
        }
        if !outcome.remaining.is_empty() {
            return Ok(Requeue::RateLimited);
        }
        self.finalize(&namespace).await?;
        Ok(Requeue::Done)
    }

    async fn read(&self, name: &str) -> Result<Namespace, Error> {
        apply::get(self.applier.client(), &Resource::of::<Namespace>().path("", name, "")).await
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<(), Error> {
        let mut object = to_value(namespace);
        if let Some(finalizers) = object["spec"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        let write = Write { subresource: "finalize", action: Action::Update { object }, ..Write::update(namespace) };
        match self.applier.write(&write).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn delete_all_content(&self, namespace: &Namespace) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let discovered = match discovery::preferred(self.applier.client()).await {
            Ok(discovered) => discovered,
            Err(error) => {
                // Nothing is known of what there is: say so and try again.
                outcome.discovery_failures.push(error.api_message());
                outcome.failures.push(error);
                return Ok(outcome);
            }
        };
        if !discovered.failures.is_empty() {
            outcome.discovery_failures = discovered.failures;
            let object = format!("Namespace {}", meta::name(&namespace.metadata));
            outcome.failures.push(Error::Stale { object, message: outcome.discovery_failures.join(", ") });
        }
        let (pods, others): (Vec<Discovered>, Vec<Discovered>) = discovered
            .resources
            .into_iter()
            .filter(|one| one.namespaced && one.supports(&["delete"]))
            .partition(|one| one.resource.group.is_empty() && one.resource.plural == "pods");
        self.delete_each(namespace, pods, &mut outcome).await;
        if outcome.remaining.is_empty() {
            outcome.looked_at_everything = true;
            self.delete_each(namespace, others, &mut outcome).await;
        }
        Ok(outcome)
    }

    async fn delete_each(&self, namespace: &Namespace, resources: Vec<Discovered>, outcome: &mut Outcome) {
        let mut results = futures::stream::iter(resources)
            .map(|resource| async move { (self.delete_resource(namespace, &resource).await, resource) })
            .buffer_unordered(PARALLEL);
        while let Some((result, resource)) = results.next().await {
            match result {
                Ok(remaining) => outcome.add(&resource.resource, remaining),
                Err(error) => {
                    outcome.content_failures.push(error.api_message());
                    outcome.failures.push(error);
                }
            }
        }
    }

    /// Deletes what there is of one resource and says what is left.
    async fn delete_resource(&self, namespace: &Namespace, discovered: &Discovered) -> Result<Remaining, Error> {
        let client = self.applier.client();
        let resource = &discovered.resource;
        let name = meta::name(&namespace.metadata);
        let listable = discovered.supports(&["list"]);
        let before = if listable { list(client, resource, name).await? } else { Vec::new() };
        if listable && before.is_empty() {
            return Ok(Remaining::default());
        }
        let is_pods = resource.group.is_empty() && resource.plural == "pods";
        let estimate = if is_pods { self.grace_of_pods(namespace, name).await? } else { 0 };
        let options = DeleteOptions { propagation: Some("Background"), ..DeleteOptions::default() };
        if discovered.supports(&["deletecollection"]) {
            let deleted = apply::request(
                client,
                "DELETE",
                &resource.path(name, "", ""),
                "application/json",
                Some(&options.body()),
            )
            .await;
            ignore_unsupported(deleted)?;
        } else {
            for object in &before {
                let path = resource.path(name, object["name"].as_str().unwrap_or_default(), "");
                ignore_unsupported(
                    apply::request(client, "DELETE", &path, "application/json", Some(&options.body())).await,
                )?;
            }
        }
        let after = if listable { list(client, resource, name).await? } else { Vec::new() };
        let mut finalizers = BTreeMap::new();
        for object in &after {
            for finalizer in object["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(Remaining { count: after.len(), finalizers, estimate })
    }

    /// The longest grace period of the namespace's pods, as long as it can still be running.
    async fn grace_of_pods(&self, namespace: &Namespace, name: &str) -> Result<u64, Error> {
        let list: Value =
            discovery::get(self.applier.client(), &Resource::of::<Pod>().path(name, "", ""), "application/json")
                .await?;
        let pods = list["items"].as_array().into_iter().flatten();
        let grace = pods
            .filter(|pod| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")))
            .filter_map(|pod| pod["spec"]["terminationGracePeriodSeconds"].as_u64())
            .max()
            .unwrap_or(0);
        let deleted_at = namespace.metadata.deletion_timestamp.as_ref().map_or(engine::now(), |time| time.0);
        let passed = engine::now().duration_since(deleted_at).as_secs().max(0).unsigned_abs();
        Ok(if passed >= grace { 0 } else { grace })
    }
}

async fn list(client: &kube::Client, resource: &Resource, namespace: &str) -> Result<Vec<Value>, Error> {
    match discovery::list_metadata(client, resource, namespace).await {
        Err(error) if error.is_not_found() || error.is_method_not_supported() => Ok(Vec::new()),
        other => other,
    }
}

fn ignore_unsupported(result: Result<Value, Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_not_found() || error.is_method_not_supported() => Ok(()),
        other => other.map(drop),
    }
}

fn decode(answer: Value, name: &str) -> Result<Namespace, Error> {
    serde_json::from_value(answer).map_err(|source| Error::Decode { path: format!("namespace {name}"), source })
}
