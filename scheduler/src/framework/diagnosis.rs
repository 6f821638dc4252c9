//! Why no node would do, as the pod's owner reads it.

use std::collections::BTreeMap;

use super::{Code, PluginSet, Status};

/// What a failed cycle found out. Upstream: `framework.Diagnosis`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis {
    /// The refusal of each node that was looked at, by place in the snapshot.
    pub nodes: Vec<(usize, Status)>,
    /// What stands for the nodes that were not looked at.
    pub absent: Option<Status>,
    /// Why the pod was refused before nodes were looked at; empty when it was not.
    pub pre_filter_message: String,
    /// What preemption had to say.
    pub post_filter_message: String,
    /// Every plugin that refused.
    pub plugins: PluginSet,
}

impl Diagnosis {
    /// The refusal of one node. Upstream: `NodeToStatus.Get`.
    pub(crate) fn of(&self, node: usize) -> Code {
        match self.nodes.iter().find(|(index, _)| *index == node) {
            Some((_, status)) => status.code,
            None => self.absent.as_ref().map_or(Code::UnschedulableAndUnresolvable, |status| status.code),
        }
    }
}

/// The message of a pod that fits nowhere: reasons with the number of nodes each, sorted as text.
/// Upstream: `framework.FitError.Error`.
pub(crate) fn fit_error(all_nodes: usize, diagnosis: &Diagnosis) -> String {
    let mut message = format!("0/{all_nodes} nodes are available:");
    if diagnosis.pre_filter_message.is_empty() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in diagnosis.nodes.iter().flat_map(|(_, status)| status.reasons()) {
            *counts.entry(reason).or_default() += 1;
        }
        let unseen = all_nodes.saturating_sub(diagnosis.nodes.len());
        if unseen > 0 {
            for reason in diagnosis.absent.iter().flat_map(Status::reasons) {
                *counts.entry(reason).or_default() += unseen;
            }
        }
        let mut reasons: Vec<String> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        if !reasons.is_empty() {
            message.push_str(&format!(" {}.", reasons.join(", ")));
        }
    } else {
        message.push_str(&format!(" {}.", diagnosis.pre_filter_message));
    }
    if !diagnosis.post_filter_message.is_empty() {
        message.push_str(&format!(" {}", diagnosis.post_filter_message));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_sorted_as_text() {
        let mut both = Status::unschedulable("Insufficient cpu");
        both.push("Insufficient memory");
        let diagnosis = Diagnosis {
            nodes: vec![
                (0, Status::unresolvable("node(s) had untolerated taint(s)")),
                (1, Status::unschedulable("Insufficient cpu")),
                (2, both),
            ],
            post_filter_message: "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
                .to_owned(),
            ..Diagnosis::default()
        };
        assert_eq!(
            fit_error(3, &diagnosis),
            "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
             preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        );
    }

    #[test]
    fn nodes_not_looked_at_count_with_the_reason_for_all() {
        let diagnosis = Diagnosis {
            nodes: vec![(0, Status::unschedulable("Too many pods"))],
            absent: Some(Status::unresolvable("node(s) didn't satisfy plugin(s) [NodeAffinity]")),
            ..Diagnosis::default()
        };
        assert_eq!(
            fit_error(3, &diagnosis),
            "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
        );
    }

    #[test]
    fn a_pre_filter_message_stands_alone() {
        let diagnosis = Diagnosis {
            pre_filter_message: "persistentvolumeclaim \"x\" not found".to_owned(),
            ..Diagnosis::default()
        };
        assert_eq!(fit_error(1, &diagnosis), "0/1 nodes are available: persistentvolumeclaim \"x\" not found.");
    }
}
