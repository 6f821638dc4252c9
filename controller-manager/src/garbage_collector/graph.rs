//! Who owns whom.
//!
//! A node is an object seen by a watch, or a virtual one: an owner somebody refers to that no watch has shown yet.
//! Example: a pod arrives naming replica set R. R is unknown, so a virtual node for R is added and R is queued; the
//! worker asks the server. Is R there, its watch will show it and the node becomes a seen one. Is it not, a virtual
//! delete comes back: the node goes, R is remembered as absent, the pod is queued and found without an owner.
//!
//! Synchronous and without I/O; one lock guards it, held per event. Per object it keeps identity, owners and four flags.
//!
//! Upstream: garbagecollector.GraphBuilder.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

/// `metadata.uid`.
pub(super) type Uid = Arc<str>;

/// Most absent owners remembered.
const ABSENT_LIMIT: usize = 500;

/// What tells an object from all others, and how to find it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    pub kind: Arc<str>,
    pub api_version: Arc<str>,
    /// Empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub uid: Uid,
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, api_version, namespace, name, uid } = self;
        write!(formatter, "[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]")
    }
}

/// An owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: Uid,
    pub api_version: Arc<str>,
    pub kind: Arc<str>,
    pub name: Arc<str>,
    /// Whether the owner's foreground deletion waits for us.
    pub blocks: bool,
}

impl Owner {
    /// The owner's identity as seen from a dependent in `namespace`.
    pub(super) fn identity(&self, namespace: &Arc<str>) -> Identity {
        Identity {
            kind: self.kind.clone(),
            api_version: self.api_version.clone(),
            namespace: namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }

    fn matches(&self, identity: &Identity) -> bool {
        self.uid == identity.uid
            && self.name == identity.name
            && self.kind == identity.kind
            && self.api_version == identity.api_version
    }
}

/// An object as a watch shows it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub identity: Identity,
    pub owners: Vec<Owner>,
    pub being_deleted: bool,
    pub has_orphan_finalizer: bool,
    pub has_foreground_finalizer: bool,
}

#[derive(Debug, Clone)]
struct Node {
    identity: Identity,
    owners: Vec<Owner>,
    dependents: HashSet<Uid>,
    is_virtual: bool,
    being_deleted: bool,
    /// In foreground deletion.
    deleting_dependents: bool,
    /// Whether the last seen state was waiting for orphaning.
    orphaning: bool,
}

/// What a change of the graph calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Delete(Uid),
    /// With back-off.
    DeleteLater(Uid),
    Orphan(Uid),
    /// A dependent names an owner of another namespace.
    InvalidNamespace {
        dependent: Identity,
        owner: Identity,
    },
}

/// A node as a worker needs it.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub identity: Identity,
    pub is_virtual: bool,
    pub being_deleted: bool,
    pub deleting_dependents: bool,
    pub dependents: Vec<Dependent>,
}

#[derive(Debug, Clone)]
pub(super) struct Dependent {
    pub identity: Identity,
    pub deleting_dependents: bool,
    /// Blocks the foreground deletion of the viewed node.
    pub blocks: bool,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    absent: HashSet<Identity>,
    absent_order: VecDeque<Identity>,
    names: HashSet<Arc<str>>,
}

impl Graph {
    /// One shared copy of a text that many objects repeat.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.names.insert(new.clone());
        new
    }

    /// The uid as a node already holds it, so that references to it share the text.
    pub(super) fn uid(&self, uid: &str) -> Uid {
        self.nodes.get(uid).map_or_else(|| uid.into(), |node| node.identity.uid.clone())
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn is_known_absent(&self, identity: &Identity) -> bool {
        self.absent.contains(identity)
    }

    pub(super) fn add_absent(&mut self, identity: Identity) {
        if self.absent.insert(identity.clone()) {
            self.absent_order.push_back(identity);
        }
        while self.absent_order.len() > ABSENT_LIMIT {
            if let Some(oldest) = self.absent_order.pop_front() {
                self.absent.remove(&oldest);
            }
        }
    }

    pub(super) fn view(&self, uid: &str) -> Option<View> {
        let node = self.nodes.get(uid)?;
        let dependents =
            node.dependents.iter().filter_map(|dependent| self.nodes.get(dependent)).map(|dependent| Dependent {
                identity: dependent.identity.clone(),
                deleting_dependents: dependent.deleting_dependents,
                blocks: dependent.owners.iter().any(|owner| owner.blocks && *owner.uid == *uid),
            });
        Some(View {
            identity: node.identity.clone(),
            is_virtual: node.is_virtual,
            being_deleted: node.being_deleted,
            deleting_dependents: node.deleting_dependents,
            dependents: dependents.collect(),
        })
    }

    /// Seen nodes of one kind: what a new list is compared with.
    pub(super) fn uids_of(&self, api_version: &str, kind: &str) -> Vec<Uid> {
        let own = self.nodes.values().filter(|node| {
            !node.is_virtual && *node.identity.api_version == *api_version && *node.identity.kind == *kind
        });
        own.map(|node| node.identity.uid.clone()).collect()
    }

    /// A watch shows the object.
    pub(super) fn observe(&mut self, seen: Seen) -> Vec<Next> {
        let mut next = Vec::new();
        let uid = seen.identity.uid.clone();
        let known = self.nodes.contains_key(&uid);
        if known {
            self.replace_virtual(&seen.identity, &mut next);
        }
        let was_waiting =
            self.nodes.get(&uid).map_or((false, false), |node| (node.orphaning, node.deleting_dependents));
        let waits_for_orphans = seen.being_deleted && seen.has_orphan_finalizer;
        let waits_for_dependents = seen.being_deleted && seen.has_foreground_finalizer;
        if known {
            self.change_owners(&uid, seen.owners, &mut next);
            if let Some(node) = self.nodes.get_mut(&uid) {
                node.being_deleted |= seen.being_deleted;
                node.orphaning = waits_for_orphans;
            }
        } else {
            let node = Node {
                identity: seen.identity,
                owners: seen.owners.clone(),
                dependents: HashSet::new(),
                is_virtual: false,
                being_deleted: seen.being_deleted,
                deleting_dependents: waits_for_dependents,
                orphaning: waits_for_orphans,
            };
            self.nodes.insert(uid.clone(), node);
            self.add_to_owners(&uid, &seen.owners, &mut next);
        }
        if waits_for_orphans && !was_waiting.0 {
            next.push(Next::Orphan(uid));
        } else if waits_for_dependents && !was_waiting.1 {
            if let Some(node) = self.nodes.get_mut(&uid) {
                node.deleting_dependents = true;
                next.extend(node.dependents.iter().cloned().map(Next::Delete));
            }
            next.push(Next::Delete(uid));
        }
        next
    }

    /// A virtual node turns out to exist, maybe under other coordinates than its dependents said.
    fn replace_virtual(&mut self, observed: &Identity, next: &mut Vec<Next>) {
        let Some(node) = self.nodes.get(&observed.uid).filter(|node| node.is_virtual) else { return };
        if node.identity != *observed {
            let (_, mismatched) = self.partition(&node.dependents, observed);
            for dependent in mismatched {
                next.extend(self.invalid_namespace(&dependent, observed));
                next.push(Next::Delete(dependent));
            }
        }
        if let Some(node) = self.nodes.get_mut(&observed.uid) {
            node.identity = Identity { uid: node.identity.uid.clone(), ..observed.clone() };
            node.is_virtual = false;
        }
    }

    fn invalid_namespace(&self, dependent: &Uid, owner: &Identity) -> Option<Next> {
        let node = self.nodes.get(dependent)?;
        if owner.namespace.is_empty() || node.identity.namespace == owner.namespace {
            return None;
        }
        let reference = node.owners.iter().find(|reference| reference.uid == owner.uid)?;
        Some(Next::InvalidNamespace {
            dependent: node.identity.clone(),
            owner: reference.identity(&node.identity.namespace),
        })
    }

    fn change_owners(&mut self, uid: &Uid, new: Vec<Owner>, next: &mut Vec<Next>) {
        let Some(node) = self.nodes.get_mut(uid) else { return };
        if node.owners == new {
            return;
        }
        let old = std::mem::replace(&mut node.owners, new.clone());
        for before in old.iter().filter(|before| before.blocks) {
            let still_blocks = new.iter().any(|after| after.uid == before.uid && after.blocks);
            if !still_blocks && let Some(owner) = self.nodes.get(&before.uid) {
                next.push(Next::Delete(owner.identity.uid.clone()));
            }
        }
        let added: Vec<Owner> =
            new.iter().filter(|after| old.iter().all(|before| before.uid != after.uid)).cloned().collect();
        self.add_to_owners(uid, &added, next);
        for removed in old.iter().filter(|before| new.iter().all(|after| after.uid != before.uid)) {
            if let Some(owner) = self.nodes.get_mut(&removed.uid) {
                owner.dependents.remove(uid);
            }
        }
    }

    fn add_to_owners(&mut self, uid: &Uid, owners: &[Owner], next: &mut Vec<Next>) {
        let Some(namespace) = self.nodes.get(uid).map(|node| node.identity.namespace.clone()) else { return };
        let mut suspicious = false;
        for owner in owners {
            let Some(node) = self.nodes.get_mut(&owner.uid) else {
                let node = Node {
                    identity: owner.identity(&namespace),
                    owners: Vec::new(),
                    dependents: HashSet::from([uid.clone()]),
                    is_virtual: true,
                    being_deleted: false,
                    deleting_dependents: false,
                    orphaning: false,
                };
                self.nodes.insert(owner.uid.clone(), node);
                next.push(Next::Delete(owner.uid.clone()));
                continue;
            };
            node.dependents.insert(uid.clone());
            if suspicious {
                continue;
            }
            let (identity, seen) = (node.identity.clone(), !node.is_virtual);
            if !identity.namespace.is_empty() && identity.namespace != namespace {
                if seen {
                    next.extend(self.invalid_namespace(uid, &identity));
                }
                suspicious = true;
            } else if !owner.matches(&identity) || (identity.namespace.is_empty() && !namespace.is_empty() && !seen) {
                suspicious = true;
            }
        }
        if suspicious {
            next.push(Next::Delete(uid.clone()));
        }
    }

    /// Dependents whose reference fits `owner`, and those whose does not.
    fn partition(&self, dependents: &HashSet<Uid>, owner: &Identity) -> (Vec<Uid>, Vec<Uid>) {
        let (mut matching, mut mismatched) = (Vec::new(), Vec::new());
        for node in dependents.iter().filter_map(|uid| self.nodes.get(uid)) {
            let uid = &node.identity.uid;
            if !owner.namespace.is_empty() && owner.namespace != node.identity.namespace {
                mismatched.push(uid.clone());
                continue;
            }
            let references = || node.owners.iter().filter(|reference| reference.uid == owner.uid);
            if references().any(|reference| reference.matches(owner)) {
                matching.push(uid.clone());
            }
            if references().any(|reference| !reference.matches(owner)) {
                mismatched.push(uid.clone());
            }
        }
        (matching, mismatched)
    }

    /// A watch no longer shows the object.
    pub(super) fn deleted(&mut self, uid: &str) -> Vec<Next> {
        match self.nodes.get(uid) {
            Some(node) => {
                let identity = node.identity.clone();
                self.remove(&identity)
            }
            None => Vec::new(),
        }
    }

    /// The server says there is no such object, though a dependent or an old watch event said so.
    pub(super) fn virtually_deleted(&mut self, identity: &Identity) -> Vec<Next> {
        let mut next = Vec::new();
        let Some(node) = self.nodes.get(&identity.uid) else { return next };
        let (own, is_virtual) = (node.identity.clone(), node.is_virtual);
        let (matching, mismatched) = self.partition(&node.dependents, identity);
        if is_virtual && mismatched.is_empty() || !is_virtual && own == *identity {
            return self.remove(identity);
        }
        // Only these coordinates are known to be absent; the object may live under others.
        if !matching.is_empty() {
            self.add_absent(identity.clone());
            next.extend(matching.into_iter().map(Next::Delete));
        }
        if is_virtual
            && own == *identity
            && let Some(other) = self.alternate(&mismatched, identity)
            && let Some(node) = self.nodes.get_mut(&identity.uid)
        {
            node.identity = Identity { uid: node.identity.uid.clone(), ..other };
            next.push(Next::DeleteLater(node.identity.uid.clone()));
        }
        next
    }

    /// Other coordinates dependents give for the same uid: the next after the absent ones, round robin.
    fn alternate(&self, dependents: &[Uid], absent: &Identity) -> Option<Identity> {
        let cluster_scoped = absent.namespace.is_empty();
        let mut candidates: Vec<Identity> = Vec::new();
        for node in dependents.iter().filter_map(|uid| self.nodes.get(uid)) {
            for reference in node.owners.iter().filter(|reference| reference.uid == absent.uid) {
                if reference.matches(absent) && (cluster_scoped || absent.namespace == node.identity.namespace) {
                    continue;
                }
                let mut identity = reference.identity(&node.identity.namespace);
                if cluster_scoped && identity.api_version == absent.api_version && identity.kind == absent.kind {
                    identity.namespace = absent.namespace.clone();
                }
                if identity != *absent {
                    candidates.push(identity);
                }
            }
        }
        candidates.sort();
        candidates.iter().find(|candidate| *candidate > absent).or(candidates.first()).cloned()
    }

    fn remove(&mut self, identity: &Identity) -> Vec<Next> {
        let Some(node) = self.nodes.remove(&identity.uid) else { return Vec::new() };
        for owner in &node.owners {
            if let Some(owner) = self.nodes.get_mut(&owner.uid) {
                owner.dependents.remove(&identity.uid);
            }
        }
        if !node.dependents.is_empty() {
            self.add_absent(identity.clone());
        }
        let mut next: Vec<Next> = node.dependents.iter().cloned().map(Next::Delete).collect();
        for owner in &node.owners {
            if let Some(owner) = self.nodes.get(&owner.uid).filter(|owner| owner.deleting_dependents) {
                next.push(Next::Delete(owner.identity.uid.clone()));
            }
        }
        next
    }
}
