//! ConfigMaps, Secrets and the like that pods refer to. Upstream: `kubelet/configmap`, `kubelet/secret`, `util/manager`.
//!
//! Reading always asks the API, so that a pod never starts with old data. What running pods show in volumes is watched by name
//! (all that a node may do); a change is told to the pods' workers, which read again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use component::Shutdown;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ClusterTrustBundleProjection, ConfigMap, Secret};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, api::ListParams};
use tokio::sync::mpsc;

/// A kind that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

/// Kind, namespace, name.
type Reference = (Kind, String, String);

#[derive(Debug)]
struct Followed {
    stop: Shutdown,
    pods: BTreeSet<String>,
}

/// Reads and follows objects.
pub(crate) struct Objects {
    client: kube::Client,
    shutdown: Shutdown,
    followed: Mutex<HashMap<Reference, Followed>>,
    changes: mpsc::Sender<String>,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Objects {
    /// The uids of pods whose objects changed come out of the receiver.
    pub(crate) fn new(client: kube::Client, shutdown: Shutdown) -> (Arc<Self>, mpsc::Receiver<String>) {
        let (changes, receiver) = mpsc::channel(256);
        (Arc::new(Self { client, shutdown, followed: Mutex::default(), changes }), receiver)
    }

    pub(crate) async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<ConfigMap>>, kube::Error> {
        if name.is_empty() {
            return Ok(None);
        }
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.get_opt(name).await?.map(Arc::new))
    }

    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, kube::Error> {
        if name.is_empty() {
            return Ok(None);
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.get_opt(name).await?.map(Arc::new))
    }

    /// The certificates of the named bundle, or of all of a signer's bundles that match, each once.
    pub(crate) async fn trust_bundle(&self, of: &ClusterTrustBundleProjection) -> Result<Option<String>, kube::Error> {
        use k8s_openapi::api::certificates::v1::ClusterTrustBundle;
        let api: Api<ClusterTrustBundle> = Api::all(self.client.clone());
        let texts = if let Some(name) = of.name.as_deref().filter(|name| !name.is_empty()) {
            match api.get_opt(name).await? {
                Some(bundle) => vec![bundle.spec.trust_bundle],
                None => return Ok(None),
            }
        } else {
            let signer = of.signer_name.as_deref().unwrap_or_default();
            let Some(selector) = &of.label_selector else { return Ok(None) };
            let selector = match kube::core::Selector::try_from(selector.clone()) {
                Ok(selector) => selector,
                Err(_) => return Ok(None),
            };
            let params = ListParams::default().fields(&format!("spec.signerName={signer}")).labels_from(&selector);
            let found = api.list(&params).await?.items;
            if found.is_empty() {
                return Ok(None);
            }
            found.into_iter().map(|bundle| bundle.spec.trust_bundle).collect()
        };
        let blocks: BTreeSet<Vec<u8>> = texts
            .iter()
            .flat_map(|text| pem::parse_many(text).unwrap_or_default())
            .map(|block| block.contents().to_vec())
            .collect();
        let encode = |block: Vec<u8>| {
            let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
            pem::encode_config(&pem::Pem::new("CERTIFICATE", block), config)
        };
        Ok(Some(blocks.into_iter().map(encode).collect()))
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashMap<Reference, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows exactly these objects for a pod; none stops following for it.
    pub(crate) fn follow(self: &Arc<Self>, uid: &str, namespace: &str, wanted: &[(Kind, String)]) {
        let wanted: BTreeSet<Reference> = wanted
            .iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(kind, name)| (*kind, namespace.to_owned(), name.clone()))
            .collect();
        let mut followed = self.followed();
        followed.retain(|reference, entry| {
            if !wanted.contains(reference) {
                entry.pods.remove(uid);
            }
            if entry.pods.is_empty() {
                entry.stop.cancel();
            }
            !entry.pods.is_empty()
        });
        for reference in wanted {
            let entry = followed.entry(reference.clone()).or_insert_with(|| {
                let stop = self.shutdown.child_token();
                self.watch(reference, &stop);
                Followed { stop, pods: BTreeSet::new() }
            });
            entry.pods.insert(uid.to_owned());
        }
    }

    fn watch(self: &Arc<Self>, reference: Reference, stop: &Shutdown) {
        let this = self.clone();
        let (kind, namespace, name) = reference.clone();
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let follow = async move {
            match kind {
                Kind::ConfigMap => {
                    let api: Api<ConfigMap> = Api::namespaced(this.client.clone(), &namespace);
                    this.tell_changes(reference, watcher(api, config).default_backoff()).await;
                }
                Kind::Secret => {
                    let api: Api<Secret> = Api::namespaced(this.client.clone(), &namespace);
                    this.tell_changes(reference, watcher(api, config).default_backoff()).await;
                }
            }
        };
        component::spawn_until("object watch", stop, follow);
    }

    async fn tell_changes<K>(
        &self,
        reference: Reference,
        stream: impl futures::Stream<Item = watcher::Result<watcher::Event<K>>>,
    ) {
        let mut stream = std::pin::pin!(stream);
        let mut listed = false;
        while let Some(event) = stream.next().await {
            let changed = match event {
                Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_)) => true,
                // A list after the first may hide a change.
                Ok(watcher::Event::InitDone) => std::mem::replace(&mut listed, true),
                _ => false,
            };
            if changed {
                let pods = self.followed().get(&reference).map(|entry| entry.pods.clone()).unwrap_or_default();
                for pod in pods {
                    let _ = self.changes.send(pod).await;
                }
            }
        }
    }
}
