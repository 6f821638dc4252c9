//! Memory that nobody uses and that is still ours: glibc keeps what was given up between what is in use.
//!
//! Whoever has given up a lot at once says so ([`released`]: a document of everything that is served, a long list that was decoded); a
//! while later it goes back to the system ([`give_back`]), on a thread of its own and at most once in that while. As long as nobody says
//! so nothing happens, and with another allocator than glibc's never.

#![allow(unsafe_code)]

use std::time::Duration;

use tokio::sync::Notify;

/// So long others may follow who need as much again.
const WHILE: Duration = Duration::from_secs(5);

static RELEASED: Notify = Notify::const_new();

/// Says that much memory was given up just now, or is about to be.
pub fn released() {
    RELEASED.notify_one();
}

/// Gives back what was released, time and again. Never ends; one such task is enough.
pub async fn give_back() {
    loop {
        RELEASED.notified().await;
        tokio::time::sleep(WHILE).await;
        // It takes some milliseconds, and the locks of the allocator meanwhile.
        if tokio::task::spawn_blocking(trim).await.is_err() {
            tracing::warn!("memory could not be given back");
        }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    // SAFETY: it may be called at any time and from any thread: it takes the allocator's own locks and touches only what is free.
    unsafe { nix::libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Resident memory in KB.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("the kernel says so");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is among it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn what_lies_between_what_is_in_use_goes_back() {
        const PIECE: usize = 1 << 10;
        const PIECES: usize = 64 << 10;
        let mut all: Vec<Option<Vec<u8>>> = (0..PIECES).map(|_| Some(vec![1; PIECE])).collect();
        let before = resident();
        all.iter_mut().enumerate().filter(|(index, _)| index % 64 != 0).for_each(|(_, piece)| *piece = None);
        trim();
        let after = resident();
        assert!(after + (32 << 10) < before, "{before} KB were {after} KB afterwards");
        assert_eq!(all.iter().flatten().count(), PIECES / 64);
    }
}
