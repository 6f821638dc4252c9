//! Watches: a snapshot first if asked for, then the store's cursor, as frames.
//!
//! Nothing is queued for a slow watcher: it holds a cursor into the store's window and copies the bytes every object has
//! anyway when its connection takes more. One that falls out of the window is told 410 and ends.
//! Upstream: handlers.serveWatchHandler, storage/cacher.cacheWatcher.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::protobuf;
use api::status::Status;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use json::{Value, json};
use rand::RngExt;
use store::{Entry, ErrorKind, Event, EventKind, Revision, Snapshot, Watch};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::frames::{self, Frames};
use super::negotiation::{Format, Output, Shape};
use super::options::ListOptions;
use super::{Call, Request, list, respond, shape};
use crate::apiextensions::stored;
use crate::flowcontrol::Watching;
use crate::registry;
use crate::registry::apps::daemon_set::TEMPLATE_GENERATION;
use crate::registry::resource::Resource;
use crate::registry::selection::Selection;
use crate::registry::store::{Engine, parse_resource_version, storage_error};
use crate::server::body::Body;
use crate::server::metrics::EventCounter;
use crate::server::state::State;
use crate::streaming::Upgrade;
use crate::streaming::socket::Handshake;

/// How often an idle watcher is told how far the world is. Upstream: bookmarkFrequency.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the end. Upstream: cacher's newTimeBudget and bookmark heap.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);
/// Frames are gathered up to this size before they are handed to the connection.
const PIECE: usize = 64 << 10;

/// Serves a watch; `named` when the path names one object (`/watch/.../NAME`).
pub(super) async fn serve(call: &mut Call<'_>, mut request: Request, named: bool) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let options = ListOptions::decode(&request.query, true)?;
    let name = if named { request.info.name.as_str() } else { "" };
    let selection = Selection::new(call.resource, &options, name)?;
    let revision = parse_resource_version(&options.resource_version).map_err(|why| Status::unknown(500, why))?;
    let table = shape::TableOptions::of(&request.query)?;
    let prefix = selection.prefix(call.resource, &call.ctx.target.namespace);
    let state = call.state;
    let start = start(call, &options, revision, &prefix).await?;
    let media_type = output.stream_media_type(request.formats)?;
    let begins_with_list = options.send_initial_events == Some(true) && options.allow_watch_bookmarks;
    let gzip = output.gzip && begins_with_list;
    let now = Instant::now();
    let timeout = match options.timeout_seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.min(u64::from(u32::MAX))),
        _ => state.settings.min_request_timeout.mul_f64(1.0 + rand::rng().random::<f64>()),
    };
    let counted = state.limiter.flow_control().and_then(|control| control.watching(&request.info));
    let handshake = match Handshake::for_watch(&request.parts.headers) {
        Ok(handshake) => handshake,
        Err(refused) => return Ok(refused.answer()),
    };
    let socket = handshake.and_then(|handshake| Some((handshake, Upgrade::take(&mut request.parts.extensions)?)));
    // Messages of a socket and members of gzip are cut at events.
    let mut frames = if gzip || socket.is_some() { Frames::of_whole_events() } else { Frames::default() };
    let chunks = match start {
        Ok((watch, initial)) => {
            let watcher = Watcher {
                _counted: counted,
                ended: Box::pin(state.shutdown.clone().cancelled_owned()),
                alarm: Box::pin(tokio::time::sleep_until(now + timeout)),
                state: Arc::clone(state),
                resource: Arc::clone(call.resource),
                selection,
                output,
                table,
                watch,
                sent: state.metrics.watches().of(call.resource),
                skip: revision,
                initial: initial.map(|snapshot| Initial { snapshot, prefix, last: None }),
                ends_initial: begins_with_list,
                bookmarks: options.allow_watch_bookmarks,
                bookmark_at: bookmark_time(now, now + timeout),
                deadline: now + timeout,
                over: false,
                frames,
                converted: HashMap::new(),
            };
            stream::unfold(Box::new(watcher), |mut watcher| async move { Some((watcher.next().await?, watcher)) })
                .left_stream()
        }
        Err(expired) => {
            frames.put_value(output.format, "ERROR", &expired.to_value())?;
            stream::iter(frames.take()).right_stream()
        }
    };
    if let Some((handshake, upgrade)) = socket {
        let messages = chunks.flat_map(move |chunk| stream::iter(frames::messages(output.format, chunk)));
        return Ok(handshake.answer(upgrade, messages, &state.shutdown));
    }
    if !gzip {
        return Ok(response(Body::stream(chunks.map(Ok)), media_type));
    }
    let zipped = chunks.map(|chunk| respond::gzip_piece(&chunk));
    let mut response = response(Body::stream(zipped), media_type);
    respond::mark_gzipped(&mut response);
    Ok(response)
}

fn response(body: Body, media_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The cursor, and the snapshot to begin with. The inner error is sent as an event.
async fn start(
    call: &Call<'_>,
    options: &ListOptions,
    revision: Revision,
    prefix: &str,
) -> Result<Result<(Watch, Option<Snapshot>), Status>, Status> {
    let engine = call.engine();
    let resource = call.resource;
    let from_now = match options.send_initial_events {
        Some(initial) => Some(initial),
        None if revision.0 == 0 => Some(true),
        None => None,
    };
    let (after, initial) = match from_now {
        Some(true) => {
            let snapshot = if options.resource_version.is_empty() {
                engine.consistent(resource).await?
            } else {
                match list::at_least(engine, resource, revision).await {
                    Ok(snapshot) => snapshot,
                    Err(too_large) => return Ok(Err(too_large)),
                }
            };
            (snapshot.revision(), Some(snapshot))
        }
        Some(false) if revision.0 == 0 => (engine.consistent(resource).await?.revision(), None),
        _ => (revision, None),
    };
    match engine.store.watch(prefix, after) {
        Ok(watch) => Ok(Ok((watch, initial))),
        // What has not happened yet cannot be missed: begin now, and skip up to there.
        Err(error) if error.kind == ErrorKind::FutureRevision => {
            let now = engine.store.revision();
            let watch =
                engine.store.watch(prefix, now).map_err(|error| storage_error(resource, "", "watch", &error))?;
            Ok(Ok((watch, None)))
        }
        Err(error) if error.kind == ErrorKind::Compacted => Ok(Err(too_old(after, error.revision))),
        Err(error) => Err(storage_error(resource, "", "watch", &error)),
    }
}

fn too_old(wanted: Revision, oldest: Revision) -> Status {
    Status::resource_expired(format!("too old resource version: {} ({})", wanted.0, oldest.0))
}

fn bookmark_time(now: Instant, deadline: Instant) -> Instant {
    let last = deadline.checked_sub(BOOKMARK_BEFORE_END).filter(|last| *last > now);
    last.map_or(now + BOOKMARK_EVERY, |last| last.min(now + BOOKMARK_EVERY))
}

/// The state of one watch connection.
struct Watcher {
    /// Those who write are told how many we are.
    _counted: Option<Watching>,
    state: Arc<State>,
    resource: Arc<Resource>,
    selection: Selection,
    output: Output,
    table: shape::TableOptions,
    watch: Watch,
    sent: EventCounter,
    /// Events up to this revision are not sent: it lay in the future when the watch began.
    skip: Revision,
    initial: Option<Initial>,
    ends_initial: bool,
    bookmarks: bool,
    bookmark_at: Instant,
    deadline: Instant,
    /// Rings at the next of these two. Made once, as `ended` is: a timer and a listener for each event would cost more than the event.
    alarm: Pin<Box<Sleep>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    over: bool,
    /// Written and not yet taken.
    frames: Frames,
    /// What a webhook made of the entries that are written next.
    converted: HashMap<(Arc<str>, Revision), Value>,
}

/// Objects still to be sent as they were when the watch began.
struct Initial {
    snapshot: Snapshot,
    prefix: String,
    last: Option<Arc<str>>,
}

impl Watcher {
    /// The next piece; None at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.frames.take() {
            return Some(piece);
        }
        if self.over {
            return None;
        }
        if self.initial.is_some() {
            self.convert_initial().await;
            self.write_initial();
            if let Some(piece) = self.frames.take() {
                return Some(piece);
            }
        }
        loop {
            let rings_at = if self.bookmarks { self.bookmark_at.min(self.deadline) } else { self.deadline };
            if self.alarm.deadline() != rings_at {
                self.alarm.as_mut().reset(rings_at);
            }
            let batch = tokio::select! {
                biased;
                batch = self.watch.next() => batch,
                () = &mut self.ended => return None,
                () = &mut self.alarm => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return None;
                    }
                    self.bookmark_at = bookmark_time(now, self.deadline);
                    if self.bookmark_at <= now {
                        self.bookmark_at = self.deadline + BOOKMARK_EVERY;
                    }
                    let progress = self.watch.progress();
                    self.write_bookmark(progress, false);
                    return self.frames.take();
                }
            };
            let mut next = batch.map(Some);
            while let Ok(Some(batch)) = &next {
                self.convert_events(batch.events()).await;
                for event in batch.events() {
                    self.write_event(event);
                }
                if self.frames.len() >= PIECE {
                    return self.frames.take();
                }
                next = self.watch.try_next();
            }
            if let Err(error) = next {
                self.over = true;
                if error.kind == ErrorKind::Compacted {
                    let status = too_old(self.watch.progress(), error.revision);
                    self.write_value("ERROR", &status.to_value());
                }
                return self.frames.take();
            }
            if let Some(piece) = self.frames.take() {
                return Some(piece);
            }
        }
    }

    /// Up to one piece of the objects there were; behind the last of them the bookmark that says so.
    fn write_initial(&mut self) {
        let Some(mut initial) = self.initial.take() else { return };
        let snapshot = initial.snapshot.clone();
        let start = initial.last.take();
        let mut last = None;
        for entry in snapshot.range(&initial.prefix, start.as_deref()) {
            if self.selection.matches(&self.resource, entry) {
                self.write_object("ADDED", entry);
            }
            if self.frames.len() >= PIECE {
                last = Some(entry.key.clone());
                break;
            }
        }
        if last.is_some() {
            initial.last = last;
            self.initial = Some(initial);
            return;
        }
        if self.ends_initial {
            self.write_bookmark(snapshot.revision(), true);
        }
    }

    /// What an event means to somebody who sees selected objects only. Upstream: cacheWatcher.convertToWatchEvent.
    fn write_event(&mut self, event: &Event) {
        if event.revision <= self.skip {
            return;
        }
        let matches = |entry: &Arc<Entry>| self.selection.matches(&self.resource, entry);
        let now = event.kind == EventKind::Put && matches(&event.entry);
        let before = event.prev.as_ref().is_some_and(matches);
        match (before, now) {
            (false, true) => self.write_object("ADDED", &event.entry),
            (true, true) => self.write_object("MODIFIED", &event.entry),
            (true, false) if event.kind == EventKind::Delete => self.write_object("DELETED", &event.entry),
            // It is not deleted, but gone from this watcher's sight: the last state seen, at the revision of now.
            (true, false) => {
                if let Some(prev) = event.prev.as_ref().filter(|_| self.resource.is_custom()) {
                    self.write_custom("DELETED", prev, Some(event.revision));
                } else if let Some(prev) = &event.prev {
                    let bytes = crate::registry::encode::at_revision(&prev.value, event.revision);
                    self.write_bytes("DELETED", &bytes);
                }
            }
            (false, false) => {}
        }
    }

    fn write_object(&mut self, kind: &str, entry: &Entry) {
        if self.resource.is_custom() {
            return self.write_custom(kind, entry, None);
        }
        if (self.output.format, self.output.shape) != (Format::Protobuf, Shape::Object) {
            return self.write_bytes(kind, &entry.value);
        }
        let before = self.frames.put();
        match registry::protobuf::message(&self.resource, entry) {
            Ok(message) => {
                let (api_version, of) = (&self.resource.api_version, &self.resource.info.kind);
                let start = protobuf::envelope_start(api_version, of, message.len());
                self.frames.put_protobuf(kind, &start, &message, protobuf::ENVELOPE_END);
            }
            Err(status) => return self.write_value("ERROR", &status.to_value()),
        }
        self.sent.sent(self.frames.put() - before);
    }

    /// Asks for the objects there were, where it takes a webhook.
    async fn convert_initial(&mut self) {
        // What is left of an earlier answer has not been sent yet.
        let Some(initial) = self.initial.as_ref().filter(|_| self.asks() && self.converted.is_empty()) else { return };
        let snapshot = initial.snapshot.clone();
        let entries = snapshot.range(&initial.prefix, initial.last.as_deref()).cloned().collect();
        self.convert(entries).await;
    }

    /// Asks for what is in events, where it takes a webhook.
    async fn convert_events(&mut self, events: &[Arc<Event>]) {
        if self.asks() {
            let of = |event: &Arc<Event>| event.prev.iter().chain([&event.entry]).cloned().collect::<Vec<Arc<Entry>>>();
            self.convert(events.iter().flat_map(of).collect()).await;
        }
    }

    fn asks(&self) -> bool {
        self.resource.as_custom().is_some_and(stored::asks)
    }

    /// What cannot be converted is not in the map, and told of when its turn comes.
    async fn convert(&mut self, entries: Vec<Arc<Entry>>) {
        self.converted.clear();
        let Some(custom) = self.resource.as_custom() else { return };
        let entries: Vec<Arc<Entry>> =
            entries.into_iter().filter(|entry| !stored::is_as_served(custom, entry)).collect();
        let objects: Vec<Value> = entries.iter().filter_map(|entry| json::from_slice(&entry.value).ok()).collect();
        if objects.is_empty() || objects.len() != entries.len() {
            return;
        }
        match stored::read_all(custom, objects, self.state.engine.as_ref()).await {
            Ok(objects) => {
                entries.iter().zip(&objects).for_each(|(entry, object)| drop(stored::remember(custom, entry, object)));
                let keys = entries.iter().map(|entry| (entry.key.clone(), entry.mod_revision));
                self.converted = keys.zip(objects).collect();
            }
            Err(status) => tracing::warn!(why = %status.message, "watched objects are not converted"),
        }
    }

    /// An entry of a custom resource in the version watched; at another revision than its own, if one is given.
    fn write_custom(&mut self, kind: &str, entry: &Entry, revision: Option<Revision>) {
        if self.resource.serves_as_stored(entry) {
            let moved = revision.map(|revision| crate::registry::encode::at_revision(&entry.value, revision));
            return self.write_bytes(kind, moved.as_ref().unwrap_or(&entry.value));
        }
        let converted = self.converted.remove(&(entry.key.clone(), entry.mod_revision));
        match converted.or_else(|| self.resource.as_custom().and_then(|custom| stored::read_now(custom, entry))) {
            Some(mut object) => {
                if let Some(revision) = revision {
                    api::meta::set_resource_version(&mut object, &revision.0.to_string());
                }
                self.write_shaped(kind, object);
            }
            None => {
                let why = format!("unable to convert {} to {}", entry.key, self.resource.api_version);
                self.write_value("ERROR", &Status::internal_error(&why).to_value());
            }
        }
    }

    fn write_bytes(&mut self, kind: &str, bytes: &Bytes) {
        let as_it_is = (self.output.format, self.output.shape) == (Format::Json, Shape::Object);
        if as_it_is && self.resource.conversion.is_none() {
            self.sent.sent(bytes.len());
            return self.frames.put_json(kind, bytes);
        }
        let Ok(mut object) = json::from_slice::<Value>(bytes) else {
            tracing::error!(resource = %self.resource.group_resource(), "an object that cannot be decoded was not sent to a watcher");
            return;
        };
        Engine::from_storage(&self.resource, &mut object);
        self.write_shaped(kind, object);
    }

    fn write_shaped(&mut self, kind: &str, object: Value) {
        match shape::object(&self.resource, object, &self.output, &self.table) {
            Ok(shaped) => {
                // Columns are described once a watch.
                self.table.without_columns = true;
                self.write_value(kind, &shaped);
            }
            Err(status) => self.write_value("ERROR", &status.to_value()),
        }
    }

    fn write_value(&mut self, kind: &str, object: &Value) {
        let before = self.frames.put();
        if let Err(status) = self.frames.put_value(self.output.format, kind, object) {
            let resource = self.resource.group_resource();
            tracing::error!(%resource, why = %status.message, "an object that cannot be encoded was not sent to a watcher");
        }
        self.sent.sent(self.frames.put() - before);
    }

    /// An object with nothing but a revision, and the numbers that are never absent in the internal objects of which upstream
    /// makes it. Upstream: the cacher's bookmark events.
    fn write_bookmark(&mut self, revision: Revision, ends_initial: bool) {
        let info = &self.resource.info;
        let mut object = json!({
            "kind": info.kind.as_ref(),
            "apiVersion": self.resource.api_version,
            "metadata": {"resourceVersion": revision.0.to_string()},
        });
        if ends_initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let unset = self.resource.schema().map(api::decode::empty);
        if let (Some(fields), Some(Value::Object(unset))) = (object.as_object_mut(), unset) {
            for (key, value) in unset.into_iter().filter(|(key, _)| key != "metadata") {
                fields.insert(key, value);
            }
        }
        match (info.group.as_ref(), info.kind.as_ref()) {
            ("apps", "Deployment" | "ReplicaSet" | "StatefulSet") => object["spec"]["replicas"] = 0.into(),
            ("apps", "DaemonSet") => api::meta::set_annotation(&mut object, TEMPLATE_GENERATION, "0"),
            _ => {}
        }
        self.write_shaped("BOOKMARK", object);
    }
}
