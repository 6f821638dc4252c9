//! Which paths a group-version has, and which operations each of them.

use super::custom::CustomKind;
use super::operation::{Answer, Body, Operation, Parameter, STATUS, WATCH_EVENT};
use super::{model_of, options_of};
use crate::scheme::{ResourceInfo, Scheme, SubresourceInfo};

const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
];
const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const APPLY: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];
const DELETE_COLLECTION: &[&str] = &[
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "labelSelector",
    "limit",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
];

/// Documents with one path of their own.
pub(super) struct Single {
    pub(super) document: &'static str,
    id: &'static str,
    tag: &'static str,
    media_type: Option<&'static str>,
    model: Option<&'static str>,
}

pub(super) const SINGLE: &[Single] = &[
    Single {
        document: ".well-known/openid-configuration",
        id: "getServiceAccountIssuerOpenIDConfiguration",
        tag: "WellKnown",
        media_type: Some("application/json"),
        model: None,
    },
    Single {
        document: "api",
        id: "getCoreAPIVersions",
        tag: "core",
        media_type: None,
        model: Some("io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions"),
    },
    Single {
        document: "apis",
        id: "getAPIVersions",
        tag: "apis",
        media_type: None,
        model: Some("io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList"),
    },
    Single {
        document: "openid/v1/jwks",
        id: "getServiceAccountIssuerOpenIDKeyset",
        tag: "openid",
        media_type: Some("application/jwk-set+json"),
        model: None,
    },
    Single {
        document: "version",
        id: "getCodeVersion",
        tag: "version",
        media_type: Some("application/json"),
        model: Some("io.k8s.apimachinery.pkg.version.Info"),
    },
];

/// One path with its operations.
#[derive(Debug)]
pub(super) struct PathItem {
    pub(super) path: String,
    /// Parameters of all operations.
    pub(super) parameters: Vec<Parameter>,
    pub(super) operations: Vec<Operation>,
}

impl PathItem {
    /// Moves what all operations have in common to the path.
    fn new(path: String, mut parameters: Vec<Parameter>, operations: Vec<Operation>) -> PathItem {
        if let Some((first, rest)) = operations.split_first() {
            let common = |parameter: &&Parameter| rest.iter().all(|other| other.parameters.contains(parameter));
            parameters.extend(first.parameters.iter().filter(common).cloned());
        }
        // Path before query under one name.
        parameters.sort_by(|a, b| (&a.name, !a.in_path).cmp(&(&b.name, !b.in_path)));
        PathItem { path, parameters, operations }
    }
}

/// `/api/v1`, `/apis/apps/v1`.
pub(super) fn base(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// `apis/apps`.
pub(super) fn group(group: &str) -> String {
    format!("apis/{group}")
}

/// The path of a document that is not one of a group-version.
pub(super) fn of_document(scheme: &Scheme, document: &str) -> Option<PathItem> {
    let (id, tag, answer) = if let Some(single) = SINGLE.iter().find(|single| single.document == document) {
        let model = single.model.map(str::to_owned);
        let answer = match (single.media_type, model) {
            (Some(media_type), model) => Answer::Only(media_type, model),
            (None, model) => Answer::Model(model.unwrap_or_default()),
        };
        (single.id.to_owned(), single.tag.to_owned(), answer)
    } else {
        let name = document.strip_prefix("apis/").filter(|name| scheme.versions(name).next().is_some())?;
        let friendly = friendly(name);
        let model = "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup".to_owned();
        (format!("get{friendly}APIGroup"), lower_first(&friendly), Answer::Model(model))
    };
    Some(PathItem::new(format!("/{document}/"), Vec::new(), vec![plain(id, tag, answer)]))
}

fn plain(id: String, tag: String, answer: Answer) -> Operation {
    Operation {
        method: "get",
        id,
        tag,
        action: None,
        parameters: Vec::new(),
        body: None,
        answer,
        codes: &[200],
        custom: false,
    }
}

/// All paths of a group-version, sorted.
pub(super) fn of_group_version<'a>(
    scheme: &Scheme,
    group: &str,
    version: &str,
    resources: impl Iterator<Item = &'a ResourceInfo>,
    custom: Option<&[CustomKind<'_>]>,
) -> Vec<PathItem> {
    let friendly = friendly(group);
    let mut maker = Maker {
        scheme,
        base: base(group, version),
        name: format!("{friendly}{}", upper_first(version)),
        tag: format!("{}_{version}", lower_first(&friendly)),
        items: Vec::new(),
        custom,
    };
    if custom.is_some() {
        resources.for_each(|resource| maker.resource(resource));
        maker.items.sort_by(|a, b| a.path.cmp(&b.path));
        return maker.items;
    }
    let index = plain(
        format!("get{}APIResources", maker.name),
        maker.tag.clone(),
        Answer::Model("io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList".to_owned()),
    );
    maker.items.push(PathItem::new(format!("{}/", maker.base), Vec::new(), vec![index]));
    resources.for_each(|resource| maker.resource(resource));
    maker.items.sort_by(|a, b| a.path.cmp(&b.path));
    maker.items
}

/// `apps` -> `Apps`, `rbac.authorization.k8s.io` -> `RbacAuthorization`, nothing -> `Core`.
fn friendly(group: &str) -> String {
    if group.is_empty() {
        return "Core".to_owned();
    }
    group.strip_suffix(".k8s.io").unwrap_or(group).split(['.', '-']).map(upper_first).collect()
}

fn upper_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

struct Maker<'a> {
    scheme: &'a Scheme,
    base: String,
    /// `CoreV1`.
    name: String,
    /// `core_v1`.
    tag: String,
    items: Vec<PathItem>,
    /// Set for custom resources, which have no paths of watches and no protobuf.
    custom: Option<&'a [CustomKind<'a>]>,
}

/// What a path is for, in the words of `x-kubernetes-action`.
struct Verb {
    name: &'static str,
    method: &'static str,
    action: &'static str,
    /// What the operation's id starts with.
    word: &'static str,
    parameters: &'static [&'static str],
    codes: &'static [u16],
}

const GET: Verb = Verb { name: "get", method: "get", action: "get", word: "read", parameters: &[], codes: &[200] };
const PUT: Verb =
    Verb { name: "update", method: "put", action: "put", word: "replace", parameters: WRITE, codes: &[200, 201] };
const POST: Verb =
    Verb { name: "create", method: "post", action: "post", word: "create", parameters: WRITE, codes: &[200, 201, 202] };
const PATCHED: Verb =
    Verb { name: "patch", method: "patch", action: "patch", word: "patch", parameters: APPLY, codes: &[200, 201] };
const DELETED: Verb =
    Verb { name: "delete", method: "delete", action: "delete", word: "delete", parameters: DELETE, codes: &[200, 202] };
const LISTED: Verb =
    Verb { name: "list", method: "get", action: "list", word: "list", parameters: LIST, codes: &[200] };
const CLEARED: Verb = Verb {
    name: "deletecollection",
    method: "delete",
    action: "deletecollection",
    word: "delete",
    parameters: DELETE_COLLECTION,
    codes: &[200],
};
/// As custom resources publish it: like a list.
const CLEARED_CUSTOM: Verb = Verb { parameters: LIST, ..CLEARED };
const WATCHED_LIST: Verb =
    Verb { name: "watch", method: "get", action: "watchlist", word: "watch", parameters: LIST, codes: &[200] };
const WATCHED: Verb =
    Verb { name: "watch", method: "get", action: "watch", word: "watch", parameters: LIST, codes: &[200] };

impl Maker<'_> {
    fn resource(&mut self, resource: &ResourceInfo) {
        let model = model_of(self.scheme, &resource.group, &resource.version, &resource.kind);
        let of_kind = |kind: &&CustomKind<'_>| kind.info.plural == resource.plural && kind.info.group == resource.group;
        let list_kind = self.custom.and_then(|kinds| kinds.iter().find(of_kind)).map(|kind| kind.list_kind.to_owned());
        let list_kind = list_kind.unwrap_or_else(|| format!("{}List", resource.kind));
        let list = model_of(self.scheme, &resource.group, &resource.version, &list_kind);
        let kind = [&resource.group, &resource.version, &resource.kind].map(|part| part.to_string());
        let scope = if resource.namespaced { "Namespaced" } else { "" };
        let subject = format!("{}{scope}{}", self.name, resource.kind);
        let deleted = if resource.delete_returns_object { model.clone() } else { STATUS.to_owned() };
        let clear = if self.custom.is_some() { &CLEARED_CUSTOM } else { &CLEARED };
        let make = |verb: &Verb, id: String, body: Option<Body>, answer: Answer| {
            let offered = resource.has_verb(verb.name) && !(self.custom.is_some() && verb.name == "watch");
            offered.then(|| self.operation(verb, id, kind.clone(), body, answer))
        };

        let collection = [
            make(&LISTED, format!("list{subject}"), None, Answer::Watchable(list.clone())),
            make(&POST, format!("create{subject}"), Some(Body::Object(model.clone())), Answer::Model(model.clone())),
            make(
                clear,
                format!("delete{}Collection{scope}{}", self.name, resource.kind),
                self.custom.is_none().then_some(Body::DeleteOptions),
                Answer::Model(STATUS.to_owned()),
            ),
        ];
        let item = [
            make(&GET, format!("read{subject}"), None, Answer::Model(model.clone())),
            make(&PUT, format!("replace{subject}"), Some(Body::Object(model.clone())), Answer::Model(model.clone())),
            make(&DELETED, format!("delete{subject}"), Some(Body::DeleteOptions), Answer::Model(deleted)),
            make(&PATCHED, format!("patch{subject}"), Some(Body::Patch), Answer::Model(model.clone())),
        ];
        let events = || Answer::Watchable(WATCH_EVENT.to_owned());
        let watched = make(&WATCHED_LIST, format!("watch{subject}List"), None, events());
        let watched_item = make(&WATCHED, format!("watch{subject}"), None, events());
        let mut everywhere = Vec::new();
        if resource.namespaced && resource.has_verb("list") {
            let all = format!("{}{}", self.name, resource.kind);
            everywhere.push((
                format!("{}/{}", self.base, resource.plural),
                make(&LISTED, format!("list{all}ForAllNamespaces"), None, Answer::Watchable(list)),
            ));
            everywhere.push((
                format!("{}/watch/{}", self.base, resource.plural),
                make(&WATCHED_LIST, format!("watch{all}ListForAllNamespaces"), None, events()),
            ));
        }

        let place = |watch: &str| {
            let namespaces = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
            format!("{}{watch}{namespaces}/{}", self.base, resource.plural)
        };
        let (plain, watch) = (place(""), place("/watch"));
        let outer = scope_parameters(resource, false, true);
        let inner = scope_parameters(resource, true, true);
        self.push(plain.clone(), outer.clone(), collection);
        self.push(format!("{plain}/{{name}}"), inner.clone(), item);
        self.push(watch.clone(), outer, [watched]);
        self.push(format!("{watch}/{{name}}"), inner, [watched_item]);
        for (path, operation) in everywhere {
            self.push(path, vec![Parameter::in_query("pretty")], [operation]);
        }
        for subresource in &resource.subresources {
            self.subresource(resource, subresource, &format!("{plain}/{{name}}/{}", subresource.name), &subject);
        }
    }

    fn subresource(&mut self, resource: &ResourceInfo, subresource: &SubresourceInfo, path: &str, subject: &str) {
        let model = model_of(self.scheme, &subresource.group, &subresource.version, &subresource.kind);
        // A custom resource's scale is told to be about the resource itself.
        let about = match self.custom {
            Some(_) => [&resource.group, &resource.version, &resource.kind],
            None => [&subresource.group, &subresource.version, &subresource.kind],
        };
        let kind = about.map(|part| part.to_string());
        let subject = format!("{subject}{}", upper_first(&subresource.name));
        if subresource.kind.ends_with("Options") {
            return self.connection(resource, subresource, path, &subject[self.name.len()..], &kind);
        }
        let has = |verb: &Verb| subresource.verbs.iter().any(|have| have == verb.name);
        let mut operations = Vec::new();
        for (verb, body) in [
            (GET, None),
            (PUT, Some(Body::Object(model.clone()))),
            (POST, Some(Body::Object(model.clone()))),
            (PATCHED, Some(Body::Patch)),
        ] {
            if !has(&verb) {
                continue;
            }
            let id = format!("{}{subject}", verb.word);
            let mut operation = self.operation(&verb, id, kind.clone(), body, Answer::Model(model.clone()));
            if subresource.name == "log" {
                operation.answer = Answer::Log;
                operation.parameters =
                    options_of(self.scheme, resource, "PodLogOptions").map(Parameter::of_options).unwrap_or_default();
            }
            operations.push(Some(operation));
        }
        self.push(path.to_owned(), scope_parameters(resource, true, true), operations);
    }

    /// Streams and proxies: the methods are those of the other side.
    fn connection(
        &mut self,
        resource: &ResourceInfo,
        subresource: &SubresourceInfo,
        path: &str,
        subject: &str,
        kind: &[String; 3],
    ) {
        const PROXIED: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch"];
        let proxy = subresource.verbs.iter().any(|verb| verb == "delete");
        let methods = if proxy { PROXIED } else { &["get", "post"] };
        let parameters =
            options_of(self.scheme, resource, &subresource.kind).map(Parameter::of_options).unwrap_or_default();
        let variants = [(path.to_owned(), ""), (format!("{path}/{{path}}"), "WithPath")];
        for (path, suffix) in variants.into_iter().take(if proxy { 2 } else { 1 }) {
            let operations: Vec<Option<Operation>> = methods
                .iter()
                .map(|method| {
                    Some(Operation {
                        method,
                        id: format!("connect{}{}{subject}{suffix}", self.name, upper_first(method)),
                        tag: self.tag.clone(),
                        action: Some(("connect", kind.clone())),
                        parameters: parameters.clone(),
                        body: None,
                        answer: Answer::Anything,
                        codes: &[200],
                        custom: false,
                    })
                })
                .collect();
            let mut shared = scope_parameters(resource, true, false);
            if !suffix.is_empty() {
                shared.push(Parameter::in_path("path"));
            }
            self.push(path, shared, operations);
        }
    }

    fn operation(&self, verb: &Verb, id: String, kind: [String; 3], body: Option<Body>, answer: Answer) -> Operation {
        let (parameters, codes): (&[&str], &'static [u16]) = match verb.action {
            "get" if self.custom.is_some() => (&["resourceVersion"], verb.codes),
            "patch" if self.custom.is_some() => (verb.parameters, &[200]),
            _ => (verb.parameters, verb.codes),
        };
        Operation {
            method: verb.method,
            id,
            tag: self.tag.clone(),
            action: Some((verb.action, kind)),
            parameters: parameters.iter().map(|name| Parameter::in_query(name)).collect(),
            body,
            answer,
            codes,
            custom: self.custom.is_some(),
        }
    }

    fn push(
        &mut self,
        path: String,
        parameters: Vec<Parameter>,
        operations: impl IntoIterator<Item = Option<Operation>>,
    ) {
        let operations: Vec<Operation> = operations.into_iter().flatten().collect();
        if !operations.is_empty() {
            self.items.push(PathItem::new(path, parameters, operations));
        }
    }
}

fn scope_parameters(resource: &ResourceInfo, item: bool, pretty: bool) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    if item {
        parameters.push(Parameter::in_path("name"));
    }
    if resource.namespaced {
        parameters.push(Parameter::in_path("namespace"));
    }
    if pretty {
        parameters.push(Parameter::in_query("pretty"));
    }
    parameters
}
