//! The Node object: what this machine is and how it is. Upstream: `kubelet_node_status.go`, `nodestatus`, `component-helpers/apimachinery/lease`.

pub(crate) mod cni;
pub(crate) mod info;
pub(crate) mod lease;
pub(crate) mod status;
