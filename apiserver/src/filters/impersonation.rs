//! `Impersonate-User`, `-Group`, `-Uid` and `-Extra-*`: the request goes on as somebody else, if its user may `impersonate` each part.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters/impersonation.

use api::status::Status;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::authorization;
use crate::authentication::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS, UserInfo};
use crate::authorization::{Attributes, Authorizer};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The user to go on as: None when the request impersonates nobody. The headers are taken out.
pub(crate) fn apply(
    headers: &mut HeaderMap,
    requestor: &UserInfo,
    authorizer: &dyn Authorizer,
) -> Result<Option<UserInfo>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let wanted = Wanted::from(headers);
    if wanted.name.is_empty() {
        if wanted.groups.is_empty() && wanted.uid.is_empty() && wanted.extra.is_empty() {
            return Ok(None);
        }
        return Err(Status::bad_request(format!(
            "requested {} without impersonating a user name",
            wanted.as_go_prints_it()
        )));
    }
    let mut user = UserInfo { name: wanted.name.clone(), uid: wanted.uid.clone(), ..UserInfo::default() };
    let service_account = wanted.name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
    let check = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
        let attributes = Attributes {
            user: requestor.clone(),
            verb: "impersonate".to_string(),
            api_group: group.to_string(),
            api_version: "v1".to_string(),
            resource: resource.to_string(),
            subresource: subresource.to_string(),
            namespace: namespace.to_string(),
            name: name.to_string(),
            is_resource_request: true,
            ..Attributes::default()
        };
        authorization::check(authorizer, &attributes)
    };
    match service_account.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains(':')) {
        Some((namespace, name)) => {
            check("", "serviceaccounts", "", namespace, name)?;
            if wanted.groups.is_empty() {
                user.groups.push("system:serviceaccounts".to_string());
                user.groups.push(format!("system:serviceaccounts:{namespace}"));
            }
        }
        None => check("", "users", "", "", &wanted.name)?,
    }
    for group in &wanted.groups {
        check("", "groups", "", "", group)?;
        user.groups.push(group.clone());
    }
    for (key, value) in &wanted.extra {
        check("authentication.k8s.io", "userextras", key, "", value)?;
        user.extra.entry(key.clone()).or_default().push(value.clone());
    }
    if !wanted.uid.is_empty() {
        check("authentication.k8s.io", "uids", "", "", &wanted.uid)?;
    }
    add_implied_group(&mut user);
    let names: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    Ok(Some(user))
}

/// system:authenticated for everybody but the anonymous user, unless a group says which it is.
fn add_implied_group(user: &mut UserInfo) {
    if user.name == ANONYMOUS {
        if !user.in_group(ALL_UNAUTHENTICATED) {
            user.groups.push(ALL_UNAUTHENTICATED.to_string());
        }
    } else if !user.in_group(ALL_AUTHENTICATED) && !user.in_group(ALL_UNAUTHENTICATED) {
        user.groups.push(ALL_AUTHENTICATED.to_string());
    }
}

struct Wanted {
    name: String,
    uid: String,
    groups: Vec<String>,
    extra: Vec<(String, String)>,
}

impl Wanted {
    fn from(headers: &HeaderMap) -> Wanted {
        let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
        let extra = headers.iter().filter_map(|(name, value)| {
            let key = name.as_str().strip_prefix(EXTRA)?;
            Some((percent_decode_str(key).decode_utf8_lossy().into_owned(), text(value)))
        });
        Wanted {
            name: first(USER),
            uid: first(UID),
            groups: headers.get_all(GROUP).iter().map(text).collect(),
            extra: extra.collect(),
        }
    }

    /// `%#v` of user.DefaultInfo, which upstream's message holds.
    fn as_go_prints_it(&self) -> String {
        let quote = api::go_text::quote;
        let groups: Vec<String> = self.groups.iter().map(|group| quote(group)).collect();
        let groups =
            if groups.is_empty() { "[]string(nil)".to_string() } else { format!("[]string{{{}}}", groups.join(", ")) };
        let extra: Vec<String> =
            self.extra.iter().map(|(key, value)| format!("{}:[]string{{{}}}", quote(key), quote(value))).collect();
        let extra = if extra.is_empty() { "(nil)".to_string() } else { format!("{{{}}}", extra.join(", ")) };
        format!(
            "&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:map[string][]string{extra}}}",
            quote(&self.uid)
        )
    }
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
