//! Other servers' OpenAPI documents beside our own.
//!
//! Of version 3 there is one document a group-version: the index names theirs, and who asks for one is led to its server, or gets what
//! we made of its version 2. Version 2 is
//! one document of everything: what theirs adds is put into ours.
//! Upstream: kube-aggregator/pkg/controllers/{openapi,openapiv3}/aggregator.

use std::sync::Arc;

use json::{Map, Value, json};

use super::service::{ApiService, Remote};
use super::{Aggregator, openapi_v3};
use crate::discovery::hash;

/// The index of a server's v3 documents, empty when it does not tell; None when it knows of no such documents.
pub(super) async fn download_index(aggregator: &Aggregator, remote: &Remote) -> Option<Map> {
    let Ok(answer) = aggregator.ask(remote, "/openapi/v3", "application/json").await else { return Some(Map::new()) };
    if answer.code == 404 {
        return None;
    }
    let index: Value = json::from_slice(&answer.body).unwrap_or_default();
    Some(index["paths"].as_object().filter(|_| answer.code == 200).cloned().unwrap_or_default())
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) content: Value,
    /// Of its bytes.
    pub(crate) hash: String,
}

impl Document {
    /// The v3 document of a v2 one.
    pub(super) fn as_version_3(&self) -> Document {
        let content = openapi_v3::of_v2(&self.content);
        let hash = hash(content.to_string().as_bytes());
        Document { content, hash }
    }
}

/// A server's v2 document.
pub(super) async fn download(aggregator: &Aggregator, remote: &Remote) -> Option<Document> {
    let answer = aggregator.ask(remote, "/openapi/v2", "application/json").await.ok()?;
    let content = json::from_slice(&answer.body).ok().filter(|_| answer.code == 200)?;
    Some(Document { content, hash: hash(&answer.body) })
}

impl Aggregator {
    /// Puts other servers' documents into the v3 index.
    pub(crate) fn join_index(&self, paths: &mut Map) {
        for told in self.told.load().values() {
            let made = told.made_v3.as_ref().map(|(path, own)| {
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", own.hash)}))
            });
            let own = told.openapi_v3.iter().map(|(path, document)| (path.to_string(), document.clone()));
            for (path, document) in own.chain(made) {
                if !paths.contains_key(&path) {
                    paths.insert(path, document);
                }
            }
        }
    }

    /// A v3 document we made of another server's v2 one: its hash, and the document.
    pub(crate) fn made_document(&self, path: &str) -> Option<(String, Vec<u8>)> {
        let told = self.told.load();
        let (_, own) = told.values().filter_map(|told| told.made_v3.as_ref()).find(|(own, _)| own == path)?;
        Some((own.hash.clone(), json::to_vec(&own.content).ok()?))
    }

    /// The server of a v3 document (`apis/wardle.example.com/v1alpha1`) that is not ours.
    pub(crate) fn owner_of_document(&self, path: &str) -> Option<Arc<ApiService>> {
        let told = self.told.load();
        let (name, _) = told.iter().find(|(_, told)| told.openapi_v3.contains_key(path))?;
        self.services().into_iter().find(|service| service.name == *name && service.remote.is_some())
    }

    /// What tells the documents other servers have from those they had; None when they have none.
    pub(crate) fn version_of_documents(&self) -> Option<String> {
        let told = self.told.load();
        let documents = told.iter().filter_map(|(name, told)| Some((name, &told.openapi_v2.as_ref()?.hash)));
        let mut versions: Vec<String> = documents.map(|(name, hash)| format!("{name} {hash}")).collect();
        versions.sort_unstable();
        (!versions.is_empty()).then(|| versions.join("\n"))
    }

    /// Puts what other servers describe into the v2 document: paths below their group-version, and definitions under names that are
    /// not taken.
    pub(crate) fn join_document(&self, document: &mut Value) {
        let told = self.told.load();
        for service in self.services() {
            let Some(theirs) = told.get(&service.name).and_then(|told| told.openapi_v2.as_ref()) else { continue };
            let (group, root) = (format!("/apis/{}/", service.group), service.root());
            let is_theirs = |path: &str| path == group || path.starts_with(&format!("{root}/")) || path == root;
            join(document, &theirs.content, "paths", is_theirs);
            join(document, &theirs.content, "definitions", |_| true);
        }
    }
}

fn join(document: &mut Value, theirs: &Value, key: &str, wanted: impl Fn(&str) -> bool) {
    let Some(ours) = document.get_mut(key).and_then(Value::as_object_mut) else { return };
    for (name, value) in theirs[key].as_object().into_iter().flatten() {
        if wanted(name) && !ours.contains_key(name) {
            ours.insert(name.clone(), value.clone());
        }
    }
}
