//! A container's last words: its termination log, or the end of its log. Upstream: `getTerminationMessage`.

use std::io::{Read, Seek, SeekFrom};

use cri::api;

use super::state::ContainerState;
use crate::logs::parse;

/// Upstream: `MaxContainerTerminationMessageLength`.
const MAX: u64 = 4096;
/// Upstream: `MaxContainerTerminationMessageLogLength`, `...LogLines`.
const MAX_FROM_LOG: u64 = 2048;
const MAX_LINES: usize = 80;

/// The message; empty if there is none.
pub(super) fn read(mounts: &[api::Mount], path: Option<&str>, policy: Option<&str>, of: &ContainerState) -> String {
    let mount = mounts.iter().find(|mount| Some(mount.container_path.as_str()) == path && !mount.host_path.is_empty());
    let text = mount.map(|mount| tail(&mount.host_path, MAX, true)).unwrap_or_default();
    if text.is_empty() && policy == Some("FallbackToLogsOnError") && of.exit_code != 0 {
        return from_log(&of.log_path);
    }
    text
}

/// The first (or last) `limit` bytes of a file as text.
fn tail(path: &str, limit: u64, from_start: bool) -> String {
    let Ok(mut file) = std::fs::File::open(path) else { return String::new() };
    let length = file.metadata().map_or(0, |meta| meta.len());
    if !from_start && length > limit {
        let _ = file.seek(SeekFrom::Start(length - limit));
    }
    let mut bytes = Vec::new();
    let _ = file.take(limit).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn from_log(path: &str) -> String {
    // Each line carries a time and a stream name beside its words.
    let text = tail(path, MAX_FROM_LOG * 3, false);
    let lines: Vec<&str> = text.lines().collect();
    let mut words = String::new();
    for line in &lines[lines.len().saturating_sub(MAX_LINES)..] {
        if let Some(entry) = parse::line(line.as_bytes()) {
            words.push_str(&String::from_utf8_lossy(entry.text));
            if !entry.partial {
                words.push('\n');
            }
        }
    }
    let limit = usize::try_from(MAX_FROM_LOG).unwrap_or(usize::MAX);
    let mut from = words.len().saturating_sub(limit);
    while !words.is_char_boundary(from) {
        from += 1;
    }
    words.split_off(from)
}
