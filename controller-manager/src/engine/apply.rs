//! Carries out operations: the only place where controllers write.
//!
//! Guarantees: operations of a plan happen in order and stop at the first failure. Writes are never retried here; the
//! work queue does that, with a fresh plan. A future dropped in the middle leaves a prefix of the plan applied, which
//! every controller must be able to continue from.

use client::{EventRecorder, EventType};
use futures::future::join_all;
use serde_json::Value;

use super::Error;
use super::operation::{Action, Event, Operation, Plan, Write};

/// Applies operations through one client identity.
#[derive(Clone)]
pub struct Applier {
    client: kube::Client,
    recorder: EventRecorder,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Applier").finish_non_exhaustive()
    }
}

/// How a slow start ended.
#[derive(Debug)]
pub struct SlowStart {
    /// Writes that succeeded.
    pub succeeded: usize,
    /// The first failure; later batches were not attempted.
    pub error: Option<Error>,
}

impl Applier {
    /// An applier that writes with `client` and records events with `recorder`.
    pub fn new(client: kube::Client, recorder: EventRecorder) -> Self {
        Self { client, recorder }
    }

    /// The client, for the reads that must not come from a cache.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Applies a whole plan and returns when it wants to be run again.
    pub async fn apply_plan(&self, plan: Plan) -> Result<super::Requeue, Error> {
        for operation in plan.operations {
            self.apply(operation).await?;
        }
        Ok(plan.requeue_after.map_or(super::Requeue::Done, super::Requeue::After))
    }

    /// Applies one step. A delete of what is gone already succeeds.
    pub async fn apply(&self, operation: Operation) -> Result<(), Error> {
        match operation {
            Operation::Event(event) => {
                self.record(&event);
                Ok(())
            }
            Operation::Write(write) => match self.write(&write).await {
                Err(error) if error.is_not_found() && matches!(write.action, Action::Delete { .. }) => Ok(()),
                other => other.map(drop),
            },
        }
    }

    /// Sends one write and returns the object the server answered with.
    pub async fn write(&self, write: &Write) -> Result<Value, Error> {
        let result = self.send(write).await;
        match &result {
            Ok(object) => {
                if let Some(event) = &write.announce.success {
                    let name = match object["metadata"]["name"].as_str() {
                        Some(name) if matches!(write.action, Action::Create { .. }) => name,
                        _ => &write.name,
                    };
                    self.record(&Event { message: event.message.replace("{name}", name), ..(**event).clone() });
                }
            }
            Err(error) => {
                // A conflict is no news: the next pass decides anew.
                let gone =
                    error.is_conflict() || (matches!(write.action, Action::Delete { .. }) && error.is_not_found());
                if let Some(event) =
                    write.announce.failure.as_ref().filter(|_| !gone && !error.is_namespace_terminating())
                {
                    let message = event.message.replace("{error}", &error.api_message());
                    self.record(&Event { message, ..(**event).clone() });
                }
            }
        }
        result
    }

    /// Creates in batches of 1, 2, 4, ... so that a systematic failure (quota, admission) costs few requests.
    ///
    /// Upstream: replicaset.slowStartBatch.
    pub async fn slow_start(&self, writes: &[Write]) -> SlowStart {
        let mut succeeded = 0;
        let mut rest = writes;
        let mut size = 1;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            let mut error = None;
            for result in join_all(batch.iter().map(|write| self.write(write))).await {
                match result {
                    Ok(_) => succeeded += 1,
                    // Nothing more can be created here; the namespace's end removes the owner too.
                    Err(failure) if failure.is_namespace_terminating() => succeeded += 1,
                    Err(failure) => error = error.or(Some(failure)),
                }
            }
            if error.is_some() {
                return SlowStart { succeeded, error };
            }
            rest = later;
            size *= 2;
        }
        SlowStart { succeeded, error: None }
    }

    /// Records an event; never blocks and never fails.
    pub fn record(&self, event: &Event) {
        let kind = if event.warning { EventType::Warning } else { EventType::Normal };
        self.recorder.event(&event.regarding, kind, event.reason, "", &event.message);
    }

    async fn send(&self, write: &Write) -> Result<Value, Error> {
        let name = if matches!(write.action, Action::Create { .. }) { "" } else { &write.name };
        let path = write.resource.path(&write.namespace, name, write.subresource);
        let json = "application/json";
        let (method, content_type, body) = match &write.action {
            Action::Create { object } => ("POST", json, object.clone()),
            Action::Update { object } => ("PUT", json, object.clone()),
            Action::Patch { kind, body } => ("PATCH", kind.content_type(), body.clone()),
            Action::Delete { options } => ("DELETE", json, options.body()),
        };
        request(&self.client, method, &path, content_type, Some(&body)).await
    }
}

/// Sends one JSON request and returns the JSON answer.
pub async fn request(
    client: &kube::Client,
    method: &'static str,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Result<Value, Error> {
    let bytes = body.map(|body| serde_json::to_vec(body).expect("a JSON value serialises")).unwrap_or_default();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content_type)
        .body(bytes)
        .map_err(|source| Error::Path { path: path.to_owned(), source })?;
    client.request::<Value>(request).await.map_err(|source| Error::Request {
        method,
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Reads one object past any cache.
pub async fn get<K: serde::de::DeserializeOwned>(client: &kube::Client, path: &str) -> Result<K, Error> {
    let value = request(client, "GET", path, "application/json", None).await?;
    serde_json::from_value(value).map_err(|source| Error::Decode { path: path.to_owned(), source })
}
