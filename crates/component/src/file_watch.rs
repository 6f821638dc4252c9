//! Waiting for files to change that somebody else writes: certificates, keys, tokens.
//!
//! What is followed are the folders, so that a file that is replaced (a rename, the swapped link of a mounted Secret) is noticed
//! as well as one that is written. Where the system's notices fail, as on some network file systems, the minute that passes
//! anyway does. Whoever waits compares contents: a notice says that something may be different, not what.
//! Upstream: apiserver/pkg/server/dynamiccertificates, fsnotify.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::mpsc;

/// How long nothing is looked at where no notice comes.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// See the module header.
#[derive(Debug)]
pub struct FileWatch {
    /// One notice waits at most: more would say the same.
    notices: mpsc::Receiver<()>,
}

impl FileWatch {
    /// Follows the folders of these files from now on.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> FileWatch {
        let (sender, notices) = mpsc::channel(1);
        let folders: BTreeSet<PathBuf> = files.into_iter().map(folder).collect();
        match follow(&folders) {
            // The thread sleeps in a read and ends with the first notice nobody waits for.
            Ok(inotify) => {
                let thread = std::thread::Builder::new().name("file watch".to_owned());
                if let Err(error) = thread.spawn(move || notify(&inotify, &sender)) {
                    tracing::warn!(%error, "changed files are noticed once a minute only");
                }
            }
            Err(error) => tracing::warn!(%error, "changed files are noticed once a minute only"),
        }
        FileWatch { notices }
    }

    /// Waits until something changed, or for a minute.
    pub async fn changed(&mut self) {
        let noticed = async {
            match self.notices.recv().await {
                Some(()) => {}
                None => std::future::pending().await,
            }
        };
        // A minute without a notice is as good as one.
        let _ = tokio::time::timeout(AT_LEAST_EVERY, noticed).await;
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn follow(folders: &BTreeSet<PathBuf>) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
    let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    for folder in folders {
        if let Err(error) = inotify.add_watch(folder, flags) {
            tracing::warn!(folder = %folder.display(), %error, "changes here are noticed once a minute only");
        }
    }
    Ok(inotify)
}

fn notify(inotify: &Inotify, notices: &mpsc::Sender<()>) {
    while inotify.read_events().is_ok() {
        if let Err(mpsc::error::TrySendError::Closed(())) = notices.try_send(()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_written_and_a_replaced_file_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.crt");
        let mut watch = FileWatch::new([file.as_path()]);
        let noticed = async |watch: &mut FileWatch| {
            tokio::time::timeout(Duration::from_secs(30), watch.changed()).await.expect("sooner than the minute");
        };
        std::fs::write(&file, "one").unwrap();
        noticed(&mut watch).await;
        let other = folder.path().join("new");
        std::fs::write(&other, "two").unwrap();
        noticed(&mut watch).await;
        std::fs::rename(&other, &file).unwrap();
        noticed(&mut watch).await;
    }
}
