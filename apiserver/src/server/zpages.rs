//! `/flagz` and `/statusz`: which flags the process runs under, and since when, as text for people or as an object of
//! `config.k8s.io`.
//!
//! Both answer every method, as upstream's do. The text is for nobody to parse; a version of the object that is on its way
//! out is served with a warning. Upstream: k8s.io/component-base/zpages.

use std::fmt::Write;
use std::time::{Duration, Instant};

use api::status::Status;
use http::{HeaderMap, Response, header};
use jiff::Timestamp;
use json::{Value, json};

use super::body::Body;
use crate::endpoints::negotiation::{Format, Output};
use crate::endpoints::respond;
use crate::filters::warnings;

const COMPONENT: &str = "apiserver";
const GROUP: &str = "config.k8s.io";
const NOTICE: &str = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.";
const ACCEPTED: [&str; 3] = ["application/json", "application/yaml", "text/plain"];
/// The versions of both kinds; all but the last are deprecated.
const VERSIONS: [&str; 2] = ["v1alpha1", "v1beta1"];
/// What `/statusz` says there is to see.
const PATHS: [&str; 7] = ["/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version"];

/// See the module header.
#[derive(Debug)]
pub(crate) struct Pages {
    flags: Vec<(String, String)>,
    started: Timestamp,
    since: Instant,
}

impl Pages {
    /// Of a process that starts now, under these flags.
    pub(crate) fn new(flags: Vec<(String, String)>) -> Pages {
        Pages { flags, started: Timestamp::now(), since: Instant::now() }
    }

    /// When the process began to serve.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Answers one of the two paths; None for others.
    pub(crate) fn serve(&self, path: &str, headers: &HeaderMap) -> Option<Result<Response<Body>, Status>> {
        let kind = match path {
            "/flagz" => "Flagz",
            "/statusz" => "Statusz",
            _ => return None,
        };
        Some(match Wanted::of(headers, kind) {
            Some(Wanted::Text) => {
                let text = if kind == "Flagz" { self.flags_text() } else { self.status_text(self.since.elapsed()) };
                Ok(respond::bytes_with_type(200, text.into(), "text/plain; charset=utf-8", false))
            }
            Some(Wanted::Object(format, version)) => {
                let mut object = json!({
                    "kind": kind,
                    "apiVersion": format!("{GROUP}/{version}"),
                    "metadata": {"name": COMPONENT},
                });
                let own = if kind == "Flagz" { self.flags() } else { self.status(self.since.elapsed()) };
                if let (Value::Object(object), Value::Object(own)) = (&mut object, own) {
                    object.extend(own);
                }
                Ok(answer(&object, format, version, kind))
            }
            None => Err(Status::not_acceptable(&ACCEPTED)),
        })
    }

    fn flags(&self) -> Value {
        let flags = self.flags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        json!({"flags": flags.collect::<json::Map>()})
    }

    fn flags_text(&self) -> String {
        let mut text = format!("\n{COMPONENT} flagz\n{NOTICE}\n");
        for (name, value) in &self.flags {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}:{value}");
        }
        text
    }

    fn status(&self, up: Duration) -> Value {
        json!({
            "startTime": api::meta::time::format(self.started),
            "uptimeSeconds": up.as_secs(),
            "goVersion": GO_VERSION,
            "binaryVersion": BINARY_VERSION,
            "emulationVersion": EMULATION_VERSION,
            "paths": PATHS,
        })
    }

    fn status_text(&self, up: Duration) -> String {
        let (hours, minutes, seconds) = (up.as_secs() / 3600, up.as_secs() / 60 % 60, up.as_secs() % 60);
        format!(
            "\n{COMPONENT} statusz\n{NOTICE}\n\nStarted= {}\nUp= {hours} hr {minutes:02} min {seconds:02} sec\n\
             Go version= {GO_VERSION}\nBinary version= {BINARY_VERSION}\nEmulation version= {EMULATION_VERSION}\nPaths= {}\n",
            self.started.strftime("%a %b %e %H:%M:%S UTC %Y"),
            PATHS.join(" "),
        )
    }
}

const GO_VERSION: &str = "none (rust)";
const BINARY_VERSION: &str = env!("CARGO_PKG_VERSION");
const EMULATION_VERSION: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));

/// How a page is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Text,
    Object(Format, &'static str),
}

impl Wanted {
    /// The first clause of `Accept` that can be met; text where nothing is asked for. An object must be asked for by all of
    /// its name: `application/json;as=Flagz;v=v1beta1;g=config.k8s.io`.
    fn of(headers: &HeaderMap, kind: &str) -> Option<Wanted> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.trim().is_empty() {
            return Some(Wanted::Text);
        }
        accept.split(',').find_map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let format = match parts.next()? {
                "application/json" => Format::Json,
                "application/yaml" => Format::Yaml,
                "text/plain" | "*/*" | "text/*" => return Some(Wanted::Text),
                _ => return None,
            };
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let value = |key: &str| parameters.iter().find(|(own, _)| *own == key).map(|(_, value)| *value);
            let version = VERSIONS.into_iter().find(|version| value("v") == Some(version))?;
            (value("as") == Some(kind) && value("g") == Some(GROUP)).then_some(Wanted::Object(format, version))
        })
    }
}

fn answer(object: &Value, format: Format, version: &'static str, kind: &str) -> Response<Body> {
    let output = Output { format, pretty: true, ..Output::plain() };
    let mut response = respond::value(200, object, &output);
    let media_type = format!("{};g={GROUP};v={version};as={kind}", format.media_type());
    if let Ok(value) = media_type.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    if Some(&version) != VERSIONS.last() {
        let page = kind.to_ascii_lowercase();
        let text = format!("This version of the {page} endpoint is deprecated. Please use a newer version.");
        warnings::add(response.headers_mut(), &[text]);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Option<Wanted> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Wanted::of(&headers, "Flagz")
    }

    #[test]
    fn an_object_is_shown_to_who_names_it_whole() {
        let whole = "text/html, application/yaml;v=v1beta1;g=config.k8s.io;as=Flagz";
        assert_eq!(wanted(whole), Some(Wanted::Object(Format::Yaml, "v1beta1")));
        for text in ["*/*", "text/plain", ""] {
            assert_eq!(wanted(text), Some(Wanted::Text), "{text}");
        }
        for part in ["application/json", "text/html", "application/json;v=v1;g=config.k8s.io;as=Flagz"] {
            assert_eq!(wanted(part), None, "{part}");
        }
        assert_eq!(wanted("application/json;v=v1beta1;g=config.k8s.io;as=Statusz"), None);
    }

    #[test]
    fn the_text_says_since_when_and_under_what() {
        let pages = Pages {
            started: "2026-11-05T16:50:14Z".parse().unwrap(),
            ..Pages::new(vec![("v".to_owned(), "0".to_owned())])
        };
        let text = pages.status_text(Duration::from_secs(3725));
        assert!(text.contains("\nStarted= Thu Nov  5 16:50:14 UTC 2026\nUp= 1 hr 02 min 05 sec\n"), "{text}");
        assert!(pages.flags_text().ends_with("debugging purposes only.\nv:0\n"));
        assert_eq!(pages.status(Duration::from_secs(7))["startTime"], "2026-11-05T16:50:14Z");
    }
}
