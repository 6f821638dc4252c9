//! The rules of a flow schema: whose requests, and which.

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use crate::registry::fields::At;
use crate::registry::validation::{dns_label, dns_subdomain, one_of, required_text};

const ALL: &str = "*";
/// Of a subject, with the field that says who it is.
const SUBJECTS: [(&str, &str); 3] = [("Group", "group"), ("ServiceAccount", "serviceAccount"), ("User", "user")];
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

pub(super) fn check(rule: &At<'_>, errors: &mut ErrorList) {
    let subjects = rule.field("subjects");
    if subjects.is_empty() {
        errors.push(subjects.required("subjects must contain at least one value"));
    }
    subjects.items().for_each(|own| subject(&own, errors));
    let (resources, others) = (rule.field("resourceRules"), rule.field("nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        errors.push(rule.required("at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    resources.items().for_each(|own| resource_rule(&own, errors));
    others.items().for_each(|own| non_resource_rule(&own, errors));
}

fn subject(subject: &At<'_>, errors: &mut ErrorList) {
    let kind = subject.field("kind");
    let kinds = SUBJECTS.map(|(kind, _)| kind);
    one_of(&kind, &kinds, errors);
    if !kinds.contains(&kind.str()) {
        return;
    }
    for (other, field) in SUBJECTS {
        let who = subject.field(field);
        match (other == kind.str(), who.is_set()) {
            (true, true) => identity(&who, other, errors),
            (true, false) => {
                errors.push(who.required(format!("{field} is required when subject kind is '{other}'")));
            }
            (false, true) => {
                errors.push(who.forbidden(format!("{field} is forbidden when subject kind is not '{other}'")));
            }
            (false, false) => {}
        }
    }
}

fn identity(who: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let name = who.field("name");
    let is_named = required_text(&name, errors);
    if kind != "ServiceAccount" {
        return;
    }
    if is_named && name.str() != ALL {
        dns_subdomain(&name, errors);
    }
    let namespace = who.field("namespace");
    if namespace.str().is_empty() {
        errors.push(namespace.required("must specify namespace for service account"));
    } else {
        dns_label(&namespace, errors);
    }
}

fn has_all(list: &At<'_>) -> bool {
    list.items().any(|item| item.str() == ALL)
}

/// `*` stands for all there are; besides it there is nothing to say.
fn alone(list: &At<'_>, of_what: &str, errors: &mut ErrorList) {
    if has_all(list) && list.slice().len() > 1 {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {of_what}")));
    }
}

fn verbs(list: &At<'_>, errors: &mut ErrorList) {
    if list.is_empty() {
        errors.push(list.required("verbs must contain at least one value"));
    } else if has_all(list) {
        alone(list, "verbs", errors);
    } else if list.items().any(|verb| !VERBS.contains(&verb.str())) {
        errors.push(Error::not_supported(&list.path, list.bad(), VERBS));
    }
}

fn resource_rule(rule: &At<'_>, errors: &mut ErrorList) {
    verbs(&rule.field("verbs"), errors);
    for (field, one, many) in [("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")] {
        let list = rule.field(field);
        if list.is_empty() {
            errors.push(list.required(format!("resource rules must supply at least one {one}")));
        }
        alone(&list, many, errors);
    }
    let namespaces = rule.field("namespaces");
    if namespaces.is_empty() && rule.get("clusterScope") != &Value::Bool(true) {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.push(namespaces.required(why));
    } else if has_all(&namespaces) {
        alone(&namespaces, "namespaces", errors);
    } else {
        for namespace in namespaces.items() {
            let complaints = names::is_dns1123_label(namespace.str()).into_iter();
            let say = |why| format!("each member of this list must be '*' or a DNS-1123 label; {why}");
            errors.extend(complaints.map(|why| namespace.invalid_str(say(why))));
        }
    }
}

fn non_resource_rule(rule: &At<'_>, errors: &mut ErrorList) {
    verbs(&rule.field("verbs"), errors);
    let urls = rule.field("nonResourceURLs");
    if urls.is_empty() {
        errors.push(urls.required("nonResourceURLs must contain at least one value"));
    } else if has_all(&urls) {
        alone(&urls, "non-resource URLs", errors);
    } else {
        errors.extend(urls.items().filter_map(|url| Some(url.invalid_str(wrong_with(url.str())?))));
    }
}

/// Upstream: ValidateNonResourceURLPath.
fn wrong_with(path: &str) -> Option<&'static str> {
    let stars = path.matches('*').count();
    match path {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !path.starts_with('/') => Some("must start with slash"),
        _ if path.contains(' ') => Some("must not contain white-space"),
        _ if path.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !path.ends_with("/*")) => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}
