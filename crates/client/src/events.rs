//! Events about objects, as `kubectl describe` shows them.
//!
//! [`EventRecorder::event`] never waits: a bounded queue feeds one task that writes. Repeats of one event raise its
//! count instead of making another; many similar ones (same object and reason, other texts) become one combined event;
//! an object that floods is cut off. Numbers are upstream's (`client-go/tools/record`, `EventCorrelator`).

use std::collections::HashMap;
use std::sync::Arc;

use component::{Clock, Shutdown, SystemClock};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use tokio::sync::mpsc;

mod correlate;

use correlate::{Correlator, Verdict};

/// Waiting events; further ones are dropped with a log line, as upstream does.
const QUEUE: usize = 1000;

/// Whether an event tells of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Business as usual.
    Normal,
    /// Somebody may want to look.
    Warning,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What was said about which object.
#[derive(Clone, Debug)]
struct Record {
    about: ObjectReference,
    event_type: EventType,
    reason: String,
    action: String,
    message: String,
}

/// Writes events for one component. Cloning shares the queue.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    sender: mpsc::Sender<Record>,
}

impl EventRecorder {
    /// A recorder that writes through `client` as `component` (and `instance`, the host or node) until `shutdown`.
    pub fn new(client: kube::Client, component: &str, instance: &str, shutdown: &Shutdown) -> Self {
        Self::with_clock(client, component, instance, shutdown, Arc::new(SystemClock))
    }

    /// As [`new`](Self::new), with a clock of one's own.
    pub fn with_clock(
        client: kube::Client,
        component: &str,
        instance: &str,
        shutdown: &Shutdown,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let source = EventSource {
            component: Some(component.to_owned()),
            host: Some(instance.to_owned()).filter(|host| !host.is_empty()),
        };
        let writer = Writer { client, source, clock, correlator: Correlator::default() };
        component::spawn_until("event recorder", shutdown, writer.run(receiver));
        Self { sender }
    }

    /// Says `message` about an object. `action` is what was done or failed, empty where upstream has none.
    pub fn event(
        &self,
        about: &ObjectReference,
        event_type: EventType,
        reason: &str,
        action: &str,
        message: impl Into<String>,
    ) {
        let record = Record {
            about: about.clone(),
            event_type,
            reason: reason.to_owned(),
            action: action.to_owned(),
            message: message.into(),
        };
        if self.sender.try_send(record).is_err() {
            tracing::warn!(reason, "event dropped: the queue is full or closed");
        }
    }
}

/// The reference an event (or an owner) needs to an object of a built-in kind.
pub fn object_reference<K>(object: &K) -> ObjectReference
where
    K: Resource<DynamicType = ()>,
{
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(object.name_any()),
        namespace: object.namespace(),
        uid: object.uid(),
        resource_version: object.resource_version(),
        field_path: None,
    }
}

struct Writer {
    client: kube::Client,
    source: EventSource,
    clock: Arc<dyn Clock>,
    correlator: Correlator,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<Record>) {
        while let Some(record) = receiver.recv().await {
            self.write(record).await;
        }
    }

    async fn write(&mut self, record: Record) {
        let now = self.clock.now();
        let verdict = self.correlator.decide(&record, now);
        let api: Api<Event> = Api::namespaced(self.client.clone(), event_namespace(&record.about));
        let outcome = match verdict {
            Verdict::Drop => return,
            Verdict::Repeat { name, count, message } => {
                let change = serde_json::json!({"count": count, "message": message, "lastTimestamp": Time(now)});
                match api.patch(&name, &PatchParams::default(), &Patch::Strategic(change)).await {
                    // The event has expired since: say it anew.
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        self.create(&api, &record, message, count, now).await
                    }
                    other => other.map(|_| ()),
                }
            }
            Verdict::New { message } => self.create(&api, &record, message, 1, now).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(reason = record.reason, %error, "event not written");
        }
    }

    async fn create(
        &mut self,
        api: &Api<Event>,
        record: &Record,
        message: String,
        count: i32,
        now: jiff::Timestamp,
    ) -> Result<(), kube::Error> {
        // The object's name and the time make the name unique, as upstream's do.
        let name = format!("{}.{:x}", record.about.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        let mut event = Event {
            involved_object: record.about.clone(),
            type_: Some(record.event_type.as_str().to_owned()),
            reason: Some(record.reason.clone()),
            action: Some(record.action.clone()).filter(|action| !action.is_empty()),
            message: Some(message),
            count: Some(count),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(self.source.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Event::default()
        };
        if !record.action.is_empty() {
            event.event_time = Some(MicroTime(now));
            event.reporting_instance = event.reporting_instance.or_else(|| self.source.component.clone());
        }
        event.metadata.name = Some(name.clone());
        event.metadata.namespace = Some(event_namespace(&record.about).to_owned());
        let written = api.create(&PostParams::default(), &event).await;
        if written.is_ok() {
            self.correlator.written(record, name);
        }
        written.map(|_| ())
    }
}

/// Events about cluster-scoped objects live in `default`.
fn event_namespace(about: &ObjectReference) -> &str {
    about.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

/// Keeps a map from growing past `limit` by forgetting what was used longest ago.
fn forget_oldest<K: Clone + Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    limit: usize,
    last_used: impl Fn(&V) -> jiff::Timestamp,
) {
    if map.len() <= limit {
        return;
    }
    let mut ages: Vec<_> = map.values().map(&last_used).collect();
    let middle = ages.len() / 2;
    let (_, cut, _) = ages.select_nth_unstable(middle);
    let cut = *cut;
    map.retain(|_, value| last_used(value) > cut);
}
