//! Events of the scheduler, in the form of `events.k8s.io/v1`.
//!
//! [`Recorder::record`] never waits: a bounded queue feeds one task that writes a few at a time. The first of a kind
//! (same type, action, reason and object, whatever its note) is created; the second turns it into a
//! series, and later ones only count, until the series has been quiet for a while.
//! Upstream: `client-go/tools/events`.

use std::collections::HashMap;
use std::time::Duration;

use component::{Clock, Shutdown, SystemClock};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use crate::objects::Pod;

/// Waiting events; further ones are dropped with a log line, as upstream does.
const QUEUE: usize = 10_000;
/// Writes under way at a time.
const WRITES: usize = 8;
/// The longest note. Upstream: `validation.NoteLengthLimit`.
const NOTE_LIMIT: usize = 1024;
/// After this long without a repeat a series is over. Upstream: `finishTime`.
const SERIES_QUIET: Duration = Duration::from_secs(6 * 60);

/// Normal or Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Normal,
    Warning,
}

#[derive(Clone, Debug)]
struct Record {
    regarding: ObjectReference,
    kind: Type,
    reason: &'static str,
    action: &'static str,
    note: String,
    /// When it was said, which may be well before it is written.
    at: jiff::Timestamp,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Series {
    regarding: String,
    kind: Type,
    reason: &'static str,
    action: &'static str,
}

#[derive(Debug)]
struct Known {
    name: String,
    count: i32,
    last: jiff::Timestamp,
}

/// Writes events. Cloning shares the queue.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Record>,
}

/// The reference of an event to a pod.
fn reference(pod: &Pod) -> ObjectReference {
    client::object_reference(pod)
}

impl Recorder {
    /// A recorder that writes as `controller` until `shutdown`.
    pub(crate) fn new(client: kube::Client, controller: &str, shutdown: &Shutdown) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let host = hostname::get().map(|host| host.to_string_lossy().into_owned()).unwrap_or_default();
        let writer = Writer {
            client,
            controller: controller.to_owned(),
            instance: format!("{controller}-{host}"),
            known: HashMap::new(),
        };
        component::spawn_until("scheduler events", shutdown, writer.run(receiver));
        Self { sender }
    }

    /// Says something about a pod.
    pub(crate) fn record(&self, pod: &Pod, kind: Type, reason: &'static str, action: &'static str, note: String) {
        let at = SystemClock.now();
        let record = Record { regarding: reference(pod), kind, reason, action, note: truncate(note), at };
        if self.sender.try_send(record).is_err() {
            tracing::warn!("scheduler event dropped: the queue is full or closed");
        }
    }
}

/// Upstream: `truncateMessage`.
fn truncate(note: String) -> String {
    if note.len() <= NOTE_LIMIT {
        return note;
    }
    let mut end = NOTE_LIMIT - 4;
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} ...", &note[..end])
}

struct Writer {
    client: kube::Client,
    controller: String,
    instance: String,
    known: HashMap<Series, Known>,
}

/// What is to be written for one record.
#[derive(Debug, PartialEq)]
enum Write {
    Create(Box<Event>),
    StartSeries { namespace: String, name: String, series: EventSeries },
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Record>) {
        let mut writes = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = writes.next(), if !writes.is_empty() => {}
                record = receiver.recv(), if writes.len() < WRITES => match record {
                    None => return,
                    Some(record) => {
                        if let Some(write) = self.decide(record) {
                            writes.push(perform(self.client.clone(), write));
                        }
                    }
                }
            }
        }
    }

    fn decide(&mut self, record: Record) -> Option<Write> {
        let now = record.at;
        let id = |about: &ObjectReference| {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            format!("{}/{}/{}", text(&about.namespace), text(&about.name), text(&about.uid))
        };
        let series = Series {
            regarding: id(&record.regarding),
            kind: record.kind,
            reason: record.reason,
            action: record.action,
        };
        let namespace = record.regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let quiet = |known: &Known| now.duration_since(known.last).unsigned_abs() >= SERIES_QUIET;
        if let Some(known) = self.known.get_mut(&series).filter(|known| !quiet(known)) {
            known.count += 1;
            known.last = now;
            // Later repeats are counted here and told with the next series only.
            return (known.count == 2).then(|| Write::StartSeries {
                namespace,
                name: known.name.clone(),
                series: EventSeries { count: known.count, last_observed_time: MicroTime(now) },
            });
        }
        if self.known.len() >= QUEUE {
            self.known.retain(|_, known| !quiet(known));
        }
        let name = format!("{}.{:x}", record.regarding.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        // One-off events need no memory: nothing repeats them.
        if record.kind == Type::Warning {
            self.known.insert(series, Known { name: name.clone(), count: 1, last: now });
        }
        let mut event = Event {
            event_time: Some(MicroTime(now)),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            action: Some(record.action.to_owned()),
            reason: Some(record.reason.to_owned()),
            regarding: Some(record.regarding),
            note: Some(record.note),
            type_: Some(if record.kind == Type::Normal { "Normal" } else { "Warning" }.to_owned()),
            ..Event::default()
        };
        event.metadata.name = Some(name);
        event.metadata.namespace = Some(namespace);
        Some(Write::Create(Box::new(event)))
    }
}

async fn perform(client: kube::Client, write: Write) {
    let outcome = match write {
        Write::Create(event) => {
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let events: Api<Event> = Api::namespaced(client, &namespace);
            events.create(&PostParams::default(), &event).await.map(|_| ())
        }
        Write::StartSeries { namespace, name, series } => {
            let events: Api<Event> = Api::namespaced(client, &namespace);
            let change = Patch::Merge(json!({ "series": series }));
            events.patch(&name, &PatchParams::default(), &change).await.map(|_| ())
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "scheduler event not written");
    }
}

#[cfg(test)]
mod tests;
