//! GET of a collection: the right snapshot, the selected entries, and a body made of the bytes they already have.
//!
//! Upstream: handlers.ListResource, storage/cacher and etcd3 GetList; the resourceVersion rules are those of
//! kubernetes.io/docs/reference/using-api/api-concepts.

use std::sync::Arc;
use std::time::Duration;

use api::decode::{FieldValidation, Syntax};
use api::protobuf;
use api::scheme::Scheme;
use api::status::Status;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, BytesMut};
use http::Response;
use json::{Map, Value, json};
use store::{Entry, ErrorKind, Revision, Snapshot};

use super::negotiation::{Format, Output, Shape};
use super::options::{ListOptions, VersionMatch};
use super::pieces::{Pieces, assemble};
use super::{Call, Request, respond, shape};
use crate::apiextensions::stored;
use crate::registry::resource::Resource;
use crate::registry::selection::Selection;
use crate::registry::store::{Engine, decode, parse_resource_version, storage_error, unreadable};
use crate::registry::{self, encode};
use crate::server::body::Body;
use crate::server::first_turn;

/// So many messages are made before others have their turn.
const MESSAGES_AT_ONCE: usize = 64;
/// A list of so many decoded objects takes a lot of memory.
const LONG: usize = 1000;
/// How long a request waits for a revision the view has not reached. Upstream: blockTimeout of the watch cache.
const WAIT_FOR_REVISION: Duration = Duration::from_secs(3);
/// How many objects that cannot be read are named in the warnings of a list.
const UNREADABLE_NAMED: usize = 10;

const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";
const TOO_OLD_WITH_TOKEN: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// One page of a collection.
struct Page {
    entries: Vec<Arc<Entry>>,
    revision: Revision,
    continue_token: Option<String>,
    remaining: Option<usize>,
}

/// Serves a list.
pub(super) async fn serve(call: &mut Call<'_>, request: &Request) -> Result<Response<Body>, Status> {
    first_turn::give_up().await;
    let output = request.output()?;
    if output.shape == Shape::PartialObjectMetadata {
        let list = shape::go_type(call.resource);
        let message = format!("you requested PartialObjectMetadata, but the requested object is a list (*{list}List)");
        return Err(Status::failure(406, api::status::Reason::NotAcceptable, message));
    }
    let options = ListOptions::decode(&request.query, false)?;
    let selection = Selection::new(call.resource, &options, "")?;
    let target = &call.ctx.target;
    if let Some(computed) = call.state.computed.get(&target.group, &target.resource, "") {
        let items = computed.list(&call.ctx).await?;
        return render(call, request, items, &Page::computed(), &output);
    }
    let page = match page(call, &options, &selection).await? {
        Ok(page) => page,
        Err(expired) => return Ok(*expired),
    };
    if output.is_plain() && page.entries.iter().all(|entry| call.resource.serves_as_stored(entry)) {
        return Ok(plain(call.resource, page, &output));
    }
    if output.format == Format::Protobuf && output.shape == Shape::Object {
        return in_protobuf(call.resource, page, &output).await;
    }
    let mut items = Vec::with_capacity(page.entries.len());
    for entry in &page.entries {
        let mut object = decode(entry)?;
        Engine::from_storage(call.resource, &mut object);
        items.push(object);
    }
    if let Some(custom) = call.resource.as_custom() {
        items = stored::read_all(custom, items, call.engine().as_ref()).await?;
    }
    render(call, request, items, &page, &output)
}

impl Page {
    fn computed() -> Page {
        Page { entries: Vec::new(), revision: Revision(0), continue_token: None, remaining: None }
    }

    fn metadata(&self) -> Map {
        let mut metadata = Map::new();
        if self.revision.0 > 0 {
            metadata.insert("resourceVersion", self.revision.0.to_string().into());
        }
        if let Some(token) = &self.continue_token {
            metadata.insert("continue", token.as_str().into());
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount", remaining.into());
        }
        metadata
    }
}

/// Finds the page, or the 410 that holds a token to go on with.
async fn page(
    call: &Call<'_>,
    options: &ListOptions,
    selection: &Selection,
) -> Result<Result<Page, Box<Response<Body>>>, Status> {
    let engine = call.engine();
    let resource = call.resource;
    let prefix = selection.prefix(resource, &call.ctx.target.namespace);
    // What is asked for at any revision is given whole: upstream's cache has all of it at hand, and so have we.
    let limit = if options.resource_version == "0" { 0 } else { usize::try_from(options.limit).unwrap_or(0) };
    if !options.continue_token.is_empty() {
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        let Token { revision, start, sent } = Token::decode(&options.continue_token)?;
        let snapshot = match revision {
            None => engine.consistent(resource).await?,
            Some(revision) => match engine.store.snapshot_at(revision) {
                Ok(snapshot) => snapshot,
                Err(error) if error.kind == ErrorKind::Compacted => return Ok(Err(Box::new(expired(&start)))),
                Err(error) => return Err(revision_error(engine, resource, revision, &error)),
            },
        };
        let revision = revision.unwrap_or(snapshot.revision());
        selection.prepare(resource, snapshot.range(&prefix, None), engine.as_ref()).await?;
        let place = Place { prefix: &prefix, start: Some(&start), sent };
        return Ok(Ok(take(resource, &snapshot, revision, &place, limit, selection)));
    }
    let revision = parse_resource_version(&options.resource_version)
        .map_err(|why| Status::bad_request(format!("invalid resource version: {why}")))?;
    // A page of a list at a revision is exact, as it was before resourceVersionMatch.
    let exact = options.resource_version_match == Some(VersionMatch::Exact)
        || (options.resource_version_match.is_none() && limit > 0 && revision.0 > 0);
    let snapshot = if options.resource_version.is_empty() {
        engine.consistent(resource).await?
    } else if exact && revision.0 > 0 {
        match engine.store.snapshot_at(revision) {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(revision_error(engine, resource, revision, &error)),
        }
    } else {
        at_least(engine, resource, revision).await?
    };
    let shown = if exact { revision } else { snapshot.revision() };
    // Said with the first page.
    for object in snapshot.unreadable(&prefix).take(UNREADABLE_NAMED) {
        call.ctx.warn(unreadable(object));
    }
    selection.prepare(resource, snapshot.range(&prefix, None), engine.as_ref()).await?;
    let place = Place { prefix: &prefix, start: None, sent: Some(0) };
    Ok(Ok(take(resource, &snapshot, shown, &place, limit, selection)))
}

/// The newest snapshot, once it has reached `revision`.
pub(super) async fn at_least(engine: &Engine, resource: &Resource, revision: Revision) -> Result<Snapshot, Status> {
    match tokio::time::timeout(WAIT_FOR_REVISION, engine.store.snapshot_at_least(revision)).await {
        Ok(result) => result.map_err(|error| storage_error(resource, "", "list", &error)),
        Err(_) => Err(Status::too_large_resource_version(revision.0, engine.store.revision().0, 1)),
    }
}

fn revision_error(engine: &Engine, resource: &Resource, revision: Revision, error: &store::Error) -> Status {
    match error.kind {
        ErrorKind::FutureRevision => Status::too_large_resource_version(revision.0, engine.store.revision().0, 1),
        ErrorKind::Compacted => Status::resource_expired("The resourceVersion for the provided list is too old."),
        _ => storage_error(resource, "", "list", error),
    }
}

/// Where a page begins.
struct Place<'a> {
    prefix: &'a str,
    /// A key relative to the prefix; tokens end in a zero byte: the smallest key behind the last one sent.
    start: Option<&'a str>,
    /// How many objects came on the pages before, where that is known.
    sent: Option<usize>,
}

/// Walks a snapshot from a place on until the page is full.
fn take(
    resource: &Resource,
    snapshot: &Snapshot,
    revision: Revision,
    place: &Place<'_>,
    limit: usize,
    selection: &Selection,
) -> Page {
    let Place { prefix, start, sent } = *place;
    let mut page = Page { entries: Vec::new(), revision, continue_token: None, remaining: None };
    if let Some(name) = selection.name()
        && (!resource.info.namespaced || prefix.len() > resource.prefix.len())
        && start.is_none()
    {
        let found = snapshot.get(&format!("{prefix}{name}"));
        page.entries.extend(found.filter(|entry| selection.matches(resource, entry)));
        return page;
    }
    let start = start.map(|start| format!("{prefix}{start}"));
    let after = start.as_deref().map(|key| key.strip_suffix('\0').unwrap_or(key));
    let inclusive = start.as_deref().filter(|key| !key.ends_with('\0')).and_then(|key| snapshot.get(key));
    let mut entries = inclusive
        .iter()
        .filter(|entry| selection.matches(resource, entry))
        .chain(selection.among(resource, snapshot, prefix, after));
    if limit == 0 {
        page.entries.extend(entries.cloned());
        return page;
    }
    page.entries.extend(entries.by_ref().take(limit).cloned());
    if let Some(last) = page.entries.last().filter(|_| page.entries.len() == limit)
        // Whether one of those behind is selected is for the next page to find out.
        && snapshot.range(prefix, Some(&last.key)).next().is_some()
    {
        let start = format!("{}\0", last.key.get(prefix.len()..).unwrap_or_default());
        let sent = sent.filter(|_| selection.is_everything()).map(|sent| sent + page.entries.len());
        page.remaining =
            selection.is_everything().then(|| match sent.and_then(|sent| snapshot.count(prefix).checked_sub(sent)) {
                Some(remaining) => remaining,
                None => snapshot.range(prefix, Some(&last.key)).count(),
            });
        page.continue_token = Some(Token { revision: Some(revision), start, sent }.encode());
    }
    page
}

/// A body assembled from the entries' bytes; large ones while the client reads.
fn plain(resource: &Resource, page: Page, output: &Output) -> Response<Body> {
    let mut head = BytesMut::with_capacity(256);
    head.extend_from_slice(&resource.list_head);
    head.extend_from_slice(page.revision.0.to_string().as_bytes());
    head.extend_from_slice(b"\"");
    if let Some(token) = shown_token(resource, page.continue_token.as_deref()) {
        head.extend_from_slice(format!(",\"continue\":\"{token}\"").as_bytes());
    }
    if let Some(remaining) = page.remaining {
        head.extend_from_slice(format!(",\"remainingItemCount\":{remaining}").as_bytes());
    }
    head.extend_from_slice(b"},\"items\":[");
    // Looking into the objects for what is left out would cost more than copying them does later.
    let length = page.entries.iter().map(|entry| entry.value.len() + 1).sum();
    // Items of custom resources name their type, those of built-in kinds do not.
    let whole = resource.is_custom();
    let pieces = Pieces { head, items: page.entries, length, tail: b"]}\n" };
    assemble(
        pieces,
        move |out, object, first| {
            let rest = if whole { None } else { encode::without_type(object) };
            out.extend_from_slice(match (first, rest.is_some()) {
                (true, true) => b"{",
                (true, false) => b"",
                (false, true) => b",{",
                (false, false) => b",",
            });
            rest.unwrap_or(object)
        },
        output,
    )
}

/// As [`plain`], of the messages the entries have beside their bytes.
async fn in_protobuf(resource: &Resource, page: Page, output: &Output) -> Result<Response<Body>, Status> {
    /// Tag of field 2, the items of every list; field 1 is its metadata.
    const ITEM: u8 = 0x12;
    let kind = format!("{}List", resource.info.kind);
    let schema = Scheme::builtin().kind(&resource.info.group, &resource.info.version, &kind);
    let schema = schema.ok_or_else(|| registry::protobuf::not_marshalable(&kind))?;
    let metadata = protobuf::encode_message(&json!({"metadata": page.metadata()}), schema)
        .map_err(|error| Status::internal_error(&error))?;
    let mut messages = Vec::with_capacity(page.entries.len());
    for (index, entry) in page.entries.iter().enumerate() {
        if index % MESSAGES_AT_ONCE == MESSAGES_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        messages.push(registry::protobuf::message(resource, entry)?);
    }
    let length = messages.iter().map(|message| 1 + protobuf::varint_length(message.len()) + message.len()).sum();
    let mut head =
        BytesMut::from(protobuf::envelope_start(&resource.api_version, &kind, metadata.len() + length).as_slice());
    head.extend_from_slice(&metadata);
    let pieces = Pieces { head, items: messages, length, tail: protobuf::ENVELOPE_END };
    Ok(assemble(
        pieces,
        |out, message, _| {
            out.put_u8(ITEM);
            protobuf::put_varint(out, message.len());
            message
        },
        output,
    ))
}

/// Lists of custom resources say so when they do not go on.
pub(super) fn shown_token<'a>(resource: &Resource, token: Option<&'a str>) -> Option<&'a str> {
    token.or_else(|| resource.is_custom().then_some(""))
}

fn render(
    call: &Call<'_>,
    request: &Request,
    items: Vec<Value>,
    page: &Page,
    output: &Output,
) -> Result<Response<Body>, Status> {
    if items.len() >= LONG {
        component::memory::released();
    }
    let options = shape::TableOptions::of(&request.query)?;
    let mut metadata = page.metadata();
    if let Some(token) =
        shown_token(call.resource, page.continue_token.as_deref()).filter(|_| output.shape == Shape::Object)
    {
        metadata.insert("continue", token.into());
    }
    let list = shape::list(call.resource, items, metadata, output, &options)?;
    Ok(respond::value(200, &list, output))
}

/// Where the next page begins, as clients carry it. Upstream: storage.DecodeContinue, storage.EncodeContinue.
#[derive(Debug, PartialEq, Eq)]
struct Token {
    /// None is whatever is newest.
    revision: Option<Revision>,
    /// Relative to the list's prefix.
    start: String,
    /// How many objects came before. Ours alone, so that nobody has to count what remains; upstream reads past it.
    sent: Option<usize>,
}

impl Token {
    fn decode(token: &str) -> Result<Token, Status> {
        let bad = |why: String| Status::bad_request(format!("invalid continue token: {why}"));
        let generic = |why: &dyn std::fmt::Display| bad(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| generic(&error))?;
        let object = api::decode::decode_untyped(&bytes, Syntax::Json, FieldValidation::Ignore);
        let object = object.map_err(|why| generic(&why))?.object;
        let version = object["v"].as_str().unwrap_or_default();
        if version != "meta.k8s.io/v1" {
            return Err(bad(format!(
                "continue key is not valid: server does not recognize this encoded version {version}"
            )));
        }
        let revision = object["rv"].as_i64().unwrap_or(0);
        if revision == 0 {
            return Err(bad(
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"
                    .to_string(),
            ));
        }
        let start = object["start"].as_str().unwrap_or_default();
        if start.is_empty() {
            return Err(bad("continue key is not valid: encoded start key empty (version meta.k8s.io/v1)".to_string()));
        }
        let relative = start.strip_prefix('/').unwrap_or(start);
        if relative.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(generic(&start));
        }
        Ok(Token {
            revision: u64::try_from(revision).ok().map(Revision),
            start: relative.to_string(),
            sent: object["sent"].as_u64().and_then(|sent| usize::try_from(sent).ok()),
        })
    }

    fn encode(&self) -> String {
        let revision = self.revision.map_or(-1, |revision| revision.0.try_into().unwrap_or(i64::MAX));
        let start = format!("/{}", self.start);
        let mut object = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start});
        if let Some(sent) = self.sent {
            object["sent"] = sent.into();
        }
        URL_SAFE_NO_PAD.encode(object.to_string())
    }
}

/// 410 with a token that goes on from the same key at whatever is newest.
fn expired(start: &str) -> Response<Body> {
    let message = if start.is_empty() { TOO_OLD } else { TOO_OLD_WITH_TOKEN };
    let mut status = Status::resource_expired(message).to_value();
    let token = Token { revision: None, start: start.to_owned(), sent: None };
    status["metadata"] = json!({"continue": token.encode()});
    respond::value(410, &status, &Output::plain())
}
