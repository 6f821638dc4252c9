//! Taints and tolerations.

use k8s_openapi::api::core::v1 as core;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// They are not scheduled here.
    NoSchedule,
    /// They are scheduled here last.
    PreferNoSchedule,
    /// They are not scheduled here, and evicted.
    NoExecute,
}

impl Effect {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }

    /// True when it forbids scheduling.
    pub(crate) fn forbids(self) -> bool {
        self != Self::PreferNoSchedule
    }
}

/// A mark on a node that keeps pods away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taint {
    /// Its name.
    pub key: String,
    /// Empty when it has none.
    pub value: String,
    /// What it does.
    pub effect: Effect,
}

impl Taint {
    /// From the API's form; an unknown effect does nothing.
    pub(crate) fn new(taint: &core::Taint) -> Option<Self> {
        Some(Self {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: Effect::parse(&taint.effect)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Exists,
    /// `Lt`, `Gt` (alpha upstream and off) and anything else: tolerates nothing.
    Never,
}

/// What a pod puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toleration {
    /// Empty for every key.
    key: String,
    operator: Operator,
    value: String,
    /// None for every effect.
    effect: Option<Effect>,
}

impl Toleration {
    /// From the API's form.
    pub(crate) fn new(toleration: &core::Toleration) -> Self {
        let operator = match toleration.operator.as_deref() {
            None | Some("" | "Equal") => Operator::Equal,
            Some("Exists") => Operator::Exists,
            Some(_) => Operator::Never,
        };
        let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
        let (effect, operator) = match effect.map(Effect::parse) {
            None => (None, operator),
            Some(Some(effect)) => (Some(effect), operator),
            Some(None) => (None, Operator::Never),
        };
        Self {
            key: toleration.key.clone().unwrap_or_default(),
            operator,
            value: toleration.value.clone().unwrap_or_default(),
            effect,
        }
    }

    /// Upstream: `Toleration.ToleratesTaint`.
    pub(crate) fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match self.operator {
                Operator::Equal => self.value == taint.value,
                Operator::Exists => true,
                Operator::Never => false,
            }
    }

    /// True when it says something about taints of `PreferNoSchedule`.
    pub(crate) fn covers_preferences(&self) -> bool {
        self.effect.is_none_or(|effect| effect == Effect::PreferNoSchedule)
    }
}

/// The first taint that forbids scheduling and that nothing tolerates.
/// Upstream: `FindMatchingUntoleratedTaint` with the filter for `NoSchedule` and `NoExecute`.
pub(crate) fn find_untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints.iter().find(|taint| taint.effect.forbids() && !tolerations.iter().any(|one| one.tolerates(taint)))
}
