//! Which encoding and which shape the client wants: `Accept` and `Content-Type` against one table.
//! Upstream: k8s.io/apiserver/pkg/endpoints/handlers/negotiation.

#[cfg(test)]
mod tests;

use api::decode::Syntax;
use api::status::Status;
use http::{HeaderMap, header};

use super::query::Query;

/// Encodings of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
    /// `application/cbor`.
    Cbor,
}

impl Format {
    /// The media type sent.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
            Format::Protobuf => "application/vnd.kubernetes.protobuf",
            Format::Cbor => "application/cbor",
        }
    }

    /// The media type of a watch; None for what cannot be cut into events.
    pub fn stream_media_type(self) -> Option<&'static str> {
        match self {
            Format::Json => Some("application/json"),
            Format::Yaml => None,
            Format::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
            Format::Cbor => Some("application/cbor-seq"),
        }
    }
}

/// In order of preference; what is behind a feature gate comes last.
const FORMATS: [Format; 4] = [Format::Json, Format::Yaml, Format::Protobuf, Format::Cbor];
/// What 406 and 415 name.
const MEDIA_TYPES: [&str; 4] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"];
/// What 406 names for watches.
const STREAM_MEDIA_TYPES: [&str; 3] =
    ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch", "application/cbor-seq"];

/// The encodings a server offers. Upstream: NegotiatedSerializer.SupportedMediaTypes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Formats {
    /// CBOR too. Upstream: the feature gate CBORServingAndStorage, off by default.
    pub cbor: bool,
    /// Objects have no protobuf form, though their metadata has.
    pub custom: bool,
}

impl Formats {
    fn all(self) -> &'static [Format] {
        &FORMATS[..if self.cbor { 4 } else { 3 }]
    }

    /// What 406 and 415 name.
    pub(crate) fn media_types(self) -> &'static [&'static str] {
        &MEDIA_TYPES[..self.all().len()]
    }

    fn stream_media_types(self) -> &'static [&'static str] {
        &STREAM_MEDIA_TYPES[..self.all().len() - 1]
    }

    pub(crate) fn not_acceptable(self) -> Status {
        Status::not_acceptable(self.media_types())
    }

    pub(crate) fn unsupported_media_type(self) -> Status {
        Status::unsupported_media_type(self.media_types())
    }
}

/// The shape of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Objects as they are.
    Object,
    /// meta.k8s.io Table.
    Table,
    /// meta.k8s.io PartialObjectMetadata.
    PartialObjectMetadata,
    /// meta.k8s.io PartialObjectMetadataList.
    PartialObjectMetadataList,
}

/// Which shapes there are to choose from. Upstream: EndpointRestrictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// All of them.
    Shapes,
    /// All but tables: there are no rows.
    ShapesWithoutTable,
    /// Only what it is.
    Object,
    /// Only another kind than its own, at this group, version and kind.
    Kind(&'static str, &'static str, &'static str),
}

/// What the answer is to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Encoding.
    pub format: Format,
    /// Shape.
    pub shape: Shape,
    /// `apiVersion` of the shape, if it is not the object's own.
    pub shape_version: &'static str,
    /// Indented?
    pub pretty: bool,
    /// May the body be gzipped?
    pub gzip: bool,
}

impl Output {
    /// Objects as JSON, as they are.
    pub fn plain() -> Output {
        Output { format: Format::Json, shape: Shape::Object, shape_version: "", pretty: false, gzip: false }
    }

    /// JSON, indented for people.
    pub fn json(headers: &HeaderMap, query: &Query) -> Output {
        Output { pretty: pretty(headers, query), ..Output::plain() }
    }

    /// Of an error: it has no other shape than its own. Who accepts nothing of what there is gets indented JSON.
    pub fn of_error(headers: &HeaderMap, query: &Query, formats: Formats) -> Output {
        match Output::negotiate(headers, query, formats, Offer::Object) {
            Ok(output) => Output { gzip: false, ..output },
            Err(_) => Output { pretty: true, ..Output::json(headers, query) },
        }
    }

    /// Of an answer to a request with these headers.
    pub(crate) fn negotiate(
        headers: &HeaderMap,
        query: &Query,
        formats: Formats,
        offer: Offer,
    ) -> Result<Output, Status> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let output = Output { gzip: accepts_gzip(headers), ..Output::json(headers, query) };
        if accept.is_empty() && !matches!(offer, Offer::Kind(..)) {
            return Ok(output);
        }
        let clauses = parse_accept(accept);
        let mut choices = clauses.iter().flat_map(|clause| formats.all().iter().map(move |format| (clause, *format)));
        let accepted = choices.find_map(|(clause, format)| clause.accept(format, formats, offer));
        let accepted = accepted.ok_or_else(|| formats.not_acceptable())?;
        Ok(Output { pretty: output.pretty || accepted.pretty, gzip: output.gzip, ..accepted })
    }

    /// The media type of a watch in this form.
    pub(crate) fn stream_media_type(&self, formats: Formats) -> Result<&'static str, Status> {
        self.format.stream_media_type().ok_or_else(|| Status::not_acceptable(formats.stream_media_types()))
    }

    /// Is the body sent exactly as the store holds it?
    pub fn is_plain(&self) -> bool {
        self.format == Format::Json && self.shape == Shape::Object && !self.pretty
    }
}

/// Who has a route to say no to before there is anything to negotiate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Serves one thing.
    Single,
    /// Is listed and watched.
    Collection,
    /// Knows JSON only.
    Json,
}

impl Route {
    /// Refuses what none of the route's media types is: parameters, qualities and `application/*` mean nothing here.
    /// Upstream: go-restful's Route.matchesAccept.
    pub(crate) fn accepts(self, headers: &HeaderMap, formats: Formats) -> Result<(), Status> {
        let types = match self {
            Route::Single => formats.media_types().to_vec(),
            Route::Collection => [formats.media_types(), formats.stream_media_types()].concat(),
            Route::Json => vec![MEDIA_TYPES[0]],
        };
        accepts_one_of(headers, &types)
    }
}

/// See [`Route::accepts`]; also for documents that have a media type of their own.
pub(crate) fn accepts_one_of(headers: &HeaderMap, types: &[&str]) -> Result<(), Status> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = |clause: &str| {
        let wanted = clause.split(';').next().unwrap_or_default().trim();
        wanted == "*/*" || types.contains(&wanted)
    };
    if accept.is_empty() || accept.split(',').any(wanted) {
        return Ok(());
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {}", types.join(", "));
    Err(Status::generic(406, "", &Default::default(), "", &message))
}

/// Encodings of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// JSON or YAML.
    Text(Syntax),
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
    /// `application/cbor`.
    Cbor,
}

/// The encoding of a request's body; JSON when nothing is said.
pub fn input(headers: &HeaderMap, formats: Formats) -> Result<Input, Status> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match media_type(given).as_str() {
        _ if !is_media_type(given) => Err(formats.unsupported_media_type()),
        "" | "application/json" => Ok(Input::Text(Syntax::Json)),
        "application/yaml" => Ok(Input::Text(Syntax::Yaml)),
        "application/vnd.kubernetes.protobuf" => Ok(Input::Protobuf),
        "application/cbor" if formats.cbor => Ok(Input::Cbor),
        _ => Err(formats.unsupported_media_type()),
    }
}

/// A media type without its parameters, lower case.
pub fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Are the parameters of a media type parameters? One semicolon too many is forgiven. Upstream: mime.ParseMediaType.
fn is_media_type(text: &str) -> bool {
    let mut params: Vec<&str> = text.split(';').skip(1).map(str::trim).collect();
    if params.last() == Some(&"") {
        params.pop();
    }
    params.iter().all(|param| param.split_once('=').is_some_and(|(key, _)| !key.trim().is_empty()))
}

/// Qualities mean nothing here. Upstream: responsewriters.ContentEncodingSupported.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    codings.split(',').any(|coding| coding.trim() == "gzip")
}

/// `?pretty`, or a program people read the output of.
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(given) = query.get("pretty").filter(|given| !given.is_empty()) {
        return matches!(given, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

/// More clauses than this are not read.
const MAX_CLAUSES: usize = 64;

/// One of the media types a client takes.
struct Clause<'a> {
    kind: &'a str,
    subkind: &'a str,
    quality: f32,
    params: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    /// A parameter; the last one counts.
    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn names(&self, format: Format) -> bool {
        let (kind, subkind) = format.media_type().split_once('/').unwrap_or_default();
        match (self.kind, self.subkind) {
            ("*", "*") => true,
            (own, "*") => own == kind,
            (own, subtype) => own == kind && subtype == subkind,
        }
    }

    /// What a format makes of this clause, if it is on offer. Upstream: acceptMediaTypeOptions.
    fn accept(&self, format: Format, formats: Formats, offer: Offer) -> Option<Output> {
        if !self.names(format) {
            return None;
        }
        let version = self.param("sv").unwrap_or_default();
        let of_resource = matches!(offer, Offer::Shapes | Offer::ShapesWithoutTable);
        if !(version.is_empty() || of_resource && version == "v1") {
            return None;
        }
        let stream = self.param("stream").unwrap_or_default();
        if !(stream.is_empty() || stream == "watch" && format.stream_media_type().is_some()) {
            return None;
        }
        let target = ["g", "v", "as"].map(|name| self.param(name));
        let asked = target.iter().any(Option::is_some).then(|| target.map(Option::unwrap_or_default));
        let (shape, shape_version) = match (offer, asked) {
            (Offer::Kind(group, version, kind), Some(asked)) if asked == [group, version, kind] => (Shape::Object, ""),
            (Offer::Kind(..), _) | (Offer::Object, Some(_)) => return None,
            (_, None) if formats.custom && format == Format::Protobuf => return None,
            (_, None) => (Shape::Object, ""),
            (_, Some([group, version, kind])) => {
                let shape = shape_of(kind, format, offer)?;
                (shape, shape_version(group, version)?)
            }
        };
        let pretty = self.param("pretty") == Some("1");
        Some(Output { format, shape, shape_version, pretty, gzip: false })
    }
}

fn shape_of(kind: &str, format: Format, offer: Offer) -> Option<Shape> {
    match kind {
        "Table" if offer == Offer::Shapes && matches!(format, Format::Json | Format::Yaml) => Some(Shape::Table),
        "PartialObjectMetadata" => Some(Shape::PartialObjectMetadata),
        "PartialObjectMetadataList" => Some(Shape::PartialObjectMetadataList),
        _ => None,
    }
}

fn shape_version(group: &str, version: &str) -> Option<&'static str> {
    match (group, version) {
        ("meta.k8s.io", "v1") => Some("meta.k8s.io/v1"),
        ("meta.k8s.io", "v1beta1") => Some("meta.k8s.io/v1beta1"),
        _ => None,
    }
}

/// Clauses, best first. Upstream: goautoneg.ParseAccept.
fn parse_accept(text: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = Vec::new();
    for clause in text.split(',') {
        let (range, params) = clause.split_once(';').unwrap_or((clause, ""));
        let (kind, subkind) = match range.split_once('/') {
            Some((kind, subkind)) if !subkind.is_empty() => {
                (kind.trim_matches(' '), subkind.strip_suffix('/').unwrap_or(subkind).trim_matches(' '))
            }
            _ if range.trim_matches([' ', '/']) == "*" => ("*", "*"),
            _ => continue,
        };
        if subkind.contains('/') {
            continue;
        }
        let mut parsed = Clause { kind, subkind, quality: 1.0, params: Vec::new() };
        for param in params.split(';') {
            match param.split_once('=') {
                Some((key, value)) if key.trim_matches(' ') == "q" && !value.is_empty() && !value.contains('=') => {
                    parsed.quality = value.parse().unwrap_or(0.0);
                }
                Some((key, value)) if !value.is_empty() && !value.contains('=') => {
                    parsed.params.push((key.trim_matches(' '), value.trim_matches(' ')));
                }
                _ => {}
            }
        }
        clauses.push(parsed);
    }
    // A wildcard of a higher quality is both before and behind, so the way of sorting counts: each clause moves forward past
    // those it is before. Nobody sends as many as would make that long.
    clauses.truncate(MAX_CLAUSES);
    for next in 1..clauses.len() {
        let mut at = next;
        while at > 0 && is_before(&clauses[at], &clauses[at - 1]) {
            clauses.swap(at, at - 1);
            at -= 1;
        }
    }
    clauses
}

fn is_before(a: &Clause<'_>, b: &Clause<'_>) -> bool {
    a.quality > b.quality || (a.kind != "*" && b.kind == "*") || (a.subkind != "*" && b.subkind == "*")
}
