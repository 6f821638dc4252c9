//! Where webhooks are: `clientConfig` of admission and conversion webhooks.
//! Upstream: k8s.io/apiserver/pkg/util/webhook/validation.go.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;

const FORM: &str = "; desired format: https://host[/path]";

/// A `clientConfig`: a URL or a service, not both.
pub(crate) fn client_config(at: &At<'_>, errors: &mut ErrorList) {
    let (url, service) = (at.field("url"), at.field("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => self::url(&url, errors),
        (false, true) => self::service(&service, errors),
        _ => errors.push(at.required("exactly one of url or service is required")),
    }
}

fn url(at: &At<'_>, errors: &mut ErrorList) {
    let url = at.str();
    if let Some(why) = unparsable(url) {
        errors.push(at.required(format!("url must be a valid URL: parse {}: {why}{FORM}", api::go_text::quote(url))));
        return;
    }
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let mut invalid = |bad: &str, why: String| errors.push(Error::invalid(&at.path, bad, why));
    if scheme != "https" {
        invalid(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        invalid(host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        invalid(user, "user information is not permitted in the URL".to_owned());
    }
    if !fragment.is_empty() {
        invalid(fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !query.is_empty() {
        invalid(query, "query parameters are not permitted in the URL".to_owned());
    }
}

/// Why Go's url.Parse refuses a text.
fn unparsable(url: &str) -> Option<String> {
    if url.chars().any(|c| c.is_ascii_control()) {
        return Some("net/url: invalid control character in URL".to_owned());
    }
    if url.starts_with(':') {
        return Some("missing protocol scheme".to_owned());
    }
    let authority = url.split_once("//").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(bad) =
        authority.chars().find(|c| matches!(c, ' ' | '<' | '>' | '"' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        return Some(format!("invalid character {} in host name", api::go_text::quote(&bad.to_string())));
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    if !host.contains('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("invalid port {} after host", api::go_text::quote(&format!(":{port}"))));
    }
    None
}

/// A service. Upstream's callers give name and namespace in the other order: a missing one is told of the other.
fn service(at: &At<'_>, errors: &mut ErrorList) {
    if at.text("namespace").is_empty() {
        errors.push(at.field("name").required(""));
    }
    if at.text("name").is_empty() {
        errors.push(at.field("namespace").required(""));
    }
    let port = at.field("port");
    let complaints = names::is_valid_port_num(port.int());
    if !complaints.is_empty() {
        errors.push(port.invalid_int(format!("port is not valid: {}", complaints.join(", "))));
    }
    let path = at.field("path");
    if path.is_set() {
        self::path(&path, errors);
    }
}

fn path(at: &At<'_>, errors: &mut ErrorList) {
    let path = at.str();
    if matches!(path, "" | "/") {
        return;
    }
    if path == "//" {
        errors.push(at.invalid_str("segment[0] may not be empty"));
        return;
    }
    if !path.starts_with('/') {
        errors.push(at.invalid_str("must start with a '/'"));
    }
    // The first character goes, a slash or not.
    let mut rest = path.chars();
    rest.next();
    let rest = rest.as_str();
    for (index, step) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if step.is_empty() {
            errors.push(at.invalid_str(format!("segment[{index}] may not be empty")));
            continue;
        }
        let complaints = names::is_dns1123_subdomain(step).into_iter();
        errors.extend(complaints.map(|why| at.invalid_str(format!("segment[{index}]: {why}"))));
    }
}
