//! The rounds of mutating admission: a change by a plugin near the end makes all of them look once more.
//!
//! A plugin that asks others (webhooks, policies) asks in the second round only those that want it and have not seen every change;
//! whom, is kept here, for both kinds of plugin alike.
//! Upstream: k8s.io/apiserver/pkg/admission.ReinvocationContext, mutating.webhookReinvokeContext, mutating.policyReinvokeContext.

use std::collections::BTreeSet;

use json::Value;

/// What the mutating plugins of one request know of one another. There are two rounds at most.
#[derive(Default)]
pub struct Round {
    is_second: bool,
    is_asked_for: bool,
    memories: Vec<(&'static str, Memory)>,
}

/// What a plugin that asks others keeps from one round to the next.
#[derive(Default)]
struct Memory {
    /// The object as the last of them left it.
    output: Option<Value>,
    /// The reinvocable ones that were asked and have seen all changes since.
    up_to_date: BTreeSet<String>,
    /// Those that are to look again.
    again: BTreeSet<String>,
}

impl Memory {
    /// The object changed: who was asked before is to be asked again.
    fn changed(&mut self) {
        self.again.append(&mut self.up_to_date);
    }
}

impl Round {
    /// 0 or 1.
    pub(super) fn number(&self) -> usize {
        usize::from(self.is_second)
    }

    /// A plugin is about to ask others about the object.
    pub(super) fn begin(&mut self, plugin: &'static str, object: &Value) {
        let is_second = self.is_second;
        let memory = self.memory(plugin);
        if is_second && memory.output.as_ref() != Some(object) {
            memory.changed();
        }
    }

    /// Is one of those a plugin asks to be asked in this round?
    pub(super) fn is_due(&mut self, plugin: &'static str, id: &str) -> bool {
        !self.is_second || self.memory(plugin).again.contains(id)
    }

    /// One of them was asked, and changed the object or did not.
    pub(super) fn asked(&mut self, plugin: &'static str, id: &str, is_reinvocable: bool, changed: bool) {
        self.is_asked_for |= changed;
        let memory = self.memory(plugin);
        if changed {
            memory.changed();
        }
        if is_reinvocable {
            memory.up_to_date.insert(id.to_owned());
        }
    }

    /// A plugin has asked all of them; the object is as they left it.
    pub(super) fn end(&mut self, plugin: &'static str, object: &Value) {
        self.memory(plugin).output = Some(object.clone());
    }

    fn memory(&mut self, plugin: &'static str) -> &mut Memory {
        let at = self.memories.iter().position(|(name, _)| *name == plugin).unwrap_or_else(|| {
            self.memories.push((plugin, Memory::default()));
            self.memories.len() - 1
        });
        &mut self.memories[at].1
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
