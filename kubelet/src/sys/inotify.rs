//! Waiting for a folder to change without blocking a thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// Follows the writing and the coming of files in a folder.
pub(crate) struct FolderWatch {
    inotify: AsyncFd<Descriptor>,
}

/// `nix` shows the descriptor only as a borrowed one.
struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl FolderWatch {
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(dir, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)?;
        // SAFETY: the descriptor is open, owned by `inotify` inside the AsyncFd, always the same, and closed only when that is dropped,
        // which takes it out of the reactor first.
        let inotify = unsafe { AsyncFd::register(Descriptor(inotify)) }?;
        Ok(Self { inotify })
    }

    /// Waits until something changed since the last call.
    pub(crate) async fn changed(&mut self) {
        if let Ok(mut guard) = self.inotify.readable_mut().await {
            let _ = guard.get_inner().0.read_events();
            guard.clear_ready();
        }
    }
}
