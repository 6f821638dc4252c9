//! Where webhooks are: `clientConfig` of admission and conversion webhooks.
//! Upstream: k8s.io/apiserver/pkg/util/webhook/validation.go.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::url::Url;

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
    let url = match Url::parse(at.str()) {
        Ok(url) => url,
        Err(why) => return errors.push(at.required(format!("url must be a valid URL: {why}{FORM}"))),
    };
    let mut invalid = |bad: &str, why: String| errors.push(Error::invalid(&at.path, bad, why));
    if url.scheme != "https" {
        invalid(url.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if url.host.is_empty() {
        invalid(url.host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = url.user {
        invalid(user, "user information is not permitted in the URL".to_owned());
    }
    if !url.fragment.is_empty() {
        invalid(url.fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !url.query.is_empty() {
        invalid(url.query, "query parameters are not permitted in the URL".to_owned());
    }
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
