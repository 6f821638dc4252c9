//! DefaultPreemption's place in the queue: a pod whose victims are just being deleted is not tried again before all
//! deletions are asked for. Choosing the victims is `crate::preemption`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::framework::{Plugin, Status, Verdict};
use crate::objects::Pod;

/// Pods (by uid) for which victims are being deleted right now. Written by the scheduling loop only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preempting(Arc<Mutex<HashSet<String>>>);

impl Preempting {
    /// Marks a pod.
    pub(crate) fn begin(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned());
    }

    /// Takes the mark away.
    pub(crate) fn end(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn contains(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }
}

/// Upstream: `plugins/defaultpreemption`, `PreEnqueue`.
#[derive(Debug)]
pub(super) struct DefaultPreemption {
    preempting: Preempting,
}

impl DefaultPreemption {
    pub(super) fn new(preempting: Preempting) -> Self {
        Self { preempting }
    }
}

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        super::names::DEFAULT_PREEMPTION
    }

    fn pre_enqueue(&self, pod: &Pod) -> Verdict {
        if self.preempting.contains(pod.uid()) {
            return Err(Status::unresolvable("waiting for the preemption for this pod to be finished"));
        }
        Ok(())
    }
}
