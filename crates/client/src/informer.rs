//! Watch caches: one list and watch of a kind, shared by everything in the process that reads it.
//!
//! An [`Informer`] keeps the newest state of each object as an `Arc`, answers reads from memory without waiting, and
//! tells subscribers what changed. After a lost watch it lists again and reports only the difference. Managed fields
//! are dropped on arrival: nothing here reads them and they double an object's size.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use component::Shutdown;
use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher::watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Key;
use crate::changes::{Change, Channel, Subscription};

/// Object types an informer can hold: every k8s-openapi kind and kube's dynamic and metadata-only objects.
pub trait Object: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}
impl<K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Object for K {}

/// Each informer by its type and selector; behind `Any` is an `Informer` of that type.
type Started = HashMap<(TypeId, String), Box<dyn Any + Send>>;

/// The informers of a process: each kind (and selector) is listed and watched once, whoever asks.
/// Upstream: `informers.SharedInformerFactory`.
#[derive(Clone)]
pub struct Informers {
    client: kube::Client,
    shutdown: Shutdown,
    started: Arc<Mutex<Started>>,
}

impl Debug for Informers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informers").finish_non_exhaustive()
    }
}

impl Informers {
    /// Informers that read through `client` until `shutdown`.
    pub fn new(client: kube::Client, shutdown: &Shutdown) -> Self {
        Self { client, shutdown: shutdown.clone(), started: Arc::default() }
    }

    /// The client they read through, for writes.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The informer of a kind over all namespaces, started when first asked for.
    pub fn of<K>(&self) -> Informer<K>
    where
        K: Object<DynamicType = ()>,
    {
        self.selected("")
    }

    /// As [`of`](Self::of), restricted by a field selector such as `spec.nodeName=a`.
    pub fn selected<K>(&self, field_selector: &str) -> Informer<K>
    where
        K: Object<DynamicType = ()>,
    {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let id = (TypeId::of::<K>(), field_selector.to_owned());
        if let Some(informer) = started.get(&id).and_then(|any| any.downcast_ref::<Informer<K>>()) {
            return informer.clone();
        }
        let config = match field_selector {
            "" => watcher::Config::default(),
            selector => watcher::Config::default().fields(selector),
        };
        let informer = Informer::start(Api::all(self.client.clone()), config, &self.shutdown);
        started.insert(id, Box::new(informer.clone()));
        informer
    }
}

/// The cache of one kind. Cloning shares it.
pub struct Informer<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> Debug for Informer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informer").finish_non_exhaustive()
    }
}

struct Shared<K> {
    cache: RwLock<Cache<K>>,
    /// True from the end of the first list on.
    synced: watch::Sender<bool>,
}

/// Objects and indexes change together, under one lock that is never held across an await.
struct Cache<K> {
    /// By namespace, then name, so that a namespace is a range.
    objects: BTreeMap<Key, Arc<K>>,
    indexes: HashMap<&'static str, Index<K>>,
    subscribers: Vec<Arc<Channel<K>>>,
}

struct Index<K> {
    values: fn(&K) -> Vec<String>,
    keys: HashMap<String, HashSet<Key>>,
}

impl<K: Object> Informer<K> {
    /// Starts listing and watching what `api` and `config` select, until `shutdown`.
    pub fn start(api: Api<K>, config: watcher::Config, shutdown: &Shutdown) -> Self
    where
        K::DynamicType: Send,
    {
        let informer = Self::empty();
        let (feed, closing) = (informer.clone(), informer.clone());
        let stream = watcher(api, config).default_backoff();
        let stopped = shutdown.clone();
        component::spawn("informer", async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = feed.follow(stream) => {}
            }
            for subscriber in &closing.write().subscribers {
                subscriber.close();
            }
        });
        informer
    }

    fn empty() -> Self {
        let cache = Cache { objects: BTreeMap::new(), indexes: HashMap::new(), subscribers: Vec::new() };
        Self { shared: Arc::new(Shared { cache: RwLock::new(cache), synced: watch::Sender::new(false) }) }
    }

    async fn follow(self, stream: impl futures::Stream<Item = watcher::Result<Event<K>>>) {
        let mut stream = std::pin::pin!(stream);
        let mut listed: Option<HashSet<Key>> = None;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => self.handle(event, &mut listed),
                Err(error) => {
                    tracing::debug!(kind = std::any::type_name::<K>(), %error, "watch interrupted, listing again")
                }
            }
        }
    }

    /// Takes one event; `listed` collects the keys of a list that is under way.
    fn handle(&self, event: Event<K>, listed: &mut Option<HashSet<Key>>) {
        match event {
            Event::Apply(object) => self.write().apply(object),
            Event::Delete(object) => self.write().delete(&Key::of(&object), Some(object)),
            Event::Init => *listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = listed {
                    listed.insert(Key::of(&object));
                }
                self.write().apply(object);
            }
            Event::InitDone => {
                if let Some(listed) = listed.take() {
                    let mut cache = self.write();
                    let gone: Vec<Key> = cache.objects.keys().filter(|key| !listed.contains(key)).cloned().collect();
                    for key in gone {
                        cache.delete(&key, None);
                    }
                }
                self.shared.synced.send_replace(true);
            }
        }
    }

    /// The object as last seen.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().objects.get(&Key::new(namespace, name)).cloned()
    }

    /// Every object, by namespace and name.
    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().objects.values().cloned().collect()
    }

    /// The objects of one namespace, by name.
    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let cache = self.read();
        let from = Key::new(namespace, "");
        cache
            .objects
            .range(from..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Keeps an index: `values` gives the index values an object is found under. The first of a name stays, so that
    /// several readers may ask for the same one.
    pub fn add_index(&self, name: &'static str, values: fn(&K) -> Vec<String>) {
        let mut cache = self.write();
        if cache.indexes.contains_key(name) {
            return;
        }
        let mut index = Index { values, keys: HashMap::new() };
        for (key, object) in &cache.objects {
            index.insert(key, object);
        }
        cache.indexes.insert(name, index);
    }

    /// The objects found under `value` in the index `name`; none when there is no such index.
    pub fn by_index(&self, name: &str, value: &str) -> Vec<Arc<K>> {
        let cache = self.read();
        let Some(keys) = cache.indexes.get(name).and_then(|index| index.keys.get(value)) else { return Vec::new() };
        keys.iter().filter_map(|key| cache.objects.get(key).cloned()).collect()
    }

    /// True once the first list is complete.
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        let mut synced = self.shared.synced.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// The present objects as additions, then every change from now on, with nothing between lost or told twice.
    pub fn subscribe(&self) -> Subscription<K> {
        let channel = Channel::new();
        let mut cache = self.write();
        for (key, object) in &cache.objects {
            channel.send(key, Change::Applied { old: None, new: object.clone() });
        }
        cache.subscribers.push(channel.clone());
        Subscription { channel }
    }

    fn read(&self) -> RwLockReadGuard<'_, Cache<K>> {
        self.shared.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Cache<K>> {
        self.shared.cache.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Object> Cache<K> {
    fn apply(&mut self, mut object: K) {
        object.meta_mut().managed_fields = None;
        let key = Key::of(&object);
        let old = self.objects.get(&key).cloned();
        // A list after a lost watch brings unchanged objects: they are no news.
        if let Some(old) = &old
            && old.resource_version().is_some()
            && old.resource_version() == object.resource_version()
        {
            return;
        }
        let replaced = old.as_ref().is_some_and(|old| old.uid() != object.uid());
        if replaced {
            self.delete(&key, None);
        } else if let Some(old) = &old {
            self.indexes.values_mut().for_each(|index| index.remove(&key, old));
        }
        let new = Arc::new(object);
        self.indexes.values_mut().for_each(|index| index.insert(&key, &new));
        self.objects.insert(key.clone(), new.clone());
        let old = old.filter(|_| !replaced);
        self.tell(&key, &Change::Applied { old, new });
    }

    fn delete(&mut self, key: &Key, last: Option<K>) {
        let Some(known) = self.objects.remove(key) else { return };
        self.indexes.values_mut().for_each(|index| index.remove(key, &known));
        let last = last.map_or(known, Arc::new);
        self.tell(key, &Change::Deleted(last));
    }

    fn tell(&mut self, key: &Key, change: &Change<K>) {
        // A channel that only we hold has lost its subscription.
        self.subscribers.retain(|channel| Arc::strong_count(channel) > 1);
        for channel in &self.subscribers {
            channel.send(key, change.clone());
        }
    }
}

impl<K> Index<K> {
    fn insert(&mut self, key: &Key, object: &K) {
        for value in (self.values)(object) {
            self.keys.entry(value).or_default().insert(key.clone());
        }
    }

    fn remove(&mut self, key: &Key, object: &K) {
        for value in (self.values)(object) {
            if let Some(keys) = self.keys.get_mut(&value) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(&value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
