//! Label and node selectors, parsed once.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::Labels;

/// One condition on labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Requirement {
    /// The label has one of the values.
    In(String, Vec<String>),
    /// The label is absent or has none of the values.
    NotIn(String, Vec<String>),
    /// The label is present.
    Exists(String),
    /// The label is absent.
    DoesNotExist(String),
    /// The label is an integer greater than this.
    Gt(String, i64),
    /// The label is an integer less than this.
    Lt(String, i64),
    /// Not understood, so never met.
    Invalid,
}

impl Requirement {
    fn new(key: &str, operator: &str, values: Option<&[String]>) -> Self {
        let values = values.unwrap_or_default();
        let number = || match values {
            [one] => one.parse::<i64>().ok(),
            _ => None,
        };
        let key = key.to_owned();
        match operator {
            "In" if !values.is_empty() => Self::In(key, values.to_vec()),
            "NotIn" if !values.is_empty() => Self::NotIn(key, values.to_vec()),
            "Exists" => Self::Exists(key),
            "DoesNotExist" => Self::DoesNotExist(key),
            "Gt" => number().map_or(Self::Invalid, |bound| Self::Gt(key, bound)),
            "Lt" => number().map_or(Self::Invalid, |bound| Self::Lt(key, bound)),
            _ => Self::Invalid,
        }
    }

    /// Whether labels meet it.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::DoesNotExist(key) => !labels.contains_key(key),
            Self::Gt(key, bound) => number(key).is_some_and(|value| value > *bound),
            Self::Lt(key, bound) => number(key).is_some_and(|value| value < *bound),
            Self::Invalid => false,
        }
    }
}

/// A label selector. Upstream: `labels.Selector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Selector {
    /// All must be met; none at all selects everything.
    requirements: Vec<Requirement>,
    /// Selects nothing, whatever the requirements.
    nothing: bool,
}

impl Selector {
    /// Selects nothing.
    pub(crate) fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// From the API's form: absent selects nothing, empty selects everything.
    /// Upstream: `metav1.LabelSelectorAsSelector`.
    pub(crate) fn new(selector: Option<&LabelSelector>) -> Self {
        let Some(selector) = selector else { return Self::nothing() };
        let mut parsed = Self::from_labels(selector.match_labels.iter().flatten());
        for expression in selector.match_expressions.iter().flatten() {
            let requirement = Requirement::new(&expression.key, &expression.operator, expression.values.as_deref());
            parsed.requirements.push(requirement);
        }
        parsed
    }

    /// Each label must have exactly its value.
    pub(crate) fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let requirements =
            labels.into_iter().map(|(key, value)| Requirement::In(key.clone(), vec![value.clone()])).collect();
        Self { requirements, nothing: false }
    }

    /// Adds the conditions of another selector.
    pub(crate) fn and(&mut self, other: &Self) {
        self.nothing |= other.nothing;
        for requirement in &other.requirements {
            if !self.requirements.contains(requirement) {
                self.requirements.push(requirement.clone());
            }
        }
    }

    /// True when it has no condition at all. Upstream: `Selector.Empty`.
    pub(crate) fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether labels are selected.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

/// One alternative of a node selector; an empty one selects no node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSelectorTerm {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

impl NodeSelectorTerm {
    /// From the API's form.
    pub(crate) fn new(term: &core::NodeSelectorTerm) -> Self {
        let parse = |list: &Option<Vec<core::NodeSelectorRequirement>>| {
            list.iter().flatten().map(|one| Requirement::new(&one.key, &one.operator, one.values.as_deref())).collect()
        };
        Self { labels: parse(&term.match_expressions), fields: parse(&term.match_fields) }
    }

    /// Whether a node of this name and these labels is selected.
    pub(crate) fn matches(&self, name: &str, labels: &Labels) -> bool {
        if self.labels.is_empty() && self.fields.is_empty() {
            return false;
        }
        self.labels.iter().all(|one| one.matches(labels))
            && self.fields.iter().all(|one| match one {
                Requirement::In(key, values) if key == "metadata.name" => values.iter().any(|value| value == name),
                Requirement::NotIn(key, values) if key == "metadata.name" => values.iter().all(|value| value != name),
                _ => false,
            })
    }

    /// The node names the term is limited to by `metadata.name`, if it is.
    pub(crate) fn node_names(&self) -> Option<Vec<&String>> {
        let mut names: Option<Vec<&String>> = None;
        for field in &self.fields {
            if let Requirement::In(key, values) = field
                && key == "metadata.name"
            {
                names = Some(match names {
                    None => values.iter().collect(),
                    Some(names) => names.into_iter().filter(|name| values.contains(name)).collect(),
                });
            }
        }
        names
    }
}

/// Alternatives of which one must select the node. Upstream: `nodeaffinity.NodeSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSelector {
    /// The alternatives; none selects no node.
    pub terms: Vec<NodeSelectorTerm>,
}

impl NodeSelector {
    /// From the API's form.
    pub(crate) fn new(selector: &core::NodeSelector) -> Self {
        Self { terms: selector.node_selector_terms.iter().map(NodeSelectorTerm::new).collect() }
    }

    /// Whether a node of this name and these labels is selected.
    pub(crate) fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.terms.iter().any(|term| term.matches(name, labels))
    }
}

/// A wish with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreferredTerm {
    /// 1 to 100.
    pub weight: i64,
    /// Which nodes are preferred; here an empty term prefers none.
    pub term: NodeSelectorTerm,
}

/// The topologies a storage class may provision in: each key must have one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopologyTerm(pub Vec<(String, Vec<String>)>);

impl TopologyTerm {
    /// Whether labels lie within it. Upstream: `MatchTopologySelectorTerms` for one term.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        !self.0.is_empty()
            && self.0.iter().all(|(key, values)| labels.get(key).is_some_and(|value| values.contains(value)))
    }
}
