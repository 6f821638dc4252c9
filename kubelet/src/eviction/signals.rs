//! What is left of memory and disk.

use std::path::Path;

use super::Pressure;
use crate::Config;

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) memory_available: i64,
    pub(super) memory_total: i64,
    pub(super) disk_available: i64,
    pub(super) disk_total: i64,
}

impl Observed {
    /// Asks the kernel; none when it does not say, which is never taken for pressure.
    pub(super) fn look(root: &Path) -> Option<Self> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
        let disk = nix::sys::statvfs::statvfs(root).ok()?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(disk.fragment_size())).unwrap_or(i64::MAX);
        Some(Self {
            // The kernel's own estimate of what can be had without swapping.
            memory_available: memory(&meminfo, "MemAvailable:")?,
            memory_total: memory(&meminfo, "MemTotal:")?,
            disk_available: bytes(disk.blocks_available()),
            disk_total: bytes(disk.blocks()),
        })
    }

    /// Which thresholds are crossed.
    pub(super) fn short(&self, config: &Config) -> Pressure {
        Pressure {
            memory: self.memory_available < config.eviction_hard_memory.of(self.memory_total),
            disk: self.disk_available < config.eviction_hard_nodefs.of(self.disk_total),
        }
    }
}

/// A line of `/proc/meminfo`, in bytes.
pub(super) fn memory(meminfo: &str, name: &str) -> Option<i64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<i64>().ok()? * 1024)
}
