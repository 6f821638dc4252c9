//! What a URL asks for: resource, name, namespace, subresource and verb, or a path that is no resource.
//!
//! Follows upstream's parse to the letter, odd corners included, because RBAC decides on its result.
//! Upstream: k8s.io/apiserver/pkg/endpoints/request.RequestInfoFactory.NewRequestInfo.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::authentication::UserInfo;
use crate::authorization::Attributes;
use crate::endpoints::query::Query;

/// A parsed request line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Is it about a resource?
    pub is_resource_request: bool,
    /// Decoded path.
    pub path: String,
    /// As authorization sees it: `get`, `list`, `watch`, `create`, ...; the lower-case method for non-resource requests.
    pub verb: String,
    /// `api` or `apis`, "" for non-resource requests.
    pub api_prefix: String,
    /// "" for core.
    pub api_group: String,
    /// Version.
    pub api_version: String,
    /// Namespace or "". For namespaces themselves their own name.
    pub namespace: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource or "".
    pub subresource: String,
    /// Object name, also when it only comes from `?fieldSelector=metadata.name=NAME`.
    pub name: String,
    /// The path from the resource on.
    pub parts: Vec<String>,
    /// Did the verb come from a `/watch/` path prefix?
    pub verb_in_path: bool,
    /// `?fieldSelector=` of list, watch and deletecollection.
    pub field_selector: String,
    /// `?labelSelector=`, likewise.
    pub label_selector: String,
}

/// The path names a verb but nothing after it.
#[derive(Debug, thiserror::Error)]
#[error(
    "Internal Server Error: {quoted}: failed to create RequestInfo: unable to determine kind and namespace from url, {url}"
)]
pub struct Error {
    quoted: String,
    url: String,
}

/// Path elements that name a verb.
const SPECIAL_VERBS: [&str; 2] = ["proxy", "watch"];
/// What may follow a namespace's name without being a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];
/// Subresources whose requests run as long as the client likes. Upstream: BasicLongRunningRequestCheck.
const LONG_RUNNING_SUBRESOURCES: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];

impl RequestInfo {
    /// Parses a request line.
    pub fn parse(method: &Method, uri: &Uri, query: &Query) -> Result<RequestInfo, Error> {
        let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let mut info = RequestInfo { verb: method.as_str().to_ascii_lowercase(), ..RequestInfo::default() };
        let all: Vec<String> = split(&path);
        info.path = path;
        let mut parts = all.as_slice();
        if parts.len() < 3 || !matches!(parts[0].as_str(), "api" | "apis") {
            return Ok(info);
        }
        let prefix = parts[0].clone();
        parts = &parts[1..];
        if prefix == "apis" {
            if parts.len() < 3 {
                return Ok(info);
            }
            info.api_group = parts[0].clone();
            parts = &parts[1..];
        }
        info.api_prefix = prefix;
        info.is_resource_request = true;
        info.api_version = parts[0].clone();
        parts = &parts[1..];
        if SPECIAL_VERBS.contains(&parts[0].as_str()) {
            if parts.len() < 2 {
                return Err(Error {
                    quoted: api::go_text::quote(&info.path),
                    url: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                });
            }
            info.verb = parts[0].clone();
            info.verb_in_path = true;
            parts = &parts[1..];
        } else {
            info.verb = verb_of(method).to_string();
        }
        if parts[0] == "namespaces" && parts.len() > 1 {
            info.namespace = parts[1].clone();
            if parts.len() > 2 && !NAMESPACE_SUBRESOURCES.contains(&parts[2].as_str()) {
                parts = &parts[2..];
            }
        }
        info.parts = parts.to_vec();
        info.resource = parts[0].clone();
        if let Some(name) = parts.get(1) {
            info.name = name.clone();
        }
        if let Some(subresource) = parts.get(2).filter(|_| info.verb != "proxy") {
            info.subresource = subresource.clone();
        }
        info.refine(query);
        Ok(info)
    }

    /// A get without a name is a list or a watch, a delete without one a deletecollection.
    fn refine(&mut self, query: &Query) {
        if self.name.is_empty() && self.verb == "get" {
            let watch =
                query.get("watch").is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"));
            self.verb = if watch { "watch" } else { "list" }.to_string();
            let selector = query.get("fieldSelector").and_then(|text| api::selector::field::Selector::parse(text).ok());
            if let Some(name) = selector.as_ref().and_then(|selector| selector.requires_exact_match("metadata.name"))
                && crate::registry::name::is_path_segment(name).is_ok()
            {
                self.name = name.to_string();
            }
        }
        if self.name.is_empty() && self.verb == "delete" {
            self.verb = "deletecollection".to_string();
        }
        if !self.verb_in_path && matches!(self.verb.as_str(), "list" | "watch" | "deletecollection") {
            self.field_selector = query.get("fieldSelector").unwrap_or_default().to_string();
            self.label_selector = query.get("labelSelector").unwrap_or_default().to_string();
        }
    }

    /// Does this run until the client or a time of its own ends it?
    pub fn is_long_running(&self) -> bool {
        if self.is_resource_request {
            self.verb == "watch"
                || self.verb == "proxy"
                || LONG_RUNNING_SUBRESOURCES.contains(&self.subresource.as_str())
        } else {
            self.path.starts_with("/debug/pprof/")
        }
    }

    /// What the authorizer is asked.
    pub fn attributes(&self, user: &UserInfo) -> Attributes {
        Attributes {
            user: user.clone(),
            verb: self.verb.clone(),
            api_group: self.api_group.clone(),
            api_version: self.api_version.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            path: self.path.clone(),
            is_resource_request: self.is_resource_request,
            field_selector: self.field_selector.clone(),
            label_selector: self.label_selector.clone(),
        }
    }
}

fn verb_of(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

fn split(path: &str) -> Vec<String> {
    let path = path.trim_matches('/');
    if path.is_empty() { Vec::new() } else { path.split('/').map(str::to_string).collect() }
}

#[cfg(test)]
mod tests;
