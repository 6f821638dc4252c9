//! An API server small enough for tests: keeps objects, answers lists, watches, bindings, status patches and deletes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Collection and key: `pods` and `ns/name`.
type Id = (String, String);
type Answer = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// The server; cloning shares it.
#[derive(Clone)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
    /// The length of the log, to wake watches.
    changed: watch::Sender<usize>,
}

struct State {
    objects: BTreeMap<Id, Value>,
    version: u64,
    /// Bindings to refuse before any is taken.
    refuse_bindings: usize,
    bound: usize,
    events: Vec<Value>,
    /// Every change so far: version, collection, line of a watch.
    log: Vec<(u64, String, Bytes)>,
}

/// Turns the path of a request into collection, key and subresource.
fn parse(path: &str) -> (String, String, String) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let name = rest.get(1).copied().unwrap_or_default();
    let subresource = rest.get(2).copied().unwrap_or_default();
    (rest[0].to_owned(), format!("{namespace}/{name}"), subresource.to_owned())
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                match (key.as_str(), value) {
                    (_, Value::Null) => drop(into.remove(key)),
                    ("conditions", Value::Array(new)) => {
                        let old = into.entry("conditions").or_insert_with(|| json!([]));
                        let old = old.as_array_mut().expect("conditions are a list");
                        old.retain(|old| new.iter().all(|new| new["type"] != old["type"]));
                        old.extend(new.iter().cloned());
                    }
                    _ => merge(into.entry(key.clone()).or_insert(Value::Null), value),
                }
            }
        }
        (into, change) => *into = change.clone(),
    }
}

impl FakeApi {
    /// A server without objects.
    pub(crate) fn new() -> Self {
        let state = State {
            objects: BTreeMap::new(),
            version: 1,
            refuse_bindings: 0,
            bound: 0,
            events: Vec::new(),
            log: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Creates or replaces an object.
    pub(crate) fn apply(&self, collection: &str, mut object: Value) {
        let meta = &mut object["metadata"];
        let name = meta["name"].as_str().expect("objects have names").to_owned();
        let namespace = meta["namespace"].as_str().unwrap_or_default().to_owned();
        if meta["uid"].is_null() {
            meta["uid"] = format!("uid-{name}").into();
        }
        self.put((collection.to_owned(), format!("{namespace}/{name}")), object);
    }

    /// One object.
    pub(crate) fn get(&self, collection: &str, key: &str) -> Option<Value> {
        self.state.lock().unwrap().objects.get(&(collection.to_owned(), key.to_owned())).cloned()
    }

    /// Removes an object.
    pub(crate) fn delete(&self, collection: &str, key: &str) {
        let mut state = self.state.lock().unwrap();
        if let Some(object) = state.objects.remove(&(collection.to_owned(), key.to_owned())) {
            self.tell(&mut state, collection, "DELETED", object);
        }
    }

    /// Refuses the next bindings.
    pub(crate) fn refuse_bindings(&self, count: usize) {
        self.state.lock().unwrap().refuse_bindings = count;
    }

    /// How many pods were bound.
    pub(crate) fn bound(&self) -> usize {
        self.state.lock().unwrap().bound
    }

    /// Reason and note of every event so far.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = self.state.lock().unwrap();
        state.events.iter().map(|event| (text(&event["reason"]), text(&event["note"]))).collect()
    }

    fn put(&self, id: Id, mut object: Value) {
        let mut state = self.state.lock().unwrap();
        let kind = if state.objects.contains_key(&id) { "MODIFIED" } else { "ADDED" };
        object["metadata"]["resourceVersion"] = (state.version + 1).to_string().into();
        state.objects.insert(id.clone(), object.clone());
        self.tell(&mut state, &id.0, kind, object);
    }

    fn tell(&self, state: &mut State, collection: &str, kind: &str, mut object: Value) {
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        state.log.push((state.version, collection.to_owned(), line.into()));
        self.changed.send_replace(state.log.len());
    }

    async fn answer(&self, request: Request<Body>) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (collection, key, subresource) = parse(parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        let whole = |value: Value| reply(200, value);
        match (parts.method, subresource.as_str()) {
            (Method::GET, _) if query.contains("watch=true") => self.watch(collection, query),
            (Method::GET, _) if key.ends_with('/') => {
                let state = self.state.lock().unwrap();
                let of_it = state.objects.iter().filter(|((of, _), _)| *of == collection);
                let items: Vec<&Value> = of_it.map(|(_, object)| object).collect();
                let version = state.version.to_string();
                whole(
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
                )
            }
            (Method::POST, "binding") => self.bind(&key, &sent),
            (Method::POST, _) => {
                self.state.lock().unwrap().events.push(sent.clone());
                whole(sent)
            }
            (Method::PATCH, _) => match self.get(&collection, &key) {
                Some(mut object) => {
                    merge(&mut object, &sent);
                    self.put((collection, key), object.clone());
                    whole(object)
                }
                None => not_found(),
            },
            (Method::DELETE, _) => {
                self.delete(&collection, &key);
                whole(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
            }
            _ => not_found(),
        }
    }

    fn bind(&self, key: &str, binding: &Value) -> Response<Answer> {
        {
            let mut state = self.state.lock().unwrap();
            if state.refuse_bindings > 0 {
                state.refuse_bindings -= 1;
                return reply(
                    500,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "code": 500, "reason": "InternalError", "message": "refused by the test"}),
                );
            }
            state.bound += 1;
        }
        let Some(mut pod) = self.get("pods", key) else { return not_found() };
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        self.put(("pods".to_owned(), key.to_owned()), pod);
        reply(201, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }

    fn watch(&self, collection: String, query: &str) -> Response<Answer> {
        let since = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion="));
        let since: u64 = since.and_then(|since| since.parse().ok()).unwrap_or(0);
        let start = self.state.lock().unwrap().log.partition_point(|(version, ..)| *version <= since);
        let cursor = (self.state.clone(), self.changed.subscribe(), start);
        let stream = futures::stream::unfold(cursor, move |(state, mut changed, mut at)| {
            let collection = collection.clone();
            async move {
                loop {
                    let next = {
                        let state = state.lock().unwrap();
                        let next = state.log[at..].iter().position(|(_, of, _)| *of == collection);
                        at = next.map_or(state.log.len(), |next| at + next + 1);
                        next.map(|_| state.log[at - 1].2.clone())
                    };
                    if let Some(line) = next {
                        return Some((Ok(http_body::Frame::data(line)), (state, changed, at)));
                    }
                    changed.wait_for(|length| *length > at).await.ok()?;
                }
            }
        });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(stream)))
    }
}

fn reply(code: u16, value: Value) -> Response<Answer> {
    let body = http_body_util::Full::new(Bytes::from(value.to_string()));
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a valid code");
    response
}

fn not_found() -> Response<Answer> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
        "reason": "NotFound", "message": "not found"});
    reply(404, status)
}
