//! The rounds of mutating admission: a change by a plugin near the end makes all of them look once more.
//! Upstream: k8s.io/apiserver/pkg/admission.ReinvocationContext.

use std::any::Any;

/// What the mutating plugins of one request know of one another. There are two rounds at most.
#[derive(Default)]
pub struct Round {
    is_second: bool,
    is_asked_for: bool,
    memories: Vec<Box<dyn Any + Send>>,
}

impl Round {
    /// Did all plugins look at the object already?
    pub fn is_second(&self) -> bool {
        self.is_second
    }

    /// The object was changed in a way the plugins before should see.
    pub fn ask_for_second(&mut self) {
        self.is_asked_for = true;
    }

    /// What a plugin keeps from one round to the next; its type tells whose it is.
    pub fn memory<T: Any + Default + Send>(&mut self) -> &mut T {
        let at = self.memories.iter().position(|memory| memory.is::<T>()).unwrap_or_else(|| {
            self.memories.push(Box::<T>::default());
            self.memories.len() - 1
        });
        self.memories[at].downcast_mut().expect("it was found by its type")
    }

    /// Begins the second round if it is asked for and has not been.
    pub(super) fn next(&mut self) -> bool {
        let begins = self.is_asked_for && !self.is_second;
        self.is_second |= begins;
        begins
    }
}

impl std::fmt::Debug for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Round").field("is_second", &self.is_second).finish_non_exhaustive()
    }
}
