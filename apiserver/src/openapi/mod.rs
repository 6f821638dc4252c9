//! `/openapi/v2` and `/openapi/v3`: the documents `crates/api` makes, made when they are asked for and not kept.
//!
//! What is built in changes only with the program, so a document's hash is that of its name and the program's file; that of
//! custom resources changes with their definitions, too. The index costs nothing, and clients that have a document never
//! cause it to be made again.
//! Upstream: k8s.io/kube-openapi/pkg/{handler,handler3}.

mod custom;
mod descriptions;
mod gnostic;

use std::sync::OnceLock;

use api::openapi::{v3, v3_paths};
use api::scheme::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use json::{Map, Value, json};

use self::descriptions::Texts;
use crate::aggregator::Aggregator;
use crate::discovery::hash;
use crate::endpoints::negotiation::Output;
use crate::endpoints::query::Query;
use crate::endpoints::respond;
use crate::registry::resource::{Resources, Set};
use crate::server::body::Body;

/// The documents of everything that is served.
#[derive(Debug)]
pub struct OpenApi {
    scheme: &'static Scheme,
}

impl OpenApi {
    /// Of a scheme.
    pub fn new(scheme: &'static Scheme) -> OpenApi {
        OpenApi { scheme }
    }

    /// Answers a path below `/openapi`; None for others.
    pub(crate) fn serve(
        &self,
        path: &str,
        headers: &HeaderMap,
        query: &Query,
        output: &Output,
        resources: &Resources,
        aggregator: &Aggregator,
    ) -> Option<Response<Body>> {
        let path = path.strip_prefix("/openapi/")?;
        let set = resources.current();
        match path {
            "v2" => Some(self.second(headers, output, &set, aggregator)),
            "v3" => Some(self.index_answer(output, &set, aggregator)),
            other => {
                let document = other.strip_prefix("v3/")?;
                Some(self.third(document, headers, query, output, &set, aggregator).unwrap_or_else(nothing))
            }
        }
    }

    /// Upstream serves the index as a file without a name: Go tells no JSON from text.
    fn index_answer(&self, output: &Output, set: &Set, aggregator: &Aggregator) -> Response<Body> {
        let mut index = self.index(set);
        index["paths"].as_object_mut().into_iter().for_each(|paths| aggregator.join_index(paths));
        let index = index.to_string();
        let mut response = respond::bytes_with_type(200, index.into(), "text/plain; charset=utf-8", output.gzip);
        insert(&mut response, header::LAST_MODIFIED, last_modified());
        response
    }

    fn index(&self, set: &Set) -> Value {
        let mut all = v3_paths(self.scheme);
        all.extend(custom::paths(set).into_iter().filter(|path| !all.contains(path)).collect::<Vec<String>>());
        all.sort_unstable();
        let entry = |path: String| {
            let version = self.version(&path, set)?;
            let url = format!("/openapi/v3/{path}?hash={version}");
            Some((path, json!({"serverRelativeURL": url})))
        };
        let paths: Map = all.into_iter().filter_map(entry).collect();
        json!({"paths": paths})
    }

    fn is_built_in(&self, document: &str) -> bool {
        v3_paths(self.scheme).iter().any(|path| path == document)
    }

    /// The hash of a v3 document; None if there is none.
    fn version(&self, document: &str, set: &Set) -> Option<String> {
        if self.is_built_in(document) {
            return Some(version_of(document));
        }
        Some(version_of(&format!("{document}\n{}", custom::state(set, document)?)))
    }

    fn third(
        &self,
        document: &str,
        headers: &HeaderMap,
        query: &Query,
        output: &Output,
        set: &Set,
        aggregator: &Aggregator,
    ) -> Option<Response<Body>> {
        let (version, made) = match self.version(document, set) {
            Some(version) => (version, None),
            None => aggregator.made_document(document).map(|(version, made)| (version, Some(made)))?,
        };
        let asked = query.get("hash").unwrap_or_default();
        if !asked.is_empty() && asked != version {
            let mut response = respond::text(301, "");
            insert(&mut response, header::LOCATION, &format!("/openapi/v3/{document}?hash={version}"));
            return Some(response);
        }
        let mut response = if_changed(headers, &version, output, || match made {
            Some(made) => Some(made),
            None if self.is_built_in(document) => v3(self.scheme, document, &Texts::of(Some(document))),
            None => custom::third(self.scheme, set, document),
        });
        if !asked.is_empty() {
            insert(&mut response, header::CACHE_CONTROL, "public, immutable");
        }
        Some(response)
    }

    fn protobuf(&self, set: &Set, aggregator: &Aggregator) -> Option<Vec<u8>> {
        let json = self.json(set, aggregator)?;
        json::from_slice(&json).ok().map(|document| gnostic::document(&document))
    }

    /// Our document, with what other servers add.
    fn json(&self, set: &Set, aggregator: &Aggregator) -> Option<Vec<u8>> {
        let own = custom::second(self.scheme, set);
        if aggregator.version_of_documents().is_none() {
            return Some(own);
        }
        let mut document = json::from_slice(&own).ok()?;
        aggregator.join_document(&mut document);
        json::to_vec(&document).ok()
    }

    fn second(&self, headers: &HeaderMap, output: &Output, set: &Set, aggregator: &Aggregator) -> Response<Body> {
        let others = aggregator.version_of_documents().unwrap_or_default();
        let version = |form: &str| version_of(&format!("{form}{others}\n{}", custom::state_of_all(set)));
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
        if !["application/json", "*/*", "application/*"].iter().any(|own| accept.contains(own)) {
            if PROTOBUF.iter().any(|own| accept.contains(own)) {
                let mut response =
                    if_changed(headers, &version("v2.protobuf"), output, || self.protobuf(set, aggregator));
                if response.status() == StatusCode::OK {
                    insert(&mut response, header::CONTENT_TYPE, PROTOBUF[0]);
                }
                return response;
            }
            return respond::status(&api::status::Status::not_acceptable(&["application/json"]), output);
        }
        if_changed(headers, &version("v2"), output, || self.json(set, aggregator))
    }
}

/// The media type of the v2 document in protobuf: as it is sent, and as clients ask for it.
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// 304 for clients that have it, the document otherwise.
fn if_changed(
    headers: &HeaderMap,
    version: &str,
    output: &Output,
    make: impl FnOnce() -> Option<Vec<u8>>,
) -> Response<Body> {
    let etag = format!("\"{version}\"");
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        // What a document is made of takes ten times its room.
        component::memory::released();
        match make() {
            Some(document) => respond::bytes_with_type(200, document.into(), "application/json", output.gzip),
            None => respond::page_not_found(),
        }
    };
    insert(&mut response, header::ETAG, &etag);
    insert(&mut response, header::LAST_MODIFIED, last_modified());
    insert(&mut response, header::VARY, "Accept");
    response
}

/// 404 without a word.
fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The documents are as old as the first look at them.
fn last_modified() -> &'static str {
    static SINCE: OnceLock<String> = OnceLock::new();
    SINCE.get_or_init(|| jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

fn insert(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The hash of a document: changes with the program.
fn version_of(document: &str) -> String {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        // A program built anew is another file; without one to look at, its version has to do.
        let file = std::env::current_exe().and_then(std::fs::metadata);
        let built = file.as_ref().ok().and_then(|file| file.modified().ok());
        format!("{} {:?} {built:?}", env!("CARGO_PKG_VERSION"), file.map(|file| file.len()).ok())
    });
    hash(format!("{document}\n{program}").as_bytes())
}
