//! Registry credentials out of imagePullSecrets. Upstream: `credentialprovider.DockerKeyring`.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use cri::api::AuthConfig;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
struct DockerConfigJson {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

/// What to try, in order: each entry that is meant for the image's registry, and nothing at all if there is none.
pub(super) fn credentials(image: &str, secrets: &[Arc<Secret>]) -> Vec<Option<AuthConfig>> {
    let full = super::pause::full_name(image);
    let mut matching: Vec<(usize, AuthConfig)> = Vec::new();
    for secret in secrets {
        for (registry, entry) in entries(secret) {
            let stripped = registry.trim_start_matches("https://").trim_start_matches("http://");
            let stripped = stripped.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
            let stripped = if stripped == "index.docker.io" { "docker.io" } else { stripped };
            if full == stripped || full.starts_with(&format!("{stripped}/")) || glob_host(stripped, &full) {
                let (username, password) = user_and_password(&entry);
                let server_address = registry.clone();
                matching
                    .push((stripped.len(), AuthConfig { username, password, server_address, ..AuthConfig::default() }));
            }
        }
    }
    // The longest path is meant most closely.
    matching.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    if matching.is_empty() { vec![None] } else { matching.into_iter().map(|(_, auth)| Some(auth)).collect() }
}

/// `*.example.com` against the image's host.
fn glob_host(pattern: &str, image: &str) -> bool {
    let Some(suffix) = pattern.strip_prefix("*.") else { return false };
    let host = image.split('/').next().unwrap_or_default();
    host.split_once('.').is_some_and(|(_, rest)| rest == suffix)
}

fn entries(secret: &Secret) -> BTreeMap<String, Entry> {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    if let Some(json) = data(".dockerconfigjson") {
        return serde_json::from_slice::<DockerConfigJson>(json).unwrap_or_default().auths;
    }
    data(".dockercfg").and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default()
}

fn user_and_password(entry: &Entry) -> (String, String) {
    if !entry.username.is_empty() || entry.auth.is_empty() {
        return (entry.username.clone(), entry.password.clone());
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(entry.auth.trim()).unwrap_or_default();
    let text = String::from_utf8(decoded).unwrap_or_default();
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned())).unwrap_or_default()
}
