//! NodeName: a pod that names its node runs there only.

use crate::cache::NodeInfo;
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::Pod;

/// Upstream: `plugins/nodename`.
#[derive(Debug)]
pub(super) struct NodeName;

#[derive(Clone, Debug)]
struct Named<'a>(&'a str);

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        super::names::NODE_NAME
    }

    fn queueing_hint(&self, _pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        Hint::when(matches!(event, ClusterEvent::NodeAdd(_)))
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        match cycle.pod.node_name.as_str() {
            "" => PreFilter::Skip,
            name => PreFilter::Filter(Box::new(Named(name))),
        }
    }
}

impl<'a> Filter<'a> for Named<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        if node.name() == self.0 {
            return Ok(());
        }
        Err(Status::unresolvable("node(s) didn't match the requested node name"))
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}
