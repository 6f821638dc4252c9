//! NodePorts: host ports are given out once a node.

use crate::cache::NodeInfo;
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::{HostPort, Pod};

/// Upstream: `plugins/nodeports`.
#[derive(Debug)]
pub(super) struct NodePorts;

#[derive(Clone, Debug)]
struct Wanted<'a>(&'a [HostPort]);

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(_) => Hint::Queue,
            ClusterEvent::AssignedPodDelete(gone) => Hint::when(gone.host_ports.iter().any(|freed| {
                pod.host_ports.iter().any(|port| port.port == freed.port && port.protocol == freed.protocol)
            })),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        match cycle.pod.host_ports.as_slice() {
            [] => PreFilter::Skip,
            ports => PreFilter::Filter(Box::new(Wanted(ports))),
        }
    }
}

impl<'a> Filter<'a> for Wanted<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        if self.0.iter().all(|port| node.port_is_free(port)) {
            return Ok(());
        }
        Err(Status::unschedulable("node(s) didn't have free ports for the requested pod ports"))
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}
