//! Folders of volumes: made, owned, mounted, unmounted and removed.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{Error, io_at};

/// Runs file work apart from the runtime's workers.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Io { path: PathBuf::new(), source: io::Error::other(error) }),
    }
}

/// Makes an emptyDir. What a container changed in one that is there already is left alone.
pub(super) fn empty_dir(
    dir: &Path,
    in_memory: bool,
    size: Option<i64>,
    mode: Option<u32>,
    group: Option<u32>,
) -> Result<(), Error> {
    let ready = dir.with_file_name(format!(
        ".{}-ready",
        dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    ));
    if ready.exists() && dir.is_dir() && (!in_memory || is_mount_point(dir)) {
        return Ok(());
    }
    make(dir, 0o777)?;
    if in_memory && !is_mount_point(dir) {
        let options = size.map(|size| format!("size={size}")).unwrap_or_default();
        mount_tmpfs(dir, &options)?;
    }
    // A tmpfs comes with the sticky bit, and upstream leaves it there.
    let mode = mode.unwrap_or(if in_memory { 0o1777 } else { 0o777 });
    let with_group = if group.is_some() { mode | 0o2770 } else { mode };
    if group.is_some() {
        std::os::unix::fs::chown(dir, None, group).map_err(io_at(dir))?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(with_group)).map_err(io_at(dir))?;
    fs::write(&ready, b"").map_err(io_at(&ready))
}

/// Makes the folder of a volume with files from the API, in memory for all but ConfigMaps.
pub(super) fn files_dir(dir: &Path, in_memory: bool) -> Result<(), Error> {
    make(dir, 0o777)?;
    if in_memory && !is_mount_point(dir) {
        mount_tmpfs(dir, "")?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o1777)).map_err(io_at(dir))
}

fn make(dir: &Path, mode: u32) -> Result<(), Error> {
    if let Some(parent) = dir.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(parent).map_err(io_at(parent))?;
    }
    match fs::create_dir(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(io_at(dir)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_at(dir)(error)),
    }
}

fn mount_tmpfs(dir: &Path, options: &str) -> Result<(), Error> {
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some(options))
        .map_err(|errno| io_at(dir)(io::Error::from(errno)))
}

fn is_mount_point(dir: &Path) -> bool {
    let device = |path: &Path| fs::symlink_metadata(path).ok().map(|meta| meta.dev());
    dir.parent().is_some_and(|parent| device(dir) != device(parent))
}

/// Unmounts everything below a pod's directory and removes it. Refuses to go on while something stays mounted.
pub(super) fn remove_pod_dir(dir: &Path) -> Result<(), Error> {
    for mounted in mounts_below(dir) {
        match umount2(&mounted, MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            // A process somewhere still looks at it: the mount goes as soon as that ends.
            Err(nix::Error::EBUSY) => umount2(&mounted, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|errno| io_at(&mounted)(io::Error::from(errno)))?,
            Err(errno) => return Err(io_at(&mounted)(io::Error::from(errno))),
        }
    }
    if let Some(left) = mounts_below(dir).first() {
        return Err(io_at(left)(io::Error::from(nix::Error::EBUSY)));
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(dir)(error)),
        _ => Ok(()),
    }
}

/// Mount points at or below `dir`, the deepest first.
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let mut found: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|path| PathBuf::from(unescape(path)))
        .filter(|path| path.starts_with(&dir))
        .collect();
    // Later mounts cover earlier ones.
    found.reverse();
    found
}

/// mountinfo writes blanks and backslashes as octal numbers.
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}
