//! Service-account tokens: signed here, verified here, described to others.
//!
//! A token is a JWT signed with the cluster's key and bound to a service account, mostly to a pod too. It is good as long as
//! it has not expired and what it is bound to is still there under the same uid: deleting the pod ends its tokens.
//! Verified signatures are remembered (they cannot turn bad); everything else is looked at again for each request.
//! Upstream: pkg/serviceaccount, pkg/registry/core/serviceaccount/storage.

mod claims;
mod discovery;
mod keys;
mod request;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;

pub use claims::{BoundObject, Claims, KubernetesClaims};
pub use discovery::Discovery;
pub use keys::{SigningKey, SigningKeys, VerifyingKeys, public_keys};
pub use request::TokenIssuer;
pub use validate::ServiceAccountTokens;

use super::UserInfo;

/// Group of every service account.
pub const ALL_SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
const USER_PREFIX: &str = "system:serviceaccount:";

/// `system:serviceaccount:NAMESPACE:NAME`
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// Namespace and name of a service account's user name.
pub fn split_user_name(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(USER_PREFIX)?
        .split_once(':')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}

/// The user of a service account, before `system:authenticated` is added.
pub fn user_info(namespace: &str, name: &str, uid: &str) -> UserInfo {
    UserInfo {
        name: user_name(namespace, name),
        uid: uid.to_owned(),
        groups: vec![ALL_SERVICE_ACCOUNTS.to_owned(), format!("{ALL_SERVICE_ACCOUNTS}:{namespace}")],
        extra: BTreeMap::new(),
    }
}
