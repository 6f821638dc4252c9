//! subPath: a part of a volume, found without ever leaving it. Upstream: `volume/util/subpath`; the bug it guards against: CVE-2021-25741.
//!
//! The kernel resolves the path with RESOLVE_BENEATH, so a link that a container planted cannot lead out, neither now nor between check
//! and use: what is bound is the opened file itself, to a place of the kubelet's own, and only that place is named to the runtime.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, mkdirat};

/// Opens `sub_path` within `volume`, making folders that are missing.
fn open_within(volume: &Path, sub_path: &str) -> io::Result<OwnedFd> {
    let root = open(volume, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let at = |path: &str, flags: OFlag| {
        openat2(&root, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve))
    };
    let parts: Vec<&str> = sub_path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "subPath must not contain '..'"));
    }
    let whole = parts.join("/");
    match at(&whole, OFlag::O_PATH) {
        Ok(found) => return Ok(found),
        Err(nix::Error::ENOENT) => {}
        Err(nix::Error::EXDEV | nix::Error::ELOOP) => {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "subPath leads out of its volume"));
        }
        Err(errno) => return Err(errno.into()),
    }
    let mut so_far = String::from(".");
    for part in parts {
        let parent = at(&so_far, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        match mkdirat(&parent, part, Mode::from_bits_truncate(0o750)) {
            Ok(()) => {
                // Containers of any user write here, as they could into the volume itself.
                let made = openat2(
                    &parent,
                    part,
                    OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY).resolve(resolve),
                )?;
                let like = fs::metadata(format!("/proc/self/fd/{}", parent.as_raw_fd()))?.permissions();
                fs::set_permissions(format!("/proc/self/fd/{}", made.as_raw_fd()), like)?;
            }
            Err(nix::Error::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        so_far = if so_far == "." { part.to_owned() } else { format!("{so_far}/{part}") };
    }
    Ok(at(&whole, OFlag::O_PATH)?)
}

/// Binds the part of the volume to `target`, which is made a file or a folder to fit. A binding that is there already is kept.
pub(crate) fn bind(volume: &Path, sub_path: &str, target: PathBuf) -> io::Result<PathBuf> {
    let source = open_within(volume, sub_path)?;
    let through = format!("/proc/self/fd/{}", source.as_raw_fd());
    let meta = fs::metadata(&through)?;
    if let Ok(present) = fs::metadata(&target) {
        use std::os::unix::fs::MetadataExt;
        if (present.dev(), present.ino()) == (meta.dev(), meta.ino()) {
            return Ok(target);
        }
        let _ = nix::mount::umount2(&target, nix::mount::MntFlags::MNT_DETACH);
        if present.is_dir() { fs::remove_dir(&target)? } else { fs::remove_file(&target)? }
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if meta.is_dir() {
        fs::create_dir(&target)?;
    } else {
        fs::write(&target, b"")?;
    }
    mount(Some(through.as_str()), &target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_cannot_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink("../..", dir.path().join("up")).unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        std::os::unix::fs::symlink("in", dir.path().join("link")).unwrap();
        assert!(open_within(dir.path(), "out/passwd").is_err());
        assert!(open_within(dir.path(), "out").is_err());
        assert!(open_within(dir.path(), "up").is_err());
        assert!(open_within(dir.path(), "a/../../b").is_err());
        open_within(dir.path(), "link").unwrap();
        open_within(dir.path(), "new/deep").unwrap();
        assert!(dir.path().join("new/deep").is_dir());
        assert!(open_within(dir.path(), "link/made").is_ok() && dir.path().join("in/made").is_dir());
    }
}
