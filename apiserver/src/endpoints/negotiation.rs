//! Which encoding and which shape the client wants: `Accept` and `Content-Type` against one table.
//! Upstream: k8s.io/apiserver/pkg/endpoints/handlers/negotiation.

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
}

impl Format {
    /// The media type sent.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
        }
    }
}

/// The table: media types offered, in order of preference. Protobuf is read, and written with issue 5: then it joins here.
const FORMATS: [(&str, &str, Format); 2] =
    [("application", "json", Format::Json), ("application", "yaml", Format::Yaml)];
/// What 406 and 415 name.
pub const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// What 406 names for watches.
const STREAM_MEDIA_TYPES: [&str; 2] =
    ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
/// What 406 names for collections, which are listed and watched.
const COLLECTION_MEDIA_TYPES: [&str; 5] =
    [MEDIA_TYPES[0], MEDIA_TYPES[1], MEDIA_TYPES[2], STREAM_MEDIA_TYPES[0], STREAM_MEDIA_TYPES[1]];

/// The shape of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Objects as they are.
    Object,
    /// meta.k8s.io/v1 Table.
    Table,
    /// meta.k8s.io/v1 PartialObjectMetadata.
    PartialObjectMetadata,
    /// meta.k8s.io/v1 PartialObjectMetadataList.
    PartialObjectMetadataList,
}

/// What the answer is to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Encoding.
    pub format: Format,
    /// Shape.
    pub shape: Shape,
    /// Indented?
    pub pretty: bool,
    /// May the body be gzipped?
    pub gzip: bool,
}

impl Output {
    /// Objects as JSON, as they are.
    pub fn plain() -> Output {
        Output { format: Format::Json, shape: Shape::Object, pretty: false, gzip: false }
    }

    /// JSON, indented for people.
    pub fn json(headers: &HeaderMap, query: &Query) -> Output {
        Output { format: Format::Json, shape: Shape::Object, pretty: pretty(headers, query), gzip: false }
    }

    /// Of an error: it has no other shape than its own. Who accepts nothing of what there is gets indented JSON.
    pub fn of_error(headers: &HeaderMap, query: &Query) -> Output {
        match Output::negotiate_among(headers, query, |_, shape| shape == Shape::Object) {
            Ok(output) => Output { gzip: false, ..output },
            Err(_) => Output { pretty: true, ..Output::json(headers, query) },
        }
    }

    /// Of an answer to a request with these headers.
    pub fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Output, Status> {
        Output::negotiate_among(headers, query, |_, _| true)
    }

    /// The same for what has no rows: a Table is not on offer.
    pub fn negotiate_without_table(headers: &HeaderMap, query: &Query) -> Result<Output, Status> {
        Output::negotiate_among(headers, query, |_, shape| shape != Shape::Table)
    }

    /// The same for a watch.
    pub fn negotiate_stream(headers: &HeaderMap, query: &Query) -> Result<Output, Status> {
        Output::negotiate_among(headers, query, |format, _| format != Format::Yaml)
            .map_err(|_| Status::not_acceptable(&STREAM_MEDIA_TYPES))
    }

    fn negotiate_among(
        headers: &HeaderMap,
        query: &Query,
        offered: fn(Format, Shape) -> bool,
    ) -> Result<Output, Status> {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",");
        let output = Output { gzip: accepts_gzip(headers), ..Output::json(headers, query) };
        if accept.trim().is_empty() {
            return Ok(output);
        }
        let clauses = parse_accept(&accept);
        for clause in &clauses {
            if let Some(found) = clause.accepted().filter(|(format, shape)| offered(*format, *shape)) {
                return Ok(Output {
                    pretty: output.pretty || clause.param("pretty") == Some("1"),
                    ..output.with(found)
                });
            }
        }
        Err(Status::not_acceptable(&MEDIA_TYPES))
    }

    fn with(self, (format, shape): (Format, Shape)) -> Output {
        Output { format, shape, ..self }
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
    pub(crate) fn accepts(self, headers: &HeaderMap) -> Result<(), Status> {
        let types = match self {
            Route::Single => &MEDIA_TYPES[..],
            Route::Collection => &COLLECTION_MEDIA_TYPES,
            Route::Json => &MEDIA_TYPES[..1],
        };
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
}

/// Encodings of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// JSON or YAML.
    Text(Syntax),
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// The encoding of a request's body; JSON when nothing is said.
pub fn input(headers: &HeaderMap) -> Result<Input, Status> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_media_type(given) {
        return Err(Status::unsupported_media_type(&MEDIA_TYPES));
    }
    match media_type(given).as_str() {
        "" | "application/json" => Ok(Input::Text(Syntax::Json)),
        "application/yaml" => Ok(Input::Text(Syntax::Yaml)),
        "application/vnd.kubernetes.protobuf" => Ok(Input::Protobuf),
        _ => Err(Status::unsupported_media_type(&MEDIA_TYPES)),
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

pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.split(';').next().is_some_and(|coding| coding.trim() == "gzip"))
}

/// `?pretty`, or a program people read the output of.
fn pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(given) = query.get("pretty").filter(|given| !given.is_empty()) {
        return matches!(given, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

struct Clause<'a> {
    kind: &'a str,
    subkind: &'a str,
    quality: f32,
    params: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The format of this clause's media type, its parameters aside.
    fn format(&self) -> Option<Format> {
        let matches = |offered: &&(&str, &str, Format)| {
            (self.kind == "*" && self.subkind == "*")
                || (self.kind == offered.0 && (self.subkind == "*" || self.subkind == offered.1))
        };
        FORMATS.iter().find(matches).map(|offered| offered.2)
    }

    fn accepted(&self) -> Option<(Format, Shape)> {
        let format = self.format()?;
        if self.param("sv").is_some_and(|version| !version.is_empty()) {
            return None;
        }
        if self.param("stream").is_some_and(|stream| !stream.is_empty() && stream != "watch") {
            return None;
        }
        if ["as", "g", "v"].iter().all(|name| self.param(name).is_none()) {
            return Some((format, Shape::Object));
        }
        if self.param("g") != Some("meta.k8s.io") || !matches!(self.param("v"), Some("v1" | "v1beta1")) {
            return None;
        }
        let shape = match self.param("as") {
            Some("Table") => Shape::Table,
            Some("PartialObjectMetadata") => Shape::PartialObjectMetadata,
            Some("PartialObjectMetadataList") => Shape::PartialObjectMetadataList,
            _ => return None,
        };
        // v1beta1 is no longer served by default.
        (self.param("v") == Some("v1")).then_some((format, shape))
    }
}

/// Clauses, best first: by quality, exact media types before wildcards, then in the order given.
fn parse_accept(text: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = text
        .split(',')
        .filter_map(|clause| {
            let mut pieces = clause.split(';').map(str::trim);
            let (kind, subkind) = match pieces.next()? {
                "*" => ("*", "*"),
                range => range.split_once('/')?,
            };
            let mut parsed = Clause { kind, subkind, quality: 1.0, params: Vec::new() };
            for piece in pieces {
                let Some((key, value)) = piece.split_once('=') else { continue };
                let (key, value) = (key.trim(), value.trim().trim_matches('"'));
                if key == "q" {
                    parsed.quality = value.parse().unwrap_or(1.0);
                } else {
                    parsed.params.push((key, value));
                }
            }
            Some(parsed)
        })
        .collect();
    let wildcards = |clause: &Clause<'_>| u8::from(clause.kind == "*") + u8::from(clause.subkind == "*");
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(wildcards(a).cmp(&wildcards(b))));
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(accept: &str) -> Result<(Format, Shape), u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Output::negotiate(&headers, &Query::default()).map(|o| (o.format, o.shape)).map_err(|status| status.code)
    }

    #[test]
    fn the_best_clause_that_is_offered_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(kubectl), Ok((Format::Json, Shape::Table)));
        assert_eq!(
            negotiate("application/vnd.kubernetes.protobuf,application/json"),
            Ok((Format::Json, Shape::Object))
        );
        assert_eq!(negotiate("application/json;q=0.1,application/yaml"), Ok((Format::Yaml, Shape::Object)));
        assert_eq!(negotiate("*/*"), Ok((Format::Json, Shape::Object)));
        assert_eq!(negotiate("application/*"), Ok((Format::Json, Shape::Object)));
        let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(negotiate(partial), Ok((Format::Json, Shape::PartialObjectMetadataList)));
    }

    #[test]
    fn what_is_not_offered_is_406() {
        for accept in
            ["text/html", "application/json;as=Foo;v=v1;g=meta.k8s.io", "application/json;as=Table;v=v2;g=meta.k8s.io"]
        {
            assert_eq!(negotiate(accept), Err(406), "{accept}");
        }
    }

    fn accepting(accept: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, accept.parse().expect("a header"))])
    }

    #[test]
    fn routes_know_media_types_by_name_only() {
        for accept in ["", "*/*", "image/png, */*;q=0", "application/json;q=0", "application/yaml;as=Nope"] {
            assert!(Route::Single.accepts(&accepting(accept)).is_ok(), "{accept}");
        }
        for accept in ["application/*", "text/html", ";;;", "application/json;stream=watch-x/"] {
            let known = accept.starts_with("application/json;");
            assert_eq!(Route::Collection.accepts(&accepting(accept)).is_ok(), known, "{accept}");
        }
        let refusal = Route::Json.accepts(&accepting("application/yaml")).unwrap_err();
        assert_eq!(refusal.message, "406: Not Acceptable\n\nAvailable representations: application/json");
    }

    #[test]
    fn errors_have_the_form_that_was_asked_for_but_not_its_shape() {
        let output = |accept: &str| Output::of_error(&accepting(accept), &Query::default());
        assert_eq!(output("application/yaml").format, Format::Yaml);
        assert!(!output("application/*").pretty);
        assert!(!output("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").pretty);
        assert!(output("application/json;as=Table;v=v1;g=meta.k8s.io").pretty);
        assert!(output("text/html").pretty);
    }

    #[test]
    fn a_media_type_with_broken_parameters_is_none() {
        let input = |given: &str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, given.parse().expect("a header"))]);
            super::input(&headers).is_ok()
        };
        assert!(input("application/json; charset=utf-8") && input("application/json;") && input("application/json"));
        assert!(!input("application/json;;") && !input("application/json; charset"));
    }

    #[test]
    fn what_has_no_rows_is_sent_as_itself_or_not_at_all() {
        let negotiate = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            Output::negotiate_without_table(&headers, &Query::default())
                .map(|output| output.shape)
                .map_err(|status| status.code)
        };
        assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io"), Err(406));
        assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), Ok(Shape::Object));
    }
}
