//! The group storage.k8s.io: classes of volumes, CSI drivers, attachments, what storage is left where.
//! Upstream: pkg/apis/storage/validation, pkg/registry/storage.

mod capacity;
mod class;
mod csi_driver;
mod csi_node;
mod volume_attachment;

pub use capacity::CsiStorageCapacity;
pub use class::{StorageClass, VolumeAttributesClass};
pub use csi_driver::CsiDriver;
pub use csi_node::CsiNode;
pub use volume_attachment::VolumeAttachment;
