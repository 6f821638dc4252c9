//! ImageLocality: prefers nodes that have the pod's images, the more so the more nodes have them.

use std::sync::Arc;

use crate::cache::{NodeInfo, Snapshot};
use crate::framework::{Cycle, MAX_NODE_SCORE, Plugin, Score};
use crate::objects::Volume;

const MEBIBYTE: i64 = 1024 * 1024;
/// Less than this is not worth a word.
const MIN_THRESHOLD: i64 = 23 * MEBIBYTE;
/// More than this, for each image, is worth no more.
const MAX_CONTAINER_THRESHOLD: i64 = 1000 * MEBIBYTE;

/// Upstream: `plugins/imagelocality`.
#[derive(Debug)]
pub(super) struct ImageLocality;

#[derive(Debug)]
struct Wanted<'a> {
    images: Vec<&'a str>,
    snapshot: &'a Snapshot,
}

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let volumes = cycle.pod.volumes.iter().filter_map(|volume| match volume {
            Volume::Image(reference) => Some(reference),
            _ => None,
        });
        let images: Vec<&str> = cycle.pod.images.iter().chain(volumes).map(String::as_str).collect();
        // With none of them anywhere all nodes score alike.
        let known = images.iter().any(|image| cycle.snapshot.image_nodes.contains_key(*image));
        known.then(|| Box::new(Wanted { images, snapshot: cycle.snapshot }) as Box<dyn Score + 'a>)
    }
}

impl Score for Wanted<'_> {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let total = self.snapshot.nodes.len().max(1) as f64;
        let mut sum = 0;
        for wanted in &self.images {
            let Some(nodes) = self.snapshot.image_nodes.get(*wanted) else { continue };
            let held = node.node.images.iter().find(|image| image.names.iter().any(|name| name == wanted));
            if let Some(image) = held {
                sum += (image.size as f64 * (*nodes as f64 / total)) as i64;
            }
        }
        let most = MAX_CONTAINER_THRESHOLD * self.images.len() as i64;
        MAX_NODE_SCORE * (sum.clamp(MIN_THRESHOLD, most) - MIN_THRESHOLD) / (most - MIN_THRESHOLD)
    }
}
