//! What a plugin answers when it does not simply agree.

use std::borrow::Cow;

/// One reason, as it appears in messages; fixed texts cost nothing.
pub(crate) type Reason = Cow<'static, str>;

/// The kind of a refusal. Success is `Ok`, Skip has its own variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something went wrong that has nothing to do with the pod; it is retried after a while.
    Error,
    /// Refused; removing other pods may help.
    Unschedulable,
    /// Refused; removing other pods cannot help.
    UnschedulableAndUnresolvable,
}

/// A refusal. Upstream: `fwk.Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// What kind.
    pub code: Code,
    first: Reason,
    /// Further reasons; almost always empty, so that a refusal seldom allocates.
    more: Vec<Reason>,
    /// The plugin that refused, filled in by the engine.
    pub plugin: &'static str,
}

impl Status {
    /// A refusal with one reason.
    pub(crate) fn new(code: Code, reason: impl Into<Reason>) -> Self {
        Self { code, first: reason.into(), more: Vec::new(), plugin: "" }
    }

    /// A failure of the machinery.
    pub(crate) fn error(reason: impl Into<Reason>) -> Self {
        Self::new(Code::Error, reason)
    }

    /// A refusal that removing pods may cure.
    pub(crate) fn unschedulable(reason: impl Into<Reason>) -> Self {
        Self::new(Code::Unschedulable, reason)
    }

    /// A refusal that removing pods cannot cure.
    pub(crate) fn unresolvable(reason: impl Into<Reason>) -> Self {
        Self::new(Code::UnschedulableAndUnresolvable, reason)
    }

    /// Adds a reason.
    pub(crate) fn push(&mut self, reason: impl Into<Reason>) {
        self.more.push(reason.into());
    }

    /// All reasons, in order.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &Reason> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The reasons as one text. Upstream: `Status.Message`.
    pub(crate) fn message(&self) -> String {
        let reasons: Vec<&str> = self.reasons().map(|reason| &**reason).collect();
        reasons.join(", ")
    }

    /// True when a plugin turned the pod down, as opposed to a failure.
    pub(crate) fn is_rejected(&self) -> bool {
        self.code != Code::Error
    }

    pub(crate) fn by(mut self, plugin: &'static str) -> Self {
        if self.plugin.is_empty() {
            self.plugin = plugin;
        }
        self
    }
}
